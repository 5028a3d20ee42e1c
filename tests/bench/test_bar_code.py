"""A mask's number survives what a picture goes through, and no picture has one by chance."""

import av
import numpy as np
import pytest

from digitalmask.bench.bar_code import draw_number, read_number
from digitalmask.relay.codecs import MaskEncoder


def picture(number: int) -> np.ndarray:
    rgb = np.random.default_rng(number).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    draw_number(rgb, number)
    return rgb


@pytest.mark.parametrize("number", [0, 1, 90_000, 2**31 + 5, 2**32 - 1])
def test_a_number_is_read_as_it_was_drawn(number: int) -> None:
    assert read_number(picture(number)) == number


def test_numbers_beyond_32_bits_begin_anew() -> None:
    assert read_number(picture(2**32 + 7)) == 7


def test_a_picture_without_a_number_has_none() -> None:
    for shade in (0, 60, 128, 255):
        assert read_number(np.full((480, 640, 3), shade, np.uint8)) is None


@pytest.mark.parametrize(("mime_type", "codec"), [("video/h264", "h264"), ("video/vp8", "vp8")])
def test_numbers_are_read_off_coded_pictures(mime_type: str, codec: str) -> None:
    encoder = MaskEncoder(mime_type)
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    ground = np.full((480, 640, 3), 190, np.uint8)
    for frame in range(20):
        number = 3_000_017 * frame
        rgb = ground.copy()
        draw_number(rgb, number)
        planes = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        coded = encoder.encode(
            np.asarray(planes.to_ndarray(), np.uint8), 3000 * (frame + 1), 500_000
        )
        (shown,) = decoder.decode(av.Packet(coded.data))
        assert read_number(np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)) == number
