"""`digitalmask invite`: links to a new room, or one more link to a room that is there."""

import argparse
import json
from typing import Any
from urllib.parse import quote

from digitalmask.errors import ConfigurationError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("invite", help="print links to a consultation")
    parser.add_argument("--server", default="http://localhost:8080", help="address of the relay")
    parser.add_argument("--room", metavar="ID", help="invite one more person into this room")
    parser.add_argument("--role", choices=("patient", "doctor", "observer"), help="as what")
    parser.add_argument("--hours", type=float, help="how long the link is good (24)")
    parser.add_argument("--name", help="what others are shown of this person")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ("role", "hours", "name")}
    wanted = {name: value for name, value in given.items() if value is not None}
    if (options.room is None) != (options.role is None) or (wanted and options.room is None):
        raise ConfigurationError("--room and --role go together; --hours and --name go with them")
    if options.room is None:
        made = _post(options.server, "/rooms", None)
        links = {"room": made["room"], **made["links"]}
    else:
        made = _post(options.server, f"/rooms/{quote(options.room, safe='')}/invitations", wanted)
        links = {made["role"]: made["link"]}
    if options.json:
        print(json.dumps(made))
    else:
        for role, link in links.items():
            print(f"{role.capitalize() + ':':10}{link}")
    return 0


def _post(server: str, path: str, body: dict[str, object] | None) -> Any:
    import urllib.error
    import urllib.request

    from digitalmask.assets.paths import state_dir
    from digitalmask.relay.invitations import read_key

    if not server.startswith(("http://", "https://")):
        raise ConfigurationError("--server is an address such as http://localhost:8080")
    key = read_key(state_dir() / "admin.key")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        server.rstrip("/") + path,
        method="POST",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        why = "run this as the user who serves" if error.code == 401 else _reason(error)
        raise ConfigurationError(f"{server} refused (status {error.code}): {why}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"no relay answers on {server}: {error}") from error


def _reason(error: Any) -> str:
    """The one line of a refusal; what the status means where there is none."""
    try:
        return str(json.load(error)["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)
