"""Lets the pages of a clinic's own site use the relay (CORS, https://fetch.spec.whatwg.org/).

Sites are allowed one by one, by their exact origin; where none is, browsers keep other sites out.
Nothing here stands on cookies: who may do what is settled by the Bearer token alone.
"""

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from digitalmask.errors import ConfigurationError

_MOST_AGE_S = 600
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": str(_MOST_AGE_S),
}
_EXPOSED = "Location, ETag, Link"


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


def allow_origins(app: web.Application, origins: frozenset[str]) -> None:
    """Answer browsers that ask for these sites' pages."""
    if not origins:
        return

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asks and request.headers.get("Origin") in origins:
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    app.middlewares.append(answer_preflight)
    app.on_response_prepare.append(add_headers)
