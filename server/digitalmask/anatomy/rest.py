"""What differs between the sides of the patient's face at rest.

The corners of the eyes say what is level: a palsy hardly moves them, and a head that droops on one
side would otherwise look tilted. Read off the patient's own neutral, so that an expression counts
for nothing here, and what is read here for nothing in the expression.
"""

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.landmark_model import LandmarkModel
from digitalmask.mask_state import RestAsymmetry

Floats = NDArray[np.float64]

# The patient's right and left: what is level, the corners of the eyes; then brow, corner of the
# mouth, and the cheek beside the nasolabial fold.
_PLACES = (
    ((33, 133), (263, 362)),
    ((105, 66, 63, 52, 65, 53), (334, 296, 293, 282, 295, 283)),
    ((61,), (291,)),
    ((205, 206, 203, 216), (425, 426, 423, 436)),
)
# The network draws a one-sided face part of the way back to an even one: how much of a droop of 4
# to 5 mm is left, measured on simulated palsies (models/fit_landmarks.py's people have none).
_SHOWN = np.array([0.60, 0.80, 0.42])
# An even face in light from one side reads up to so much; less is drawn as nothing, and what is
# more by _SOFT_MM as it is.
_DEAD_MM = np.array([1.4, 0.8, 0.8])
_SOFT_MM = 0.4


class RestReading:
    """Reads the asymmetry; what the average head and the network have of their own is taken off."""

    def __init__(self, model: LandmarkModel) -> None:
        self._usual_mm = _higher_left(model.mean_mm)

    def __call__(self, neutral_mm: Floats, scale: float) -> RestAsymmetry:
        """neutral_mm: (468, 3) of the patient, model millimetres. scale: of these to a real one."""
        shown = (_higher_left(neutral_mm) - self._usual_mm) / scale / _SHOWN
        share = (np.abs(shown) - _DEAD_MM) / _SOFT_MM
        drawn = shown * share.clip(0.0, 1.0) + 0.0  # no negative zero
        return RestAsymmetry(*drawn.tolist())


def _across() -> tuple[NDArray[np.int64], Floats]:
    """The points of `_PLACES` (p,), and (4, p) from them to the mean of each left less right."""
    points = [point for pair in _PLACES for side in pair for point in side]
    shares = np.zeros((len(_PLACES), len(points)))
    first = 0
    for place, pair in enumerate(_PLACES):
        for side, sign in zip(pair, (-1.0, 1.0), strict=True):
            shares[place, first : first + len(side)] = sign / len(side)
            first += len(side)
    return np.array(points), shares


_POINTS, _SHARES = _across()


def _higher_left(points_mm: Floats) -> Floats:
    """(3,) how much higher the left of each pair of places stands, measured along the eyes."""
    across = _SHARES @ points_mm[_POINTS]
    tilt = across[0, 1] / across[0, 0]
    return np.asarray(across[1:, 1] - tilt * across[1:, 0])
