"""A frame has the camera's colours in every format; a part is cut as from all of it."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame

Picture = NDArray[np.uint8]

CLOCK = FrameClock(0.0, 0, Fraction(1, 90000))
PART = (40, 30)


def soft_picture(width: int, height: int) -> Picture:
    """Colours that change slowly, so that little is lost where they are known at half the size."""
    small = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "nv12", "yuyv422", "rgb24",
             "bgr0", "gbrp", "yuv420p10le"]
)  # fmt: skip
@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
def test_colours_are_those_of_the_camera_in_every_format(name: str, matrix: str) -> None:
    rgb = soft_picture(160, 120)
    made = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    given = made.reformat(format=name, dst_colorspace=matrix)
    seen = PatientFrame.decoded(CLOCK, given).rgb
    # FFmpeg, which reads formats that are not planar, rounds down.
    np.testing.assert_allclose(seen.mean((0, 1)), rgb.mean((0, 1)), atol=4)
    assert np.abs(seen.astype(int) - rgb).max() <= 16


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (426, 239)])
def test_odd_sizes_are_kept(size: tuple[int, int]) -> None:
    rgb = soft_picture(*size)
    frame = PatientFrame.of_rgb(CLOCK, rgb)
    assert (frame.width, frame.height) == size
    assert np.abs(frame.rgb.astype(int) - rgb).mean() < 2
    decoded = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv444p")
    assert np.abs(PatientFrame.decoded(CLOCK, decoded).rgb.astype(int) - rgb).mean() < 3


@pytest.mark.parametrize("grey", [0, 1, 40, 128, 200, 254, 255])
def test_grey_stays_grey(grey: int) -> None:
    frame = PatientFrame.of_rgb(CLOCK, np.full((48, 64, 3), grey, np.uint8))
    assert np.abs(frame.rgb.astype(int) - grey).max() <= 1


@pytest.mark.parametrize("black_beyond", [True, False])
@pytest.mark.parametrize(
    ("x", "y"), [(60, 40), (0, 0), (118, 3), (5, 79), (-30, 40), (300, 300), (60, -200)]
)
@pytest.mark.parametrize("turn", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("size", [(120, 80), (121, 81)])
def test_a_part_is_cut_as_from_the_whole_picture(
    x: float, y: float, turn: float, black_beyond: bool, size: tuple[int, int]
) -> None:
    frame = PatientFrame.of_rgb(CLOCK, soft_picture(*size))
    turned = 0.8 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    place = np.array([x, y]) - turned @ [PART[0] / 2, PART[1] / 2]
    matrix = np.hstack([turned, place[:, None]])
    border = cv2.BORDER_CONSTANT if black_beyond else cv2.BORDER_REPLICATE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(frame.rgb, matrix, PART, flags=flags, borderMode=border)
    part = frame.cut(matrix, PART, black_beyond)[..., :3]
    # Of rounding before and after, and of colours beyond what a screen can show.
    np.testing.assert_allclose(part.astype(int), whole.astype(int), atol=3)


def test_nothing_of_the_picture_is_in_what_is_printed_of_a_frame() -> None:
    frame = PatientFrame.of_rgb(CLOCK, np.full((48, 64, 3), 77, np.uint8))
    assert "luma" not in repr(frame)
    assert "chroma" not in repr(frame)


def test_a_picture_that_may_not_be_written_to_is_taken_too() -> None:
    rgb = soft_picture(16, 12)
    rgb.flags.writeable = False
    assert PatientFrame.of_rgb(CLOCK, rgb).luma.shape == (12, 16)
