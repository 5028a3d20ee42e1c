"""A relay on 127.0.0.1 with a masker that draws green, and a camera that is red."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
from aiohttp.test_utils import TestServer
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Masker, Provider, Sighting, Tracking
from digitalmask.relay.admission import Keys
from digitalmask.relay.invitations import Role, invite
from digitalmask.relay.rooms import Rooms
from digitalmask.relay.server import make_app
from digitalmask.relay.whip_client import WhipClient

KEYS = Keys("i" * 48, "a" * 48)
SIZE = (160, 120)
RED, GREEN, BLUE = (220, 20, 20), (20, 200, 20), (20, 20, 220)


class GreenMasker:
    """Draws green whatever it sees; `slow_s` is what each frame takes."""

    provider = Provider("test", "green")

    def __init__(self, slow_s: Callable[[], float]) -> None:
        self.stage_ms: dict[str, float] = {}
        self._slow_s = slow_s

    def follow(self, frame: PatientFrame) -> Sighting:
        time.sleep(self._slow_s())
        return Sighting(frame.clock, (frame.width, frame.height), Tracking.FOLLOWING)

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        width, height = size or sighting.size
        return MaskedFrame(sighting.clock, np.full((height, width, 3), GREEN, np.uint8))

    def close(self) -> None:
        pass


class Camera(MediaStreamTrack):
    """One colour, 30 frames a second, stamped with the moment of capture."""

    kind = "video"

    def __init__(self, colour: tuple[int, int, int] = RED) -> None:
        super().__init__()
        self._picture = np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)
        self._started_at_s = time.monotonic()
        self._number = 0
        self.captured_at_s: dict[int, float] = {}

    async def recv(self) -> VideoFrame:
        # Uneven by up to 4 ms, so that a stamp's place among its neighbours tells which it is.
        due_s = self._started_at_s + self._number / 30 + (self._number * 7 % 11) * 0.0004
        self._number += 1
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        captured_at_s = time.monotonic()
        frame.pts = round((captured_at_s - self._started_at_s) * 90000)
        frame.time_base = Fraction(1, 90000)
        self.captured_at_s[frame.pts] = captured_at_s
        return frame


class Tone(MediaStreamTrack):
    """A loud square tone."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._started_at_s = time.monotonic()
        self._number = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._started_at_s + self._number / 50 - time.monotonic()))
        wave = np.where(np.arange(960) // 24 % 2, 9000, -9000).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            48000,
            self._number * 960,
            Fraction(1, 48000),
        )
        self._number += 1
        return frame


@dataclass(frozen=True)
class Relay:
    """A running relay with one room."""

    url: str
    room: str

    def token(self, role: Role, hours: float = 1.0, name: str = "") -> str:
        return invite(KEYS.invitations, self.room, role, hours, name)

    def publisher(self, token: str, *tracks: MediaStreamTrack) -> WhipClient:
        return WhipClient(f"{self.url}/whip/{self.room}", token, tracks)

    def viewer(self, token: str, stream: str = "patient", at_once: bool = False) -> WhipClient:
        return WhipClient(f"{self.url}/whep/{self.room}/{stream}", token, at_once=at_once)


@asynccontextmanager
async def running_relay(
    folder: Path,
    slow_s: Callable[[], float] = lambda: 0.0,
    masker: type[GreenMasker] = GreenMasker,
    recordings: Path | None = None,
    ice_servers: Sequence[dict[str, str]] = (),
    origins: Collection[str] = (),
    port: int | None = None,
    room: str | None = None,
) -> AsyncIterator[Relay]:
    """A relay until the block ends."""
    rooms = Rooms(
        lambda: cast(Masker, masker(slow_s)), folder / "rooms.json", recordings=recordings
    )
    server = TestServer(make_app(rooms, KEYS, ice_servers, origins), host="127.0.0.1", port=port)
    await server.start_server()
    try:
        yield Relay(str(server.make_url("")).rstrip("/"), room or rooms.create())
    finally:
        await server.close()


async def track_of(client: WhipClient, kind: str) -> MediaStreamTrack:
    """The received track of a kind."""
    async with asyncio.timeout(5):
        while True:
            track = await client.received.get()
            if track.kind == kind:
                return track


async def assert_heard(voice: MediaStreamTrack) -> None:
    """The tone comes within 5 s."""
    async with asyncio.timeout(5):
        loudest = 0
        while loudest < 3000:
            frame = await voice.recv()
            assert isinstance(frame, AudioFrame)
            loudest = int(np.abs(frame.to_ndarray().astype(int)).max())


async def colour_of(track: MediaStreamTrack, wanted: tuple[int, int, int]) -> bool:
    """Whether the stream's colour becomes `wanted` within 5 s."""
    try:
        async with asyncio.timeout(5):
            while True:
                frame = await track.recv()
                assert isinstance(frame, VideoFrame)
                middle = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
                if np.abs(middle - wanted).max() < 40:
                    return True
    except TimeoutError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait for something to become so."""
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not become so")
