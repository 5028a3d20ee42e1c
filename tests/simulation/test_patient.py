"""What is set of a simulated patient is what its pictures show."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.errors import AssetError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.simulation import EyePose, PatientPose, SimulatedPatient
from digitalmask.simulation.conversation import PERIOD_S, loudness, pose_at, voice
from digitalmask.simulation.drawing import FOCAL_HEIGHTS
from digitalmask.simulation.people import PEOPLE, load_person
from digitalmask.simulation.posing import DISTANCE_MM
from digitalmask.tracking import FaceTracker, load_networks

SIZE = (1280, 960)
PX_PER_MM = FOCAL_HEIGHTS * SIZE[1] / (DISTANCE_MM - 12)  # at the pupil
RIGHT, LEFT = 0, 1
OPEN = EyePose(upper_lid_mm=5.0, lower_lid_mm=-5.5)


@pytest.fixture(scope="module")
def patient() -> Iterator[SimulatedPatient]:
    person = SimulatedPatient(noise=0)
    yield person
    person.close()


def pupil_pixels(patient: SimulatedPatient, right: EyePose, left: EyePose) -> list[NDArray[Any]]:
    """What changes as the pupils widen: rows and columns of it, right eye first."""
    narrow, wide = (
        patient.draw(
            PatientPose(right=replace(right, pupil_mm=mm), left=replace(left, pupil_mm=mm)), SIZE
        ).astype(int)
        for mm in (0.8, 8.0)
    )
    changed = np.abs(wide - narrow).sum(axis=2) > 4
    half = SIZE[0] // 2
    return [
        np.argwhere(changed[:, :half]),
        np.argwhere(changed[:, half:]) + (0, half),
    ]


@pytest.mark.gl
def test_each_eye_looks_where_it_was_told_by_itself(patient: SimulatedPatient) -> None:
    straight = pupil_pixels(patient, OPEN, OPEN)
    crossed = pupil_pixels(patient, replace(OPEN, gaze_yaw_deg=20), OPEN)
    moved = [
        (after.mean(axis=0) - before.mean(axis=0)) / PX_PER_MM
        for before, after in zip(straight, crossed, strict=True)
    ]
    # The patient's right eye is on the picture's left; turned in, it moves to the right.
    assert moved[RIGHT][1] == pytest.approx(10.48 * np.sin(np.radians(20)), abs=0.25)
    assert np.abs(moved[LEFT]).max() < 0.02
    raised = pupil_pixels(patient, OPEN, replace(OPEN, gaze_pitch_deg=10, upper_lid_mm=4.5))
    up = (straight[LEFT].mean(axis=0) - raised[LEFT].mean(axis=0)) / PX_PER_MM
    assert up[0] == pytest.approx(10.48 * np.sin(np.radians(10)), abs=0.25)


@pytest.mark.gl
@pytest.mark.parametrize("number", range(PEOPLE))
@pytest.mark.parametrize("upper_mm", [1.0, 2.5])
def test_the_lid_margin_is_where_it_was_put(number: int, upper_mm: float) -> None:
    person = SimulatedPatient(number, noise=0)
    centres = [
        pixels.mean(axis=0)[0] for pixels in pupil_pixels(person, OPEN, replace(OPEN, pupil_mm=1))
    ]
    lowered = pupil_pixels(person, replace(OPEN, upper_lid_mm=upper_mm), OPEN)
    column = np.median(lowered[RIGHT][:, 1])
    middle = lowered[RIGHT][np.abs(lowered[RIGHT][:, 1] - column) < 3]
    height_mm = (centres[RIGHT] - middle[:, 0].min()) / PX_PER_MM
    person.close()
    assert height_mm == pytest.approx(upper_mm, abs=0.6)


@pytest.mark.gl
def test_a_closed_eye_shows_nothing_of_itself_and_a_half_closed_one_does(
    patient: SimulatedPatient,
) -> None:
    shut = pupil_pixels(patient, replace(OPEN, upper_lid_mm=-9.0), OPEN)
    assert len(shut[RIGHT]) == 0
    assert len(shut[LEFT]) > 250
    half = pupil_pixels(patient, replace(OPEN, upper_lid_mm=0.0), OPEN)
    assert 80 < len(half[RIGHT]) < 0.7 * len(half[LEFT])


@pytest.mark.gl
@pytest.mark.models
@pytest.mark.parametrize("number", range(PEOPLE))
def test_the_tracker_takes_each_of_them_for_a_person(number: int) -> None:
    person = SimulatedPatient(number, "lamp" if number % 2 else "window")
    tracker = FaceTracker(load_networks("cpu"))
    for step in range(12):
        at_s = 2.4 * step
        clock = FrameClock(at_s, round(at_s * 90000), Fraction(1, 90000))
        seen = tracker.track(PatientFrame.of_rgb(clock, person.frame(at_s, (640, 480))))
        assert seen is not None
    person.close()


def test_identities_differ() -> None:
    faces = [load_person(number).vertices_mm for number in range(PEOPLE)]
    skin = load_person(0).rest_mm[:, 2] > 0
    for a in range(PEOPLE):
        for b in range(a):
            assert np.linalg.norm((faces[a] - faces[b])[skin], axis=1).mean() > 2


def test_the_conversation_repeats_itself_without_a_jump() -> None:
    again, first = pose_at(PERIOD_S + 3.3), pose_at(3.3)
    assert again.yaw_deg == pytest.approx(first.yaw_deg)
    before, after = pose_at(PERIOD_S - 1e-3), pose_at(0.0)
    assert before.yaw_deg == pytest.approx(after.yaw_deg, abs=0.05)
    assert before.right.upper_lid_mm == pytest.approx(after.right.upper_lid_mm, abs=0.05)


def test_the_voice_is_loud_where_the_jaw_is_open() -> None:
    moments = np.arange(0, PERIOD_S, 0.02)
    loud = np.array([np.abs(voice(at, 0.02, 8000).astype(float)).mean() for at in moments])
    jaw = np.array([loudness(at + 0.01) for at in moments])
    assert np.corrcoef(loud, jaw)[0, 1] > 0.9
    assert loud[jaw == 0].max() < 0.1 * loud.max()


def test_an_unknown_person_is_refused() -> None:
    with pytest.raises(AssetError, match="0 to 5"):
        SimulatedPatient(6)


@pytest.mark.parametrize("number", range(PEOPLE))
def test_where_the_opening_between_the_lids_ends(number: int) -> None:
    person = load_person(number)
    for fissure, centre in zip(person.fissures, person.eye_centres_mm, strict=True):
        outwards = np.sign(centre[0])
        medial, lateral = person.vertices_mm[[fissure.medial, fissure.lateral]] - centre
        assert 9 < -medial[0] * outwards < 14
        assert 10 < lateral[0] * outwards < 15
        for end in (medial, lateral):
            assert abs(end[1]) < 5
            assert 1 < end[2] < 10
