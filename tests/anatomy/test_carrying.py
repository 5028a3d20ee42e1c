"""A frame that was not read shows the head where it goes, and eyes and lids as they were."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from digitalmask.anatomy import carried_on
from digitalmask.mask_state import EyeState, MaskState, neutral_state


def state(at_s: float, yaw_deg: float = 0.0, x_mm: float = 0.0, gaze_deg: float = 0.0) -> MaskState:
    return replace(
        neutral_state(at_s),
        rotation=Rotation.from_euler("y", yaw_deg, degrees=True).as_matrix(),
        offset_mm=(x_mm, 0.0),
        left=EyeState(gaze_yaw_deg=gaze_deg),
    )


def yaw_deg(carried: MaskState) -> float:
    return float(Rotation.from_matrix(carried.rotation).as_euler("yxz", degrees=True)[0])


def test_the_head_goes_on_as_it_moved() -> None:
    carried = carried_on(state(0.0, 10.0, 1.0), state(0.066, 12.0, 2.0), 0.099)
    assert yaw_deg(carried) == pytest.approx(13.0)
    assert carried.offset_mm == pytest.approx((2.5, 0.0))
    assert carried.captured_at_s == 0.099


def test_no_movement_of_the_eyes_is_made_up() -> None:
    latest = state(0.066, gaze_deg=8.0)
    carried = carried_on(state(0.0, gaze_deg=0.0), latest, 0.099)
    assert carried.left == latest.left
    assert carried.right == latest.right
    np.testing.assert_array_equal(carried.expression, latest.expression)


@pytest.mark.parametrize("at_s", [0.05, 0.066, 0.3])
def test_at_other_times_than_just_after_the_head_stands(at_s: float) -> None:
    assert yaw_deg(carried_on(state(0.0, 10.0), state(0.066, 12.0), at_s)) == pytest.approx(12.0)


def test_a_jump_is_not_carried_far() -> None:
    carried = carried_on(state(0.0, 0.0, -40.0), state(0.033, 30.0, 40.0), 0.066)
    assert yaw_deg(carried) == pytest.approx(35.0)
    assert carried.offset_mm[0] == pytest.approx(46.0)
