"""What a virtual camera is sent has its size, whatever the frame's is."""

from fractions import Fraction

import numpy as np
import pytest

from digitalmask.camera.virtual import i420
from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame


def drawn(width: int, height: int) -> MaskedFrame:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2] = 255
    return MaskedFrame(FrameClock(0.0, 0, Fraction(1, 90000)), rgb)


@pytest.mark.parametrize("size", [(640, 480), (480, 360), (320, 240)])
def test_a_frame_that_is_drawn_smaller_fills_the_camera(size: tuple[int, int]) -> None:
    planes = i420(drawn(*size), (640, 480))
    assert planes.shape == (720, 640)
    assert planes[:230].min() > 200
    assert planes[250:480].max() < 40


def test_a_frame_of_another_shape_is_not_squeezed_into_it() -> None:
    with pytest.raises(MediaError, match="480x640"):
        i420(drawn(480, 640), (640, 480))
