"""What a WHIP or WHEP client is answered: RFC 9725 and draft-ietf-wish-whep, word for word."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from digitalmask.relay import rooms
from digitalmask.relay.invitations import Role
from tests.relay.support import GREEN, Camera, Relay, Tone, colour_of, running_relay, track_of

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass
class Client:
    """A client that speaks HTTP by hand; use `ask` for each request."""

    http: ClientSession
    relay: Relay
    token: str

    async def ask(
        self, method: str, path: str, body: str = "", kind: str = SDP, **headers: str
    ) -> ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(
            method,
            self.relay.url + path,
            data=body.encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind} | named,
        ) as answer:
            await answer.read()
            return answer


@asynccontextmanager
async def client(
    folder: Path, role: Role, ice_servers: list[dict[str, str]] | None = None
) -> AsyncIterator[Client]:
    async with (
        running_relay(folder, ice_servers=ice_servers or []) as relay,
        ClientSession() as http,
    ):
        yield Client(http, relay, relay.token(role))


@asynccontextmanager
async def offering(*tracks: MediaStreamTrack) -> AsyncIterator[tuple[RTCPeerConnection, str]]:
    """A peer connection that offers to send these tracks, or to receive where there are none."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in tracks:
        connection.addTransceiver(track, direction="sendonly")
    if not tracks:
        for kind in ("video", "audio"):
            connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    try:
        yield connection, connection.localDescription.sdp
    finally:
        await connection.close()


def without_candidates(sdp: str) -> str:
    return re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", sdp)


def fragment_of(sdp: str, candidates: str = "") -> str:
    """The offer's credentials and, as a trickled fragment, its first section's candidates."""
    first = sdp[sdp.index("m=") :].partition("\r\nm=")[0] + "\r\n"
    names = "ice-ufrag|ice-pwd|mid|candidate|end-of-candidates"
    lines = re.findall(rf"a=(?:{names}).*\r\n", first)
    return f"m={first[2:7]} 9 UDP/TLS/RTP/SAVPF 0\r\n" + "".join(lines) + candidates


async def test_a_created_session_says_where_it_is_and_which_ice_servers_there_are(
    tmp_path: Path,
) -> None:
    servers = [
        {"urls": "stun:stun.example:3478"},
        {"urls": "turn:turn.example?transport=udp", "username": "me", "credential": 'a"b\\c'},
    ]
    async with client(tmp_path, Role.PATIENT, servers) as peer, offering(Camera()) as (_, sdp):
        answer = await peer.ask("POST", f"/whip/{peer.relay.room}", sdp)
        assert answer.status == 201
        assert answer.content_type == SDP
        assert re.fullmatch(rf"/whip/{peer.relay.room}/[\w-]{{16}}", answer.headers["Location"])
        assert re.fullmatch(r'"[\w-]{12}"', answer.headers["ETag"])
        assert answer.headers["Accept-Patch"] == FRAGMENT
        assert answer.headers.getall("Link") == [
            '<stun:stun.example:3478>; rel="ice-server"',
            '<turn:turn.example?transport=udp>; rel="ice-server"; username="me"; '
            'credential="a\\"b\\\\c"; credential-type="password"',
        ]
        body = await answer.text()
        assert "a=recvonly" in body
        assert "a=sendrecv" not in body
        assert "a=candidate" in body
        assert "a=end-of-candidates" in body
        with_token = await peer.ask("OPTIONS", f"/whip/{peer.relay.room}")
        assert with_token.headers.getall("Link") == answer.headers.getall("Link")
        preflight = await peer.http.options(f"{peer.relay.url}/whip/{peer.relay.room}")
        assert preflight.status == 200
        assert preflight.headers["Accept-Post"] == SDP
        assert "Link" not in preflight.headers


async def test_a_client_that_trickles_its_candidates_connects(tmp_path: Path) -> None:
    async with client(tmp_path, Role.PATIENT) as peer, offering(Camera()) as (connection, sdp):
        answer = await peer.ask("POST", f"/whip/{peer.relay.room}", without_candidates(sdp))
        assert answer.status == 201
        where, etag = answer.headers["Location"], answer.headers["ETag"]
        useless = (
            "a=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
            "a=candidate:2 1 udp 2122260223 nowhere 9 typ host\r\n"
        )
        fragment = fragment_of(sdp, useless)
        for status, kind, body, headers in [
            (415, SDP, fragment, {"If_Match": etag}),
            (400, FRAGMENT, "nonsense", {"If_Match": etag}),
            (400, FRAGMENT, "a=candidate:1 1 udp x\r\n", {"If_Match": etag}),
            (400, FRAGMENT, fragment + useless * 200, {"If_Match": etag}),
            (428, FRAGMENT, fragment, {}),
            (412, FRAGMENT, fragment, {"If_Match": '"another"'}),
            (412, FRAGMENT, fragment, {"If_Match": f"W/{etag}"}),
            (422, FRAGMENT, "a=ice-ufrag:new1\r\na=ice-pwd:" + "n" * 22, {"If_Match": "*"}),
        ]:
            refused = await peer.ask("PATCH", where, body, kind, **headers)
            assert refused.status == status, (body, headers)
            assert (await refused.json())["error"]
        taken = await peer.ask("PATCH", where, fragment, FRAGMENT, If_Match=etag)
        assert taken.status == 204
        assert "ETag" not in taken.headers
        again = await peer.ask("PATCH", where, fragment, FRAGMENT, If_Match=etag)
        assert again.status == 204
        await connection.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
        async with peer.relay.viewer(peer.relay.token(Role.DOCTOR)) as doctor:
            assert await colour_of(await track_of(doctor, "video"), GREEN)


