"""The HTTP side of WHIP in (RFC 9725) and of WHEP out (draft-ietf-wish-whep-03).

ICE restarts are not supported (aiortc has none): a client begins a new session, which takes the
place of its older one.
"""

from collections.abc import Callable, Mapping, Sequence

from aiohttp import hdrs, web

from digitalmask.errors import SignallingError
from digitalmask.relay.invitations import Invitation
from digitalmask.relay.rooms import Room, Session
from digitalmask.relay.sdp import read_fragment

_SDP, _FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"

IceServer = Mapping[str, str]
Enter = Callable[[web.Request], tuple[Room, Invitation]]


def add_routes(app: web.Application, enter: Enter, ice_servers: Sequence[IceServer]) -> None:
    """Add `/whip/ROOM` and `/whep/ROOM/STREAM`, and below each the sessions that it made.

    enter: the room and the invitation of a request; raises where they do not fit.
    """
    handlers = _Handlers(enter, [_link(server) for server in ice_servers])
    for endpoint, begin in (
        ("/whip/{room}", handlers.publish),
        ("/whep/{room}/{stream}", handlers.watch),
    ):
        session = endpoint + "/{session}"
        app.router.add_post(endpoint, begin)
        app.router.add_get(endpoint, handlers.nothing)
        app.router.add_options(endpoint, handlers.describe)
        app.router.add_patch(session, handlers.trickle)
        app.router.add_delete(session, handlers.leave)
        app.router.add_get(session, handlers.nothing)
        app.router.add_options(session, handlers.describe_session)


def _link(server: IceServer) -> str:
    """A Link header's value (RFC 9725, 4.6): the server, and its credentials where it has some."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    link = f'<{server["urls"]}>; rel="ice-server"'
    if "credential" in server:
        link += f"; username={quoted(server['username'])}"
        link += f'; credential={quoted(server["credential"])}; credential-type="password"'
    return link


class _Handlers:
    def __init__(self, enter: Enter, links: list[str]) -> None:
        self._enter = enter
        self._links = links

    async def publish(self, request: web.Request) -> web.Response:
        room, invitation = self._enter(request)
        session, answer = await room.publish(invitation, await _body(request, _SDP))
        return self._created(session, answer, f"/whip/{room.id}/{session.id}")

    async def watch(self, request: web.Request) -> web.Response:
        room, invitation = self._enter(request)
        stream = request.match_info["stream"]
        session, answer = await room.watch(invitation, stream, await _body(request, _SDP))
        return self._created(session, answer, f"/whep/{room.id}/{stream}/{session.id}")

    async def trickle(self, request: web.Request) -> web.Response:
        """More of the client's ICE candidates."""
        room, session = self._session(request)
        fragment = read_fragment(await _body(request, _FRAGMENT))
        # "*" fits any entity tag; clients send it with the new user name of an ICE restart.
        if not request.if_match:
            raise SignallingError(428, "If-Match must name the session's ETag")
        if not any(
            tag.value in ("*", session.etag) and not tag.is_weak for tag in request.if_match
        ):
            raise SignallingError(412, "If-Match does not name the session's ETag")
        await room.trickle(session, fragment)
        return web.Response(status=204)

    async def leave(self, request: web.Request) -> web.Response:
        room, session = self._session(request)
        await room.leave(session)
        return web.Response(status=200)

    async def nothing(self, request: web.Request) -> web.Response:
        """GET: neither endpoints nor sessions have a representation."""
        if "session" in request.match_info:
            self._session(request)
        else:
            self._enter(request)
        return web.Response(status=204)

    async def describe(self, request: web.Request) -> web.Response:
        """OPTIONS; the ICE servers only to who may use them, a browser's preflight cannot say."""
        response = web.Response(
            headers={"Accept-Post": _SDP, hdrs.ALLOW: "GET, HEAD, OPTIONS, POST"}
        )
        if hdrs.AUTHORIZATION in request.headers:
            self._enter(request)
            self._add_links(response)
        return response

    async def describe_session(self, _request: web.Request) -> web.Response:
        """OPTIONS."""
        return web.Response(
            headers={"Accept-Patch": _FRAGMENT, hdrs.ALLOW: "DELETE, GET, HEAD, OPTIONS, PATCH"}
        )

    def _session(self, request: web.Request) -> tuple[Room, Session]:
        room, invitation = self._enter(request)
        return room, room.session(request.match_info["session"], invitation)

    def _created(self, session: Session, answer: str, location: str) -> web.Response:
        response = web.Response(
            status=201,
            text=answer,
            content_type=_SDP,
            headers={hdrs.LOCATION: location, hdrs.ETAG: f'"{session.etag}"'},
        )
        response.headers["Accept-Patch"] = _FRAGMENT
        self._add_links(response)
        return response

    def _add_links(self, response: web.Response) -> None:
        for link in self._links:
            response.headers.add(hdrs.LINK, link)


async def _body(request: web.Request, content_type: str) -> str:
    if request.content_type != content_type:
        raise SignallingError(415, f"the content type must be {content_type}")
    try:
        return (await request.read()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SignallingError(400, "the SDP is not text") from error
