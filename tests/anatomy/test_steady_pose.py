"""The pose goes where the skin goes, and not where shaking points say."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.anatomy.eye_corners import EyeCorners
from digitalmask.anatomy.pose import Pinhole, Pose, turn
from digitalmask.anatomy.steady_pose import SteadyPose
from digitalmask.assets.landmark_model import load_landmark_model
from digitalmask.mask_state import EyeState
from digitalmask.tracking.observation import SkinFlow
from tests.anatomy.synthetic import eyes_of

Floats = NDArray[np.float64]
PINHOLE = Pinhole.of_frame(640, 480)
SHAPE = load_landmark_model().mean_mm
POINTS = np.array([168, 6, 197, 8, 9, 193, 417, 122, 351, 55, 285, 107, 336, 129, 358])
RATE = 30.0


def pose(x_mm: float = 0.0, yaw_deg: float = 0.0) -> Pose:
    return Pose(turn(np.radians([0.0, yaw_deg, 0.0])), np.array([x_mm, 4.0, -600.0]))


def seen_px(real: Pose) -> Floats:
    places = real.apply(SHAPE[POINTS])
    slopes = places[:, :2] / -places[:, 2:]
    return np.asarray(PINHOLE.centre_px + PINHOLE.focal_px * slopes * [1.0, -1.0])


def follow(real: list[Pose], said: list[Pose], skin: bool = True) -> list[Pose]:
    """What is made of a head that truly stands so when its points say it stood otherwise."""
    steady, made = SteadyPose(), []
    for number, (truth, told) in enumerate(zip(real, said, strict=True)):
        flow = None
        if skin and number:
            flow = SkinFlow(POINTS, seen_px(real[number - 1]), seen_px(truth))
        made.append(steady(told, flow, PINHOLE, SHAPE, number / RATE))
    return made


def wave(hertz: float, count: int) -> Floats:
    return np.asarray(np.sin(2 * np.pi * hertz * np.arange(count) / RATE))


def places(poses: list[Pose]) -> Floats:
    return np.array([each.translation_mm[0] for each in poses])


@pytest.mark.parametrize("hertz", [2.0, 4.0, 6.0])
def test_a_still_head_whose_points_move_with_the_irises_stays(hertz: float) -> None:
    beside = 0.1 * wave(hertz, 150)
    made = follow([pose()] * 150, [pose(float(x), 0.3 * float(x)) for x in beside])
    assert np.ptp(places(made)[60:]) < 0.15 * np.ptp(beside)
    turns = np.degrees([each.rotation[0, 2] for each in made])
    assert np.ptp(turns[60:]) < 0.15 * 0.3 * np.ptp(beside)


def test_without_a_skin_to_be_seen_it_is_led_by_the_points() -> None:
    beside = 2.0 * wave(1.0, 90)
    said = [pose(float(x)) for x in beside]
    made = follow(said, said, skin=False)
    assert np.abs(places(made) - beside).max() < 0.35


@pytest.mark.parametrize(("x_mm", "yaw_deg"), [(3.0, 0.0), (0.0, 1.5), (2.0, 5.0)])
def test_a_head_that_moves_is_followed_at_once(x_mm: float, yaw_deg: float) -> None:
    real = [pose(x_mm * float(w), yaw_deg * float(w)) for w in wave(2.0, 90)]
    made = follow(real, real)
    assert np.abs(places(made) - places(real)).max() < 0.1 + 0.1 * x_mm
    off = [
        np.degrees(np.linalg.norm(a.rotation - b.rotation) / np.sqrt(2))
        for a, b in zip(made, real, strict=True)
    ]
    assert max(off) < 0.15 + 0.1 * yaw_deg


def test_what_the_points_keep_saying_is_believed_in_the_end() -> None:
    said = [pose()] * 60 + [pose(0.2, 0.2)] * 120
    made = follow([pose()] * 180, said)
    assert made[60].translation_mm[0] < 0.05  # but not at once
    assert 0.17 < made[-1].translation_mm[0] <= 0.2
    assert 0.17 < np.degrees(made[-1].rotation[0, 2]) <= 0.2


def looking(pitch_deg: float, opening_mm: float = 9.0) -> EyeState:
    lids = (opening_mm - 5.0,) * 3
    return EyeState(gaze_pitch_deg=pitch_deg, upper_lid_mm=lids, lower_lid_mm=(-5.0,) * 3)


def carried(pitch_deg: list[float], opening_mm: list[float], mm_a_deg: float) -> Floats:
    """How much too high the eyes of a still head are taken to be whose points go so far with eyes
    that look up and down. The eyes' corners stay.
    """
    steady, corners, made = SteadyPose(), EyeCorners(), []
    eyes = eyes_of(SHAPE, PINHOLE, pose())
    for number, (pitch, opening) in enumerate(zip(pitch_deg, opening_mm, strict=True)):
        flow = SkinFlow(POINTS, seen_px(pose()), seen_px(pose())) if number else None
        told = Pose(pose().rotation, pose().translation_mm + [0.0, mm_a_deg * pitch, 0.0])
        held = steady(told, flow, PINHOLE, SHAPE, number / RATE)
        shifts = corners(held, eyes, PINHOLE, SHAPE, number / RATE)
        made.append(held.translation_mm[1] + shifts[:, 1].mean())
        steady.learn_gaze(looking(pitch, opening), looking(pitch, opening), 1.0, number / RATE)
    return np.array(made) - 4.0


def test_eyes_that_look_up_for_long_do_not_lift_the_head() -> None:
    lifted = carried([0.0] * 90 + [15.0] * 45, [9.0] * 135, 0.07)
    assert np.abs(lifted).max() < 0.4  # of 1.05
    assert abs(lifted[100:].mean()) < 0.25


def test_what_is_seen_between_closing_lids_does_not_move_the_head() -> None:
    moved = carried([0.0] * 60 + [-20.0] * 4, [9.0] * 60 + [4.0] * 4, 0.0)
    assert abs(moved[-1]) < 0.02


def test_brows_that_rise_do_not_lift_the_head() -> None:
    steady = SteadyPose()
    steady(pose(), None, PINHOLE, SHAPE, 0.0)
    before = seen_px(pose())
    risen = before.copy()
    risen[np.isin(POINTS, [55, 285, 107, 336])] += [0.0, -3.0]
    made = steady(pose(), SkinFlow(POINTS, before, risen), PINHOLE, SHAPE, 1 / RATE)
    assert abs(made.translation_mm[1] - 4.0) < 0.1


def test_reset_forgets_the_head() -> None:
    steady = SteadyPose()
    steady(pose(), None, PINHOLE, SHAPE, 0.0)
    steady.reset()
    made = steady(pose(30.0, 20.0), None, PINHOLE, SHAPE, 1 / RATE)
    np.testing.assert_allclose(made.translation_mm, pose(30.0).translation_mm)
    np.testing.assert_allclose(made.rotation, pose(0.0, 20.0).rotation)
