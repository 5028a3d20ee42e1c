"""A frame of the patient's camera: the one thing that must never leave."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from digitalmask.media.frame_clock import FrameClock


@dataclass(frozen=True, slots=True)
class PatientFrame:
    """A decoded camera frame.

    rgb: (height, width, 3) uint8, top row first, as the camera saw it (not mirrored). It is left
        out of `repr`, so that no log or exception message can hold it.
    """

    clock: FrameClock
    rgb: NDArray[np.uint8] = field(repr=False)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def even_size(self) -> tuple[int, int]:
        """(width, height) of the mask for it: both even."""
        return self.width & ~1, self.height & ~1
