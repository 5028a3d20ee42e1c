"""The reflections on the corneas tell a squint from eyes that stand closer together."""

import numpy as np
import pytest

from digitalmask.anatomy.eyes import EyeReading
from digitalmask.anatomy.hirschberg import Hirschberg
from digitalmask.anatomy.pose import Pose, gaze_direction, turn
from digitalmask.tracking.observation import CornealReflexes

POSE = Pose(np.eye(3), np.array([0.0, 0.0, -600.0]))
CENTRES = np.array([[-31.5, 0.0, 1.5], [31.5, 0.0, 1.5]])
MM_A_DEGREE = 10.5 * np.radians(1.0)
WINDOW, LAMP = (-0.55, 0.45, 0.7), (0.22, 0.62, 0.75)


def looks(yaw_deg: float, pitch_deg: float = 0.0, open_mm: float = 9.0) -> EyeReading:
    upper = np.full(3, open_mm / 2)
    return EyeReading(np.array([yaw_deg, pitch_deg]), upper, -upper)


def reflexes(
    right_deg: float,
    left_deg: float,
    pose: Pose = POSE,
    light: tuple[float, float, float] = WINDOW,
    right_up_deg: float = 0.0,
) -> CornealReflexes:
    """Of a far light, by mirroring it in two spheres of 7.8 mm."""
    light_way = np.array(light) / np.linalg.norm(light)
    seen = []
    for centre, look in zip(CENTRES, ((right_deg, right_up_deg), (left_deg, 0.0)), strict=True):
        gaze = pose.rotation @ gaze_direction(np.array(look))
        place = pose.apply(centre[None])[0]
        line = -place / np.linalg.norm(place)
        facing = (light_way + line) / np.linalg.norm(light_way + line)
        beside = 7.8 * facing - 4.8 * gaze
        across = beside - (beside @ line) * line
        seen.append(across[:2] * [1.0, -1.0] / 5.85)
    return CornealReflexes(apart=seen[1] - seen[0], middle=(seen[0] + seen[1]) / 2)


def watch(
    read_deg: tuple[float, float],
    seen: CornealReflexes | None,
    seconds: float = 3.0,
    open_mm: float = 9.0,
    pose: Pose = POSE,
) -> tuple[float, float]:
    """The eyes read so at first; returns how they are read after a while."""
    hirschberg = Hirschberg()
    read = read_deg
    for frame in range(round(30 * seconds)):
        shifts = hirschberg.shifts_mm[:, 0] / MM_A_DEGREE
        read = (read_deg[0] - shifts[0], read_deg[1] - shifts[1])
        readings = [looks(yaw, open_mm=open_mm) for yaw in read]
        hirschberg(pose, CENTRES, readings, seen, 1.0, 1.0, frame / 30)
    return read  # fmt: skip


def test_a_squint_that_is_none_goes() -> None:
    right, left = watch((3.0, -3.0), reflexes(0.0, 0.0))
    assert right == pytest.approx(0.0, abs=0.2)
    assert left == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("light", [WINDOW, LAMP])
@pytest.mark.parametrize("squint_deg", [-17.0, -6.0, 11.3])
def test_a_squint_that_is_one_stays(squint_deg: float, light: tuple[float, float, float]) -> None:
    right, left = watch((squint_deg, 0.0), reflexes(squint_deg, 0.0, light=light))
    assert right - left == pytest.approx(squint_deg, abs=0.5)


def test_an_eye_that_stands_higher_is_seen_to_and_one_that_does_not_is_not() -> None:
    for truth_deg, read_deg in ((6.0, 0.0), (0.0, 5.0)):
        hirschberg, seen = Hirschberg(), reflexes(0.0, 0.0, light=LAMP, right_up_deg=truth_deg)
        for frame in range(120):
            right_mm, left_mm = hirschberg.shifts_mm[:, 1]
            right = looks(0.0, read_deg - right_mm / MM_A_DEGREE)
            left = looks(0.0, -left_mm / MM_A_DEGREE)
            hirschberg(POSE, CENTRES, [right, left], seen, 1.0, 1.0, frame / 30)
        up_deg = right.gaze_deg[1] - left.gaze_deg[1]
        assert up_deg == pytest.approx(truth_deg, abs=0.6)


def test_a_squint_that_was_read_too_small_is_read_whole() -> None:
    right, left = watch((7.3, 0.0), reflexes(11.3, 0.0))
    assert right - left == pytest.approx(11.3, abs=0.7)


def test_a_head_that_is_turned_a_little_changes_nothing() -> None:
    pose = Pose(turn(np.array([0.0, np.radians(15.0), 0.0])), POSE.translation_mm)
    right, left = watch((-15.0, -15.0), reflexes(-15.0, -15.0, pose), pose=pose)
    assert left - right == pytest.approx(0.0, abs=0.4)


def test_the_screen_before_a_patient_is_near() -> None:
    # A mirror that faces the camera reflects it at the middle of eyes that converge on it.
    converge = float(np.degrees(np.arctan(31.5 / 598.5)))
    near = CornealReflexes(apart=np.zeros(2), middle=np.array([0.02, 0.05]))
    right, left = watch((converge, -converge), near)
    assert right - left == pytest.approx(2 * converge, abs=0.5)


def test_without_reflections_or_with_a_lid_down_nothing_is_told() -> None:
    assert watch((3.0, -3.0), None) == (3.0, -3.0)
    assert watch((3.0, -3.0), reflexes(0.0, 0.0), open_mm=2.0) == (3.0, -3.0)


def test_eyes_that_are_crossed_on_purpose_teach_nothing() -> None:
    assert watch((20.0, -10.0), reflexes(20.0, -16.0)) == (20.0, -10.0)
    right, left = watch((14.0, -4.0), reflexes(14.0, -10.0))
    assert right - left == pytest.approx(24.0, abs=1.0)


def test_what_is_seen_now_and_then_is_not_believed() -> None:
    for every, told in ((3, False), (1, True)):
        hirschberg, readings = Hirschberg(), [looks(3.0), looks(-3.0)]
        for frame in range(300):
            seen = None if frame % every else reflexes(0.0, 0.0)
            hirschberg(POSE, CENTRES, readings, seen, 1.0, 1.0, frame / 30)
        assert hirschberg.shifts_mm.any() == told


def test_where_the_irises_are_hardly_seen_reflections_are_not_missed() -> None:
    hirschberg, readings = Hirschberg(), [looks(3.0), looks(-3.0)]
    for frame in range(300):
        hidden = frame % 4
        seen = None if hidden else reflexes(0.0, 0.0)
        hirschberg(POSE, CENTRES, readings, seen, 0.0 if hidden else 1.0, 1.0, frame / 30)
    assert hirschberg.shifts_mm.any()


def test_reset_forgets() -> None:
    hirschberg = Hirschberg()
    for frame in range(60):
        readings = [looks(3.0), looks(-3.0)]
        hirschberg(POSE, CENTRES, readings, reflexes(0.0, 0.0), 1.0, 1.0, frame / 30)
    assert hirschberg.shifts_mm.any()
    hirschberg.reset()
    assert not hirschberg.shifts_mm.any()
