"""What is read off a face's 478 points to compare two pictures of one movement.

Every quantity is made independent of where the head is and how large it appears: what the eye
does is read between the eye's own corners, in the eye's own axes (x along the line of its corners
towards the right of the picture, which is the patient's left; y upwards from it), in palpebral
widths. "right" and "left" are the patient's own. Indices are those of MediaPipe's face mesh.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE

Floats = NDArray[np.float64]


EYES = {"left": LEFT_EYE, "right": RIGHT_EYE}
# Each eye's corners from the left to the right of the picture.
CORNERS = {
    "left": (LEFT_EYE.medial, LEFT_EYE.lateral),
    "right": (RIGHT_EYE.lateral, RIGHT_EYE.medial),
}
# An eye's open level is this quantile of its opening over a video; below this share of it, it is
# closed.
_OPEN_QUANTILE, CLOSED_BELOW = 0.8, 0.5
# The middles of the inner lips, and the outer corners of the eyes, whose distance in space does
# not change with what the face does.
_INNER_LIPS = (13, 14)
_OUTER_CORNERS = (33, 263)


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """What the reference tracker says of one picture.

    points: (478, 3) float64; x, y in pixels (right, down), z in the same scale. rotation: (3, 3)
    float64, the head's turn away from the line of sight to it, axes as in `MaskState`.
    """

    points: Floats
    rotation: Floats


# The quantities of `read_face`, in its order.
QUANTITIES = (
    "iris_x_left", "iris_x_right", "iris_y_left", "iris_y_right", "vergence",
    "opening_left", "opening_right", "mouth", "yaw", "pitch", "roll",
)  # fmt: skip


def read_face(track: FaceTrack) -> Floats:
    """(len(QUANTITIES),) numbers of one picture.

    iris_x, iris_y: mean of the five iris points from the middle between the eye's corners, in
        palpebral widths, positive towards the patient's left and upwards.
    vergence: iris_x of the right eye minus that of the left; grows where the eyes cross.
    opening: distance of the lids, mean of the middle three of seven places, in palpebral widths.
    mouth: distance of the inner lips' middles by that of the eyes' outer corners, both in space.
    yaw, pitch, roll: degrees, positive towards the patient's left, upwards, and counter-clockwise
        in the picture; rotation = Rz(roll) Rx(-pitch) Ry(yaw).
    """
    points = track.points
    x, y, opening = {}, {}, {}
    for side, eye in EYES.items():
        wanted = (eye.iris, *eye.ring, *eye.upper[2:5], *eye.lower[2:5])
        placed = in_eye_axes(points, side, wanted)
        x[side], y[side] = placed[:5].mean(axis=0)
        opening[side] = float((placed[5:8, 1] - placed[8:, 1]).mean())
    upper, lower = points[_INNER_LIPS[0]], points[_INNER_LIPS[1]]
    across = float(np.linalg.norm(points[_OUTER_CORNERS[0]] - points[_OUTER_CORNERS[1]]))
    return np.array(
        [
            x["left"],
            x["right"],
            y["left"],
            y["right"],
            x["right"] - x["left"],
            opening["left"],
            opening["right"],
            float(np.linalg.norm(upper - lower)) / max(across, 1e-6),
            *angles_deg(track.rotation),
        ]
    )


def in_eye_axes(points: Floats, side: str, wanted: Sequence[int]) -> Floats:
    """(n, 2) places of points in an eye's own axes, from the middle of its corners, in widths.

    side: "left" or "right".
    """
    first, last = (points[corner, :2] for corner in CORNERS[side])
    along = (last - first) / max(float((last - first) @ (last - first)), 1e-12)
    up = np.array([along[1], -along[0]])  # y of the picture points down
    away = points[list(wanted), :2] - (first + last) / 2
    return np.stack([away @ along, away @ up], axis=1)


def open_level(opening: Floats) -> float:
    """How far an eye is open in a video, of (n,) of its openings; nan where none is known."""
    known = opening[np.isfinite(opening)]
    return float(np.quantile(known, _OPEN_QUANTILE)) if len(known) else float("nan")


def open_frames(opening: Floats) -> NDArray[np.bool_]:
    """(n,) in which frames an eye is open; behind a closed lid the iris' place is made up."""
    return np.asarray(opening > CLOSED_BELOW * open_level(opening))


def eye_error_pct(track: FaceTrack, other: FaceTrack) -> float:
    """How far lids and irises of `other` are from those of `track`, % of the palpebral width.

    Mean distance of each eye's 14 lid points and 5 iris points after the similarity that lays the
    eye's corners onto the other's; mean of both eyes. The shape of the fissure is part of it, and
    the mask's is not the patient's: it does not become 0 where all that moves is right.
    """
    distances = []
    for side, eye in EYES.items():
        wanted = (*eye.upper, *eye.lower, eye.iris, *eye.ring)
        away = in_eye_axes(track.points, side, wanted) - in_eye_axes(other.points, side, wanted)
        distances.append(np.linalg.norm(away, axis=1))
    return 100.0 * float(np.mean(distances))


def angles_deg(rotation: Floats) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a head's rotation, see `read_face`."""
    # rotation = Rz(roll) Rx(-pitch) Ry(yaw); its last row is (-cos p sin y, -sin p, cos p cos y).
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    pitch = -np.arcsin(np.clip(rotation[2, 1], -1.0, 1.0))
    roll = np.arctan2(-rotation[0, 1], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def towards_sight(matrix: Floats) -> Floats:
    """The (3, 3) rotation in the view frame from a (4, 4) pose in the camera's frame.

    The camera looks along its negative z axis; a picture of a head shows how it is turned from
    the line of sight to it, wherever in the picture it stands.
    """
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    rotation = u @ vt
    sight = matrix[:3, 3] / max(float(np.linalg.norm(matrix[:3, 3])), 1e-12)
    axis = np.cross(sight, [0.0, 0.0, -1.0])
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.asarray(rotation)
    turned = axis / length * np.arctan2(length, -sight[2])
    return np.asarray(np.asarray(cv2.Rodrigues(turned)[0], np.float64) @ rotation)
