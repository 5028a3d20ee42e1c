"""How the reflections on both corneas lie beside the irises: the Hirschberg test.

The front of the cornea is a small mirror. Lamps, a window, a screen show in both eyes at the same
side, and an eye that is turned carries its iris away from under them: 21 prism dioptres a
millimetre (Brodie, "Photographic calibration of the Hirschberg test", 1987). So what the
reflections say of the angle between the eyes does not depend on where in the head the eyes are,
which the face tells to 5 degrees only.

What is compared is all that is brighter than the iris and the pupil, which look alike in every
direction from their middle: one spot or a whole window, shifted until both eyes' lie on each other.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import CornealReflexes, EyeOutline

Floats = NDArray[np.float64]

_SIDE = 49  # pixels of a cut; the iris' radius is half of it less a margin
_RADIUS = 22.0
_LEAST_RADIUS_PX = 4.0
_INNER = 0.78  # of the radius: farther out are limbus and lids
_RINGS, _RAYS = 18, 36
_REACH = 14  # pixels of a cut by which one pattern is shifted over the other: 42 degrees
_LEAST_RISE, _FULL_RISE = 14.0, 200.0  # of 255, above what is usual so far from the middle
_LEAST_SUM = 3.0  # of full pixels of a cut
_LEAST_LIKENESS = 0.6

_MIDDLE = (_SIDE - 1) / 2
_GRID = np.mgrid[:_SIDE, :_SIDE][::-1] - _MIDDLE
_RING_AT = np.linspace(0.0, _INNER * _RADIUS, _RINGS)
_WAY = 2 * np.pi * np.arange(_RAYS) / _RAYS
_POLAR_X, _POLAR_Y = (_MIDDLE + np.outer(_RING_AT, way(_WAY)) for way in (np.cos, np.sin))


def find_reflexes(
    frame: PatientFrame, right: EyeOutline, left: EyeOutline
) -> CornealReflexes | None:
    """The reflections in a frame; None where not both eyes show the same ones."""
    patterns = []
    for eye in (right, left):
        if eye.iris_radius_px < _LEAST_RADIUS_PX or eye.iris_sure < 0.5:
            return None
        scale = eye.iris_radius_px / _RADIUS
        x, y = (eye.iris_px - 0.5 - scale * _MIDDLE).tolist()
        matrix = np.array([[scale, 0.0, x], [0.0, scale, y]])
        pattern = _bright_pattern(frame.cut(matrix, (_SIDE, _SIDE), black_beyond=False))
        if pattern.sum() < _LEAST_SUM:
            return None
        patterns.append(pattern)
    wide = np.pad(patterns[1], _REACH)
    size = float(np.linalg.norm(patterns[0]) * np.linalg.norm(patterns[1]))
    likeness = np.asarray(cv2.matchTemplate(wide, patterns[0], cv2.TM_CCORR) / size, np.float64)
    row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
    best = float(likeness[row, column])
    if best < _LEAST_LIKENESS or not (0 < row < 2 * _REACH and 0 < column < 2 * _REACH):
        return None
    apart = np.array(
        [
            column - _REACH + _top(likeness[row, column - 1 : column + 2]),
            row - _REACH + _top(likeness[row - 1 : row + 2, column]),
        ]
    )
    middles = [(_GRID * pattern).sum(axis=(1, 2)) / pattern.sum() for pattern in patterns]
    return CornealReflexes(apart=apart / _RADIUS, middle=(middles[0] + middles[1]) / 2 / _RADIUS)


@compiled("f4[:,::1](u1[:,:,::1])")
def _bright_pattern(cut: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(_SIDE, _SIDE) 0 to 1, how much brighter the cornea is than usual so far from its middle."""
    grey = np.empty((_SIDE, _SIDE))
    for row in range(_SIDE):
        for column in range(_SIDE):
            red, green, blue = cut[row, column, 0], cut[row, column, 1], cut[row, column, 2]
            grey[row, column] = (np.float64(red) + np.float64(green) + np.float64(blue)) / 3.0
    rings, ring = np.empty(_RINGS), np.empty(_RAYS)
    for number in range(_RINGS):
        for ray in range(_RAYS):
            x, y = _POLAR_X[number, ray], _POLAR_Y[number, ray]
            column, row = int(x), int(y)
            right, down = x - column, y - row
            upper = grey[row, column] * (1.0 - right) + grey[row, column + 1] * right
            lower = grey[row + 1, column] * (1.0 - right) + grey[row + 1, column + 1] * right
            ring[ray] = upper * (1.0 - down) + lower * down
        rings[number] = np.median(ring)
    pattern = np.zeros((_SIDE, _SIDE), np.float32)
    for row in range(_SIDE):
        for column in range(_SIDE):
            away = np.hypot(row - _MIDDLE, column - _MIDDLE)
            if away < _RING_AT[-1]:
                place = away / _RING_AT[1]
                number = min(int(place), _RINGS - 2)
                usual = rings[number] + (place - number) * (rings[number + 1] - rings[number])
                rise = (grey[row, column] - usual - _LEAST_RISE) / (_FULL_RISE - _LEAST_RISE)
                pattern[row, column] = min(max(rise, 0.0), 1.0)
    return pattern


def _top(values: Floats) -> float:
    """Where a parabola through three values has its top, beside the middle one."""
    before, middle, after = values.tolist()
    bend = before - 2 * middle + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
