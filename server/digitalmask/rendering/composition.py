"""What was drawn of a mask, laid into the picture that is shown."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering.backdrop import backdrop
from digitalmask.rendering.inset import Inset, lay_eyes


@dataclass(frozen=True, slots=True)
class DrawnHead:
    """What is known of a head that was drawn, beside its samples.

    size: (width, height) of the picture. box: the part of it that was drawn, first column and row,
    last ones (exclusive). shape: (down, across, 4), of the samples that this part has: RGBA, colour
    times cover. eyes_px: where the eyes' centres are seen, the patient's right one first, and
    px_per_mm how large.
    """

    size: tuple[int, int]
    box: tuple[int, int, int, int]
    shape: tuple[int, int, int]
    eyes_px: tuple[tuple[float, float], tuple[float, float]]
    px_per_mm: float

    @property
    def samples_bytes(self) -> int:
        """How much memory the samples take."""
        return self.shape[0] * self.shape[1] * self.shape[2]


class Composer:
    """Makes one patient's pictures. One thread. inset: what is shown beside the mask."""

    def __init__(self, inset: Inset) -> None:
        self._inset = inset
        self._mean = np.empty(0, np.uint8)  # memory that is had anew for each frame costs more

    def compose(
        self, drawn: DrawnHead, samples: NDArray[np.uint8], clock: FrameClock
    ) -> MaskedFrame:
        """The picture: backdrop, head, inset."""
        left, top, right, bottom = drawn.box
        rgb = backdrop(drawn.size).copy()
        count = 4 * (bottom - top) * (right - left)
        if self._mean.size < count:
            self._mean = np.empty(count, np.uint8)
        # Between samples, which are at most 1.5 to 2 a pixel, this is close to their mean.
        mean = self._mean[:count].reshape(bottom - top, right - left, 4)
        cv2.resize(samples, mean.shape[1::-1], dst=mean, interpolation=cv2.INTER_LINEAR)
        _lay(mean, rgb[top:bottom, left:right])
        if self._inset is Inset.EYES:
            lay_eyes(rgb, samples, (left, top), np.array(drawn.eyes_px), drawn.px_per_mm)
        return MaskedFrame(clock, rgb)


@compiled("void(u1[:,:,::1], u1[:,:,:])")
def _lay(drawn: NDArray[np.uint8], ground: NDArray[np.uint8]) -> None:
    """Lay colours times cover (h, w, 4) on the ground (h, w, 3), in place."""
    height, width, _ = drawn.shape
    for row in range(height):
        for column in range(width):
            cover = drawn[row, column, 3]
            if cover == 255:
                for colour in range(3):
                    ground[row, column, colour] = drawn[row, column, colour]
            elif cover > 0:
                for colour in range(3):
                    left = ground[row, column, colour] * (255 - np.int32(cover))
                    laid = drawn[row, column, colour] + (left + 127) // 255
                    ground[row, column, colour] = min(laid, 255)
