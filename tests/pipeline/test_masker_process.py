"""A masker in a process of its own: the same frames, and an end of it that ends nothing else."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest

from digitalmask.errors import AssetError, PipelineError
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Drawer, Follower
from digitalmask.pipeline.masker_process import MaskerProcess
from tests.pipeline.doubles import SKIN, Stages, camera_frame, shows_camera
from tests.processes import children

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create")


def make_follower(fault: str = "") -> Callable[[], Follower]:
    """What the process that reads makes its half of."""
    if fault == "missing":
        raise AssetError("the network is not here")
    stages = Stages()
    if fault == "dies reading":
        # Not at the frame with which the process warms up.
        stages.before["reset"] = lambda: stages.before.update(track=end)
    return stages.follower


def make_drawer(fault: str = "") -> Callable[[], Drawer]:
    """What the process that draws makes its half of."""
    stages = Stages()
    if fault == "dies drawing":
        stages.before["draw"] = lambda: stages.before.update(draw=end)
    return stages.drawer


def end() -> None:
    """A fault in native code."""
    os._exit(3)


def processes(fault: str = "") -> MaskerProcess:
    return MaskerProcess((f"{__name__}:make_follower", fault), (f"{__name__}:make_drawer", fault))


@pytest.fixture
def process() -> Iterator[Callable[[str], MaskerProcess]]:
    made: list[MaskerProcess] = []

    def make(fault: str = "") -> MaskerProcess:
        made.append(processes(fault))
        return made[-1]

    yield make
    for each in made:
        each.close()


def mask(masker: MaskerProcess, frame: PatientFrame) -> MaskedFrame:
    return masker.draw(masker.follow(frame))


def halves() -> list[psutil.Process]:
    """Those that read and those that draw, by turns, as they were started."""
    return children("masker_process")


def test_what_comes_back_is_the_mask_with_the_frames_clock(
    process: Callable[[str], MaskerProcess],
) -> None:
    masker = process("")
    for size in ((160, 120), (320, 240)):
        frame = camera_frame(1.5, size)
        masked = mask(masker, frame)
        assert masked.clock == frame.clock
        assert (masked.width, masked.height) == size
        assert (masked.rgb == SKIN).all()
    assert set(masker.stage_ms) == {"track", "anatomy", "draw"}


def test_a_frame_that_was_given_stays_as_it_was(process: Callable[[str], MaskerProcess]) -> None:
    masker = process("")
    first = mask(masker, camera_frame(1.0))
    before = first.rgb.copy()
    mask(masker, camera_frame(2.0, (64, 48)))
    np.testing.assert_array_equal(first.rgb, before)


@pytest.mark.parametrize("half", ["reading", "drawing"])
def test_a_process_that_dies_is_an_error_and_is_started_again(
    half: str, process: Callable[[str], MaskerProcess]
) -> None:
    masker = process(f"dies {half}")
    with pytest.raises(PipelineError, match="ended"):
        mask(masker, camera_frame(1.0))
    with pytest.raises(PipelineError, match="started again soon"):
        mask(masker, camera_frame(1.1))


@pytest.mark.parametrize("number", [-2, -1])
def test_a_process_that_is_killed_comes_back(
    number: int, process: Callable[[str], MaskerProcess]
) -> None:
    masker = process("")
    mask(masker, camera_frame(1.0))
    killed = halves()[number]
    killed.send_signal(signal.SIGKILL)
    while killed.is_running() and killed.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with pytest.raises(PipelineError):
        mask(masker, camera_frame(1.1))
    time.sleep(2.1)
    masked = mask(masker, camera_frame(1.2))
    assert not shows_camera(masked)


def test_what_keeps_it_from_starting_is_said_in_its_own_words() -> None:
    with pytest.raises(AssetError, match="the network is not here"):
        processes("missing")
    assert not any(each.is_running() for each in halves())


def test_it_ends_with_its_relay(process: Callable[[str], MaskerProcess]) -> None:
    masker = process("")
    others = halves()
    masker.close()
    assert len(others) == 2
    assert not any(each.is_running() for each in others)
