"""How wide the pupils are, where they are seen.

In a dark iris no camera shows the pupil's edge, but now and then a reflection or the limbus passes
for one; drawn, it would be a mydriasis of one eye. So a pupil is believed as far as it was seen in
most of the frames of the last second, and one that is not is as wide as the other: both have the
same light, and what is not known must not look like an anisocoria.
"""

from collections.abc import Sequence

import numpy as np

from digitalmask.anatomy.smoothing import Belief, SlowMean
from digitalmask.mask_state import EyeState

_USUAL_MM = EyeState().pupil_mm
_TIME_CONSTANT_S = 0.4
# A patient who blinks often lets a pupil be seen in four fifths of the frames.
_SEEN_TIME_CONSTANT_S, _DOUBTED, _BELIEVED = 1.0, 0.4, 0.7


class _Pupil:
    """One eye's."""

    def __init__(self) -> None:
        self._width = SlowMean(_TIME_CONSTANT_S)
        self._belief = Belief(_SEEN_TIME_CONSTANT_S, _DOUBTED, _BELIEVED)
        self.reset()

    def reset(self) -> None:
        self._width.reset()
        self._belief.reset()
        self._believed = 0.0

    def see(self, width_mm: float | None, at_s: float) -> None:
        self._believed = self._belief(width_mm is not None, at_s)
        if width_mm is not None:
            self._width(np.array([width_mm]), at_s)

    def width_mm(self, otherwise_mm: float) -> float:
        """As far as it is believed, the rest as `otherwise_mm`."""
        width = self._width.value
        if width is None:
            return otherwise_mm
        return otherwise_mm + self._believed * (float(width[0]) - otherwise_mm)


class Pupils:
    """Both eyes' pupils. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._right, self._left = _Pupil(), _Pupil()

    def reset(self) -> None:
        """Forget the patient."""
        self._right.reset()
        self._left.reset()

    def __call__(self, seen_mm: Sequence[float | None], at_s: float) -> tuple[float, float]:
        """Diameters in mm of the right and the left one; seen_mm: in this frame, None where not."""
        right, left = self._right, self._left
        for pupil, width_mm in zip((right, left), seen_mm, strict=True):
            pupil.see(width_mm, at_s)
        return (
            right.width_mm(left.width_mm(_USUAL_MM)),
            left.width_mm(right.width_mm(_USUAL_MM)),
        )
