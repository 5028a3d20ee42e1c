"""Signed, expiring invitations: who may enter which room as what."""

import os
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import jwt

from digitalmask.errors import ConfigurationError, InvitationError

_ALGORITHM = "HS256"
DEFAULT_HOURS = 24.0


class Role(StrEnum):
    """What somebody is in a consultation."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    OBSERVER = "observer"

    @property
    def publishes(self) -> bool:
        """Whether the role may send camera and voice."""
        return self is not Role.OBSERVER


@dataclass(frozen=True, slots=True)
class Invitation:
    """One person's right to enter one room.

    id: tells the same person's connections from another's. expires_at_s: seconds of the epoch.
    """

    room: str
    role: Role
    id: str
    expires_at_s: float
    name: str = ""


def read_key(path: Path) -> str:
    """The secret in `path`, made on first use and readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text("ascii").strip()
        with os.fdopen(handle, "w", encoding="ascii") as file:
            key = secrets.token_urlsafe(48)
            file.write(key)
        return key
    except OSError as error:
        raise ConfigurationError(
            f"cannot keep a key in {path} ({error.strerror}): set DIGITALMASK_STATE to a folder"
        ) from error


def invite(key: str, room: str, role: Role, hours: float = DEFAULT_HOURS, name: str = "") -> str:
    """A token for one person, valid for `hours`."""
    payload: dict[str, object] = {
        "room": room,
        "role": role.value,
        "jti": secrets.token_urlsafe(9),
        "exp": time.time() + hours * 3600.0,
    }
    if name:
        payload["name"] = name
    return jwt.encode(payload, key, algorithm=_ALGORITHM)


def read_invitation(key: str, token: str) -> Invitation:
    """The invitation in a token; InvitationError where it is expired, forged or damaged."""
    try:
        payload = jwt.decode(
            token, key, algorithms=[_ALGORITHM], options={"require": ["exp", "jti"]}
        )
        return Invitation(
            room=str(payload["room"]),
            role=Role(payload["role"]),
            id=str(payload["jti"]),
            expires_at_s=float(payload["exp"]),
            name=str(payload.get("name", "")),
        )
    except jwt.ExpiredSignatureError as error:
        raise InvitationError("this invitation has expired: ask for a new link") from error
    except (jwt.InvalidTokenError, KeyError, ValueError) as error:
        raise InvitationError(
            "this invitation is not valid: check that the link is whole"
        ) from error
