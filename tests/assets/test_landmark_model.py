"""The landmark model is read whole or refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from digitalmask.assets.landmark_model import POINTS, load_landmark_model, view_terms
from digitalmask.errors import AssetError


def test_the_projects_own_model_is_a_head() -> None:
    model = load_landmark_model()
    assert model.mean_mm.shape == (POINTS, 3)
    across = model.mean_mm[263] - model.mean_mm[33]  # the outer corners of the eyes
    assert 80 < across[0] < 105
    assert np.abs(across[1:]).max() < 2
    eyes = model.read(model.usual_rest_mm, view_terms(0.0, 0.0))
    apart = eyes.eye_centres_mm[1] - eyes.eye_centres_mm[0]
    assert 56 < apart[0] < 70
    assert 0.9 < np.exp(eyes.log_scale) < 1.1


def test_no_point_of_the_lids_tells_the_pose() -> None:
    lids = {159, 145, 386, 374, 158, 160, 385, 387}
    assert not lids & set(load_landmark_model().rigid.tolist())


def test_a_missing_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"^.*is missing: get it again[^\n]*$"):
        load_landmark_model(tmp_path / "landmarks.npz")


def test_a_damaged_file_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(AssetError, match=r"^.*is damaged[^\n]*$"):
        load_landmark_model(path)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npz"
    np.savez(path, mean_mm=np.zeros((POINTS, 3)))
    with pytest.raises(AssetError):
        load_landmark_model(path)
