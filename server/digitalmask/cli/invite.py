"""`digitalmask invite`: links to a new room, or more links to the last one."""

import argparse
import json
from typing import Any

from digitalmask.errors import ConfigurationError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("invite", help="print links to a consultation")
    parser.add_argument("--server", default="http://localhost:8080", help="address of the relay")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import urllib.error
    import urllib.request

    from digitalmask.assets.paths import state_dir
    from digitalmask.relay.invitations import read_key

    if not options.server.startswith(("http://", "https://")):
        raise ConfigurationError("--server is an address such as http://localhost:8080")
    key = read_key(state_dir() / "admin.key")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{options.server.rstrip('/')}/rooms",
        method="POST",
        headers={"Authorization": f"Bearer {key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            made = json.load(answer)
    except urllib.error.HTTPError as error:
        raise ConfigurationError(
            f"{options.server} refused (status {error.code}): run this as the user who serves"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"no relay answers on {options.server}: {error}") from error
    if options.json:
        print(json.dumps(made))
    else:
        for role, link in made["links"].items():
            print(f"{role.capitalize() + ':':10}{link}")
    return 0
