"""What `fit_eyes` learns from is true: seen so, eyes are read as they were set."""

import numpy as np
import pytest
from models.draw_eyes import EyePlaces, _camera, _paint, _places, draw_eyes_pose, mirrored, told

from digitalmask.anatomy.eyes import read_eye
from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.simulation.drawing import FOCAL_HEIGHTS
from digitalmask.simulation.people import load_person
from digitalmask.simulation.posing import (
    PIVOT_FORWARD_MM,
    head_place_mm,
    head_rotation,
    pose_person,
)
from digitalmask.simulation.truth import _eye_truth
from digitalmask.tracking.eye_edges import HALF_FISSURE, MIDDLE_X, MIDDLE_Y
from digitalmask.tracking.eye_outline import EyeCut
from digitalmask.tracking.observation import EyeOutline

SIZE = (640, 480)


@pytest.mark.parametrize("number", [0, 5])
def test_an_eye_seen_where_it_is_told_to_be_is_read_as_it_is(number: int) -> None:
    person = load_person(number)
    random = np.random.default_rng(number)
    pinhole = Pinhole(FOCAL_HEIGHTS * SIZE[1], (SIZE[0] / 2, SIZE[1] / 2))
    missed = []
    for view in range(12):
        pose = draw_eyes_pose(random, view)
        points, _ = pose_person(person, pose)
        head = Pose(np.array(head_rotation(pose)), np.array(head_place_mm(pose)))
        for eye, seen in enumerate((pose.right, pose.left)):
            places = _places(person, points, pose, eye, SIZE)
            outline = EyeOutline(
                places.iris, places.iris_radius,
                np.vstack([places.medial, places.upper, places.lateral]),
                np.vstack([places.medial, places.lower, places.lateral]),
                places.iris, places.iris_radius,
            )  # fmt: skip
            centre = person.eye_centres_mm[eye] + (0, 0, PIVOT_FORWARD_MM)
            read = read_eye(head, pinhole, outline, centre, 1.0)
            truth = _eye_truth(person, points, eye, seen, 0)
            assert read.gaze_deg == pytest.approx((seen.gaze_yaw_deg, seen.gaze_pitch_deg), abs=2.0)
            missed += (read.upper_mm - truth.upper_margin_mm).tolist()
            missed += (read.lower_mm - truth.lower_margin_mm).tolist()
    assert np.median(np.abs(missed)) < 0.12
    assert abs(np.median(missed)) < 0.08


def an_eye() -> EyePlaces:
    across = np.linspace(-15, 15, 7)[1:-1]
    margins = [
        np.stack([100 + across, 60 + height * (1 - (across / 15) ** 2)], axis=1)
        for height in (-5.0, 5.5)
    ]
    return EyePlaces(
        np.array([115.0, 60.0]), np.array([85.0, 60.0]), margins[0][::-1], margins[1][::-1],
        np.array([102.0, 60.0]), 5.85,
    )  # fmt: skip


def test_what_is_told_of_an_eye_is_where_its_parts_are_in_its_cut() -> None:
    places = an_eye()
    cut = EyeCut.of_eye(0, places.medial, places.lateral)
    values = told(places, cut)
    at = values[:-1].reshape(-1, 2) * HALF_FISSURE + (MIDDLE_X, MIDDLE_Y)
    every = np.vstack([places.medial, places.lateral, places.upper, places.lower, places.iris])
    np.testing.assert_allclose(cut.back(at), every, atol=1e-9)
    assert values[-1] == pytest.approx(5.85 / 15)
    other = mirrored(values)
    np.testing.assert_allclose(other[:-1:2], -values[:-1:2])
    np.testing.assert_allclose(mirrored(other), values)


def test_painting_changes_the_lids_and_no_camera_moves_them() -> None:
    picture = np.full((120, 200, 3), 150, np.uint8)
    picture[50:70, 90:110] = 20
    painted = [_paint(picture, [an_eye()], np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean([np.abs(one.astype(float) - picture).mean() > 1 for one in painted]) > 0.8
    for seed in range(20):
        seen, share = _camera(picture, np.random.default_rng(seed))
        dark = 255.0 - grey(seen)
        dark -= np.median(dark)
        dark[dark < 0.4 * dark.max()] = 0
        rows, columns = np.indices(dark.shape)
        middle = np.array([(dark * columns).sum(), (dark * rows).sum()]) / dark.sum()
        np.testing.assert_allclose((middle + 0.5) / share, (100.0, 60.0), atol=1.0)


def grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture.astype(np.float64).mean(axis=2))
