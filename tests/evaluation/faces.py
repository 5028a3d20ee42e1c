"""Faces made of points, whose eyes, lids, mouth and head do what is told."""

import numpy as np
from scipy.spatial.transform import Rotation

from digitalmask.evaluation.measures import CORNERS, EYES, FaceTrack

WIDTH_PX = 40.0
OPENING = 0.3  # of an eye that is open


def face(
    *,
    left_x: float = 0.0,
    right_x: float = 0.0,
    y: float = 0.0,
    left_opening: float = OPENING,
    right_opening: float = OPENING,
    mouth: float = 0.1,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    scale: float = 1.0,
    shift_px: tuple[float, float] = (200.0, 150.0),
    shape: float = 0.0,
) -> FaceTrack:
    """Seen from straight ahead, then turned in the picture by `roll_deg` alone.

    Eyes as in `measures.read_face`. shape: how much deeper than it should be the lower lid lies.
    """
    points = np.zeros((478, 3))
    for side, x, opening, middle in (
        ("right", right_x, right_opening, -45.0),
        ("left", left_x, left_opening, 45.0),
    ):
        eye = EYES[side]
        points[list(CORNERS[side]), 0] = middle + WIDTH_PX * np.array([-0.5, 0.5])
        along = np.linspace(-0.5, 0.5, 9)[1:-1]  # lids run from the medial end
        along = along if side == "left" else -along
        for margin, height in ((eye.upper, opening / 2), (eye.lower, -opening / 2 - shape)):
            points[list(margin), 0] = middle + WIDTH_PX * along
            points[list(margin), 1] = -WIDTH_PX * height
        ring = 6.0 * np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]])
        points[[eye.iris, *eye.ring], :2] = ring + (middle + WIDTH_PX * x, -WIDTH_PX * y)
    across = float(np.linalg.norm(points[33] - points[263]))
    points[13], points[14] = (0, 60, 0), (0, 60 + mouth * across, 0)
    turned = points @ Rotation.from_euler("z", -roll_deg, degrees=True).as_matrix().T
    turned = scale * turned
    turned[:, :2] += shift_px
    angles = [yaw_deg, -pitch_deg, roll_deg]
    rotation = Rotation.from_euler("yxz", angles, degrees=True).as_matrix()
    return FaceTrack(turned, np.asarray(rotation))
