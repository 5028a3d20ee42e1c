"""What the pose says wrong for both eyes is seen by their corners."""

import numpy as np

from digitalmask.anatomy.eye_corners import EyeCorners
from digitalmask.anatomy.pose import Pinhole, Pose, turn
from digitalmask.assets.landmark_model import load_landmark_model
from tests.anatomy.synthetic import eyes_of

PINHOLE = Pinhole.of_frame(640, 480)
SHAPE = load_landmark_model().mean_mm
STILL = Pose(turn(np.radians([4.0, -12.0, 8.0])), np.array([10.0, 4.0, -600.0]))


def moved(pose: Pose, x_mm: float, y_mm: float) -> Pose:
    return Pose(pose.rotation, pose.translation_mm + [x_mm, y_mm, 0.0])


def after_rest() -> EyeCorners:
    corners = EyeCorners()
    for number in range(300):
        made = corners(STILL, eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, number / 30)
        np.testing.assert_allclose(made.translation_mm, STILL.translation_mm)
    return corners


def test_half_of_what_the_pose_alone_says_is_taken_back() -> None:
    made = after_rest()(
        moved(STILL, 0.4, 2.0), eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, 10.0
    )
    off_mm = made.translation_mm - STILL.translation_mm
    np.testing.assert_allclose(off_mm, [0.2, 1.0, 0.0], atol=0.05)
    np.testing.assert_array_equal(made.rotation, STILL.rotation)


def test_a_head_that_moves_is_left_to_its_pose() -> None:
    real = Pose(turn(np.radians([4.0, 2.0, 8.0])), STILL.translation_mm + [30.0, -12.0, 40.0])
    made = after_rest()(real, eyes_of(SHAPE, PINHOLE, real), PINHOLE, SHAPE, 10.0)
    np.testing.assert_allclose(made.translation_mm, real.translation_mm, atol=0.01)


def test_eyes_that_are_not_seen_change_nothing_of_it() -> None:
    corners = after_rest()
    seen = corners(moved(STILL, 0.0, 2.0), eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, 10.0)
    far = eyes_of(SHAPE, PINHOLE, moved(STILL, 0.0, 20.0), sure=0.0)
    unseen = corners(moved(STILL, 0.0, 2.0), far, PINHOLE, SHAPE, 10.1)
    np.testing.assert_allclose(unseen.translation_mm, seen.translation_mm)


def test_reset_forgets() -> None:
    corners = after_rest()
    corners.reset()
    wrong = moved(STILL, 0.0, 2.0)
    made = corners(wrong, eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, 10.0)
    np.testing.assert_allclose(made.translation_mm, wrong.translation_mm)
