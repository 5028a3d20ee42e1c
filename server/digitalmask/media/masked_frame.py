"""A drawn frame: the only kind of picture that a sink accepts."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock


@dataclass(frozen=True, slots=True)
class MaskedFrame:
    """A mask or a card, drawn by `digitalmask.rendering` (nothing else makes one).

    rgb: (height, width, 3) uint8, top row first, both sizes even.
    card: the card that is drawn, None where it is the mask.
    """

    clock: FrameClock
    rgb: NDArray[np.uint8] = field(repr=False)
    card: Card | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    def i420(self, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """(height * 3 / 2, width) planes, in another size (width, height), both even, where one is
        named: where its shape is another, the picture's edge is drawn out.
        """
        rgb = self.rgb if size is None else _fitted(self.rgb, *size)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)


def _fitted(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if rgb.shape[:2] == (height, width):
        return rgb
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    across, down = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    resized = cv2.resize(rgb, (across, down), interpolation=way)
    left, top = (width - across) // 2, (height - down) // 2
    return np.asarray(
        cv2.copyMakeBorder(
            resized,
            top,
            height - down - top,
            left,
            width - across - left,
            cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
