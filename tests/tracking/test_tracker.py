"""One patient a stream, found, followed, lost and found again."""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from digitalmask.errors import ConfigurationError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.simulation import PatientPose, SimulatedPatient
from digitalmask.tracking import FaceTracker, Networks, load_networks

pytestmark = [pytest.mark.gl, pytest.mark.models]

Picture = np.ndarray[Any, np.dtype[np.uint8]]
SIZE = (320, 240)


@pytest.fixture(scope="module")
def networks() -> Networks:
    return load_networks("cpu")


@pytest.fixture(scope="module")
def faces() -> list[Picture]:
    """Two people who do not exist."""
    people = [SimulatedPatient(number) for number in (0, 2)]
    drawn = [person.draw(PatientPose(), SIZE) for person in people]
    for person in people:
        person.close()
    return drawn


def frame(rgb: Picture, at_s: float) -> PatientFrame:
    return PatientFrame.of_rgb(FrameClock(at_s, round(at_s * 90000), Fraction(1, 90000)), rgb)


def scene(*placed: tuple[Picture, tuple[int, int]]) -> Picture:
    """A wide grey room with faces at their left and top."""
    room = np.full((300, 720, 3), 120, np.uint8)
    for picture, (left, top) in placed:
        room[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return room


def middle_x(tracker: FaceTracker, rgb: Picture, at_s: float) -> float | None:
    found = tracker.track(frame(rgb, at_s))
    return None if found is None else float(found.points[:, 0].mean())


def test_the_patients_left_and_right_are_told_apart(
    networks: Networks, faces: list[Picture]
) -> None:
    found = FaceTracker(networks).track(frame(faces[0], 0.0))
    assert found is not None
    assert found.presence > 0.9
    # A picture is not mirrored: the patient's right eye is on its left.
    assert found.right_eye.iris_px[0] < SIZE[0] / 2 < found.left_eye.iris_px[0]
    assert found.captured_at_s == 0.0


def test_a_room_without_a_face_has_none(networks: Networks) -> None:
    tracker = FaceTracker(networks)
    assert tracker.track(frame(scene(), 0.0)) is None
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert tracker.track(frame(noise, 0.1)) is None


def test_a_tilted_head_is_followed(networks: Networks) -> None:
    patient = SimulatedPatient()
    tracker = FaceTracker(networks)
    for number, roll in enumerate(range(0, 64, 4)):
        rgb = patient.draw(PatientPose(roll_deg=float(roll)), SIZE)
        found = tracker.track(frame(rgb, number / 30))
        assert found is not None
    assert found is not None
    across = found.left_eye.iris_px - found.right_eye.iris_px
    # Towards the patient's right shoulder: their left eye stands higher in the picture.
    assert np.degrees(np.arctan2(-across[1], across[0])) == pytest.approx(60, abs=4)
    patient.close()


def test_the_followed_face_stays_the_patient_when_a_larger_one_comes(
    networks: Networks, faces: list[Picture]
) -> None:
    tracker = FaceTracker(networks)
    own = (faces[0], (10, 30))
    assert middle_x(tracker, scene(own), 0.0) == pytest.approx(170, abs=40)
    larger = np.asarray(cv2.resize(faces[1], (380, 285)), np.uint8)
    for number in range(1, 90):
        seen = middle_x(tracker, scene((larger, (338, 10)), own), number / 30)
        assert seen == pytest.approx(170, abs=40)


def test_nobody_else_is_drawn_when_the_patient_leaves(
    networks: Networks, faces: list[Picture]
) -> None:
    tracker = FaceTracker(networks)
    own, other = (faces[0], (10, 30)), (faces[1], (390, 30))
    first = middle_x(tracker, scene(own), 0.0)
    assert first is not None
    for number in range(60):
        assert middle_x(tracker, scene(other), 0.2 + number / 30) is None
    # The patient is back at their place.
    assert middle_x(tracker, scene(own, other), 2.5) == pytest.approx(first, abs=25)


def test_after_a_long_absence_whoever_sits_there_is_the_patient(
    networks: Networks, faces: list[Picture]
) -> None:
    tracker = FaceTracker(networks)
    assert middle_x(tracker, scene((faces[0], (10, 30))), 0.0) is not None
    assert middle_x(tracker, scene((faces[1], (390, 30))), 1.0) is None
    assert middle_x(tracker, scene((faces[1], (390, 30))), 9.0) == pytest.approx(550, abs=40)


def test_reset_forgets_the_patient(networks: Networks, faces: list[Picture]) -> None:
    tracker = FaceTracker(networks)
    assert middle_x(tracker, scene((faces[0], (10, 30))), 0.0) is not None
    tracker.reset()
    assert middle_x(tracker, scene((faces[1], (390, 30))), 0.1) == pytest.approx(550, abs=40)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown provider 'tpu': one of auto, cpu"):
        load_networks("tpu")
