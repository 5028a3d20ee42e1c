"""What comes with a picture, and is none: names of devices, addresses, places, times."""

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aiohttp import ClientSession, TCPConnector
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.media.voice import VoiceWay
from digitalmask.media.writer import VideoWriter
from digitalmask.relay.invitations import Role
from digitalmask.relay.whip_client import WhipClient
from tests.leak.receiving import MarkedCamera
from tests.media.test_writer import pass_on
from tests.media.videos import plain, tone, write_video
from tests.relay.support import Relay, Tone, running_relay

# What a phone puts into its videos, and a person would not want to tell.
_PHONE = {
    "title": "Jane Doe at home",
    "artist": "Jane Doe",
    "comment": "1 Main Street",
    "creation_time": "2019-03-04T05:06:07Z",
    "location": "+48.8577+002.2950/",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.000/",
    "com.apple.quicktime.make": "Telltale",
    "com.apple.quicktime.model": "Phone 17",
    "com.apple.quicktime.creationdate": "2019-03-04T06:06:07+0100",
    "com.android.version": "14-telltale",
    "encoder": "Telltale Camera 3",
}
_TOLD: tuple[bytes, ...] = (
    b"Jane",
    b"Doe",
    b"Main Street",
    b"48.85",
    b"002.29",
    b"2019",
    b"Telltale",
    b"Phone 17",
)
_TOLD += (b"telltale", b"14-tell", b"Left lens", b"in-the-garden")


@pytest.fixture
def phone_video(tmp_path: Path) -> Path:
    """Two tenths of a second with everything about its maker in it."""
    path = tmp_path / "Jane-Doe-in-the-garden.mov"
    write_video(
        path,
        [plain()] * 6,
        sound=tone(0.2),
        metadata=_PHONE,
        options={"movflags": "use_metadata_tags"},
    )
    content = path.read_bytes()
    assert sum(told in content for told in _TOLD) >= 8, "the tags are not in it"
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_nothing_that_a_phone_tells_is_in_the_masked_file(
    phone_video: Path, tmp_path: Path, ending: str
) -> None:
    target = pass_on(phone_video, tmp_path / f"masked{ending}")
    content = target.read_bytes()
    assert [told for told in _TOLD if told in content] == []
    with av.open(str(target)) as masked:
        tags = dict(masked.metadata)
        for stream in masked.streams:
            tags |= dict(stream.metadata)
        assert len(masked.streams) == 2  # picture and sound: no place, no chapter, no cover
    allowed = "encoder|major_brand|minor_version|compatible_brands|language|handler_name|vendor_id"
    assert [name for name in tags if not re.fullmatch(f"(?i){allowed}|duration", name)] == []
    assert str(tags.get("encoder", tags.get("ENCODER", "Lavf"))).startswith("Lav")
    # Nor when it was made: MP4 has a place for that, which stays empty.
    for box in re.finditer(b"(?:mvhd|tkhd|mdhd)(.)...(....)(....)", content, re.DOTALL):
        assert box[2] == box[3] == b"\0\0\0\0", "a time of making"


def test_a_file_without_its_sound_has_no_sound(phone_video: Path, tmp_path: Path) -> None:
    target = tmp_path / "silent.mp4"
    with (
        VideoReader(phone_video) as reader,
        VideoWriter(target, Fraction(30), reader.audio, VoiceWay.OFF) as out,
    ):
        for item in reader:
            if isinstance(item, PatientFrame):
                out.write(MaskedFrame(item.clock, item.rgb))
            else:
                out.write_sound(item)
    with av.open(str(target)) as masked:
        assert not masked.streams.audio


ADDRESS = "203.0.113.77"
WEBCAM, PHONE, HOST = "Janes-Webcam", "Janes-iPhone", "jane-doe-laptop.local"


class TellingConnection(RTCPeerConnection):
    """Says in its offer where it is and what its devices are called."""

    @property
    def localDescription(self) -> RTCSessionDescription:  # noqa: N802 - aiortc's name
        told = super().localDescription.sdp
        told = re.sub(r"(?m)^o=.*$", f"o=jane 1 1 IN IP4 {ADDRESS}", told)
        told = re.sub(r"(?m)^s=.*$", f"s={PHONE}", told)
        told = re.sub(r"(?m)^a=msid:.*$", f"a=msid:{WEBCAM} {PHONE}", told)
        told = re.sub(r"cname:\S+", f"cname:{HOST}", told)
        more = "".join(
            f"a=candidate:{number} 1 udp 1 {place} 7 typ host\r\n"
            for number, place in enumerate((ADDRESS, HOST), 9)
        )
        told = told.replace("a=end-of-candidates", f"{more}a=label:{WEBCAM}\r\na=end-of-candidates")
        assert told.count(ADDRESS) > 1
        return RTCSessionDescription(told, "offer")


async def _told_to(relay: Relay, role: Role) -> str:
    """All text that a doctor's browser is sent: the answer, the room's state, headers."""
    token = relay.token(role)
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "198.51.100.9"}
    async with relay.viewer(token) as viewer, ClientSession() as http:
        told = viewer.connection.remoteDescription.sdp
        for path in (f"/rooms/{relay.room}/events", "/ice", "/terms", "/health"):
            async with http.get(relay.url + path, headers=headers) as answer:
                told += repr(dict(answer.headers)) + (await answer.content.readany()).decode()
    return told


async def test_a_doctor_is_not_told_where_a_patient_is_nor_what_the_camera_is_called(
    tmp_path: Path,
) -> None:
    picture = np.full((120, 160, 3), 99, np.uint8)
    tracks = (MarkedCamera(lambda _: picture), Tone())
    async with running_relay(tmp_path) as relay:
        token = relay.token(Role.PATIENT)
        patient = WhipClient(f"{relay.url}/whip/{relay.room}", token, tracks)
        patient.connection = TellingConnection(RTCConfiguration(iceServers=[]))
        async with (
            patient,
            ClientSession(connector=TCPConnector(local_addr=("127.0.0.77", 0))) as http,
        ):
            # The patient's page follows the room too, from an address that no one else here has.
            headers = {"Authorization": f"Bearer {token}"}
            async with http.get(f"{relay.url}/rooms/{relay.room}/events", headers=headers):
                for role in (Role.DOCTOR, Role.OBSERVER):
                    told = await _told_to(relay, role)
                    assert "a=candidate" in told
                    assert '"present": true' in told
                    for secret in (ADDRESS, "127.0.0.77", WEBCAM, PHONE, HOST):
                        assert secret not in told, secret
