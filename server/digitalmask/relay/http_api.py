"""The HTTP API for rooms, invitations and recordings, as `openapi.json` beside it describes it.

The description is the one list of what there is: each of its operations is served by the method
of `_Operations` that bears its `operationId`. The admin key is for a clinic's own program;
recordings are for the room's people, by their invitations.
"""

import json
import time
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from aiohttp import web

from digitalmask import __version__
from digitalmask.errors import SignallingError
from digitalmask.relay.admission import Admission
from digitalmask.relay.invitations import DEFAULT_HOURS, Role
from digitalmask.relay.rooms import Room, Rooms

_LONGEST_HOURS = 24 * 31
_LONGEST_NAME = 80


def description() -> dict[str, Any]:
    """What `/openapi.json` answers."""
    text = resources.files(__package__).joinpath("openapi.json").read_text("utf-8")
    described: dict[str, Any] = json.loads(text)
    described["info"]["version"] = __version__
    return described


def add_api(app: web.Application, rooms: Rooms, admission: Admission) -> None:
    """Serve every operation of the description, and the description itself."""
    operations = _Operations(rooms, admission)
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            app.router.add_route(method, path, getattr(operations, operation["operationId"]))

    async def describe(_request: web.Request) -> web.Response:
        return web.json_response(description())

    app.router.add_get("/openapi.json", describe)


class _Operations:
    def __init__(self, rooms: Rooms, admission: Admission) -> None:
        self._rooms = rooms
        self._admission = admission

    async def list_rooms(self, request: web.Request) -> web.Response:
        self._admission.require_admin(request)
        return web.json_response({"rooms": self._rooms.all()})

    async def create_room(self, request: web.Request) -> web.Response:
        self._admission.require_admin(request)
        room_id = self._rooms.create()
        base, link = _base(request), self._admission.keys.link
        links = {role.value: link(base, room_id, role) for role in Role}
        return web.json_response({"room": room_id, "links": links}, status=201)

    async def show_room(self, request: web.Request) -> web.Response:
        room = self._room(request)
        present = {f"{role.value}s": room.count(role) for role in Role}
        body = {"room": room.id, **present, "recording": room.recording.describe()}
        return web.json_response(body)

    async def end_room(self, request: web.Request) -> web.Response:
        room = self._room(request)
        await self._rooms.end(room.id)
        return web.Response(status=204)

    async def create_invitation(self, request: web.Request) -> web.Response:
        room = self._room(request)
        role, hours, name = _wanted_invitation(await _body(request))
        link = self._admission.keys.link(_base(request), room.id, role, hours, name)
        body = {
            "role": role.value,
            "link": link,
            "token": link.partition("#")[2],
            "expires_at": _utc(time.time() + hours * 3600),
        }
        return web.json_response(body, status=201)

    async def ask_to_record(self, request: web.Request) -> web.Response:
        room, invitation = self._admission.enter(request)
        room.ask_to_record(invitation)
        return web.json_response(room.recording.describe(), status=202)

    async def agree_to_record(self, request: web.Request) -> web.Response:
        room, invitation = self._admission.enter(request)
        room.agree_to_record(invitation)
        return web.json_response(room.recording.describe())

    async def stop_recording(self, request: web.Request) -> web.Response:
        room, invitation = self._admission.enter(request)
        room.recording.stop(invitation)
        return web.json_response(room.recording.describe())

    async def list_recordings(self, request: web.Request) -> web.Response:
        room = self._recordings_of(request)
        recordings = [
            {"id": kept.id, "bytes": kept.size_bytes, "ended_at": _utc(kept.ended_at_s)}
            for kept in room.recording.kept()
        ]
        return web.json_response({"recordings": recordings})

    async def download_recording(self, request: web.Request) -> web.StreamResponse:
        room = self._recordings_of(request)
        file = room.recording.file(request.match_info["recording"])
        disposition = f'attachment; filename="{file.name}"'
        return web.FileResponse(file, headers={"Content-Disposition": disposition})

    def _room(self, request: web.Request) -> Room:
        self._admission.require_admin(request)
        return self._rooms.room(request.match_info["room"])

    def _recordings_of(self, request: web.Request) -> Room:
        room, invitation = self._admission.enter(request)
        if invitation.role is not Role.DOCTOR:
            raise SignallingError(403, "recordings are for the doctors of their room")
        return room


def _wanted_invitation(body: dict[str, Any]) -> tuple[Role, float, str]:
    unknown = sorted(set(body) - {"role", "hours", "name"})
    if unknown:
        raise SignallingError(422, f"unknown field {unknown[0]!r}: role, hours and name are known")
    try:
        role = Role(str(body.get("role")))
    except ValueError as error:
        known = ", ".join(each.value for each in Role)
        raise SignallingError(422, f"role must be one of {known}") from error
    hours, name = body.get("hours", DEFAULT_HOURS), body.get("name", "")
    if isinstance(hours, bool) or not isinstance(hours, int | float):
        raise SignallingError(422, "hours must be a number")
    if not 0 < hours <= _LONGEST_HOURS:
        raise SignallingError(422, f"hours must be more than 0 and at most {_LONGEST_HOURS}")
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise SignallingError(422, f"name must be text of at most {_LONGEST_NAME} characters")
    return role, float(hours), name


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise SignallingError(415, "the body must have the content type application/json")
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise SignallingError(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise SignallingError(422, "the body must be a JSON object")
    return body


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
