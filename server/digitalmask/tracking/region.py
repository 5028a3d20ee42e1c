"""A rotated square of the frame in which a face lies."""

from dataclasses import dataclass
from math import atan2, ceil, cos, floor, sin

import cv2
import numpy as np
from numpy.typing import NDArray

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

    def cut(self, rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """The region as a (size, size, 4) picture; black where the frame ends."""
        return cut_out(rgb, self._matrix(size), (size, size), cv2.BORDER_CONSTANT)

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


def cut_out(
    rgb: NDArray[np.uint8], matrix: Floats, size: tuple[int, int], border: int
) -> NDArray[np.uint8]:
    """A turned, scaled part of a frame (h, w, 3) as RGBA, (height, width, 4); alpha means nothing.

    matrix: (2, 3) from pixel indices of the part to those of the frame. size: (width, height).
    border: OpenCV's, for what is beyond the frame. OpenCV cuts four channels more than twice as
    fast as three; only what is cut from is widened to four.
    """
    lows, highs = [], []
    for (a, b, offset), length in zip(matrix.tolist(), rgb.shape[1::-1], strict=True):
        ends = a * (size[0] - 1), b * (size[1] - 1)
        low = floor(offset + sum(min(end, 0.0) for end in ends)) - 1
        high = ceil(offset + sum(max(end, 0.0) for end in ends)) + 2
        lows.append(min(max(low, 0), length - 1))
        highs.append(max(min(high, length), lows[-1] + 1))
    box = cv2.cvtColor(rgb[lows[1] : highs[1], lows[0] : highs[0]], cv2.COLOR_RGB2RGBA)
    moved = matrix - np.array([[0.0, 0.0, lows[0]], [0.0, 0.0, lows[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(box, moved, size, flags=flags, borderMode=border), np.uint8)


def overlap(a: Region, b: Region) -> float:
    """Intersection over union of the upright squares."""
    half = (a.side_px + b.side_px) / 2
    across = max(0.0, min(half - abs(a.x_px - b.x_px), a.side_px, b.side_px))
    down = max(0.0, min(half - abs(a.y_px - b.y_px), a.side_px, b.side_px))
    shared = across * down
    return shared / (a.side_px**2 + b.side_px**2 - shared)
