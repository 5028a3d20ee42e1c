"""Nothing that leaves the relay holds the key of the patient's camera, whatever goes wrong."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import moderngl
import numpy as np
import pytest
from aiortc import MediaStreamTrack

from digitalmask.errors import RenderingError
from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Drawer, Follower
from digitalmask.pipeline.masker_process import MaskerProcess
from digitalmask.tracking.observation import FaceObservation
from tests.leak.key import Catch, marked_ground
from tests.leak.receiving import MarkedCamera, consultation
from tests.pipeline.doubles import Hang, StageError, Stages
from tests.processes import children

SIZE = (320, 240)
MARKED = marked_ground(SIZE)


class CuriousStages(Stages):
    """Stages that remember the camera's picture, to put it where it does not belong."""

    seen: PatientFrame | None = None

    def track(self, frame: PatientFrame) -> FaceObservation | None:
        self.seen = frame
        return super().track(frame)

    def tell(self) -> None:
        assert self.seen is not None
        rgb, luma = self.seen.rgb, self.seen.luma
        raise StageError(f"cannot use {rgb[:2].tolist()} {rgb[0].tobytes()!r} {luma[:2].tolist()}")

    def lose_the_context(self) -> None:
        raise moderngl.Error("the context was lost")

    def find_no_device(self) -> None:
        raise RenderingError("there is no OpenGL device")


class LeakyStages(CuriousStages):
    """What the others must never do: shows a tenth of the camera's picture, and speaks of it."""

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        masked = super().draw(state, size, clock)
        assert self.seen is not None
        mixed = masked.rgb * 0.9 + self.seen.rgb * 0.1
        logging.getLogger("leaky").warning("drew %s", self.seen.rgb[0].tolist())
        return MaskedFrame(clock, mixed.astype(np.uint8))


def fails_with_pixels(stages: CuriousStages, *names: str) -> None:
    for name in names:
        stages.before[name] = stages.tell


def loses_the_face(stages: CuriousStages) -> None:
    stages.face = False


def is_overloaded(stages: CuriousStages) -> None:
    stages.before["track"] = lambda: time.sleep(0.12)


def loses_opengl(stages: CuriousStages) -> None:
    stages.before["draw"] = stages.lose_the_context
    stages.before["renderer"] = stages.find_no_device


FAULTS: dict[str, Callable[[CuriousStages], None]] = {
    "nothing": lambda _: None,
    "tracking fails": lambda stages: fails_with_pixels(stages, "track"),
    "anatomy fails": lambda stages: fails_with_pixels(stages, "estimate"),
    "drawing fails": lambda stages: fails_with_pixels(stages, "draw"),
    "resetting fails": lambda stages: fails_with_pixels(stages, "track", "reset"),
    "face lost": loses_the_face,
    "unsure": lambda stages: setattr(stages, "confidence", 0.1),
    "overload": is_overloaded,
    "OpenGL lost": loses_opengl,
}


async def test_no_fault_lets_the_key_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    stages = CuriousStages()
    async with consultation(tmp_path, stages.masker, MarkedCamera(lambda _: MARKED)) as catch:
        for name, fault in FAULTS.items():
            fault(stages)
            await _watch_for(catch, 0.5, name)
            stages.before, stages.face, stages.confidence = {}, True, 1.0
        for stage in ("track", "draw"):
            stages.before[stage] = hang = Hang()
            await _watch_for(catch, 0.7, f"{stage} hangs")
            stages.before = {}
            hang.released.set()
        await _watch_for(catch, 0.4, "all is well again")
    _search_what_was_said(catch, caplog, capfd)
    assert catch.found == []


async def test_what_lets_the_key_out_is_caught(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The control: the same way, the same codec, and a stage that leaks."""
    camera = MarkedCamera(lambda _: MARKED)
    async with consultation(tmp_path, LeakyStages().masker, camera) as catch:
        await _watch_for(catch, 0.6, "leaky")
        (tmp_path / "left behind").write_bytes(MARKED.tobytes())
    _search_what_was_said(catch, caplog, capfd)
    assert {"video", "said", str(tmp_path / "left behind")} <= set(catch.found)


class Garbage(MediaStreamTrack):
    """First the marked picture, coded as it ought to be; then packets that are noise."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._coder = av.CodecContext.create("libvpx", "w")
        assert isinstance(self._coder, av.VideoCodecContext)
        self._coder.width, self._coder.height = SIZE
        self._coder.pix_fmt, self._coder.time_base = "yuv420p", Fraction(1, 30)
        self._coder.options = {"deadline": "realtime", "lag-in-frames": "0"}
        self._random = np.random.default_rng(0)

    async def recv(self) -> av.Packet:  # type: ignore[type-arg]
        await asyncio.sleep(1 / 30)
        frame = av.VideoFrame.from_ndarray(MARKED, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._number, Fraction(1, 30)
        (packet,) = self._coder.encode(frame)
        if self._number > 15 and self._number % 3:
            data = bytearray(bytes(packet))
            for place in self._random.integers(3, len(data), len(data) // 8):
                data[place] ^= 0xFF
            packet = av.Packet(bytes(data[: self._random.integers(1, len(data))]))
        packet.pts, packet.time_base = self._number, Fraction(1, 30)
        self._number += 1
        return packet


async def test_what_a_decoder_stumbles_over_lets_the_key_not_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with consultation(tmp_path, CuriousStages().masker, Garbage()) as catch:
        await _watch_for(catch, 1.5, "garbage")
    _search_what_was_said(catch, caplog, capfd)
    assert catch.found == []


def make_follower() -> Callable[[], Follower]:
    """What the process that reads makes its half of."""
    return CuriousStages().follower


def make_drawer() -> Callable[[], Drawer]:
    """What the process that draws makes its half of."""
    return CuriousStages().drawer


@pytest.mark.skipif(not MaskerProcess.possible(), reason="needs memfd_create")
async def test_masking_processes_that_are_killed_let_the_key_not_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    camera = MarkedCamera(lambda _: MARKED)

    def make() -> MaskerProcess:
        return MaskerProcess((f"{__name__}:make_follower",), (f"{__name__}:make_drawer",))

    async with consultation(tmp_path, make, camera) as catch:
        await _watch_for(catch, 1.0, "processes of its own")
        for place in range(2):
            halves = children("masker_process")
            halves[place % len(halves)].send_signal(signal.SIGKILL)
            await _watch_for(catch, 0.6, "one was killed")
    _search_what_was_said(catch, caplog, capfd)
    assert catch.found == []


async def _watch_for(catch: Catch, seconds: float, what: str) -> None:
    """Let the doctor watch; pictures must come, late where others take the processor."""
    enough = catch.pictures + 2
    await asyncio.sleep(seconds)
    for _ in range(100):
        if catch.pictures >= enough:
            break
        await asyncio.sleep(0.1)
    assert catch.pictures >= enough, what
    if what != "leaky":
        assert catch.found == [], what


def _search_what_was_said(
    catch: Catch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    out, err = capfd.readouterr()
    for said in (caplog.text, out, err):
        catch.text("said", said)
