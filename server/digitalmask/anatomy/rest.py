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

# Brow, corner of the mouth, and the cheek beside the nasolabial fold: the patient's right, left.
_PLACES = (
    ((105, 66, 63, 52, 65, 53), (334, 296, 293, 282, 295, 283)),
    ((61,), (291,)),
    ((205, 206, 203, 216), (425, 426, 423, 436)),
)
_EYE_CORNERS = ((33, 133), (263, 362))
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
        brow, mouth, fold = shown * np.clip(share, 0.0, 1.0) + 0.0  # no negative zero
        return RestAsymmetry(float(brow), float(mouth), float(fold))


def _higher_left(points_mm: Floats) -> Floats:
    """(3,) how much higher the left of each pair of places stands, measured along the eyes."""
    right, left = (points_mm[list(corners)].mean(axis=0) for corners in _EYE_CORNERS)
    along = left - right
    tilt = along[1] / along[0]
    higher = []
    for right_points, left_points in _PLACES:
        across = points_mm[list(left_points)].mean(axis=0) - points_mm[list(right_points)].mean(
            axis=0
        )
        higher.append(across[1] - tilt * across[0])
    return np.array(higher)
