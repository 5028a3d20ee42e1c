"""What other programs take for a camera. It accepts `MaskedFrame` alone."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import MediaError
from digitalmask.media.masked_frame import MaskedFrame

Size = tuple[int, int]

_SHAPE_OFF = 0.03  # a size is rounded to even numbers


class VirtualCamera(Protocol):
    """A camera that other programs see. One thread sends, any may close.

    device: what they find it by.
    """

    device: str

    def send(self, masked: MaskedFrame) -> None:
        """Show a frame of the camera's own size; MediaError where the camera has ended."""

    def close(self) -> None:
        """Take the camera away; free to be called again."""


def i420(masked: MaskedFrame, size: Size) -> NDArray[np.uint8]:
    """(height * 3 / 2, width) planes of a masked frame of that size, or of that shape: where there
    is too much to do it is drawn smaller.
    """
    if not isinstance(masked, MaskedFrame):
        raise TypeError("only a MaskedFrame may leave")
    if abs(masked.width * size[1] / (masked.height * size[0]) - 1.0) > _SHAPE_OFF:
        raise MediaError(f"a frame of {masked.width}x{masked.height} for a camera of another shape")
    return masked.i420(size)
