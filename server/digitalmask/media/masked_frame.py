"""A drawn frame: the only kind of picture that a sink accepts."""

from dataclasses import dataclass, field

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
