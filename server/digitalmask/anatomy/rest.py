"""What differs between the sides of the patient's face at rest."""

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.landmark_model import LandmarkModel
from digitalmask.mask_state import RestAsymmetry

Floats = NDArray[np.float64]

# Brow, corner of the mouth, and the cheek beside the nasolabial fold: where they are on the average
# head's left side, and how wide each is read.
_PLACES_MM = np.array([[38.0, 24.0, 15.0], [23.5, -70.5, 20.5], [33.0, -50.0, 18.0]])
_WIDE_MM = np.array([12.0, 4.0, 7.0])


class RestReading:
    """Reads the asymmetry off the patient's own neutral. One thread at a time."""

    def __init__(self, model: LandmarkModel) -> None:
        self._sides = [_weights(model, side) for side in (-1.0, 1.0)]
        right, left = self._heights(model.mean_mm)
        # Neither the average head nor the network is quite even.
        self._usual = left - right

    def reset(self) -> None:
        """Nothing is remembered: the neutral is the memory."""

    def _heights(self, points_mm: Floats) -> tuple[Floats, Floats]:
        right, left = (weights @ points_mm[:, 1] for weights in self._sides)
        return right, left

    def __call__(self, neutral_mm: Floats, scale: float) -> RestAsymmetry:
        """neutral_mm: (468, 3) of the patient, model millimetres. scale: of these to a real one."""
        right, left = self._heights(neutral_mm)
        brow, mouth, fold = (left - right - self._usual) / scale
        return RestAsymmetry(float(brow), float(mouth), float(fold))


def _weights(model: LandmarkModel, side: float) -> Floats:
    """(3, 468), how much of each place a point of that side is."""
    away = np.linalg.norm(model.mean_mm - (_PLACES_MM * (side, 1, 1))[:, None], axis=2)
    near = np.exp(-((away / _WIDE_MM[:, None]) ** 2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))
