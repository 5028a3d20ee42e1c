"""How the eyes' centres lie beside each other, as the reflections on the corneas say.

The face says it to 0.9 mm (models/fit_landmarks.py; with the corners of the eyes known exactly it
would still be 0.6), and a millimetre is 5.5 degrees of squint. The reflections say the angle
between the eyes to about 1 degree without knowing where the eyes are (`tracking.corneal_reflex`).
So what the reading of the irises is off by on average is taken away, across and up: a constant of
the patient's head, which moves no eye from one frame to the next. The same lights in both eyes are
seen in most frames that show both irises; those that pass for it now and then are not believed.
"""

from collections.abc import Sequence
from math import acos, degrees, exp, hypot, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.eyes import IRIS_DIAMETER_MM, LIMBUS_FROM_CENTRE_MM, EyeReading
from digitalmask.anatomy.pose import Pose, gaze_direction
from digitalmask.anatomy.smoothing import Belief, Correction
from digitalmask.tracking.observation import IRIS_SEEN, CornealReflexes

Floats = NDArray[np.float64]

# 21 prism dioptres a millimetre: the limbus' plane lies so far before the cornea's centre.
_IRIS_FROM_CORNEA_MM = 4.8
_CORNEA_RADIUS_MM = 7.8
# A light within so much of the camera is the screen, as near as the camera; farther out a window
# or a lamp, whose light comes to both eyes from the same side.
_SCREEN_DEG = 18.0
_LIMIT_MM = 2.5  # nearly three times what the face says wrong
_TIME_CONSTANT_S = 6.0
# What the face says of it drifts for some seconds as it is learned: what is far off goes sooner.
_HASTE, _DRIFTED_MM = 5.0, 0.4
_DOUBT_S = 0.15  # before anything is seen, so much time speaks for the face's own distance
# What is seen in fewer frames than the first share is chance, from the second on it is not.
_SEEN_TIME_CONSTANT_S, _DOUBTED, _BELIEVED = 1.0, 0.7, 0.95
# Farther apart eyes are crossed on purpose, and what their corneas' rims mirror is read wrongly.
_WIDEST = sin(radians(25.0))
_STRANGE_MM = 1.2  # one frame counts as no more than this
_FACING = 0.85  # cosine to the camera
_OPEN_MM = 3.0


class Hirschberg:
    """The correction to where the eyes' centres lie beside each other. One thread at a time."""

    def __init__(self) -> None:
        self._between = Correction(2, _LIMIT_MM, _TIME_CONSTANT_S, _DOUBT_S)
        self._belief = Belief(_SEEN_TIME_CONSTANT_S, _DOUBTED, _BELIEVED)

    def reset(self) -> None:
        """Forget the patient."""
        self._between.reset()
        self._belief.reset()

    @property
    def shifts_mm(self) -> Floats:
        """(2, 3) of the right and the left eye's centre in the head frame, model millimetres."""
        half = np.append(self._between.value / 2, 0.0)
        return np.stack([-half, half])

    def __call__(
        self,
        pose: Pose,
        centres_mm: Floats,
        readings: Sequence[EyeReading],
        reflexes: CornealReflexes | None,
        sure: float,
        scale: float,
        at_s: float,
    ) -> None:
        """Take in what was read with the present shifts.

        centres_mm: (2, 3) that it was read with. sure: from 0 to 1, that both irises are where they
        were found. scale: model millimetres to a real one.
        """
        step_s = self._between.tick(at_s)
        closed = any(reading.upper_mm[1] - reading.lower_mm[1] < _OPEN_MM for reading in readings)
        if closed or sure < IRIS_SEEN or pose.rotation[2, 2] < _FACING:
            return
        step_s *= self._belief(reflexes is not None, at_s)
        if reflexes is None:
            return
        lines = -pose.apply(centres_mm)
        lines /= np.linalg.norm(lines, axis=1, keepdims=True)
        looks = np.array([pose.rotation @ gaze_direction(reading.gaze_deg) for reading in readings])
        off = looks[1] - looks[0]
        apart = _apart(reflexes, lines, looks)
        if hypot(*apart.tolist()) > _WIDEST:
            return
        off[:2] -= apart
        off[2] = 0.0
        off_mm = (off @ pose.rotation)[:2] * LIMBUS_FROM_CENTRE_MM * scale
        length_mm = hypot(*off_mm.tolist())
        off_mm *= min(1.0, _STRANGE_MM / max(length_mm, 1e-9))
        # Up and down lids cut reflections off: that is told less well, and takes its time.
        off_mm[0] *= 1.0 + _HASTE * min(length_mm / _DRIFTED_MM, 1.0)
        self._between.learn(off_mm, step_s)


def _apart(reflexes: CornealReflexes, lines: Floats, looks: Floats) -> Floats:
    """(2,) by how much more the left eye looks to the picture's right and up than the right eye,
    as components of unit vectors.

    lines, looks: (2, 3) unit vectors from the eyes to the camera, and where they are read to look,
    whose mean alone counts. Seen along its line, a reflection lies beside the cornea's centre as
    the cornea faces there: to the middle between light and camera. The iris lies beside it as the
    eye looks.
    """
    mm = IRIS_DIAMETER_MM / 2 * np.array([1.0, -1.0])
    ahead, look = _unit(lines.mean(axis=0)), looks.mean(axis=0)
    facing = _IRIS_FROM_CORNEA_MM * (look - (look @ ahead) * ahead)
    facing[:2] += reflexes.middle * mm
    facing = (facing - (facing @ ahead) * ahead) / _CORNEA_RADIUS_MM
    facing += ahead * sqrt(max(1.0 - float(facing @ facing), 0.1))
    light = 2.0 * float(facing @ ahead) * facing - ahead
    away = acos(min(max(float(light @ ahead), -1.0), 1.0))
    nearness = exp(-((degrees(away) / _SCREEN_DEG) ** 2))
    beside = np.empty((2, 2))
    for eye, line in enumerate(lines):
        near, far = _beside(_unit(light - ahead + line), line), _beside(light, line)
        beside[eye] = _CORNEA_RADIUS_MM * (nearness * near + (1.0 - nearness) * far)
    moved = beside[1] - beside[0] - reflexes.apart * mm
    between = (lines[1] - lines[0])[:2] * float(look @ ahead)
    return np.asarray(between + moved / _IRIS_FROM_CORNEA_MM)


def _beside(light: Floats, line: Floats) -> Floats:
    """(2,) how far to the picture's right and up, over the cornea's radius, a light is seen."""
    facing = _unit(light + line)
    return np.asarray((facing - (facing @ line) * line)[:2])


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))
