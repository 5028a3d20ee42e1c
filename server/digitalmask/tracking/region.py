"""A rotated square of the frame in which a face lies."""

from dataclasses import dataclass
from math import atan2, cos, sin

import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.patient_frame import PatientFrame

Floats = NDArray[np.float64]
Points = NDArray[np.float32]

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
    def around(cls, points: Points, right_eye: int, left_eye: int) -> "Region":
        """The region around points (n, 3), upright with respect to those of the patient's eyes."""
        (right_x, right_y, _), (left_x, left_y, _) = points[[right_eye, left_eye]].tolist()
        turn = atan2(left_y - right_y, left_x - right_x)
        cosine, sine = cos(turn), sin(turn)
        low_x, high_x, low_y, high_y = _extent(points, cosine, sine)
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

    def to_frame(self, points: Points, size: int) -> Points:
        """(n, 3) points of the cut picture into the frame, z in the frame's scale."""
        return _placed(points, self._matrix(size), self.side_px / size)

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


@compiled("UniTuple(f8, 4)(f4[:,::1], f8, f8)")
def _extent(points: Points, cosine: float, sine: float) -> tuple[float, float, float, float]:
    """The least and the greatest x, then y, of points (n, 3) turned back by an angle."""
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    for point in range(len(points)):
        x = cosine * points[point, 0] + sine * points[point, 1]
        y = cosine * points[point, 1] - sine * points[point, 0]
        low_x, high_x = min(low_x, x), max(high_x, x)
        low_y, high_y = min(low_y, y), max(high_y, y)
    return low_x, high_x, low_y, high_y


@compiled("f4[:,::1](f4[:,::1], f8[:,::1], f8)")
def _placed(points: Points, matrix: Floats, scale: float) -> Points:
    """`Region.to_frame`. A pixel's index is its centre; points are half a pixel from it."""
    placed = np.empty_like(points)
    for point in range(len(points)):
        x, y = points[point, 0] - 0.5, points[point, 1] - 0.5
        for axis in range(2):
            place = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] + 0.5
            placed[point, axis] = place
        placed[point, 2] = points[point, 2] * scale
    return placed
