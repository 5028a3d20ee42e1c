"""Looking at the camera tells where both eyes' centres are, and erases no sign."""

import numpy as np
import pytest

from digitalmask.anatomy.eyes import EyeReading
from digitalmask.anatomy.fixation import Fixation
from digitalmask.anatomy.pose import Pose, turn

STRAIGHT = Pose(np.eye(3), np.array([0.0, 0.0, -600.0]))
MM_A_DEGREE = 10.5 * np.radians(1.0)


def looks(yaw_deg: float, pitch_deg: float, open_mm: float = 9.0) -> EyeReading:
    upper = np.full(3, open_mm / 2)
    return EyeReading(np.array([yaw_deg, pitch_deg]), upper, -upper)


def watch(
    fixation: Fixation,
    seconds: float,
    right: tuple[float, float],
    left: tuple[float, float],
    pose: Pose = STRAIGHT,
    start_s: float = 0.0,
) -> np.ndarray:
    """Both eyes read with these errors of the centres (degrees); the shift takes part of it away.

    Returns how the shift went, degrees of gaze.
    """
    shifts = []
    for frame in range(round(30 * seconds)):
        taken = fixation.shift_mm[:2] / MM_A_DEGREE
        readings = [looks(*(np.array(eye) - taken)) for eye in (right, left)]
        fixation(pose, readings, 1.0, start_s + frame / 30)
        shifts.append(fixation.shift_mm[:2] / MM_A_DEGREE)
    return np.array(shifts)


def test_what_both_eyes_are_off_by_together_is_taken_away_within_three_seconds() -> None:
    shifts = watch(Fixation(), 3.0, (3.0, -3.0), (3.0, -3.0))
    np.testing.assert_allclose(shifts[-1], [3.0, -3.0], atol=0.7)


def test_it_goes_slowly_and_without_a_step() -> None:
    shifts = watch(Fixation(), 5.0, (3.0, 3.0), (3.0, 3.0))
    assert np.abs(np.diff(shifts[3:], axis=0)).max() < 0.3


def test_a_squint_is_left_as_it_is() -> None:
    fixation = Fixation()
    shifts = watch(fixation, 10.0, (11.3, 0.0), (0.0, 0.0))
    assert np.abs(shifts).max() < 0.3


def test_a_nystagmus_is_left_as_it_is() -> None:
    fixation = Fixation()
    for frame in range(300):
        swing = (5 * np.sin(2 * np.pi * 3 * frame / 30), 0.0)
        shift = watch(fixation, 1 / 30, swing, swing, start_s=frame / 30)
    assert np.abs(shift).max() < 0.5


def test_a_look_held_far_aside_is_none_at_the_camera() -> None:
    shifts = watch(Fixation(), 20.0, (15.0, 0.0), (15.0, 0.0))
    assert np.abs(shifts).max() < 0.1


def test_no_more_than_two_millimetres_are_ever_taken_away() -> None:
    fixation = Fixation()
    for frame in range(900):  # whatever is taken away, there are seven degrees more
        reading = looks(7.0, 0.0)
        fixation(STRAIGHT, [reading, reading], 1.0, frame / 30)
    assert 0 < fixation.shift_mm[0] < 2.0


def test_closed_eyes_and_a_head_turned_away_tell_nothing() -> None:
    fixation = Fixation()
    for frame in range(60):
        fixation(STRAIGHT, [looks(9, 9, 0.5), looks(9, 9, 0.5)], 1.0, frame / 30)
    aside = Pose(turn(np.array([0.0, np.radians(40), 0.0])), STRAIGHT.translation_mm)
    for frame in range(60):
        fixation(aside, [looks(9, 9), looks(9, 9)], 1.0, 2 + frame / 30)
    assert fixation.shift_mm == pytest.approx([0.0, 0.0, 0.0])


def test_a_turned_head_that_fixes_the_camera_needs_no_shift() -> None:
    aslant = Pose(turn(np.array([0.0, np.radians(20), 0.0])), STRAIGHT.translation_mm)
    shifts = watch(Fixation(), 5.0, (-20.0, 0.0), (-20.0, 0.0), aslant)
    assert np.abs(shifts).max() < 0.3


def test_reset_forgets() -> None:
    fixation = Fixation()
    watch(fixation, 3.0, (3.0, 0.0), (3.0, 0.0))
    fixation.reset()
    assert fixation.shift_mm == pytest.approx([0.0, 0.0, 0.0])
