"""Only masked frames leave, coded once for all viewers, and no viewer falls behind."""

import asyncio
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.h264 import H264Decoder
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.relay.codecs import H264, VP8, CodedMask
from digitalmask.relay.masked_video import MaskedVideo, MaskedVideoTrack

SECOND = 90_000


def _masked(pts: int) -> MaskedFrame:
    clock = FrameClock(time.monotonic(), pts, Fraction(1, SECOND))
    noise = np.random.default_rng(pts).integers(0, 255, (96, 128, 3), np.uint8)
    return MaskedFrame(clock, noise)


async def _publish(video: MaskedVideo, *stamps: int) -> None:
    """Publish, and let what is coded reach the viewers."""
    for pts in stamps:
        video.publish(_masked(pts))
        await asyncio.sleep(0.03)


class Viewer:
    """Takes what it is sent, as a sender does."""

    def __init__(self, video: MaskedVideo, mime_type: str = H264) -> None:
        self.track: MaskedVideoTrack = video.viewer()
        self.track.mime_type = mime_type
        self.got: list[CodedMask] = []
        self.taking = asyncio.create_task(self._take())

    async def _take(self) -> None:
        while True:
            self.got.append(await self.track.recv())

    @property
    def stamps(self) -> list[int]:
        return [coded.timestamp for coded in self.got]

    @property
    def keys(self) -> list[bool]:
        return [coded.key for coded in self.got]


async def test_a_camera_frame_is_refused() -> None:
    video = MaskedVideo()
    clock = FrameClock(0.0, 0, Fraction(1, SECOND))
    anything: Any = PatientFrame.of_rgb(clock, np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(TypeError, match="MaskedFrame"):
        video.publish(anything)
    with pytest.raises(TypeError, match="MaskedFrame"):
        video.publish(anything.rgb)
    with pytest.raises(TypeError, match="CodedMask"):
        video.viewer().packetizer().pack(anything)
    video.close()


async def test_viewers_of_a_codec_get_the_same_frames_and_stamps_keep_their_distance() -> None:
    video = MaskedVideo()
    viewers = [Viewer(video), Viewer(video), Viewer(video, VP8)]
    await asyncio.sleep(0.01)
    await _publish(video, 3000, 6100, 9000)
    first, second, other = viewers
    assert len(first.got) == 3
    assert [a is b for a, b in zip(first.got, second.got, strict=True)] == [True] * 3
    assert first.stamps == other.stamps
    assert np.diff(first.stamps).tolist() == [3100, 2900]
    assert first.keys == other.keys == [True, False, False]
    assert video.encodings == 2
    assert video.encode_ms > 0.0
    video.close()
    assert video.encodings == 0


async def test_one_who_comes_later_starts_with_a_key_frame_and_a_burst_of_wishes_makes_one() -> (
    None
):
    video = MaskedVideo()
    first = Viewer(video)
    await asyncio.sleep(0.01)
    await _publish(video, *range(3000, 60_000, 3000))  # 0.57 s
    second = Viewer(video)
    await asyncio.sleep(0.01)
    for _ in range(10):
        second.track.want_key_frame()
    await _publish(video, *range(60_000, 90_000, 3000))
    assert second.keys == [True] + [False] * 9
    assert sum(first.keys) == 2
    video.close()


async def test_a_viewer_that_takes_nothing_goes_on_with_a_key_frame_of_now() -> None:
    video = MaskedVideo()
    stuck = video.viewer()
    taking = asyncio.create_task(stuck.recv())
    await asyncio.sleep(0.01)
    await _publish(video, *range(3000, 3000 * 30, 3000))
    first = await taking
    rest = [await stuck.recv() for _ in range(2)]
    assert rest[0].key
    assert rest[0].timestamp - first.timestamp > 10 * 3000
    video.close()


async def test_a_slow_viewer_gets_an_encoding_of_its_own_and_others_notice_nothing() -> None:
    video = MaskedVideo()
    good, slow = Viewer(video), Viewer(video)
    await asyncio.sleep(0.01)
    stamps = iter(range(3000, 3000 * 200, 3000))
    await _publish(video, *(next(stamps) for _ in range(10)))
    slow.track.estimated(1000)
    await asyncio.sleep(0.55)
    slow.track.estimated(1000)
    assert slow.track.apart
    assert not good.track.apart
    for _ in range(20):
        await _publish(video, next(stamps))
        slow.track.want_key_frame()
    assert len(good.got) == 30
    assert sum(good.keys) == 1
    assert slow.got[10].key
    assert sum(len(coded.data) for coded in slow.got[11:]) < 0.5 * sum(
        len(coded.data) for coded in good.got[11:]
    )
    video.close()


async def test_without_a_patient_a_viewer_sees_a_card() -> None:
    video = MaskedVideo()
    async with asyncio.timeout(5):
        coded = await video.viewer().recv()
    (frame,) = H264Decoder().decode(JitterFrame(coded.data, coded.timestamp))
    assert isinstance(frame, VideoFrame)
    assert frame.to_ndarray(format="gray").std() > 1.0  # something is drawn
    video.close()
