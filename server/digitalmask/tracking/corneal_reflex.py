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

_GRID = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)[::-1] - (_SIDE - 1) / 2
_FROM_MIDDLE = np.hypot(*_GRID) / _RADIUS
_INSIDE = (_FROM_MIDDLE < _INNER).astype(np.float32)
_RING_AT = np.linspace(0.0, _INNER, _RINGS)
_WAY = 2 * np.pi * np.arange(_RAYS) / _RAYS
_POLAR_X, _POLAR_Y = (
    np.asarray(_RADIUS * np.outer(_RING_AT, way) + (_SIDE - 1) / 2, np.float32)
    for way in (np.cos(_WAY), np.sin(_WAY))
)


def find_reflexes(
    rgb: NDArray[np.uint8], right: EyeOutline, left: EyeOutline
) -> CornealReflexes | None:
    """The reflections in a frame (h, w, 3); None where not both eyes show the same ones."""
    patterns = []
    for eye in (right, left):
        if eye.iris_radius_px < _LEAST_RADIUS_PX or eye.iris_sure < 0.5:
            return None
        pattern = _bright_pattern(rgb, eye)
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


def _bright_pattern(rgb: NDArray[np.uint8], eye: EyeOutline) -> NDArray[np.float32]:
    """(_SIDE, _SIDE) 0 to 1, how much brighter the cornea is than usual so far from its middle."""
    scale = eye.iris_radius_px / _RADIUS
    corner = eye.iris_px - 0.5 - scale * (_SIDE - 1) / 2
    warp = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    cut = cv2.warpAffine(
        rgb, warp, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    grey = cv2.transform(cut, np.array([[1 / 3, 1 / 3, 1 / 3]])).astype(np.float32)
    rings = np.median(cv2.remap(grey, _POLAR_X, _POLAR_Y, cv2.INTER_LINEAR), axis=1)
    usual = np.interp(_FROM_MIDDLE, _RING_AT, rings)
    rise = (grey - usual - _LEAST_RISE) / (_FULL_RISE - _LEAST_RISE)
    return np.asarray(np.clip(rise, 0.0, 1.0) * _INSIDE, np.float32)


def _top(values: Floats) -> float:
    """Where a parabola through three values has its top, beside the middle one."""
    before, middle, after = values.tolist()
    bend = before - 2 * middle + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
