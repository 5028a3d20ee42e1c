"""How the skin between and beside the eyes moved since the last frame, below a pixel.

The landmark network moves the whole face with the irises: in some people by a sixth of their way
across, in all by half of it up and down (simulated patients), which takes that much off a
nystagmus. The picture of the skin does not. So it is compared with what it was a frame ago
(Lucas-Kanade, in OpenCV): a hundredth of a pixel off, and nothing with the irises.

It is looked at where there is something to see, at brows, nose and the corners of the eyes: on a
smooth cheek the shading is seen, which stays where it is when the head turns.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import SkinFlow

# The ridge of the nose, between the brows, beside the medial corners, the brows, the nostrils.
_PLACES = np.array([168, 6, 197, 8, 9, 193, 417, 122, 351, 55, 285, 107, 336, 129, 358])
_LONGEST_S = 0.2  # what is older has nothing to say
# A face is looked at with its region so large, at most half as large again, and a place with so
# much around it: some 20 mm.
_SIDE_PX, _AROUND_PX = 285.0, 25
_MARGIN_PX = 40
_PYRAMID = 1  # levels above the first
_ROUNDS, _CLOSE_PX = 20, 0.003
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of the frame, in whole pixels, and how many of them in a row become one."""

    left: int
    top: int
    right: int
    bottom: int
    reduced: int

    def picture(self, frame: PatientFrame) -> NDArray[np.uint8]:
        """Its luma, a copy."""
        luma = frame.luma[self.top : self.bottom, self.left : self.right]
        if self.reduced == 1:
            return luma.copy()
        height, width = luma.shape
        size = (width // self.reduced, height // self.reduced)
        return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)

    def into(self, places_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 2) places of the frame to pixel indices of the picture."""
        corner = np.array([self.left, self.top], np.float32)
        return np.asarray((places_px - corner) / self.reduced - 0.5, np.float32)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one frame leaves for the next."""

    at_s: float
    size: tuple[int, int]
    window: _Window
    picture: NDArray[np.uint8] = field(repr=False)
    places_px: NDArray[np.float32]


class SkinMotion:
    """Follows one face. One thread at a time; `reset` when it is another one."""

    def __init__(self) -> None:
        self._before: _Seen | None = None

    def reset(self) -> None:
        """Forget the face."""
        self._before = None

    def __call__(
        self, frame: PatientFrame, points: NDArray[np.float32], side_px: float
    ) -> SkinFlow | None:
        """How it moved; None where the last frame is not known, too old or shows too little.

        points: (478, 3) of the face in the frame. side_px: of its region.
        """
        before = self._before
        at_s, size = frame.clock.captured_at_s, (frame.width, frame.height)
        places_px = points[_PLACES, :2]
        flow = None
        if before and before.size == size and 0.0 < at_s - before.at_s < _LONGEST_S:
            flow = _flow(before, frame, places_px)
        self._before = None
        window = _window(places_px, side_px, size)
        if window is not None:
            self._before = _Seen(at_s, size, window, window.picture(frame), places_px)
        return flow


def _window(
    places_px: NDArray[np.float32], side_px: float, size: tuple[int, int]
) -> _Window | None:
    """About the places; None where they are outside the frame."""
    reduced = max(round(side_px / _SIDE_PX), 1)
    margin = (_MARGIN_PX + _AROUND_PX) * reduced
    left, top = np.maximum(places_px.min(axis=0) - margin, 0.0).astype(int).tolist()
    right, bottom = np.minimum(places_px.max(axis=0) + margin, size).astype(int).tolist()
    if min(right - left, bottom - top) < 2 * _AROUND_PX * reduced:
        return None
    # A whole number of its pixels.
    right, bottom = right - (right - left) % reduced, bottom - (bottom - top) % reduced
    return _Window(left, top, right, bottom, reduced)


def _flow(before: _Seen, frame: PatientFrame, places_px: NDArray[np.float32]) -> SkinFlow | None:
    window = before.window
    start, guess = window.into(before.places_px), window.into(places_px)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before.picture,
        window.picture(frame),
        start,
        guess.copy(),
        winSize=(_AROUND_PX, _AROUND_PX),
        maxLevel=_PYRAMID,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ROUNDS, _CLOSE_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    kept = (found[:, 0] > 0) & np.isfinite(moved).all(axis=1)
    if kept.sum() < _FEWEST:
        return None
    before_px = before.places_px[kept].astype(np.float64)
    return SkinFlow(_PLACES[kept], before_px, before_px + window.reduced * (moved - start)[kept])
