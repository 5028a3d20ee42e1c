"""Coded masks follow a bitrate, and can be decoded from a key frame on."""

import cv2
import numpy as np
import pytest
from aiortc.codecs import depayload, get_decoder
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame
from numpy.typing import NDArray

from digitalmask.relay.codecs import (
    H264,
    VP8,
    CodedMask,
    MaskEncoder,
    MaskPacketizer,
    examination_bit_s,
)
from digitalmask.relay.jitter_buffer import is_key_frame

CODECS = [pytest.param(H264, id="h264"), pytest.param(VP8, id="vp8")]
MBIT = 1_000_000


def picture(number: int) -> NDArray[np.uint8]:
    """I420, 320x240: a soft pattern that moves."""
    y, x = np.mgrid[0:240, 0:320]
    waves = np.sin((x + 5 * number) / 9) * np.cos((y - 3 * number) / 7) * 100 + 128
    grain = np.random.default_rng(number).normal(0, 12, waves.shape)
    grey = np.clip(waves + grain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), cv2.COLOR_RGB2YUV_I420))


def coded(encoder: MaskEncoder, numbers: range, bit_s: int) -> list[CodedMask]:
    return [encoder.encode(picture(number), 3000 * number, bit_s) for number in numbers]


def bit_s_of(frames: list[CodedMask]) -> float:
    return 8 * 30 * sum(len(frame.data) for frame in frames) / len(frames)


def test_more_pixels_have_more_bits() -> None:
    assert examination_bit_s(320, 240) == examination_bit_s(640, 480) == 2 * MBIT
    assert 2 * MBIT < examination_bit_s(800, 600) < 4 * MBIT
    assert examination_bit_s(1280, 720) == examination_bit_s(1920, 1080) == 4 * MBIT


@pytest.mark.parametrize("mime_type", CODECS)
def test_a_falling_bitrate_is_followed(mime_type: str) -> None:
    encoder = MaskEncoder(mime_type)
    before = coded(encoder, range(60), 2 * MBIT)
    after = coded(encoder, range(60, 150), MBIT // 2)
    assert bit_s_of(before[20:]) == pytest.approx(2 * MBIT, rel=0.25)
    assert bit_s_of(after[30:]) == pytest.approx(MBIT // 2, rel=0.25)


def test_h264_follows_it_up_and_down_without_a_key_frame() -> None:
    encoder = MaskEncoder(H264)
    frames = coded(encoder, range(30), MBIT // 2)
    frames += coded(encoder, range(30, 110), 2 * MBIT)
    frames += coded(encoder, range(110, 140), 1 * MBIT)
    assert [frame.key for frame in frames] == [True] + [False] * 139
    assert bit_s_of(frames[70:110]) == pytest.approx(2 * MBIT, rel=0.25)
    assert encoder.resets == 0


def test_vp8_is_not_set_up_anew_for_each_estimate() -> None:
    encoder = MaskEncoder(VP8)
    for number in range(60):
        encoder.encode(picture(number), 3000 * number, MBIT + 4000 * (number % 20))
    assert encoder.resets == 0


@pytest.mark.parametrize("mime_type", CODECS)
def test_a_key_frame_is_made_when_it_is_wanted_and_then_no_more(mime_type: str) -> None:
    encoder = MaskEncoder(mime_type)
    frames = [encoder.encode(picture(n), 3000 * n, MBIT, key=n == 5) for n in range(10)]
    assert [n for n, frame in enumerate(frames) if frame.key] == [0, 5]
    assert [n for n, frame in enumerate(frames) if is_key_frame(frame.data)] == [0, 5]


@pytest.mark.parametrize("mime_type", CODECS)
def test_a_new_size_starts_with_a_key_frame(mime_type: str) -> None:
    encoder = MaskEncoder(mime_type)
    encoder.encode(picture(0), 0, MBIT)
    small = np.ascontiguousarray(picture(1)[: 240 * 3 // 4, :160][:180])
    assert encoder.encode(small, 3000, MBIT).key


@pytest.mark.parametrize("mime_type", CODECS)
def test_what_is_cut_into_payloads_is_decoded_to_the_picture(mime_type: str) -> None:
    encoder, packetizer = MaskEncoder(mime_type), MaskPacketizer(mime_type, lambda _: None)
    codec = RTCRtpCodecParameters(mime_type.replace("vp8", "VP8").replace("h264", "H264"), 90000)
    decoder: Decoder = get_decoder(codec)
    for frame in coded(encoder, range(5), 4 * MBIT):
        payloads, timestamp = packetizer.pack(frame)
        assert max(map(len, payloads)) <= 1300
        data = b"".join(depayload(codec, payload) for payload in payloads)
        (decoded,) = decoder.decode(JitterFrame(data, timestamp))
    assert isinstance(decoded, VideoFrame)
    difference = decoded.to_ndarray(format="yuv420p").astype(float) - picture(4)
    assert np.abs(difference).mean() < 6.0


def test_a_viewers_estimate_is_handed_on() -> None:
    heard: list[int] = []
    packetizer = MaskPacketizer(VP8, heard.append)
    packetizer.target_bitrate = 300_000
    assert heard == [300_000]
    assert not hasattr(packetizer, "encode")  # no picture can pass
