"""Invitations let in whom they name, until they expire."""

import stat
from pathlib import Path

import jwt
import pytest

from digitalmask.errors import InvitationError
from digitalmask.relay.invitations import Role, invite, read_invitation, read_key

KEY = "k" * 48


def test_an_invitation_says_room_role_and_name() -> None:
    read = read_invitation(KEY, invite(KEY, "room", Role.DOCTOR, name="Dr Grey"))
    assert (read.room, read.role, read.name) == ("room", Role.DOCTOR, "Dr Grey")


def test_two_invitations_have_two_ids() -> None:
    first, second = (read_invitation(KEY, invite(KEY, "r", Role.PATIENT)) for _ in range(2))
    assert first.id != second.id


def test_an_expired_one_is_refused_and_said_to_be_expired() -> None:
    with pytest.raises(InvitationError, match="expired"):
        read_invitation(KEY, invite(KEY, "r", Role.PATIENT, hours=-1))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "é\udcff",
        invite("x" * 48, "r", Role.DOCTOR),
        jwt.encode({"room": "r", "role": "doctor", "jti": "1", "exp": 1e11}, "", algorithm="none"),
        jwt.encode({"room": "r", "role": "admin", "jti": "1", "exp": 1e11}, KEY),
        jwt.encode({"room": "r", "role": "doctor", "jti": "1"}, KEY),
        jwt.encode({"role": "doctor", "jti": "1", "exp": 1e11}, KEY),
    ],
    ids=["empty", "noise", "bytes", "other key", "unsigned", "unknown role", "for ever", "no room"],
)
def test_a_forged_or_incomplete_one_is_refused(token: str) -> None:
    with pytest.raises(InvitationError, match="not valid"):
        read_invitation(KEY, token)


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "invitations.key"
    assert read_key(file) == read_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
