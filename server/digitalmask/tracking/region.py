"""A rotated square of the frame in which a face lies."""

from dataclasses import dataclass
from math import atan2, cos, sin

import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame

Floats = NDArray[np.float64]

# The side over the face's larger extent, as the landmark network was trained.
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Region:
    """Centre and side in pixels of the frame, turn in radians (positive: clockwise in it)."""

    x_px: float
    y_px: float
    side_px: float
    turn: float

    @classmethod
    def around(cls, points_px: Floats, right_eye: Floats, left_eye: Floats) -> "Region":
        """The region around points (n, 2), upright with respect to the patient's eyes."""
        across = left_eye - right_eye
        turn = atan2(across[1], across[0])
        cosine, sine = cos(turn), sin(turn)
        # By rows, each of which lies together in memory.
        x, y = np.array([[cosine, sine], [-sine, cosine]]) @ points_px.T
        low_x, high_x, low_y, high_y = (
            float(each) for each in (x.min(), x.max(), y.min(), y.max())
        )
        middle_x, middle_y = (low_x + high_x) / 2, (low_y + high_y) / 2
        return cls(
            x_px=cosine * middle_x - sine * middle_y,
            y_px=sine * middle_x + cosine * middle_y,
            side_px=_MARGIN * max(high_x - low_x, high_y - low_y),
            turn=turn,
        )

    def cut(self, frame: PatientFrame, size: int) -> NDArray[np.uint8]:
        """The region as a (size, size, 4) picture; black where the frame ends."""
        return frame.cut(self._matrix(size), (size, size), black_beyond=True)

    def to_frame(self, points: Floats, size: int) -> Floats:
        """(n, 3) points of the cut picture into the frame, z in the frame's scale."""
        (a, b, x), (c, d, y) = self._matrix(size).tolist()
        turned = np.array([[a, c, 0.0], [b, d, 0.0], [0.0, 0.0, self.side_px / size]])
        # A pixel's index is its centre; points are half a pixel from it.
        start = np.array([x + 0.5 - (a + b) / 2, y + 0.5 - (c + d) / 2, 0.0])
        return np.asarray(points @ turned + start)

    def _matrix(self, size: int) -> Floats:
        """(2, 3) from pixel indices of the cut picture to pixel indices of the frame."""
        scale = self.side_px / size
        a, b = scale * cos(self.turn), scale * sin(self.turn)
        half = size / 2 - 0.5
        x, y = self.x_px - 0.5 - (a - b) * half, self.y_px - 0.5 - (b + a) * half
        return np.array([[a, -b, x], [b, a, y]])


def overlap(a: Region, b: Region) -> float:
    """Intersection over union of the upright squares."""
    half = (a.side_px + b.side_px) / 2
    across = max(0.0, min(half - abs(a.x_px - b.x_px), a.side_px, b.side_px))
    down = max(0.0, min(half - abs(a.y_px - b.y_px), a.side_px, b.side_px))
    shared = across * down
    return shared / (a.side_px**2 + b.side_px**2 - shared)
