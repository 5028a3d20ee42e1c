"""What the pose says wrong for the eyes is seen by their corners."""

import numpy as np

from digitalmask.anatomy.eye_corners import EyeCorners
from digitalmask.anatomy.pose import Pinhole, Pose, turn
from digitalmask.assets.landmark_model import load_landmark_model
from tests.anatomy.synthetic import eyes_of

PINHOLE = Pinhole.of_frame(640, 480)
SHAPE = load_landmark_model().mean_mm
STILL = Pose(turn(np.radians([4.0, -12.0, 8.0])), np.array([10.0, 4.0, -600.0]))


def moved(pose: Pose, x_mm: float, y_mm: float) -> Pose:
    """The pose with its head so far to its left and up along its own axes."""
    return Pose(pose.rotation, pose.translation_mm + pose.rotation @ [x_mm, y_mm, 0.0])


def after_rest() -> EyeCorners:
    corners = EyeCorners()
    for number in range(300):
        shifts = corners(STILL, eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, number / 30)
        np.testing.assert_allclose(shifts, 0.0, atol=1e-9)
    return corners


def test_half_of_what_the_pose_alone_says_is_taken_back() -> None:
    wrong, seen = moved(STILL, 0.4, 2.0), eyes_of(SHAPE, PINHOLE, STILL)
    shifts = after_rest()(wrong, seen, PINHOLE, SHAPE, 10.0)
    np.testing.assert_allclose(shifts, [[-0.2, -1.0, 0.0]] * 2, atol=0.05)


def test_an_eye_that_is_seen_far_from_where_it_should_be_goes_there_alone() -> None:
    right, _ = eyes_of(SHAPE, PINHOLE, moved(STILL, 0.0, 3.0))
    _, left = eyes_of(SHAPE, PINHOLE, STILL)
    shifts = after_rest()(STILL, [right, left], PINHOLE, SHAPE, 10.0)
    assert 1.5 < shifts[0, 1] < 2.5
    assert abs(shifts[1, 1]) < 0.5


def test_corners_that_go_with_an_iris_take_nothing_off_a_squint() -> None:
    corners, shifts = after_rest(), []
    for number in range(60):  # a nystagmus of 4 Hz that draws the corners along
        apart = 0.1 * np.sin(2 * np.pi * 4.0 * number / 30)
        right, _ = eyes_of(SHAPE, PINHOLE, moved(STILL, apart, 0.1))
        _, left = eyes_of(SHAPE, PINHOLE, moved(STILL, -apart, -0.1))
        shifts.append(corners(STILL, [right, left], PINHOLE, SHAPE, 10.0 + number / 30))
    np.testing.assert_allclose(shifts, 0.0, atol=0.02)


def test_eyes_that_are_farther_from_each_other_than_the_pose_has_them_are_followed_slowly() -> None:
    corners = after_rest()
    right, _ = eyes_of(SHAPE, PINHOLE, moved(STILL, -0.5, 0.0))
    _, left = eyes_of(SHAPE, PINHOLE, moved(STILL, 0.5, 0.0))
    for number in range(45):
        shifts = corners(STILL, [right, left], PINHOLE, SHAPE, 10.0 + number / 30)
        if number == 0:
            assert abs(shifts[1, 0]) < 0.06
    np.testing.assert_allclose(shifts, [[-0.4, 0.0, 0.0], [0.4, 0.0, 0.0]], atol=0.1)


def test_eyes_that_are_much_farther_from_each_other_at_once_are_followed_at_once() -> None:
    right, _ = eyes_of(SHAPE, PINHOLE, moved(STILL, -2.0, 0.0))
    _, left = eyes_of(SHAPE, PINHOLE, moved(STILL, 2.0, 0.0))
    shifts = after_rest()(STILL, [right, left], PINHOLE, SHAPE, 10.0)
    assert 1.2 < shifts[1, 0] < 1.7
    np.testing.assert_allclose(shifts[0, 0], -shifts[1, 0], atol=0.05)


def test_a_head_that_moves_is_left_to_its_pose() -> None:
    real = Pose(turn(np.radians([4.0, 2.0, 8.0])), STILL.translation_mm + [30.0, -12.0, 40.0])
    shifts = after_rest()(real, eyes_of(SHAPE, PINHOLE, real), PINHOLE, SHAPE, 10.0)
    np.testing.assert_allclose(shifts, 0.0, atol=0.01)


def test_eyes_that_are_not_seen_change_nothing_of_it() -> None:
    corners, wrong = after_rest(), moved(STILL, 0.0, 2.0)
    seen = corners(wrong, eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, 10.0)
    far = eyes_of(SHAPE, PINHOLE, moved(STILL, 0.0, 20.0), sure=0.0)
    np.testing.assert_array_equal(corners(wrong, far, PINHOLE, SHAPE, 10.1), seen)


def test_reset_forgets() -> None:
    corners = after_rest()
    corners.reset()
    wrong = moved(STILL, 0.0, 2.0)
    assert not corners(wrong, eyes_of(SHAPE, PINHOLE, STILL), PINHOLE, SHAPE, 10.0).any()
