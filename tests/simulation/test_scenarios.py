"""Scenarios do what their names say, and their truth is what is drawn."""

import csv
import functools
import io
from dataclasses import replace

import numpy as np
import pytest

from digitalmask.errors import ConfigurationError
from digitalmask.simulation import PatientPose
from digitalmask.simulation.people import PEOPLE, load_person
from digitalmask.simulation.posing import IRIS_DEPTH_MM, head_rotation
from digitalmask.simulation.scenarios import (
    FIGURES,
    PRELUDE_S,
    RESTING_ABOVE_CAMERA_DEG,
    SCENARIOS,
    find_scenario,
    prism_dioptres,
    resting_above,
)
from digitalmask.simulation.truth import FrameTruth, TruthTeller, write_csv

AFTER_S = PRELUDE_S + 0.5
PERSONS = functools.cache(load_person)


def truth(name: str, t_s: float, person: int = 0) -> FrameTruth:
    return TruthTeller(PERSONS(person), find_scenario(name)).at(t_s)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_can_be_played_and_says_what_it_is_for(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.name == name
    assert scenario.figures
    assert scenario.figures <= set(FIGURES)
    assert 5 < scenario.duration_s < 30
    for t_s in np.arange(0, scenario.duration_s, 0.31):
        pose = scenario.pose_at(float(t_s))
        for eye in (pose.right, pose.left):
            assert eye.upper_lid_mm >= eye.lower_lid_mm
        assert scenario.scored(float(t_s)) == (t_s >= PRELUDE_S)


@pytest.mark.parametrize("name", SCENARIOS)
def test_heads_and_lids_move_without_jumps(name: str) -> None:
    scenario = SCENARIOS[name]
    times = np.arange(0, scenario.duration_s, 1 / 60)
    poses = [scenario.pose_at(float(t_s)) for t_s in times]
    turns = np.array([(pose.yaw_deg, pose.pitch_deg, pose.roll_deg) for pose in poses])
    assert np.abs(np.diff(turns, axis=0)).max() < 5  # 300 degrees a second
    lids = np.array([(pose.right.upper_lid_mm, pose.left.upper_lid_mm) for pose in poses])
    assert np.abs(np.diff(lids, axis=0)).max() < 4


@pytest.mark.parametrize("above_deg", [0.0, -8.0, RESTING_ABOVE_CAMERA_DEG])
def test_a_patient_rests_so_far_above_the_camera_and_does_the_same(above_deg: float) -> None:
    scenario = find_scenario("quiet")
    seen = TruthTeller(PERSONS(0), resting_above(scenario, above_deg)).at(AFTER_S)
    assert seen.left == truth("quiet", AFTER_S).left
    ahead = seen.rotation @ [0.0, 0.0, 1.0]
    to_camera = -np.asarray(seen.place_mm)
    above = np.arctan2(ahead[1], ahead[2]) - np.arctan2(to_camera[1], to_camera[2])
    assert np.degrees(above) == pytest.approx(above_deg, abs=0.01)


def test_squints_have_their_prism_dioptres_and_their_side() -> None:
    esotropia = truth("esotropia_right_20pd", AFTER_S)
    inward = esotropia.right.gaze_yaw_deg - esotropia.left.gaze_yaw_deg
    assert prism_dioptres(inward) == pytest.approx(20)
    assert esotropia.left.gaze_yaw_deg == pytest.approx(0)
    exotropia = truth("exotropia_left_30pd", AFTER_S)
    outward = exotropia.left.gaze_yaw_deg - exotropia.right.gaze_yaw_deg
    assert prism_dioptres(outward) == pytest.approx(30)
    hypertropia = truth("hypertropia_right_10pd", AFTER_S)
    above = hypertropia.right.gaze_pitch_deg - hypertropia.left.gaze_pitch_deg
    assert prism_dioptres(above) == pytest.approx(10)


@pytest.mark.parametrize("person", range(PEOPLE))
def test_lids_stand_where_the_scenario_puts_them_on_every_person(person: int) -> None:
    ptosis = truth("ptosis_left", AFTER_S, person)
    assert ptosis.left.upper_lid_mm == pytest.approx(1.0, abs=0.05)
    assert ptosis.right.upper_lid_mm == pytest.approx(3.8, abs=0.05)
    retraction = truth("lid_retraction", AFTER_S, person)
    assert retraction.right.upper_lid_mm == pytest.approx(6.5, abs=0.05)
    assert retraction.left.upper_lid_mm == pytest.approx(6.5, abs=0.05)
    assert ptosis.right.lower_lid_mm == pytest.approx(-5.2, abs=0.05)


def test_a_lagophthalmos_leaves_two_millimetres_on_its_side_only() -> None:
    shut = truth("lagophthalmos", PRELUDE_S + 1.1)
    assert shut.left.upper_lid_mm - shut.left.lower_lid_mm == pytest.approx(2.0, abs=0.1)
    assert shut.right.upper_lid_mm - shut.right.lower_lid_mm == pytest.approx(0.0, abs=0.1)
    assert shut.left.blink == shut.right.blink > 0


def test_blinks_are_told_by_eye_and_their_depth_is_drawn() -> None:
    scenario = find_scenario("blinks")
    for blink in scenario.blinks:
        middle = truth("blinks", blink.start_s + 0.115)
        for eye, leaves in (
            (middle.right, blink.right_leaves_mm),
            (middle.left, blink.left_leaves_mm),
        ):
            part = leaves is not None
            assert (eye.blink > 0) == part
            open_share = (eye.upper_lid_mm - eye.lower_lid_mm) / 9.0
            expected = 1 - blink.depth if part else 1.0
            assert open_share == pytest.approx(expected, abs=0.04)


def test_a_nystagmus_has_its_amplitude_and_frequency() -> None:
    scenario = find_scenario("nystagmus_4hz_3deg")
    times = PRELUDE_S + np.arange(240) / 240
    yaw = np.array([scenario.pose_at(float(t_s)).left.gaze_yaw_deg for t_s in times])
    assert yaw.max() == pytest.approx(3, abs=0.02)
    assert (np.diff(np.signbit(yaw)) != 0).sum() in (7, 8)


def test_lids_lag_behind_a_downward_gaze() -> None:
    early, late = truth("lid_lag", PRELUDE_S + 0.5), truth("lid_lag", PRELUDE_S + 4.0)
    assert late.left.gaze_pitch_deg < early.left.gaze_pitch_deg - 20
    assert late.left.upper_lid_mm > early.left.upper_lid_mm + 1.5
    # In the head's frame the lid has come down, but less far than the pupil.
    fallen = IRIS_DEPTH_MM * (
        np.sin(np.radians(early.left.gaze_pitch_deg)) - np.sin(np.radians(late.left.gaze_pitch_deg))
    )
    assert late.left.upper_lid_mm - early.left.upper_lid_mm < fallen


@pytest.mark.parametrize("person", range(PEOPLE))
def test_a_right_palsy_hangs_by_its_millimetres(person: int) -> None:
    palsy, healthy = truth("palsy_right", AFTER_S, person), truth("quiet", AFTER_S, person)
    assert palsy.brow_mm - healthy.brow_mm == pytest.approx(4.0, abs=0.05)
    assert palsy.mouth_corner_mm - healthy.mouth_corner_mm == pytest.approx(5.0, abs=0.05)
    assert palsy.nasolabial_mm - healthy.nasolabial_mm == pytest.approx(3.5, abs=0.05)
    assert abs(healthy.brow_mm) < 0.5
    assert abs(healthy.mouth_corner_mm) < 1.0


def test_a_tilt_to_the_right_shoulder_is_a_positive_roll() -> None:
    tilted = truth("head_tilt", AFTER_S)
    assert tilted.roll_deg == pytest.approx(20, abs=1)
    # The patient's left eye, at +x, is the higher one.
    assert (tilted.rotation @ (1, 0, 0))[1] > 0.3
    assert np.allclose(head_rotation(PatientPose()), np.eye(3))


def test_a_quiet_patient_does_not_move() -> None:
    scenario = find_scenario("quiet")
    assert scenario.pose_at(PRELUDE_S + 0.1) == replace(scenario.pose_at(scenario.duration_s - 0.1))


def test_the_truth_is_a_table_with_a_line_for_each_frame() -> None:
    teller = TruthTeller(PERSONS(0), find_scenario("ptosis_left"))
    file = io.StringIO()
    write_csv((teller.at(t_s) for t_s in (0.0, AFTER_S)), file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["scored"] for row in rows] == ["0", "1"]
    assert float(rows[1]["left_upper_lid_mm"]) == pytest.approx(1.0, abs=0.05)
    assert float(rows[1]["mouth_corner_asymmetry_mm"]) == pytest.approx(0.0, abs=1)


def test_an_unknown_scenario_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="no scenario 'esotropia'"):
        find_scenario("esotropia")
