"""The reference tracker sees pictures one by one, and says in a line what is wrong with it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from digitalmask.errors import AssetError, TrackingError
from digitalmask.evaluation import reference_tracker
from digitalmask.evaluation.measures import FaceTrack, read_face, towards_sight
from digitalmask.evaluation.reference_tracker import ReferenceTracker, environment_dir
from digitalmask.simulation import PatientPose, SimulatedPatient

needs_reference = pytest.mark.skipif(
    not environment_dir().is_dir(),
    reason="MediaPipe's environment is not there (`digitalmask evaluate video` makes it)",
)


def hush(_line: str) -> None:
    """Take no notice."""


@needs_reference
@pytest.mark.gl
@pytest.mark.models
def test_each_picture_is_seen_by_itself_with_its_signs() -> None:
    patient = SimulatedPatient(noise=0)
    left = patient.draw(PatientPose(yaw_deg=15, pitch_deg=8), (640, 480))
    right = patient.draw(PatientPose(yaw_deg=-15, roll_deg=10), (640, 480))
    patient.close()
    angles = []
    with ReferenceTracker(hush) as reference:
        assert reference.track(np.zeros((120, 160, 3), np.uint8)) is None
        for picture in (left, right, left):
            face = reference.track(picture)
            assert face is not None
            assert face.blendshapes.shape == (52,)
            angles.append(read_face(FaceTrack(face.points, towards_sight(face.matrix)))[-3:])
    assert angles[0] == pytest.approx(angles[2])  # nothing is carried over
    # MediaPipe's fit of its canonical face reads turns a fifth too small.
    assert angles[0] - angles[1] == pytest.approx([30, 8, -10], abs=7)


@needs_reference
@pytest.mark.models
def test_a_worker_that_ends_is_told_in_one_line() -> None:
    with ReferenceTracker(hush) as reference:
        reference._process.kill()
        with pytest.raises(TrackingError, match="ended with status -9: ") as told:
            reference.track(np.zeros((120, 160, 3), np.uint8))
    assert "\n" not in str(told.value)


def test_an_environment_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITALMASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(reference_tracker, "fetch_bundle", lambda *_: tmp_path / "a.task")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    said: list[str] = []
    with pytest.raises(AssetError, match="no virtual environment could be made"):
        ReferenceTracker(said.append)
    assert len(said) == 1
    assert "mediapipe" in said[0]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITALMASK_CACHE", str(tmp_path))
    monkeypatch.setattr(reference_tracker, "fetch_bundle", lambda *_: tmp_path / "a.task")
    environment_dir().mkdir()
    with pytest.raises(AssetError, match="remove that folder"):
        ReferenceTracker(hush)
