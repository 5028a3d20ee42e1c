"""Reads gaze, lids and the head's turn off the mask as it is drawn.

Only the renderer's identity pass is looked at: what each pixel shows, and which place of the head
that is. How the eye is built is known (where its centre is), what it was told to do is not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.rendering.identity import IRIS, PUPIL, SCLERA, SKIN, Identity, MaskCamera

Floats = NDArray[np.float64]

# Of the drawn eye: the iris' plane before its centre of rotation, and the iris' radius.
IRIS_DEPTH_MM, IRIS_RADIUS_MM = 10.48, 5.85
_ROUNDS = 6
_FEWEST_BORDERS = 14
_LEAST_ARC_DEG = 100.0  # of the limbus or the pupil's edge, for its middle to be known
_COLUMN_MM = 2.5  # how far to either side of the pupil's column a lid's edge is looked at
_FEWEST_EDGES = 3
_POSE_EVERY_PX = 16
_JAW_MM = -45.0  # what lies below may bend with the neck


@dataclass(frozen=True, slots=True)
class DrawnEye:
    """One eye: gaze (yaw, pitch) in degrees, lids in mm above the pupil's centre in its column.

    Lids are nan where they are closed; opening_mm is 0 there. A gaze that too little of the iris
    shows is the last one that was seen; nan before.
    """

    gaze_deg: tuple[float, float]
    upper_mm: float
    lower_mm: float
    opening_mm: float


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A drawn mask; rotation (3, 3) in the view frame."""

    rotation: Floats
    right: DrawnEye
    left: DrawnEye


class DrawnReader:
    """Reads one picture after another; remembers the last gaze of each eye.

    eye_centres_mm: (2, 3), about which the drawn eyes turn, the patient's right one first.
    """

    def __init__(self, eye_centres_mm: NDArray[np.floating]) -> None:
        self._centres = np.asarray(eye_centres_mm, np.float64)
        self._gaze: list[Floats | None] = [None, None]

    def read(self, identity: Identity, camera: MaskCamera) -> DrawnFace:
        """All of one picture. camera: its focal length and distance; its place is not used."""
        rotation = head_rotation(identity, camera)
        right, left = (self._eye(identity, camera, side, rotation) for side in range(2))
        return DrawnFace(rotation, right, left)

    def _eye(self, identity: Identity, camera: MaskCamera, side: int, rotation: Floats) -> DrawnEye:
        part, place = identity.part, identity.place_mm
        sclera, iris, pupil = SCLERA[side], IRIS[side], PUPIL[side]
        shown = (part >= sclera) & (part <= pupil)
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if not rows.size:
            return _closed(self._gaze[side])
        window = np.s_[max(rows[0] - 2, 0) : rows[-1] + 3, max(columns[0] - 2, 0) : columns[-1] + 3]
        part, place = part[window], np.asarray(place[window], np.float64) - self._centres[side]
        borders = (_border(part, place, iris, sclera), _border(part, place, pupil, iris))
        gaze = find_axis(borders)
        if gaze is not None:
            self._gaze[side] = gaze
        gaze = self._gaze[side]
        if gaze is None:
            return _closed(None)
        inside = shown[window]
        # Half a pixel of the picture, upwards, in the head's frame.
        upwards = 0.5 * camera.distance_mm / camera.focal_px * rotation[1]
        centre = IRIS_DEPTH_MM * gaze
        edges = []
        for up in (1.0, -1.0):
            skin, eye = (np.s_[:-1], np.s_[1:]) if up > 0 else (np.s_[1:], np.s_[:-1])
            meets = (part[skin] == SKIN) & inside[eye]
            edges.append(_height(place[skin][meets] - up * upwards, centre[0]))
        upper, lower = edges
        if np.isnan(upper) or np.isnan(lower) or upper <= lower:
            return _closed(gaze)
        return DrawnEye(_angles(gaze), upper - centre[1], lower - centre[1], upper - lower)


