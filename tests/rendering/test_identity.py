"""What the identity pass says of a drawn mask agrees with the state that it was drawn from."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.assets.head import Head, load_head
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EXPRESSIONS, EyeState, MaskState, neutral_state
from digitalmask.rendering import Identity, MaskRenderer, mask_camera
from digitalmask.rendering.identity import GROUND, IRIS, MOUTH, PUPIL, SCLERA, SKIN

pytestmark = pytest.mark.gl
SIZE = (1920, 1440)
Floats = NDArray[np.floating]


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


@pytest.fixture(scope="module")
def renderer(head: Head) -> Iterator[MaskRenderer]:
    try:
        renderer = MaskRenderer(head)
    except RenderingError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


def looking(eye: EyeState, yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> MaskState:
    turn = Rotation.from_euler("yx", [yaw_deg, -pitch_deg], degrees=True).as_matrix()
    return replace(neutral_state(), left=eye, right=eye, rotation=turn)


def borders(seen: Identity, head: Head, eye: int) -> tuple[Floats, Floats]:
    """Heights of both lids' borders above the eyeball's centre at the three columns.

    Between the last pixel of the lid and the first of the eye, both read where they lie.
    """
    centre = head.eye_centres_mm[eye]
    of_eye = (seen.part >= SCLERA[eye]) & (seen.part <= PUPIL[eye])
    upper: list[Floats] = []
    lower: list[Floats] = []
    for column in np.flatnonzero(of_eye.any(axis=0)):
        rows = np.flatnonzero(of_eye[:, column])
        for found, row in ((upper, rows[0] - 1), (lower, rows[-1] + 1)):
            if seen.part[row, column] == SKIN:
                found.append(seen.place_mm[row, column] - centre)
    places = head.lids[eye].columns_x_mm[1:4] - centre[0]
    heights = []
    for found in (upper, lower):
        border = np.array(found)
        near = np.argsort(np.abs(border[:, :1] - places), axis=0)[:5]
        heights.append(np.median(border[near, 1], axis=0))
    return heights[0], heights[1]


@pytest.mark.parametrize("yaw_deg", [-25.0, 0.0, 25.0])
@pytest.mark.parametrize("pitch_deg", [-20.0, 15.0])
@pytest.mark.parametrize("turn_deg", [0.0, 20.0])
def test_the_pupil_stands_where_the_gaze_says_under_any_turn(
    renderer: MaskRenderer, head: Head, yaw_deg: float, pitch_deg: float, turn_deg: float
) -> None:
    eye = EyeState(yaw_deg, pitch_deg, (4.5, 5.0, 4.5), (-4.5, -5.0, -4.5), pupil_mm=3.0)
    seen = renderer.draw_identity(looking(eye, turn_deg, turn_deg / 2), SIZE)
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    axis = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    for side in (0, 1):
        pupil = seen.place_mm[seen.part == PUPIL[side]]
        off = pupil.mean(axis=0) - head.eye_centres_mm[side] - 10.478 * axis
        assert np.abs(off).max() < 0.12
        across = 2 * np.sqrt(((pupil - pupil.mean(axis=0)) ** 2).sum(axis=1).max())
        assert across == pytest.approx(3.0, abs=0.25)


def test_the_iris_is_as_wide_as_a_real_one(renderer: MaskRenderer) -> None:
    eye = EyeState(upper_lid_mm=(6.0, 6.5, 6.0), lower_lid_mm=(-6.0, -6.5, -6.0))
    seen = renderer.draw_identity(looking(eye), SIZE)
    for side in (0, 1):
        iris = seen.place_mm[(seen.part == IRIS[side]) | (seen.part == PUPIL[side])]
        assert np.ptp(iris[:, 0]) == pytest.approx(11.7, abs=0.3)
        assert np.ptp(iris[:, 1]) == pytest.approx(11.7, abs=0.3)


@pytest.mark.parametrize("turn_deg", [0.0, 15.0])
@pytest.mark.parametrize(
    ("upper_mm", "lower_mm"), [(6.5, -5.5), (4.0, -5.0), (1.0, -5.0), (-1.0, -5.0), (2.0, -3.0)]
)
def test_lids_border_the_eye_at_the_millimetres_given(
    renderer: MaskRenderer, head: Head, upper_mm: float, lower_mm: float, turn_deg: float
) -> None:
    eye = EyeState(
        upper_lid_mm=(upper_mm - 0.4, upper_mm, upper_mm - 0.4),
        lower_lid_mm=(lower_mm + 0.4, lower_mm, lower_mm + 0.4),
    )
    seen = renderer.draw_identity(looking(eye, turn_deg), SIZE)
    for side in (0, 1):
        upper, lower = borders(seen, head, side)
        assert np.abs(upper - eye.upper_lid_mm).max() < 0.2
        assert np.abs(lower - eye.lower_lid_mm).max() < 0.2


def test_the_turn_of_the_head_can_be_read_back(renderer: MaskRenderer) -> None:
    state = replace(looking(EyeState(), 25.0, -12.0), offset_mm=(12.0, -7.0))
    seen = renderer.draw_identity(state, SIZE)
    rows, columns = np.nonzero((seen.part == SKIN) & (seen.place_mm[..., 1] > -40))
    some = np.random.default_rng(1).choice(len(rows), 400, replace=False)
    rows, columns = rows[some], columns[some]
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
    places = seen.place_mm[rows, columns].astype(float)
    camera = mask_camera(state, SIZE)
    assert np.abs(camera.project(places @ state.rotation.T) - pixels).max() < 0.05
    turned = camera.rotation_seen(pixels, places)
    assert np.degrees(Rotation.from_matrix(turned.T @ state.rotation).magnitude()) < 0.1


def test_each_part_is_told_and_the_ground_has_no_place(renderer: MaskRenderer) -> None:
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    weights[EXPRESSIONS.index("jawOpen")] = 0.8
    seen = renderer.draw_identity(replace(neutral_state(), expression=weights), (640, 480))
    assert set(np.unique(seen.part)) == {GROUND, SKIN, MOUTH, *SCLERA, *IRIS, *PUPIL}
    ground = seen.part == GROUND
    assert np.isnan(seen.place_mm[ground]).all()
    assert np.isfinite(seen.place_mm[~ground]).all()
    assert seen.part[0, 0] == GROUND
    x = np.nonzero(np.isin(seen.part, [SCLERA[1], IRIS[1], PUPIL[1]]))[1]
    assert x.min() > 320, "the patient's left eye is on the right of the picture"


@pytest.mark.parametrize("turn_deg", [0.0, 20.0])
@pytest.mark.parametrize("pitch_deg", [-15.0, 0.0, 15.0])
def test_shut_lids_leave_nothing_of_the_eye_and_half_shut_ones_do(
    renderer: MaskRenderer, pitch_deg: float, turn_deg: float
) -> None:
    for upper_mm, shut in ((-4.0, True), (-2.5, False)):
        eye = EyeState(0.0, pitch_deg, (upper_mm,) * 3, (-4.0, -4.0, -4.0))
        seen = renderer.draw_identity(looking(eye, turn_deg), (1280, 960))
        of_eyes = np.isin(seen.part, [*SCLERA, *IRIS, *PUPIL])
        assert of_eyes.any() != shut
