"""The head's data file."""

from pathlib import Path

import numpy as np
import pytest

from digitalmask.assets.head import GUMS, MOUTH, SKIN, TEETH, Head, load_head
from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError
from digitalmask.mask_state import EXPRESSIONS


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


def test_it_is_small_and_has_every_part(head: Head) -> None:
    assert (models_dir() / "head.npz").stat().st_size <= 2_000_000
    assert 5_000 <= len(head.vertices_mm) <= 8_000
    assert set(np.unique(head.part)) == {SKIN, MOUTH, GUMS, TEETH}
    assert head.triangles.min() == 0
    assert head.triangles.max() == len(head.vertices_mm) - 1


def test_its_origin_lies_midway_between_the_eyes_and_the_right_eye_comes_first(head: Head) -> None:
    assert np.allclose(head.eye_centres_mm.mean(0), 0, atol=0.01)
    assert head.eye_centres_mm[0, 0] < 0 < head.eye_centres_mm[1, 0]
    assert 55 < head.eye_centres_mm[1, 0] - head.eye_centres_mm[0, 0] < 70
    nose = head.vertices_mm[head.vertices_mm[:, 2].argmax()]
    assert abs(nose[0]) < 2
    assert nose[1] < 0


@pytest.mark.parametrize(
    "expression",
    [
        name
        for name in EXPRESSIONS
        if name.replace("Left", "Right") in EXPRESSIONS
        and name.endswith("Left")
        and name not in ("jawLeft", "mouthLeft")
    ],
)
def test_left_expressions_move_the_patients_left(head: Head, expression: str) -> None:
    moved = np.linalg.norm(head.expressions_mm[EXPRESSIONS.index(expression)], axis=1)
    assert moved.max() > 1
    side = (head.vertices_mm[:, 0] * moved).sum() / moved.sum()
    assert side > 0, "x grows towards the patient's left"


def test_left_and_right_expressions_are_of_one_strength(head: Head) -> None:
    for index, name in enumerate(EXPRESSIONS):
        if name.endswith("Left") and name.replace("Left", "Right") in EXPRESSIONS:
            other = EXPRESSIONS.index(name.replace("Left", "Right"))
            ours, theirs = (np.abs(head.expressions_mm[i]).max() for i in (index, other))
            assert abs(ours - theirs) < 0.15 * max(ours, theirs), name


def test_expressions_leave_the_lid_margins_to_the_rig(head: Head) -> None:
    for rig in head.lids:
        for margin in (rig.upper_margin, rig.lower_margin):
            assert np.abs(head.expressions_mm[:, margin]).max() < 0.1


def test_the_lid_margins_stand_outside_the_eyeball(head: Head) -> None:
    for rig, centre in zip(head.lids, head.eye_centres_mm, strict=True):
        for margin in (rig.upper_margin, rig.lower_margin):
            radius = np.linalg.norm(head.vertices_mm[margin] - centre, axis=1)
            assert radius.min() > head.eyeball_mm


def test_lid_heights_grow_and_fall_steadily_with_the_drive(head: Head) -> None:
    for rig in head.lids:
        assert (np.diff(rig.upper_heights_mm, axis=1) < 0).all()
        assert (np.diff(rig.lower_heights_mm, axis=1) > 0).all()
        # From wide open (MRD1 6.5 mm) to shut.
        assert rig.upper_heights_mm[2].max() > 6.5
        assert rig.upper_heights_mm[2].min() < -7


def test_landmarks_lie_on_the_head(head: Head) -> None:
    assert head.landmarks_mm.shape == (478, 3)
    assert head.landmark_expressions_mm.shape == (len(EXPRESSIONS), 478, 3)
    iris_right, iris_left = head.landmarks_mm[468], head.landmarks_mm[473]
    assert iris_right[0] < 0 < iris_left[0]
    nose, chin, forehead = head.landmarks_mm[[1, 152, 10]]
    assert chin[1] < nose[1] < 0 < forehead[1]


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="missing"):
        load_head(tmp_path / "none.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes((models_dir() / "head.npz").read_bytes()[:5000])
    with pytest.raises(AssetError, match="damaged"):
        load_head(cut)
