"""A masker in a process of its own: the same frames, and an end of it that ends nothing else."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from digitalmask.errors import AssetError, PipelineError
from digitalmask.pipeline import Masker, Tracking
from digitalmask.pipeline.masker_process import MaskerProcess
from tests.pipeline.doubles import SKIN, Stages, camera_frame, shows_camera

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create")


def make_stages(fault: str = "") -> Callable[[], Masker]:
    """What the other process makes its masker of."""
    if fault == "missing":
        raise AssetError("the network is not here")

    def end() -> None:
        os._exit(3)

    def end_soon() -> None:
        stages.before["draw"] = end

    stages = Stages()
    if fault == "dies":
        # Not at the frame with which the process warms up.
        stages.before["draw"] = end_soon
    return stages.masker


@pytest.fixture
def process() -> Iterator[Callable[[str], MaskerProcess]]:
    made: list[MaskerProcess] = []

    def make(fault: str = "") -> MaskerProcess:
        made.append(MaskerProcess(f"{__name__}:make_stages", (fault,)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def child() -> psutil.Process:
    own = [
        each
        for each in psutil.Process().children()
        if "masker_process" in " ".join(each.cmdline()) and sys.executable in each.cmdline()[0]
    ]
    return own[-1]


def test_what_comes_back_is_the_mask_with_the_frames_clock(
    process: Callable[[str], MaskerProcess],
) -> None:
    masker = process("")
    for size in ((160, 120), (320, 240)):
        frame = camera_frame(1.5, size)
        masked = masker.mask(frame)
        assert masked.clock == frame.clock
        assert (masked.width, masked.height) == size
        assert (masked.rgb == SKIN).all()
    assert masker.tracking is Tracking.FOLLOWING
    assert masker.stage_ms


def test_a_frame_that_was_given_stays_as_it_was(process: Callable[[str], MaskerProcess]) -> None:
    masker = process("")
    first = masker.mask(camera_frame(1.0))
    before = first.rgb.copy()
    masker.mask(camera_frame(2.0, (64, 48)))
    np.testing.assert_array_equal(first.rgb, before)


def test_a_process_that_dies_is_an_error_and_is_started_again(
    process: Callable[[str], MaskerProcess],
) -> None:
    masker = process("dies")
    with pytest.raises(PipelineError, match="ended"):
        masker.mask(camera_frame(1.0))
    with pytest.raises(PipelineError, match="started again soon"):
        masker.mask(camera_frame(1.1))


def test_a_process_that_is_killed_comes_back(process: Callable[[str], MaskerProcess]) -> None:
    masker = process("")
    masker.mask(camera_frame(1.0))
    child().send_signal(signal.SIGKILL)
    with pytest.raises(PipelineError):
        masker.mask(camera_frame(1.1))
    time.sleep(2.1)
    masked = masker.mask(camera_frame(1.2))
    assert not shows_camera(masked)


def test_what_keeps_it_from_starting_is_said_in_its_own_words() -> None:
    with pytest.raises(AssetError, match="the network is not here"):
        MaskerProcess(f"{__name__}:make_stages", ("missing",))


def test_it_ends_with_its_relay(process: Callable[[str], MaskerProcess]) -> None:
    masker = process("")
    other = child()
    masker.close()
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE
