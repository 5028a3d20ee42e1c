"""How the reflections on both corneas lie beside the irises: the Hirschberg test.

The front of the cornea is a small mirror. Lamps, a window, a screen show in both eyes at the same
side, and an eye that is turned carries its iris away from under them: 21 prism dioptres a
millimetre (Brodie, "Photographic calibration of the Hirschberg test", 1987). So what the
reflections say of the angle between the eyes does not depend on where in the head the eyes are,
which the face tells to 5 degrees only.

What is compared is all that is brighter than the iris and the pupil, which look alike in every
direction from their middle: one spot or a whole window, shifted until both eyes' lie on each other.
"""

from math import isnan

import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import CornealReflexes, EyeOutline

Floats = NDArray[np.float64]

_SIDE = 49  # pixels of a cut; the iris' radius is half of it less a margin
_RADIUS = 22.0
_LEAST_RADIUS_PX = 4.0
_INNER = 0.86  # of the radius: farther out are limbus and lids
_RINGS, _RAYS = 18, 36
_REACH = 14  # pixels of a cut by which one pattern is shifted over the other: 42 degrees
_LEAST_RISE, _FULL_RISE = 14.0, 200.0  # of 255, above what is usual so far from the middle
_LEAST_SUM = 3.0  # of full pixels of a cut
_LEAST_LIKENESS = 0.6

_MIDDLE = (_SIDE - 1) / 2
_RING_AT = np.linspace(0.0, _INNER * _RADIUS, _RINGS)
_WAY = 2 * np.pi * np.arange(_RAYS) / _RAYS
_POLAR_X, _POLAR_Y = (_MIDDLE + np.outer(_RING_AT, way(_WAY)) for way in (np.cos, np.sin))


def find_reflexes(
    frame: PatientFrame, right: EyeOutline, left: EyeOutline
) -> CornealReflexes | None:
    """The reflections in a frame; None where not both eyes show the same ones."""
    cuts = []
    for eye in (right, left):
        if eye.iris_radius_px < _LEAST_RADIUS_PX or eye.iris_sure < 0.5:
            return None
        scale = eye.iris_radius_px / _RADIUS
        x, y = (eye.iris_px - 0.5 - scale * _MIDDLE).tolist()
        matrix = np.array([[scale, 0.0, x], [0.0, scale, y]])
        cuts.append(frame.cut(matrix, (_SIDE, _SIDE), black_beyond=False))
    apart_x, apart_y, middle_x, middle_y = _compare(*cuts)
    if isnan(apart_x):
        return None
    return CornealReflexes(
        apart=np.array([apart_x, apart_y]) / _RADIUS,
        middle=np.array([middle_x, middle_y]) / _RADIUS,
    )


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


@compiled("f8(f8, f8, f8)")
def _top(before: float, middle: float, after: float) -> float:
    """Where a parabola through three values has its top, beside the middle one."""
    bend = before - 2 * middle + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


@compiled("Tuple((i8[:,::1], f8[::1]))(f4[:,::1])")
def _spots(pattern: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
    """The places (n, 2) by row and column that are brighter than usual, few of all, and by how
    much.
    """
    places, rises = np.empty((_SIDE * _SIDE, 2), np.int64), np.empty(_SIDE * _SIDE)
    count = 0
    for row in range(_SIDE):
        for column in range(_SIDE):
            if pattern[row, column] > 0.0:
                places[count, 0], places[count, 1] = row, column
                rises[count] = pattern[row, column]
                count += 1
    return places[:count], rises[:count]


@compiled("UniTuple(f8, 4)(u1[:,:,::1], u1[:,:,::1])")
def _compare(
    right: NDArray[np.uint8], left: NDArray[np.uint8]
) -> tuple[float, float, float, float]:
    """x and y by which the left eye's reflections lie farther from its middle than the right eye's,
    and where both lie, in pixels of the cuts; nan where they are not alike.
    """
    none = (np.nan, np.nan, np.nan, np.nan)
    places, rises = _spots(_bright_pattern(right))
    other_places, other_rises = _spots(_bright_pattern(left))
    total, other_total = rises.sum(), other_rises.sum()
    if min(total, other_total) < _LEAST_SUM:
        return none
    likeness = np.zeros((2 * _REACH + 1, 2 * _REACH + 1))
    for spot in range(len(rises)):
        for other in range(len(other_rises)):
            row = other_places[other, 0] - places[spot, 0] + _REACH
            column = other_places[other, 1] - places[spot, 1] + _REACH
            if 0 <= row <= 2 * _REACH and 0 <= column <= 2 * _REACH:
                likeness[row, column] += rises[spot] * other_rises[other]
    likeness /= np.sqrt((rises**2).sum() * (other_rises**2).sum())
    best = likeness.argmax()
    row, column = best // (2 * _REACH + 1), best % (2 * _REACH + 1)
    if likeness[row, column] < _LEAST_LIKENESS:
        return none
    if not (0 < row < 2 * _REACH and 0 < column < 2 * _REACH):
        return none
    beside, level = likeness[row, column - 1 : column + 2], likeness[row - 1 : row + 2, column]
    middle = np.zeros(2)
    for axis in range(2):
        middle[axis] = (places[:, axis] * rises).sum() / total / 2.0 - _MIDDLE
        middle[axis] += (other_places[:, axis] * other_rises).sum() / other_total / 2.0
    return (
        column - _REACH + _top(beside[0], beside[1], beside[2]),
        row - _REACH + _top(level[0], level[1], level[2]),
        middle[1],
        middle[0],
    )
