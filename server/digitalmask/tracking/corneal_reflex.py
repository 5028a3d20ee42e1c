"""How the reflections on both corneas lie beside the irises: the Hirschberg test.

The front of the cornea is a small mirror. Lamps, a window, a screen show in both eyes at the same
side, and an eye that is turned carries its iris away from under them: 21 prism dioptres a
millimetre (Brodie, "Photographic calibration of the Hirschberg test", 1987). So what the
reflections say of the angle between the eyes does not depend on where in the head the eyes are,
which the face tells to 5 degrees only.

What is compared is all that is brighter than the iris and the pupil, which look alike in every
direction from their middle: one spot or a whole window, shifted until both eyes' lie on each other.
Two windows can be mistaken for each other, and a child's eyes for crossed ones.
"""

from math import isnan

import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import IRIS_SEEN, CornealReflexes, EyeOutline

Floats = NDArray[np.float64]

_SIDE = 49  # pixels of a cut; the iris' radius is half of it less a margin
_RADIUS = 22.0
_LEAST_RADIUS_PX = 4.0
_INNER = 0.86  # of the radius: farther out are limbus and lids
_RINGS, _RAYS = 18, 36
_REACH = 14  # pixels of a cut by which one pattern is shifted over the other: 42 degrees
# What is so much brighter (of 255) than is usual so far from the middle is a reflection, or a part.
_LEAST_RISE, _FULL_RISE = 8.0, 200.0
_LEAST_SUM = 560.0  # of that, over the pixels of a cut
_LEAST_LIKENESS = 0.6
# Of two windows each eye may show another one brighter. Where the fainter lights, if all from the
# second rise on are the same, lie on each other at another place by so many pixels, it is not told.
_FAINT_RISE, _SAME_RISE, _DOUBT = 5.0, 12.0, 3.3

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
        if eye.iris_radius_px < _LEAST_RADIUS_PX or eye.iris_sure < IRIS_SEEN:
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


@compiled("f8[:,::1](u1[:,:,::1])")
def _rises(cut: NDArray[np.uint8]) -> Floats:
    """(_SIDE, _SIDE) how much brighter the cornea is than usual so far from its middle; 0 beyond.

    In the darkest of the colours: irises have one, what they mirror has all.
    """
    grey = np.empty((_SIDE, _SIDE))
    for row in range(_SIDE):
        for column in range(_SIDE):
            grey[row, column] = min(cut[row, column, 0], cut[row, column, 1], cut[row, column, 2])
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
    rises = np.zeros((_SIDE, _SIDE))
    for row in range(_SIDE):
        for column in range(_SIDE):
            away = np.hypot(row - _MIDDLE, column - _MIDDLE)
            if away < _RING_AT[-1]:
                place = away / _RING_AT[1]
                number = min(int(place), _RINGS - 2)
                usual = rings[number] + (place - number) * (rings[number + 1] - rings[number])
                rises[row, column] = grey[row, column] - usual
    return rises


@compiled("f8(f8, f8, f8)")
def _top(before: float, middle: float, after: float) -> float:
    """Where a parabola through three values has its top, beside the middle one."""
    bend = before - 2 * middle + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


@compiled("Tuple((i8[:,::1], f8[::1]))(f8[:,::1], f8, f8)")
def _spots(rises: Floats, least: float, full: float) -> tuple[NDArray[np.int64], Floats]:
    """The places (n, 2) by row and column that are brighter than usual, few of all, and how much
    of a reflection each is: nothing up to a rise of `least`, 1 from `full` on.
    """
    places, shares = np.empty((_SIDE * _SIDE, 2), np.int64), np.empty(_SIDE * _SIDE)
    count = 0
    for row in range(_SIDE):
        for column in range(_SIDE):
            if rises[row, column] > least:
                places[count, 0], places[count, 1] = row, column
                shares[count] = min((rises[row, column] - least) / (full - least), 1.0)
                count += 1
    return places[:count], shares[:count]


@compiled("UniTuple(f8, 4)(f8[:,::1], f8[:,::1], f8, f8)")
def _laid_on_each_other(
    right: Floats, left: Floats, least: float, full: float
) -> tuple[float, float, float, float]:
    """x and y by which the left eye's reflections lie farther from its middle than the right eye's,
    and where both lie, in pixels of the cuts; nan where they are not alike.
    """
    none = (np.nan, np.nan, np.nan, np.nan)
    places, shares = _spots(right, least, full)
    other_places, other_shares = _spots(left, least, full)
    total, other_total = shares.sum(), other_shares.sum()
    if min(total, other_total) * (full - least) < _LEAST_SUM:
        return none
    likeness = np.zeros((2 * _REACH + 1, 2 * _REACH + 1))
    for spot in range(len(shares)):
        for other in range(len(other_shares)):
            row = other_places[other, 0] - places[spot, 0] + _REACH
            column = other_places[other, 1] - places[spot, 1] + _REACH
            if 0 <= row <= 2 * _REACH and 0 <= column <= 2 * _REACH:
                likeness[row, column] += shares[spot] * other_shares[other]
    likeness /= np.sqrt((shares**2).sum() * (other_shares**2).sum())
    best = likeness.argmax()
    row, column = best // (2 * _REACH + 1), best % (2 * _REACH + 1)
    if likeness[row, column] < _LEAST_LIKENESS:
        return none
    if not (0 < row < 2 * _REACH and 0 < column < 2 * _REACH):
        return none
    beside, level = likeness[row, column - 1 : column + 2], likeness[row - 1 : row + 2, column]
    middle = np.zeros(2)
    for axis in range(2):
        middle[axis] = (places[:, axis] * shares).sum() / total / 2.0 - _MIDDLE
        middle[axis] += (other_places[:, axis] * other_shares).sum() / other_total / 2.0
    return (
        column - _REACH + _top(beside[0], beside[1], beside[2]),
        row - _REACH + _top(level[0], level[1], level[2]),
        middle[1],
        middle[0],
    )


@compiled("UniTuple(f8, 4)(u1[:,:,::1], u1[:,:,::1])")
def _compare(
    right: NDArray[np.uint8], left: NDArray[np.uint8]
) -> tuple[float, float, float, float]:
    """`_laid_on_each_other` of cuts; nan, too, where another light may be the brightest in one eye
    than in the other.
    """
    right_rises, left_rises = _rises(right), _rises(left)
    seen = _laid_on_each_other(right_rises, left_rises, _LEAST_RISE, _FULL_RISE)
    if np.isnan(seen[0]):
        return seen
    each = _laid_on_each_other(right_rises, left_rises, _FAINT_RISE, _SAME_RISE)
    if np.hypot(each[0] - seen[0], each[1] - seen[1]) > _DOUBT:
        return (np.nan, np.nan, np.nan, np.nan)
    return seen