@pytest.mark.parametrize(
    ("way", "role"), [("whip/{}", Role.PATIENT), ("whep/{}/patient", Role.DOCTOR)]
)
async def test_each_method_is_answered_as_the_specifications_ask(
    tmp_path: Path, way: str, role: Role
) -> None:
    async with client(tmp_path, role) as peer:
        endpoint = "/" + way.format(peer.relay.room)
        async with offering(*([Camera()] if role is Role.PATIENT else [])) as (_, sdp):
            made = await peer.ask("POST", endpoint, sdp)
            assert made.status == 201
            session = made.headers["Location"]
            for method, path, status in [
                ("GET", endpoint, 204),
                ("HEAD", endpoint, 204),
                ("OPTIONS", endpoint, 200),
                ("PUT", endpoint, 405),
                ("PATCH", endpoint, 405),
                ("DELETE", endpoint, 405),
                ("GET", session, 204),
                ("OPTIONS", session, 200),
                ("POST", session, 405),
                ("PUT", session, 405),
                ("DELETE", session, 200),
                ("DELETE", session, 404),
                ("GET", session, 404),
                ("PATCH", session, 404),
            ]:
                answer = await peer.ask(method, path)
                assert answer.status == status, (method, path)
                if status == 405:
                    assert "OPTIONS" in answer.headers["Allow"]
        stranger = Client(peer.http, peer.relay, peer.relay.token(Role.OBSERVER))
        async with offering(*([Camera()] if role is Role.PATIENT else [])) as (_, sdp):
            session = (await peer.ask("POST", endpoint, sdp)).headers["Location"]
            assert (await stranger.ask("DELETE", session)).status == 404
            unknown = Client(peer.http, peer.relay, "none")
            assert (await unknown.ask("DELETE", session)).status == 401


def only(kinds: str, sdp: str) -> str:
    """The offer with every video codec named otherwise."""
    return re.sub(r"a=rtpmap:(\d+) (VP8|H264)/90000", rf"a=rtpmap:\1 {kinds}/90000", sdp)


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
async def test_an_offer_of_codecs_that_are_not_taken_is_not_acceptable(
    tmp_path: Path, codec: str
) -> None:
    async with client(tmp_path, Role.PATIENT) as peer, offering(Camera(), Tone()) as (_, sdp):
        answer = await peer.ask("POST", f"/whip/{peer.relay.room}", only(codec, sdp))
        assert answer.status == 406
        assert "VP8 or H.264" in (await answer.json())["error"]
        async with offering() as (_, wanted):
            path = f"/whep/{peer.relay.room}/patient"
            assert (await peer.ask("POST", path, only(codec, wanted))).status == 422
        # The room has a place for the patient still.
        assert (await peer.ask("POST", f"/whip/{peer.relay.room}", sdp)).status == 201


async def test_an_offer_in_the_wrong_direction_or_of_too_much_is_refused(tmp_path: Path) -> None:
    async with client(tmp_path, Role.PATIENT) as peer, offering(Camera()) as (one, sends):
        whip, whep = f"/whip/{peer.relay.room}", f"/whep/{peer.relay.room}/patient"
        async with offering(Camera(), Camera()) as (_, twice), offering() as (_, receives):
            one.createDataChannel("data")
            await one.setLocalDescription(await one.createOffer())
            with_data = one.localDescription.sdp
            for path, status, sdp in [
                (whip, 422, receives),
                (whip, 422, sends.replace("a=sendonly", "a=inactive")),
                (whep, 422, sends),
                (whip, 406, twice),
                (whip, 406, with_data),
                (whip, 400, re.sub(r"a=ice-ufrag.*\r\n", "", sends)),
                (whip, 400, re.sub(r"a=fingerprint.*\r\n", "", sends)),
                (whip, 400, sends.partition("m=")[0]),
            ]:
                answer = await peer.ask("POST", path, sdp)
                assert answer.status == status, sdp
                assert "\n" not in (await answer.json())["error"]
            assert (await peer.ask("POST", whip, sends)).status == 201


async def test_a_client_that_never_connects_gives_its_place_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_SETUP_S", 0.3)
    async with client(tmp_path, Role.PATIENT) as peer, offering(Camera()) as (_, sdp):
        path = f"/whip/{peer.relay.room}"
        answer = await peer.ask("POST", path, without_candidates(sdp))
        another = Client(peer.http, peer.relay, peer.relay.token(Role.PATIENT))
        assert (await another.ask("POST", path, sdp)).status == 409
        await asyncio.sleep(0.6)
        assert (await peer.ask("GET", answer.headers["Location"])).status == 404
        assert (await another.ask("POST", path, sdp)).status == 201


async def test_a_page_of_an_allowed_origin_may_use_all_that_whip_needs(tmp_path: Path) -> None:
    origin = {"Origin": "https://clinic.example"}
    async with running_relay(tmp_path, origins=origin.values()) as relay, ClientSession() as http:
        url = f"{relay.url}/whip/{relay.room}"
        preflight = {"Access-Control-Request-Method": "POST"}
        async with http.options(url, headers=origin | preflight) as answer:
            for method in ("POST", "PATCH", "DELETE"):
                assert method in answer.headers["Access-Control-Allow-Methods"]
            for header in ("Authorization", "Content-Type", "If-Match"):
                assert header in answer.headers["Access-Control-Allow-Headers"]
        async with http.post(url, headers=origin) as answer:
            assert answer.status == 401
            for header in ("Location", "ETag", "Link"):
                assert header in answer.headers["Access-Control-Expose-Headers"]


def test_more_profiles_of_h264_are_agreed_on_than_aiortc_knows() -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    profiles = [codec.parameters.get("profile-level-id") for codec in codecs]
    assert [each for each in profiles if each] == ["42001f", "42e01f", "4d001f", "64001f"]
