"""The eyes' network: lid margins, corners of the fissure and iris in an eye's cut.

It is our own, learned from drawings of people who do not exist (`models/fit_eyes.py`).
Both eyes' cuts (1, 2, 56, 80, 3) in, the left one mirrored, so that it looks like a right one;
for each its places over half of a fissure from the middle of the cut, and the logarithm of how far
each is usually off.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.tracking.eye_edges import HALF_FISSURE, HEIGHT, MIDDLE_X, MIDDLE_Y, WIDTH
from digitalmask.tracking.networks import FaceNetwork

Floats = NDArray[np.float64]

_PLACES = 13  # both corners, the upper and the lower margin at sixths of the fissure, the iris
_NUMBERS = 2 * _PLACES + 1  # and the iris' radius
_UPPER, _LOWER = [0, 2, 3, 4, 5, 6, 1], [0, 7, 8, 9, 10, 11, 1]
_MIDDLE = np.array([MIDDLE_X, MIDDLE_Y])


@dataclass(frozen=True, slots=True)
class SeenEye:
    """An eye in pixels of its cut.

    margins: (2, 7, 2) the upper and the lower margin from the medial to the lateral corner.
    iris: (3,) its centre's x and y, and its radius; iris_off: (3,) how far off each usually is.
    """

    margins: Floats
    iris: Floats
    iris_off: Floats


def as_shown(cut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A right eye's cut (HEIGHT, WIDTH, 4) as the network takes it; a left one's is mirrored."""
    half = cv2.resize(cut, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half[..., :3], np.uint8)


def see_eyes(
    network: FaceNetwork, right: NDArray[np.uint8], left: NDArray[np.uint8]
) -> tuple[SeenEye, SeenEye]:
    """What the network sees in the cuts (HEIGHT, WIDTH, 4) of the right and the left eye."""
    pictures = np.empty((1, 2, HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    pictures[0, 0], pictures[0, 1] = as_shown(right), as_shown(left)[:, ::-1]
    answer = network.run(pictures)[0][0].astype(np.float64)
    return _seen(answer[0], 1.0), _seen(answer[1], -1.0)


def _seen(answer: Floats, sense: float) -> SeenEye:
    places = answer[: 2 * _PLACES].reshape(-1, 2) * (sense, 1.0) * HALF_FISSURE + _MIDDLE
    return SeenEye(
        margins=places[[_UPPER, _LOWER]],
        iris=np.append(places[-1], answer[2 * _PLACES] * HALF_FISSURE),
        iris_off=np.exp(answer[_NUMBERS + 2 * _PLACES - 2 :]) * HALF_FISSURE,
    )
