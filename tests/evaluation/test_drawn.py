"""What is read off a picture is what was put into it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.assets.head import load_head
from digitalmask.evaluation.drawn import DrawnEye, DrawnReader
from digitalmask.evaluation.figures import rotation_between_deg
from digitalmask.mask_state import EyeState, neutral_state
from digitalmask.rendering import MaskRenderer, mask_camera
from tests.evaluation.pictures import CENTRES_MM, FlatEye, flat_picture


def check(seen: DrawnEye, eye: FlatEye, tolerance_mm: float = 0.2) -> None:
    assert seen.gaze_deg[0] == pytest.approx(eye.yaw, abs=0.5)
    assert seen.gaze_deg[1] == pytest.approx(eye.pitch, abs=0.5)
    assert seen.upper_mm == pytest.approx(eye.upper, abs=tolerance_mm)
    assert seen.lower_mm == pytest.approx(eye.lower, abs=tolerance_mm)


@pytest.mark.parametrize(
    ("right", "left"),
    [
        (FlatEye(), FlatEye()),
        (FlatEye(yaw=11.3), FlatEye()),
        (FlatEye(yaw=-20, pitch=12), FlatEye(yaw=-20, pitch=12)),
        (FlatEye(upper=6.5), FlatEye(upper=1.0)),
        (FlatEye(pitch=-15, upper=5.5, lower=-3.5), FlatEye(yaw=25, upper=3.0)),
    ],
)
def test_gaze_and_lids_of_each_eye_are_read(right: FlatEye, left: FlatEye) -> None:
    face = DrawnReader(CENTRES_MM).read(*flat_picture(right, left))
    check(face.right, right)
    check(face.left, left)


@pytest.mark.parametrize("turn", [(20.0, 0.0, 0.0), (0.0, -15.0, 0.0), (-10.0, 8.0, 20.0)])
def test_a_turned_head_is_read_with_its_eyes(turn: tuple[float, float, float]) -> None:
    yaw, pitch, roll = turn
    rotation: NDArray[np.float64] = Rotation.from_euler(
        "ZYX", [roll, yaw, -pitch], degrees=True
    ).as_matrix()
    right, left = FlatEye(yaw=5.0), FlatEye(yaw=-5.0, pitch=3.0)
    picture = flat_picture(right, left, rotation, (6.0, -4.0))
    face = DrawnReader(CENTRES_MM).read(*picture)
    assert rotation_between_deg(face.rotation[None], rotation[None])[0] < 0.1
    check(face.right, right, 0.3)
    check(face.left, left, 0.3)


def test_a_closed_eye_has_no_opening_and_keeps_its_last_gaze() -> None:
    reader = DrawnReader(CENTRES_MM)
    reader.read(*flat_picture(FlatEye(yaw=8), FlatEye()))
    face = reader.read(*flat_picture(FlatEye(upper=-5.0), FlatEye()))
    assert face.right.opening_mm == 0
    assert np.isnan(face.right.upper_mm)
    assert face.right.gaze_deg[0] == pytest.approx(8, abs=0.5)
    assert face.left.opening_mm == pytest.approx(9, abs=0.2)


def test_half_a_blink_shows_what_it_leaves_open() -> None:
    reader = DrawnReader(CENTRES_MM)
    reader.read(*flat_picture(FlatEye(), FlatEye()))
    face = reader.read(*flat_picture(FlatEye(upper=-1.5), FlatEye(upper=0.5)))
    assert face.right.opening_mm == pytest.approx(3.5, abs=0.3)
    assert face.left.opening_mm == pytest.approx(5.5, abs=0.3)


@pytest.mark.gl
def test_the_renderers_own_masks_are_read_as_they_were_meant() -> None:
    head = load_head()
    renderer, reader = MaskRenderer(head), DrawnReader(head.eye_centres_mm)
    rotation = Rotation.from_euler("ZYX", [8, -12, 6], degrees=True).as_matrix()
    eyes = [
        FlatEye(),
        FlatEye(yaw=11.3),
        FlatEye(pitch=10, upper=5.5),
        FlatEye(yaw=-12, upper=2.0),
    ]
    for turn in (np.eye(3), rotation):
        for right, left in zip(eyes, eyes[::-1], strict=True):
            states = [
                EyeState(eye.yaw, eye.pitch, (eye.upper,) * 3, (eye.lower,) * 3, 3.6)
                for eye in (right, left)
            ]
            state = replace(neutral_state(), rotation=turn, right=states[0], left=states[1])
            size = (1280, 960)
            face = reader.read(renderer.draw_identity(state, size), mask_camera(state, size))
            assert rotation_between_deg(face.rotation[None], turn[None])[0] < 0.1
            check(face.right, right, 0.4)
            check(face.left, left, 0.4)
    renderer.close()
