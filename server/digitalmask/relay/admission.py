"""Who may do what: an invitation lets one person into one room, the admin key makes rooms."""

import hmac
from dataclasses import dataclass

from aiohttp import web

from digitalmask.errors import InvitationError, SignallingError
from digitalmask.relay.invitations import DEFAULT_HOURS, Invitation, Role, invite, read_invitation
from digitalmask.relay.rooms import Room, Rooms


@dataclass(frozen=True, slots=True)
class Keys:
    """The server's secrets: one signs invitations, the other makes rooms."""

    invitations: str
    admin: str

    def link(
        self, base: str, room_id: str, role: Role, hours: float = DEFAULT_HOURS, name: str = ""
    ) -> str:
        """A new invitation, as a link to the role's page on the server at `base`."""
        return f"{base}/{role.value}#{invite(self.invitations, room_id, role, hours, name)}"


class Admission:
    """Reads the Bearer token of a request. Errors: InvitationError, SignallingError."""

    def __init__(self, rooms: Rooms, keys: Keys) -> None:
        self._rooms = rooms
        self.keys = keys

    def enter(self, request: web.Request) -> tuple[Room, Invitation]:
        """The room of the request's address, where the request's invitation is for that room."""
        invitation = self.invitation(request)
        room = self._rooms.room(request.match_info["room"])
        if invitation.room != room.id:
            raise SignallingError(403, "this invitation is for another room")
        return room, invitation

    def invitation(self, request: web.Request) -> Invitation:
        """The request's invitation, whichever room it is for."""
        return read_invitation(self.keys.invitations, _bearer(request))

    def require_admin(self, request: web.Request) -> None:
        """Refuse a request without the admin key."""
        given = _bearer(request).encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self.keys.admin.encode()):
            raise InvitationError("the admin key is not the server's")


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvitationError("an invitation or the admin key is needed as Bearer token")
    return token.strip()
