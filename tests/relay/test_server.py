"""Wrong requests get the right status and one line; the server goes on."""

from pathlib import Path

import pytest
from aiohttp import ClientSession

from digitalmask.relay.invitations import Role, invite
from tests.relay.support import KEYS, running_relay

SDP = {"Content-Type": "application/sdp"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("way", ["/whip/{room}", "/whep/{room}/patient"])
async def test_each_wrong_request_is_refused_with_its_status(tmp_path: Path, way: str) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        doctor = _bearer(relay.token(Role.DOCTOR))
        url = relay.url + way.format(room=relay.room)
        elsewhere = invite(KEYS.invitations, "elsewhere", Role.DOCTOR)
        for status, headers, body in [
            (401, SDP, b"v=0"),
            (401, SDP | _bearer("forged"), b"v=0"),
            (401, SDP | _bearer(invite("x" * 48, relay.room, Role.DOCTOR)), b"v=0"),
            (401, SDP | _bearer(relay.token(Role.DOCTOR, hours=-1)), b"v=0"),
            (403, SDP | _bearer(elsewhere), b"v=0"),
            (400, SDP | doctor, b""),
            (400, SDP | doctor, b"nonsense"),
            (400, SDP | doctor, b"v=0\r\nm=video x y z\r\n"),
            (400, SDP | doctor, b"\xff\xfe"),
            (413, SDP | doctor, b"a" * 200_000),
            (415, {"Content-Type": "text/plain"} | doctor, b"v=0"),
        ]:
            async with http.post(url, headers=headers, data=body) as answer:
                error = (await answer.json())["error"]
                assert answer.status == status, (body[:20], error)
                assert error
                assert "\n" not in error
                if status == 401:
                    assert answer.headers["WWW-Authenticate"] == "Bearer"
        async with http.get(f"{relay.url}/health") as answer:
            assert await answer.json() == {"status": "ok"}


async def test_an_expired_invitation_is_said_to_be_expired(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        headers = SDP | _bearer(relay.token(Role.PATIENT, hours=-1))
        async with http.post(f"{relay.url}/whip/{relay.room}", headers=headers) as answer:
            assert "expired" in (await answer.json())["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/whip/nowhere", 404),
        ("POST", "/whep/{room}/doctor-1", 404),
        ("POST", "/whep/{room}/camera", 404),
        ("DELETE", "/whip/{room}/none", 404),
        ("PUT", "/whip/{room}", 405),
        ("GET", "/nothing", 404),
    ],
)
async def test_what_is_not_there_is_404_or_405(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        headers = SDP | _bearer(relay.token(Role.DOCTOR))
        url = relay.url + path.format(room=relay.room)
        async with http.request(method, url, headers=headers, data=b"v=0") as answer:
            assert answer.status == status
            assert (await answer.json())["error"]


async def test_only_the_admin_key_makes_rooms(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        doctor = _bearer(relay.token(Role.DOCTOR))
        async with http.post(f"{relay.url}/rooms", headers=doctor) as answer:
            assert answer.status == 401
        async with http.post(f"{relay.url}/rooms", headers=_bearer(KEYS.admin)) as answer:
            made = await answer.json()
        assert answer.status == 201
        assert set(made["links"]) == {"patient", "doctor", "observer"}
        assert made["room"] != relay.room


async def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        ClientSession() as http,
        http.get(f"{relay.url}/doctor") as answer,
    ):
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
