"""Only masked frames leave, and no viewer falls behind."""

import asyncio
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from av import VideoFrame

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.relay.masked_video import MaskedVideo


def _masked(pts: int) -> MaskedFrame:
    clock = FrameClock(time.monotonic(), pts, Fraction(1, 90000))
    return MaskedFrame(clock, np.zeros((48, 64, 3), np.uint8))


async def test_a_camera_frame_is_refused() -> None:
    video = MaskedVideo()
    clock = FrameClock(0.0, 0, Fraction(1, 90000))
    anything: Any = PatientFrame(clock, np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(TypeError, match="MaskedFrame"):
        video.publish(anything)
    with pytest.raises(TypeError, match="MaskedFrame"):
        video.publish(anything.rgb)
    video.close()


async def test_a_slow_viewer_gets_the_newest_frame_and_stamps_keep_their_distance() -> None:
    video = MaskedVideo()
    slow = video.viewer()
    stamps: list[int] = []
    for pts in (3000, 6100, 9000):
        video.publish(_masked(pts))
    await asyncio.sleep(0)
    stamps.append((await slow.recv()).pts or 0)
    video.publish(_masked(99_000))
    stamps.append((await slow.recv()).pts or 0)
    assert stamps[1] - stamps[0] == 90_000
    video.close()


async def test_without_a_patient_a_viewer_sees_a_card() -> None:
    video = MaskedVideo()
    async with asyncio.timeout(5):
        frame = await video.viewer().recv()
    assert isinstance(frame, VideoFrame)
    assert frame.to_ndarray(format="gray").std() > 1.0  # something is drawn
    video.close()
