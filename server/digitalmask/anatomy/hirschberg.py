"""How far apart the eyes' centres are, as the reflections on the corneas say.

The face says it to 0.9 mm (models/fit_landmarks.py; with the corners of the eyes known exactly it
would still be 0.6), and a millimetre is 5.5 degrees of squint. The reflections say the angle
between the eyes to about 1 degree without knowing where the eyes are (`tracking.corneal_reflex`).
So what the reading of the irises is off by on average is taken away, slowly: a constant of the
patient's head, which moves no eye from one frame to the next.
"""

from collections.abc import Sequence
from math import degrees, exp, hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.eyes import IRIS_DIAMETER_MM, LIMBUS_FROM_CENTRE_MM, EyeReading
from digitalmask.anatomy.pose import Pose, gaze_direction
from digitalmask.anatomy.smoothing import Correction
from digitalmask.tracking.observation import CornealReflexes

Floats = NDArray[np.float64]

# 21 prism dioptres a millimetre: the limbus' plane lies so far before the cornea's centre.
_IRIS_FROM_CORNEA_MM = 4.8
_CORNEA_RADIUS_MM = 7.8
# A light within so much of the camera is the screen, as near as the camera; farther out a window
# or a lamp, whose light comes to both eyes from the same side.
_SCREEN_DEG = 18.0
_LIMIT_MM = 2.5  # nearly three times what the face says wrong
_TIME_CONSTANT_S = 5.0
_DOUBT_S = 0.15  # before anything is seen, so much time speaks for the face's own distance
_STRANGE_MM = 1.2  # one frame counts as no more than this
_FACING = 0.85  # cosine to the camera
_OPEN_MM = 3.0


class Hirschberg:
    """The correction to the distance between both eyes' centres. One thread at a time."""

    def __init__(self) -> None:
        self._apart = Correction(1, _LIMIT_MM, _TIME_CONSTANT_S, _DOUBT_S)

    def reset(self) -> None:
        """Forget the patient."""
        self._apart.reset()

    @property
    def shifts_mm(self) -> Floats:
        """(2, 3) of the right and the left eye's centre in the head frame, model millimetres."""
        half = float(self._apart.value[0]) / 2
        return np.array([[-half, 0.0, 0.0], [half, 0.0, 0.0]])

    def __call__(
        self,
        pose: Pose,
        centres_mm: Floats,
        readings: Sequence[EyeReading],
        reflexes: CornealReflexes | None,
        scale: float,
        at_s: float,
    ) -> None:
        """Take in what was read with the present shifts.

        centres_mm: (2, 3) that it was read with. scale: model millimetres to a real one.
        """
        step_s = self._apart.tick(at_s)
        closed = any(reading.upper_mm[1] - reading.lower_mm[1] < _OPEN_MM for reading in readings)
        if reflexes is None or closed or pose.rotation[2, 2] < _FACING:
            return
        lines = -pose.apply(centres_mm)
        lines /= np.linalg.norm(lines, axis=1, keepdims=True)
        right, left = (pose.rotation @ gaze_direction(reading.gaze_deg) for reading in readings)
        across = left[0] - right[0]
        off = (across - _across(reflexes, lines)) / pose.rotation[0, 0]
        off *= LIMBUS_FROM_CENTRE_MM * scale
        self._apart.learn(np.array([min(max(off, -_STRANGE_MM), _STRANGE_MM)]), step_s)


def _across(reflexes: CornealReflexes, lines: Floats) -> float:
    """By how much more the left eye looks to the picture's right than the right eye, as components
    of unit vectors. lines: (2, 3) unit vectors from the eyes to the camera.
    """
    mm = IRIS_DIAMETER_MM / 2
    between = float(lines[1, 0] - lines[0, 0])
    # The cornea faces the middle between light and camera where it reflects.
    aside = hypot(*reflexes.middle.tolist()) * mm / _CORNEA_RADIUS_MM
    nearness = exp(-((degrees(2.0 * aside) / _SCREEN_DEG) ** 2))
    mirror = -between / (2.0 * sqrt(1.0 - aside**2)) * (1.0 - nearness)
    moved = _CORNEA_RADIUS_MM * mirror - reflexes.apart[0] * mm
    return float(between + moved / _IRIS_FROM_CORNEA_MM)
