"""The habit of looking at the camera, which tells where the eyes' centres are.

One millimetre of error in the centre of an eye is 5.5 degrees of gaze, and no point of the face
says where it is to better than half of that. But whoever talks to somebody looks, most of the time,
at the camera or the screen under it. So both centres are shifted alike, slowly and within bounds,
towards where that would be so. Alike, and judged by the eye that looks nearer to the camera: a
squint stays what it is, and so does an eye that moves too little. The shift is fixed in the head
and the pose is not touched: a head that is held aslant stays aslant. What is
looked at elsewhere counts for less the farther it is, so a gaze held to the side stays there.
A nystagmus averages out, and stays.
"""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.eyes import LIMBUS_FROM_CENTRE_MM, EyeReading
from digitalmask.anatomy.pose import Pose, gaze_direction
from digitalmask.anatomy.smoothing import Correction

Floats = NDArray[np.float64]

# How far the centres may be moved: three times the standard deviation of their error, measured by
# models/fit_landmarks.py.
_LIMIT_MM = 1.8
_TIME_CONSTANT_S = 10.0
_DOUBT_S = 0.3  # before anything is seen, so much time speaks for no shift
_GLANCE_MM = (
    1.9  # a look so far away (10 degrees) is none at the camera, one half as far half of one
)
_FACING = 0.9  # cosine to the camera: with the head turned away, the eyes may look elsewhere
_OPEN_MM = 3.0


class Fixation:
    """The shift of both eyes' centres. One thread at a time."""

    def __init__(self) -> None:
        self._shift = Correction(2, _LIMIT_MM, _TIME_CONSTANT_S, _DOUBT_S)

    def reset(self) -> None:
        """Forget the patient."""
        self._shift.reset()

    @property
    def shift_mm(self) -> Floats:
        """(3,) in the head frame, model millimetres."""
        return np.append(self._shift.value, 0.0)

    def __call__(
        self, pose: Pose, readings: Sequence[EyeReading], scale: float, at_s: float
    ) -> None:
        """Take in what was read with the present shift. scale: model millimetres to a real one."""
        step_s = self._shift.tick(at_s)
        ahead = pose.toward_camera()
        if ahead[2] < _FACING:
            return
        beside = [
            (gaze_direction(reading.gaze_deg) - ahead)[:2] * LIMBUS_FROM_CENTRE_MM * scale
            for reading in readings
            if reading.upper_mm[1] - reading.lower_mm[1] > _OPEN_MM
        ]
        if not beside:
            return
        nearest = min(beside, key=lambda offset: hypot(*offset.tolist()))
        off = nearest - self._shift.excess
        step_s *= max(0.0, 1.0 - (hypot(*off.tolist()) / _GLANCE_MM) ** 2) ** 2
        self._shift.learn(off, step_s)
