"""`digitalmask serve`: the relay and its pages."""

import argparse
import asyncio
import contextlib
import logging
import re
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitalmask.cli.mask import add_complexion, add_inset, add_voice, frame_size
from digitalmask.errors import ConfigurationError

if TYPE_CHECKING:
    from digitalmask.pipeline.drawing_process import DrawingProcess
    from digitalmask.tracking.inference_process import InferenceProcess


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("serve", help="serve consultations, and print links to join one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for any free one (8080)")
    parser.add_argument(
        "--provider",
        default="auto",
        help="where the networks run: auto, cpu, cuda or tensorrt, these two also as -half",
    )
    parser.add_argument("--size", type=frame_size, metavar="WxH", help="size of the masked stream")
    add_inset(parser)
    add_complexion(parser)
    add_voice(parser)
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="a STUN or TURN server for the clients: stun:…, turn:… or turns:…; may be repeated",
    )
    parser.add_argument("--turn-user", metavar="NAME", help="user of the TURN servers")
    parser.add_argument(
        "--turn-password", type=Path, metavar="FILE", help="file with that user's password"
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="FOLDER",
        help="let doctors record masks there, where the patient agrees (nothing is recorded)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a site whose pages may use this relay, such as https://clinic.example",
    )
    parser.add_argument(
        "--demo",
        nargs="?",
        const="",
        metavar="FILE",
        help="let a video play the patient, or a simulated patient where no FILE is given",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    from digitalmask.pipeline.drawing_process import shared_drawing
    from digitalmask.tracking.inference_process import shared_inference

    with (
        contextlib.suppress(KeyboardInterrupt),
        shared_inference(options.provider) as inference,
        shared_drawing() as drawing,
    ):
        asyncio.run(_serve(options, inference, drawing))
    return 0


async def _serve(
    options: argparse.Namespace,
    inference: "InferenceProcess | None",
    drawing: "DrawingProcess | None",
) -> None:
    from aiohttp import web

    from digitalmask.assets.paths import state_dir
    from digitalmask.media.voice import VoiceWay
    from digitalmask.pipeline import isolated
    from digitalmask.relay.admission import Keys
    from digitalmask.relay.cross_origin import read_origin
    from digitalmask.relay.invitations import Role, read_key
    from digitalmask.relay.rooms import Rooms
    from digitalmask.relay.server import make_app

    tls = _tls(options.tls_cert, options.tls_key)
    ice = _ice_servers(options.ice_server, options.turn_user, options.turn_password)
    origins = frozenset(map(read_origin, options.allow_origin))
    keys = Keys(read_key(state_dir() / "invitations.key"), read_key(state_dir() / "admin.key"))
    masker = isolated(
        options.provider, options.inset, options.skin, options.eyes, inference, drawing
    )
    rooms = Rooms(
        masker,
        state_dir() / "rooms.json",
        options.size,
        VoiceWay(options.voice),
        options.recordings,
    )
    app = make_app(rooms, keys, ice, origins)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {options.host}:{options.port} ({error.strerror}): "
                "choose another --port"
            ) from error
        port = runner.addresses[0][1]
        name = "localhost" if options.host in ("127.0.0.1", "0.0.0.0", "::") else options.host  # noqa: S104
        base = f"{'https' if tls else 'http'}://{name}:{port}"
        room_id = rooms.create()
        invitations = {role.value: keys.link(base, room_id, role) for role in Role}
        print(f"Serving on {base}; faces are tracked on {_provider(inference)}.")
        print(f"{'Room:':10}{room_id}")
        for role, link in invitations.items():
            if role != "patient" or options.demo is None:
                print(f"{role.capitalize() + ':':10}{link}")
        print("Each link is for one person and good for a day. Stop with Ctrl-C.", flush=True)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(stopped.wait())]
        if options.demo is not None:
            token = invitations["patient"].partition("#")[2]
            tasks.append(
                asyncio.create_task(_play_patient(options.demo, f"{base}/whip/{room_id}", token))
            )
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task not in done:
                task.cancel()
        for task in done:
            task.result()
    finally:
        await runner.cleanup()


def _provider(inference: "InferenceProcess | None") -> str:
    from digitalmask.tracking import load_networks

    return load_networks("cpu").provider if inference is None else inference.provider


async def _play_patient(source: str, url: str, token: str) -> None:
    from digitalmask.relay.demo import play_file, play_simulated_patient

    if source:
        await play_file(Path(source), url, token)
    else:
        await play_simulated_patient(url, token)


def _ice_servers(urls: list[str], user: str | None, password: Path | None) -> list[dict[str, str]]:
    """What clients are told of STUN and TURN servers; the credentials are for all TURN servers."""
    if (user is None) != (password is None):
        raise ConfigurationError("--turn-user and --turn-password go together")
    servers = []
    for url in urls:
        scheme, _, rest = url.partition(":")
        if scheme not in ("stun", "stuns", "turn", "turns") or not re.fullmatch(
            r"[^\s<>\"]+", rest
        ):
            raise ConfigurationError(f"{url} is no ICE server: stun:HOST, turn:HOST or turns:HOST")
        server = {"urls": url}
        if scheme.startswith("turn"):
            if user is None or password is None:
                raise ConfigurationError(f"{url} needs --turn-user and --turn-password")
            try:
                secret = password.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"cannot read the password in {password}") from error
            server |= {"username": user, "credential": secret}
        servers.append(server)
    return servers


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigurationError("--tls-cert and --tls-key go together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate {certificate} with the key {key} cannot be used: {error}"
        ) from error
    return context
