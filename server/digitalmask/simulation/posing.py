"""What a pose makes of a person: where every vertex, lid and pupil comes to stand."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.simulation.people import SKIN, Person, turned
from digitalmask.simulation.pose import Droop, EyePose, PatientPose

Floats = NDArray[np.floating]

DISTANCE_MM = 560.0  # from the camera to the eyes
EYES_UP_MM = 26.0  # above the middle of the picture
# Real eyes: the iris lies 10.48 mm before the centre of the ball, and the cornea's apex where the
# source's oversized ball has its front.
IRIS_DEPTH_MM, PIVOT_FORWARD_MM = 10.48, 1.5
# The places that droop, on the average face's left: brow, corner of the mouth, and the cheek
# beside the nasolabial fold; how wide each is measured, and how far around it the skin follows.
_PLACES_MM = np.array([[38.0, 24.0, 15.0], [23.5, -70.5, 20.5], [33.0, -50.0, 18.0]])
_MEASURED_MM = (12.0, 4.0, 7.0)
_FOLLOWS_MM = (24.0, 15.0, 17.0)


def head_rotation(pose: PatientPose) -> Floats:
    """(3, 3), turns head-frame vectors into the camera's frame (x right, y up, z to the viewer)."""
    angles = [pose.roll_deg, pose.yaw_deg, -pose.pitch_deg]
    return np.asarray(Rotation.from_euler("ZYX", angles, degrees=True).as_matrix())


def head_place_mm(pose: PatientPose) -> Floats:
    """The head's origin in the camera's frame."""
    return np.array(pose.offset_mm) + (0, EYES_UP_MM, -DISTANCE_MM)


def gaze_direction(eye: EyePose) -> Floats:
    """The eye's visual direction, a unit vector in the head frame."""
    yaw, pitch = np.radians([eye.gaze_yaw_deg, eye.gaze_pitch_deg])
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def pose_person(person: Person, pose: PatientPose) -> tuple[Floats, list[list[float]]]:
    """(V, 3) vertices in the head frame, and each eye's upper margin at the lid table's columns."""
    points = person.vertices_mm.copy()
    for name, amount in pose.shapes.items():
        if amount:
            points += amount * person.shapes[person.shape_names.index(name)]
    for side, droop in ((-1, pose.right_droop), (1, pose.left_droop)):
        if droop != Droop():
            points[:, 1] -= _droop_mm(person, side, droop)
    margins = []
    for eye, seen in enumerate((pose.right, pose.left)):
        centre = person.eye_centres_mm[eye]
        x, y, _ = gaze_direction(seen) * IRIS_DEPTH_MM
        upper, lower = person.lids[eye].turns(x, seen.upper_lid_mm + y, seen.lower_lid_mm + y)
        for weights, angle in zip(person.lid_weights[eye], (upper, -lower), strict=True):
            moving = weights > 0
            points[moving] = turned(points[moving], centre, angle * weights[moving])
        margins.append(person.lids[eye].upper_edge_mm(upper))
    return points, margins


def places_mm(person: Person, points: Floats) -> Floats:
    """(2, 3): how high the places of `Droop` stand, over those of the average face, which is even.

    Right, left; in the head frame.
    """
    higher = points[:, 1] - person.rest_mm[:, 1]
    return np.array([_measured(person, side) @ higher for side in (-1, 1)])


def _near(person: Person, side: int, reach_mm: tuple[float, ...]) -> Floats:
    """(3, V), 1 at each place and falling off around it."""
    away = np.linalg.norm(person.rest_mm - (_PLACES_MM * (side, 1, 1))[:, None], axis=2)
    return np.asarray(np.exp(-((away / np.array(reach_mm)[:, None]) ** 2)))


def _measured(person: Person, side: int) -> Floats:
    weights = _near(person, side, _MEASURED_MM) * (person.part == SKIN)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _droop_mm(person: Person, side: int, droop: Droop) -> Floats:
    """(V,) how far every vertex comes down, so that each place does by as much as is asked."""
    # The lids are set by themselves.
    lids = np.clip(person.lid_weights.max(axis=(0, 1)) * 4, 0, 1)
    fields = _near(person, side, _FOLLOWS_MM) * (1 - lids) * (person.part == SKIN)
    asked = np.array([droop.brow_mm, droop.mouth_corner_mm, droop.nasolabial_mm])
    amounts = np.linalg.solve(_measured(person, side) @ fields.T, asked)
    return np.asarray(amounts @ fields)
