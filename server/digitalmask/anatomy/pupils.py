"""How wide the pupils are, where they are seen.

In a dark iris no camera shows the pupil's edge, but now and then a reflection or the limbus passes
for one; drawn, it would be a mydriasis of one eye. So a pupil is believed as far as it was seen in
most of the frames of the last second, and one that is not is as wide as the other: both have the
same light, and what is not known must not look like an anisocoria.
"""

from collections.abc import Sequence

import numpy as np

from digitalmask.anatomy.smoothing import SlowMean, frames_between
from digitalmask.mask_state import EyeState

_USUAL_MM = EyeState().pupil_mm
_TIME_CONSTANT_S = 0.4
_SEEN_TIME_CONSTANT_S = 1.0
# Seen in less than the first share of the frames it is not believed, from the second on wholly. A
# patient who blinks often lets it be seen in four fifths.
_DOUBTED, _BELIEVED = 0.4, 0.7


class Pupils:
    """Both eyes' pupils. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._widths = (SlowMean(_TIME_CONSTANT_S), SlowMean(_TIME_CONSTANT_S))
        self.reset()

    def reset(self) -> None:
        """Forget the patient."""
        self._seen = [0.0, 0.0]
        self._at_s: float | None = None
        for width in self._widths:
            width.reset()

    def __call__(self, seen_mm: Sequence[float | None], at_s: float) -> tuple[float, float]:
        """Diameters in mm of the right and the left one; seen_mm: in this frame, None where not."""
        frames = 1.0 if self._at_s is None else frames_between(self._at_s, at_s)
        self._at_s = at_s
        kept = (1.0 - 1.0 / (30.0 * _SEEN_TIME_CONSTANT_S)) ** frames
        for side, width_mm in enumerate(seen_mm):
            self._seen[side] = kept * self._seen[side] + (1.0 - kept) * (width_mm is not None)
            if width_mm is not None:
                self._widths[side](np.array([width_mm]), at_s)
        right, left = self._belief(0), self._belief(1)
        return (
            self._width(0, right, self._width(1, left, _USUAL_MM)),
            self._width(1, left, self._width(0, right, _USUAL_MM)),
        )

    def _belief(self, side: int) -> float:
        return min(max((self._seen[side] - _DOUBTED) / (_BELIEVED - _DOUBTED), 0.0), 1.0)

    def _width(self, side: int, belief: float, otherwise_mm: float) -> float:
        width = self._widths[side].value
        return otherwise_mm if width is None else otherwise_mm + belief * (width[0] - otherwise_mm)
