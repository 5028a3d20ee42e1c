"""The drawn lid margins stand where the state says, in millimetres."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.assets.head import Head, load_head
from digitalmask.mask_state import EyeState
from digitalmask.rendering.eyelids import Eyelids, move_lids, pupil_offset_mm

Triple = tuple[float, float, float]


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


def margin_heights(head: Head, eye: int, state: EyeState) -> tuple[NDArray[Any], ...]:
    """Upper and lower margin at the three columns, above the pupil's centre; and the vertices."""
    rig, centre = head.lids[eye], head.eye_centres_mm[eye]
    points = head.vertices_mm.copy()
    margins = move_lids(points, Eyelids.of(head, eye), state)
    found = []
    for margin in (margins.upper, margins.lower_strip):
        place = margin - centre
        order = np.argsort(place[:, 0])
        columns = rig.columns_x_mm[1:4] - centre[0]
        height = np.interp(columns, place[order, 0], place[order, 1])
        found.append(height - pupil_offset_mm(state)[1])
    return found[0], found[1], points


@pytest.mark.parametrize("eye", [0, 1])
@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ((3.5, 4.0, 3.5), (-4.5, -5.0, -4.5)),
        ((0.6, 1.0, 0.6), (-4.5, -5.0, -4.5)),  # ptosis
        ((5.8, 6.5, 5.8), (-5.5, -6.2, -5.6)),  # wide open
        ((-1.0, -1.0, -1.2), (-4.5, -5.0, -4.6)),  # half a blink
        ((1.5, 2.0, 1.5), (-2.5, -3.0, -2.5)),  # squinting
        ((1.0, 3.0, 3.5), (-4.5, -5.0, -4.5)),  # hanging medially
    ],
)
def test_margins_stand_at_the_millimetres_given(
    head: Head, eye: int, upper: Triple, lower: Triple
) -> None:
    state = EyeState(upper_lid_mm=upper, lower_lid_mm=lower)
    high, low, _ = margin_heights(head, eye, state)
    assert np.abs(high - upper).max() < 0.15
    assert np.abs(low - lower).max() < 0.15


@pytest.mark.parametrize("height_mm", [-5.0, -4.0, -2.5])
def test_a_shut_lid_leaves_no_gap_anywhere(head: Head, height_mm: float) -> None:
    shut = (height_mm,) * 3
    for eye in (0, 1):
        rig, centre = head.lids[eye], head.eye_centres_mm[eye]
        _, _, points = margin_heights(head, eye, EyeState(upper_lid_mm=shut, lower_lid_mm=shut))
        upper, lower = points[rig.upper_margin] - centre, points[rig.lower_margin] - centre
        upper, lower = upper[np.argsort(upper[:, 0])], lower[np.argsort(lower[:, 0])]
        x = np.linspace(-9, 9, 25)
        gap = np.interp(x, upper[:, 0], upper[:, 1]) - np.interp(x, lower[:, 0], lower[:, 1])
        assert gap.max() < 0.3


def test_lids_that_would_cross_meet_between(head: Head) -> None:
    state = EyeState(upper_lid_mm=(-4.0, -4.0, -4.0), lower_lid_mm=(-2.0, -2.0, -2.0))
    high, low, _ = margin_heights(head, 1, state)
    assert np.abs(low + 3).max() < 0.15
    assert (high <= low + 0.1).all()


def test_lids_follow_the_pupil_when_the_gaze_drops(head: Head) -> None:
    ahead = margin_heights(head, 1, EyeState())[0]
    down = margin_heights(head, 1, EyeState(gaze_pitch_deg=-15))[0]
    assert np.abs(ahead - down).max() < 0.15


def test_the_eyeball_never_pokes_through_a_margin(head: Head) -> None:
    for height in np.linspace(-6, 6.5, 14):
        state = EyeState(upper_lid_mm=(height,) * 3, lower_lid_mm=(-5.0, -5.0, -5.0))
        for eye, (rig, centre) in enumerate(zip(head.lids, head.eye_centres_mm, strict=True)):
            points = margin_heights(head, eye, state)[2]
            for margin in (rig.upper_margin, rig.lower_margin):
                radius = np.linalg.norm(points[margin] - centre, axis=1)
                assert radius.min() > head.eyeball_mm
