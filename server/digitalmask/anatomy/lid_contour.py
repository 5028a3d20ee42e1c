"""Lid margins whose usual curve is the mask's own.

How high a lid stands in its middle is a sign (MRD1, MRD2) and stays. How the margin curves from
there to both ends is mostly the shape of the patient's eyes: alone it told photographs of people
apart better than any other group of numbers (AUC .75, the heights .68). So what is usual of the
curve within healthy variation is taken off, and the mask's own curve is drawn; what exceeds it (a
notch, a lid that hangs at one end), and whatever the curve does in a blink or a squeeze, stays.
"""

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.compiled import compiled

Floats = NDArray[np.float64]

_TIME_CONSTANT_S = 20.0
# From the middle of the margin to a third of the fissure on either side: so far from the mask's own
# is the shape of an eye; beyond, by _SOFT_MM more, all of it is drawn.
_SHAPE_MM, _SOFT_MM = 1.2, 0.8
_OPEN_MM = 3.0  # the curve of an eye that closes says nothing of its shape


class LidContour:
    """Of one eye. own_mm: (2, 3), margins of the head at rest, the upper lid's first."""

    def __init__(self, own_mm: Floats) -> None:
        self._own_mm = _curve(own_mm)
        self._own_opening_mm = float(own_mm[0, 1] - own_mm[1, 1])
        self._usual = SlowMean(_TIME_CONSTANT_S)

    def reset(self) -> None:
        """Forget the patient."""
        self._usual.reset()

    def __call__(self, margins_mm: Floats, at_s: float) -> Floats:
        """Margins (2, 3) as they are to be drawn."""
        opening_mm = float(margins_mm[0, 1] - margins_mm[1, 1])
        share = min(max(opening_mm / self._own_opening_mm, 0.0), 1.0)
        if opening_mm > _OPEN_MM:
            self._usual((_curve(margins_mm) - share * self._own_mm) / share, at_s)
        usual = self._usual.value
        if usual is None:
            return margins_mm
        return _drawn(margins_mm, usual, share)


def _curve(margins_mm: Floats) -> Floats:
    """(2, 2): how much higher than its middle a margin stands to both sides."""
    return np.asarray(margins_mm[:, ::2] - margins_mm[:, 1:2])


@compiled("f8[:,::1](f8[:,::1], f8[:,::1], f8)")
def _drawn(margins_mm: Floats, usual_mm: Floats, share: float) -> Floats:
    """Margins without that share of what is usual of their curve and the shape of an eye."""
    drawn = margins_mm.copy()
    for lid in range(2):
        for side in range(2):
            usual = usual_mm[lid, side]
            shape = min(max((_SHAPE_MM + _SOFT_MM - abs(usual)) / _SOFT_MM, 0.0), 1.0) * usual
            drawn[lid, 2 * side] -= share * shape
    for place in range(3):
        drawn[0, place] = max(drawn[0, place], min(drawn[1, place], margins_mm[0, place]))
    return drawn
