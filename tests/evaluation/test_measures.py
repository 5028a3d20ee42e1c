"""What is read off a face's points is what the face does, wherever it is."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from digitalmask.evaluation.measures import QUANTITIES, eye_error_pct, read_face, towards_sight
from tests.evaluation.faces import face


def read(**what: float) -> dict[str, float]:
    return dict(zip(QUANTITIES, read_face(face(**what)).tolist(), strict=True))  # type: ignore[arg-type]


def test_each_eye_is_read_by_itself() -> None:
    found = read(left_x=-0.2, right_x=0.1, y=0.05, left_opening=0.1)
    assert found["iris_x_left"] == pytest.approx(-0.2)
    assert found["iris_x_right"] == pytest.approx(0.1)
    assert found["vergence"] == pytest.approx(0.3)  # crossed
    assert found["iris_y_left"] == found["iris_y_right"] == pytest.approx(0.05)
    assert found["opening_left"] == pytest.approx(0.1)
    assert found["opening_right"] == pytest.approx(0.3)
    assert found["mouth"] == pytest.approx(0.1)


def test_place_size_and_tilt_of_the_head_change_nothing_in_the_eyes() -> None:
    what = {"left_x": 0.12, "right_x": -0.07, "y": -0.04, "left_opening": 0.2, "mouth": 0.3}
    near = read_face(face(**what, roll_deg=25, scale=2.5, shift_px=(700, 20)))
    assert near[:8] == pytest.approx(read_face(face(**what))[:8])  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("yaw", 30.0), ("pitch", 15.0), ("roll", -20.0)])
def test_the_angles_are_those_of_the_head(name: str, value: float) -> None:
    found = read(**{f"{name}_deg": value})
    for each in ("yaw", "pitch", "roll"):
        assert found[each] == pytest.approx(value if each == name else 0.0, abs=1e-6)
    mixed = read(yaw_deg=20, pitch_deg=-10, roll_deg=5)
    assert [mixed[each] for each in ("yaw", "pitch", "roll")] == pytest.approx([20, -10, 5])


def test_a_head_that_faces_the_camera_from_the_side_of_the_picture_is_straight() -> None:
    pose = np.eye(4)
    pose[:3, 3] = (20, -10, -50)
    towards_camera = -pose[:3, 3] / np.linalg.norm(pose[:3, 3])
    axis = np.cross([0, 0, 1], towards_camera)
    angle = np.arccos(towards_camera[2])
    pose[:3, :3] = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()
    assert towards_sight(pose) == pytest.approx(np.eye(3), abs=1e-9)


def test_the_eyes_error_is_a_share_of_the_palpebral_width() -> None:
    still = face()
    assert eye_error_pct(still, face(scale=3, roll_deg=10, shift_px=(5, 5))) == pytest.approx(0)
    # Both irises moved by a tenth: five of nineteen points.
    moved = face(left_x=0.1, right_x=0.1)
    assert eye_error_pct(still, moved) == pytest.approx(10 * 5 / 19)
    # Another shape counts too: seven of nineteen points.
    assert eye_error_pct(still, face(shape=0.1)) == pytest.approx(10 * 7 / 19)
