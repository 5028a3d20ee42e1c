"""What the eyes' network sees in drawn people: lids, each eye's by itself, and the iris."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from digitalmask.simulation import EyePose, PatientPose, SimulatedPatient
from digitalmask.tracking import FaceTracker
from digitalmask.tracking.eye_network import see_eyes
from digitalmask.tracking.networks import Networks, cpu_networks
from digitalmask.tracking.observation import EyeOutline
from tests.tracking.doubles import still

pytestmark = [pytest.mark.gl, pytest.mark.models]

_IRIS_MM = 5.85


@pytest.fixture(scope="module")
def networks() -> Networks:
    return cpu_networks()


@pytest.fixture(scope="module")
def patient() -> Iterator[SimulatedPatient]:
    with closing(SimulatedPatient(3)) as person:
        yield person


def outlines(
    networks: Networks, patient: SimulatedPatient, right: EyePose, left: EyePose
) -> tuple[EyeOutline, EyeOutline]:
    """Those of a picture, looked at as in a video, from where the face was before."""
    frame = still(patient.draw(PatientPose(right=right, left=left), (640, 480)))
    tracker = FaceTracker(networks)
    tracker.track(frame)
    seen = tracker.track(frame)
    assert seen is not None
    return seen.right_eye, seen.left_eye


def opening_mm(eye: EyeOutline) -> float:
    return float((eye.lower_px[3] - eye.upper_px[3])[1] * _IRIS_MM / eye.iris_radius_px)


@pytest.mark.parametrize("upper_mm", [-3.0, -1.0, 1.0, 2.5, 5.5])
def test_one_lid_is_seen_where_it_stands_and_the_other_stays(
    networks: Networks, patient: SimulatedPatient, upper_mm: float
) -> None:
    usual, other = EyePose(), EyePose(upper_lid_mm=upper_mm)
    before = outlines(networks, patient, usual, usual)
    for side, poses in enumerate(((other, usual), (usual, other))):
        after = outlines(networks, patient, *poses)
        moved = opening_mm(before[side]) - opening_mm(after[side])
        assert moved == pytest.approx(usual.upper_lid_mm - upper_mm, abs=0.7)
        assert opening_mm(after[1 - side]) == pytest.approx(opening_mm(before[1 - side]), abs=0.25)


def test_closed_eyes_are_closed_and_a_wink_is_one(
    networks: Networks, patient: SimulatedPatient
) -> None:
    shut, usual = EyePose(upper_lid_mm=-5.2), EyePose()
    for poses in ((shut, shut), (shut, usual), (usual, shut)):
        for pose, eye in zip(poses, outlines(networks, patient, *poses), strict=True):
            assert (opening_mm(eye) < 1.0) == (pose is shut)


def test_both_eyes_are_read_alike(networks: Networks) -> None:
    random = np.random.default_rng(0)
    right, left = random.integers(0, 256, (2, 112, 160, 4), np.uint8)
    seen = see_eyes(networks.eyes, right, left)
    mirrored = see_eyes(networks.eyes, left[:, ::-1].copy(), right[:, ::-1].copy())
    for one, other in zip(seen, mirrored[::-1], strict=True):
        np.testing.assert_allclose(one.margins[..., 0], 159 - other.margins[..., 0], atol=1e-3)
        np.testing.assert_allclose(one.margins[..., 1], other.margins[..., 1], atol=1e-3)
        assert one.iris[0] == pytest.approx(159 - other.iris[0], abs=1e-3)
