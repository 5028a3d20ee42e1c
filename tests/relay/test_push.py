"""The mask goes into another service by WHIP, comes back by itself, and ends in good order.

The other service is a second relay here, which a doctor's invitation makes take it; a service that
none of us wrote is in tests/peers.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack

from digitalmask.errors import ConfigurationError, InvitationError, MediaError, SignallingError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Masker
from digitalmask.relay import push as pushing
from digitalmask.relay import push_sources
from digitalmask.relay.demo import play_file
from digitalmask.relay.film import open_film
from digitalmask.relay.forwarded_mask import ForwardedMask
from digitalmask.relay.invitations import Role
from digitalmask.relay.push import PushSource, push
from digitalmask.relay.push_sources import (
    LocalSource,
    RoomSource,
    film,
    read_room_link,
    webcam,
)
from tests.relay.support import (
    GREEN,
    RED,
    Camera,
    GreenMasker,
    Relay,
    Tone,
    colour_of,
    running_relay,
    track_of,
    until,
)


def sending(said: list[str]) -> int:
    """How often it began to send."""
    return sum(line.startswith("Sending") for line in said)


@asynccontextmanager
async def pushed(source: PushSource, service: Relay, token: str = "") -> AsyncIterator[list[str]]:
    """Push as a doctor of the service until the block ends; what is said."""
    said: list[str] = []
    url = f"{service.url}/whip/{service.room}"
    token = token or service.token(Role.DOCTOR)
    task = asyncio.create_task(push(url, token, source, said.append))
    try:
        await until(lambda: task.done() or sending(said) > 0)
        if task.done():
            await task
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def room_source(relay: Relay) -> RoomSource:
    return RoomSource(read_room_link(f"{relay.url}/observer#{relay.token(Role.OBSERVER)}"))


def local_source(play: Any) -> LocalSource:
    return LocalSource("the test's mask", play, lambda: cast(Masker, GreenMasker(lambda: 0.0)))


async def shows_green(service: Relay) -> bool:
    async with service.viewer(service.token(Role.PATIENT), "doctor-1") as viewer:
        return await colour_of(await track_of(viewer, "video"), GREEN)


async def is_loud(track: MediaStreamTrack) -> bool:
    try:
        async with asyncio.timeout(5):
            while True:
                frame = await track.recv()
                if np.abs(frame.to_ndarray().astype(int)).max() > 3000:  # type: ignore[union-attr]
                    return True
    except TimeoutError:
        return False


async def test_a_rooms_mask_and_voice_are_sent_into_another_service(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        running_relay(tmp_path) as service,
        relay.publisher(relay.token(Role.PATIENT), Camera(), Tone()),
    ):
        async with pushed(room_source(relay), service) as said:
            assert await shows_green(service)
            async with service.viewer(service.token(Role.PATIENT), "doctor-1") as viewer:
                assert await is_loud(await track_of(viewer, "audio"))
        assert said[0] == f"Connecting to {service.url}"
        assert said[1].startswith(f"Sending the room's mask to {service.url} (")
        # It ended its session in good order.
        with pytest.raises(SignallingError) as gone:
            async with service.viewer(service.token(Role.PATIENT), "doctor-1"):
                pass
        assert gone.value.status == 404


async def test_it_comes_back_when_the_service_does_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "_FIRST_WAIT_S", 0.2)
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera()),
    ):
        source = room_source(relay)
        async with running_relay(tmp_path) as service:
            pushes = pushed(source, service)
            said = await pushes.__aenter__()
            assert await shows_green(service)
        await until(lambda: any("trying again" in line for line in said))
        port = int(service.url.rpartition(":")[2])
        async with running_relay(tmp_path, port=port, room=service.room) as service:
            await until(lambda: sending(said) > 1)
            assert await shows_green(service)
            await pushes.__aexit__(None, None, None)
        assert all("\n" not in line and service.room not in line for line in said)


async def test_a_mask_that_comes_no_more_is_not_left_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_sources, "_SILENCE_S", 0.5)
    monkeypatch.setattr(ForwardedMask, "silent_s", lambda _: 60.0)
    async with (
        running_relay(tmp_path) as relay,
        running_relay(tmp_path) as service,
        pushed(room_source(relay), service) as said,
    ):
        await until(lambda: any("Nothing comes from the room" in line for line in said))


async def test_what_is_refused_at_the_first_attempt_is_not_tried_again(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, running_relay(tmp_path) as service:
        with pytest.raises(SignallingError, match=r"refuses: status 401, this invitation is not"):
            async with pushed(room_source(relay), service, "forged"):
                pass
        expired = f"{relay.url}/observer#{relay.token(Role.OBSERVER, hours=-1)}"
        with pytest.raises(InvitationError, match="expired"):
            await push(
                f"{service.url}/whip/{service.room}",
                service.token(Role.DOCTOR),
                RoomSource(read_room_link(expired)),
                lambda _: None,
            )


def write_film(path: Path, seconds: float) -> Path:
    """A red film with a loud tone."""
    with av.open(str(path), "w") as target:
        picture: Any = target.add_stream("libx264", rate=30)
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        sound: Any = target.add_stream("aac", rate=48000)
        red = np.full((120, 160, 3), RED, np.uint8)
        wave = np.where(np.arange(1600) // 24 % 2, 9000, -9000).astype(np.int16)[None, :]
        for number in range(int(30 * seconds)):
            target.mux(picture.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, number * 1600
            frame.time_base = Fraction(1, 48000)
            target.mux(sound.encode(frame))
        target.mux(picture.encode(None))
        target.mux(sound.encode(None))
    return path


async def test_a_film_is_sent_masked_with_its_sound_until_it_ends(tmp_path: Path) -> None:
    source = local_source(film(write_film(tmp_path / "film.mp4", 4.0), over_and_over=False))
    async with running_relay(tmp_path) as service:
        url, token = f"{service.url}/whip/{service.room}", service.token(Role.DOCTOR)
        said: list[str] = []
        task = asyncio.create_task(push(url, token, source, said.append))
        await until(lambda: sending(said) > 0)
        async with service.viewer(service.token(Role.PATIENT), "doctor-1") as viewer:
            assert await colour_of(await track_of(viewer, "video"), GREEN)
            assert await is_loud(await track_of(viewer, "audio"))
        async with asyncio.timeout(8):
            await task
    source.close()


async def test_a_film_begins_anew_when_it_has_ended(tmp_path: Path) -> None:
    picture, sound = open_film(write_film(tmp_path / "the patient's film.mp4", 0.5), True)
    assert sound is not None
    times_s: list[float] = []
    async with asyncio.timeout(8):
        for _ in range(40):
            frame = await picture.recv()
            assert isinstance(frame, av.VideoFrame)
            assert frame.time is not None
            times_s.append(frame.time)
        for _ in range(60):  # 20 ms each
            await sound.recv()
    assert np.allclose(np.diff(times_s), 1 / 30, atol=0.012)
    picture.stop()
    sound.stop()


async def test_a_film_plays_the_patient_of_a_demonstration_beyond_its_end(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 0.5)
    async with running_relay(tmp_path) as service:
        url = f"{service.url}/whip/{service.room}"
        task = asyncio.create_task(play_file(path, url, service.token(Role.PATIENT)))
        await asyncio.sleep(3.0)
        async with service.viewer(service.token(Role.DOCTOR)) as viewer:
            assert await colour_of(await track_of(viewer, "video"), GREEN)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_camera_is_sent_masked_and_one_that_goes_is_waited_for(tmp_path: Path) -> None:
    camera, opened = Camera(), 0
    lines: list[str] = []

    def frames() -> Any:
        nonlocal opened
        opened += 1
        for _ in range(40 if opened == 1 else 10_000):
            time.sleep(1 / 30)
            now = time.monotonic()
            clock = FrameClock(now, round(now * 90000), Fraction(1, 90000))
            yield PatientFrame.of_rgb(clock, camera._picture)
        raise MediaError("the test's camera has gone")

    source = local_source(webcam(frames, lines.append))
    async with running_relay(tmp_path) as service, pushed(source, service):
        assert await shows_green(service)
        await until(lambda: opened > 1)
        assert lines == ["the test's camera has gone; waiting for the camera"]
        assert await shows_green(service)
    source.close()


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1/observer", "http://127.0.0.1/observer#half", "observer#a.b.c", "http://"],
)
def test_half_a_link_is_refused(link: str) -> None:
    with pytest.raises(ConfigurationError, match="no whole link"):
        read_room_link(link)


def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "note.mp4").write_text("none")
    for path in (tmp_path / "note.mp4", tmp_path / "missing.mp4"):
        for over_and_over in (False, True):
            with pytest.raises(MediaError, match="cannot be read as a video"):
                film(path, over_and_over)


async def test_a_service_that_takes_little_is_sent_less_by_the_relay() -> None:
    forwarded = ForwardedMask()
    assert forwarded._most_bit_s() == float("inf")
    for _ in range(3):
        forwarded._take(b"\0" * 100_000, 0)
    forwarded.track._encoding = forwarded.send(forwarded.track, apart=False)
    forwarded.track.lost(0.5)
    assert forwarded.track.apart
    assert forwarded._most_bit_s() < 0.5 * forwarded.sent_bit_s()
