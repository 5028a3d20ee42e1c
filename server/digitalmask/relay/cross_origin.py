"""Lets the pages of a clinic's own site use the relay (CORS, https://fetch.spec.whatwg.org/).

Sites are allowed one by one, by their exact origin; where none is, browsers keep other sites out.
Nothing here stands on cookies: who may do what is settled by the Bearer token alone.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from digitalmask.errors import ConfigurationError

_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# WHIP clients send the first three; the web client of Eyevinn sends an ETag beside.
_HEADERS = "Authorization, Content-Type, If-Match, ETag"
_EXPOSED = "Accept-Patch, Accept-Post, Allow, ETag, Link, Location, WWW-Authenticate"
_MAX_AGE_S = "600"


def read_origin(text: str) -> str:
    """An origin such as https://clinic.example as browsers send it; ConfigurationError else."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "*" in text
        or "@" in parts.netloc
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        raise ConfigurationError(f"{text!r} is no origin such as https://clinic.example")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def allow_origins(app: web.Application, origins: Collection[str]) -> None:
    """Let pages of these origins, and of no other, ask and read what the relay answers."""
    if not origins:
        return

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed:
            if request.method == hdrs.METH_OPTIONS and request.headers.get(hdrs.ORIGIN) in origins:
                return web.Response(status=204)
            raise

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in origins:
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        if request.method == hdrs.METH_OPTIONS:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _HEADERS
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _MAX_AGE_S

    app.middlewares.append(answer_preflight)
    app.on_response_prepare.append(add_headers)