def head_rotation(identity: Identity, camera: MaskCamera) -> Floats:
    """The head's turn, from pixels of the face and the places that they show."""
    few = np.s_[::_POSE_EVERY_PX, ::_POSE_EVERY_PX]
    # Nothing is higher than the jaw where nothing is seen: nan.
    rows, columns = np.nonzero(
        (identity.part[few] == SKIN) & (identity.place_mm[few][..., 1] > _JAW_MM)
    )
    rows, columns = _POSE_EVERY_PX * rows, _POSE_EVERY_PX * columns
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
    return camera.rotation_seen(pixels, identity.place_mm[rows, columns].astype(np.float64))


def find_axis(borders: tuple[Floats, Floats]) -> Floats | None:
    """The unit vector from the eye's centre through the middle of limbus and pupil.

    borders: (n, 3) places on the limbus, and on the pupil's edge, beside the eye's centre. Both
    are circles about the axis, the one of a known radius; they are fitted together in the plane
    across it. None where too little of them is seen.
    """
    counts = [len(border) for border in borders]
    if sum(counts) < _FEWEST_BORDERS:
        return None
    places = np.concatenate(borders)
    axis = places.mean(axis=0)
    axis /= np.linalg.norm(axis)
    on_pupil = np.repeat([0.0, 1.0], counts)
    pupil_mm = 2.0
    for _ in range(_ROUNDS):
        side = np.cross((0.0, 1.0, 0.0), axis)
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(axis, side)])
        across = places @ frame.T
        away = np.linalg.norm(across, axis=1)
        radius = np.where(on_pupil > 0, pupil_mm, IRIS_RADIUS_MM)
        system = np.column_stack([across / np.maximum(away, 1e-6)[:, None], on_pupil])
        step = np.linalg.lstsq(system, away - radius)[0]
        pupil_mm += float(step[2])
        axis = IRIS_DEPTH_MM * axis + step[:2] @ frame
        axis /= np.linalg.norm(axis)
    # How much of the way round is seen, in steps of 10 degrees.
    angles = np.degrees(np.arctan2(*across.T))
    for border in np.split(angles, [counts[0]]):
        if 10 * len(np.unique(border // 10)) >= _LEAST_ARC_DEG:
            return np.asarray(axis)
    return None


def _border(part: NDArray[np.uint8], place: Floats, inner: int, outer: int) -> Floats:
    """(n, 3) places between neighbouring pixels of which one shows `inner`, one `outer`."""
    found = []
    for here, there in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        a, b = part[here], part[there]
        meets = ((a == inner) & (b == outer)) | ((a == outer) & (b == inner))
        found.append((place[here][meets] + place[there][meets]) / 2)
    return np.concatenate(found)


def _height(edge: Floats, x_mm: float) -> float:
    """The height of a lid's edge in a column, from the places on it around; nan without any."""
    near = edge[np.abs(edge[:, 0] - x_mm) < _COLUMN_MM]
    x, y = near[:, 0] - x_mm, near[:, 1]
    if len(x) < _FEWEST_EDGES or np.abs(x).min() > 0.8:
        return float("nan")
    degree = 2 if len(x) > 6 and x.min() < -0.5 and x.max() > 0.5 else 0
    if degree == 0:
        return float(y[np.abs(x).argmin()])
    return float(np.polynomial.polynomial.polyfit(x, y, degree)[0])


def _angles(axis: Floats) -> tuple[float, float]:
    yaw, pitch = np.arctan2(axis[0], axis[2]), np.arcsin(np.clip(axis[1], -1, 1))
    return float(np.degrees(yaw)), float(np.degrees(pitch))


def _closed(gaze: Floats | None) -> DrawnEye:
    nothing = float("nan")
    angles = _angles(gaze) if gaze is not None else (nothing, nothing)
    return DrawnEye(angles, nothing, nothing, 0.0)
