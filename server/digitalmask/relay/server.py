"""The HTTP face of the relay: pages, WHIP in (RFC 9725), WHEP out, room events, invitations."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from aiohttp import web

from digitalmask.assets.paths import client_dir
from digitalmask.errors import InvitationError, SignallingError
from digitalmask.media.voice import VoiceWay
from digitalmask.relay.admission import Admission, Keys
from digitalmask.relay.cross_origin import allow_origins
from digitalmask.relay.dtls import accept_rsa_certificates
from digitalmask.relay.http_api import add_api
from digitalmask.relay.metrics import add_metrics
from digitalmask.relay.peer import offer_loopback, prepare_codecs
from digitalmask.relay.rooms import Rooms
from digitalmask.relay.whip import IceServer, add_routes

_log = logging.getLogger(__name__)

_LARGEST_OFFER = 64 * 1024
_EVENT_INTERVAL_S = 2.0
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; media-src 'self' blob: mediastream:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGES = {
    "/": "index.html",
    "/patient": "patient.html",
    "/doctor": "doctor.html",
    "/observer": "doctor.html",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    rooms: Rooms,
    keys: Keys,
    ice_servers: Sequence[IceServer],
    origins: Collection[str] = (),
) -> web.Application:
    """The application; it ends its sessions when it shuts down.

    ice_servers: what `RTCIceServer` takes in a browser, one URL each. origins: of other sites whose
    pages may use the relay.
    """
    prepare_codecs()
    offer_loopback()
    accept_rsa_certificates()
    admission = Admission(rooms, keys)
    handlers = _Handlers(admission, rooms.voice, ice_servers)
    app = web.Application(client_max_size=_LARGEST_OFFER, middlewares=[_answer_errors])
    app.on_response_prepare.append(_add_headers)
    allow_origins(app, origins)
    for address, page in _PAGES.items():
        app.router.add_get(address, _page(client_dir() / page))
    app.router.add_static("/static/", client_dir())
    add_api(app, rooms, admission)
    add_metrics(app, rooms, admission)
    app.router.add_get("/health", handlers.health)
    app.router.add_get("/ice", handlers.ice)
    app.router.add_get("/terms", handlers.terms)
    app.router.add_get("/rooms/{room}/events", handlers.events)
    add_routes(app, admission.enter, ice_servers)

    async def close(_app: web.Application) -> None:
        await rooms.close()

    app.on_shutdown.append(close)
    return app


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except SignallingError as error:
        return _error(error.status, str(error))
    except InvitationError as error:
        response = _error(401, str(error))
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    except web.HTTPRequestEntityTooLarge:
        return _error(413, f"the request is larger than {_LARGEST_OFFER // 1024} KiB")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = _error(error.status, error.reason.lower())
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - the server goes on
        _log.error("%s %s failed: %s", request.method, request.path, type(error).__name__)
        return _error(500, "the server failed on this request; it goes on")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _page(path: Path) -> Handler:
    async def show(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return show


class _Handlers:
    def __init__(
        self, admission: Admission, voice: VoiceWay, ice_servers: Sequence[IceServer]
    ) -> None:
        self._admission = admission
        self._voice = voice
        self._ice_servers = ice_servers

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ice(self, request: web.Request) -> web.Response:
        """The ICE servers, whose credentials are for invited people alone."""
        self._admission.invitation(request)
        return web.json_response({"iceServers": [dict(server) for server in self._ice_servers]})

    async def terms(self, _request: web.Request) -> web.Response:
        """What a patient is asked to agree to, so far as it is a setting of this server."""
        return web.json_response({"voice": self._voice.value})

    async def events(self, request: web.Request) -> web.StreamResponse:
        room, invitation = self._admission.enter(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while not room.closed:
                data = json.dumps(room.describe(invitation))
                await response.write(f"event: room\ndata: {data}\n\n".encode())
                await room.change(_EVENT_INTERVAL_S)
        except ConnectionResetError:
            pass  # the reader has gone
        return response
