"""What the drawn mask shows."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.assets.head import load_head
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EXPRESSIONS, EyeState, MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.rendering import Complexion, DrawingContext, Inset, MaskRenderer, mask_camera
from digitalmask.rendering.backdrop import backdrop
from digitalmask.rendering.composition import Composer
from digitalmask.rendering.identity import MOUTH, PUPIL, SCLERA
from digitalmask.rendering.readback import Readback

pytestmark = pytest.mark.gl
CLOCK = FrameClock(1.0, 90_000, Fraction(1, 90_000))
SIZE = (640, 480)
SHUT = EyeState(upper_lid_mm=(-4.0, -4.0, -4.0), lower_lid_mm=(-4.0, -4.0, -4.0))


@pytest.fixture(scope="module")
def renderer() -> Iterator[MaskRenderer]:
    try:
        renderer = MaskRenderer(load_head())
    except RenderingError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


def drawn(
    renderer: MaskRenderer, state: MaskState, size: tuple[int, int] = SIZE
) -> NDArray[np.float64]:
    return renderer.draw(state, size, CLOCK).rgb.astype(float)


def head_pixels(picture: NDArray[np.float64]) -> NDArray[np.bool_]:
    height, width = picture.shape[:2]
    return np.asarray(np.abs(picture - backdrop((width, height))).max(-1) > 16)


def pupils(renderer: MaskRenderer, state: MaskState) -> dict[str, tuple[float, float]]:
    """Centre of each drawn pupil, found as what a wider pupil darkens; keys by picture side."""
    small = replace(
        state, left=replace(state.left, pupil_mm=2.0), right=replace(state.right, pupil_mm=2.0)
    )
    wide = replace(
        state, left=replace(state.left, pupil_mm=7.0), right=replace(state.right, pupil_mm=7.0)
    )
    darker = (drawn(renderer, small) - drawn(renderer, wide)).sum(-1) > 60
    found = {}
    for name, half in (("left", slice(0, 320)), ("right", slice(320, 640))):
        y, x = np.nonzero(darker[:, half])
        found[name] = (float(x.mean()) + half.start, float(y.mean()))
    return found


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (360, 640), (1280, 720), (3840, 2160)])
def test_the_head_fills_any_size_and_keeps_the_clock(
    renderer: MaskRenderer, size: tuple[int, int]
) -> None:
    frame = renderer.draw(neutral_state(), size, CLOCK)
    assert (frame.width, frame.height) == size
    assert frame.clock is CLOCK
    assert frame.card is None
    rows, columns = np.nonzero(head_pixels(frame.rgb.astype(float)))
    assert abs(columns.mean() - size[0] / 2) < 0.02 * size[0]
    if size[0] > size[1]:
        assert 0.9 < np.ptp(rows) / size[1] <= 1
    else:
        assert 0.8 < np.ptp(columns) / size[0] < 0.98


def test_top_of_the_head_is_at_the_top_of_the_picture(renderer: MaskRenderer) -> None:
    shown = head_pixels(drawn(renderer, neutral_state())).sum(1)
    eyes = pupils(renderer, neutral_state())["left"][1]
    assert 160 < eyes < 210
    assert shown[:5].max() < 0.7 * shown.max()


def test_an_eye_is_at_least_60_pixels_wide_on_640x480(renderer: MaskRenderer) -> None:
    seen = renderer.draw_identity(neutral_state(), SIZE)
    for eye in (0, 1):
        columns = np.nonzero((seen.part >= SCLERA[eye]) & (seen.part <= PUPIL[eye]))[1]
        assert columns.max() - columns.min() >= 55, "between the margins"
        canthi = load_head().landmarks_mm[[[33, 133], [362, 263]][eye]]
        corners = mask_camera(neutral_state(), SIZE).project(canthi)
        assert corners[1, 0] - corners[0, 0] >= 65, "between the corners, as a tracker sees them"


def test_the_neutral_face_is_the_same_on_both_sides(renderer: MaskRenderer) -> None:
    shown = head_pixels(drawn(renderer, neutral_state()))
    assert (shown != shown[:, ::-1]).mean() < 0.01


def test_gaze_to_the_patients_left_moves_the_pupils_to_the_right_of_the_picture(
    renderer: MaskRenderer,
) -> None:
    ahead = pupils(renderer, neutral_state())
    state = replace(neutral_state(), left=EyeState(15.0), right=EyeState(15.0))
    aside = pupils(renderer, state)
    # 10.5 mm sin 15 = 2.7 mm, at 480 px / 202 mm.
    for side in ("left", "right"):
        assert aside[side][0] - ahead[side][0] == pytest.approx(6.5, abs=1.0)


def test_each_eye_looks_by_itself(renderer: MaskRenderer) -> None:
    ahead = pupils(renderer, neutral_state())
    aside = pupils(renderer, replace(neutral_state(), left=EyeState(15.0)))
    assert aside["right"][0] - ahead["right"][0] > 3, "the patient's left is on the right"
    assert abs(aside["left"][0] - ahead["left"][0]) < 0.3


def test_only_the_patients_left_eye_shuts_when_the_left_is_shut(renderer: MaskRenderer) -> None:
    change = np.abs(
        drawn(renderer, replace(neutral_state(), left=SHUT)) - drawn(renderer, neutral_state())
    ).max(-1)
    assert (change[:, 320:] > 40).sum() > 150
    assert (change[:, :320] > 3).sum() == 0


def test_no_eyeball_is_seen_through_shut_lids(renderer: MaskRenderer) -> None:
    state = replace(neutral_state(), left=SHUT, right=SHUT)
    away = replace(
        state,
        left=replace(SHUT, gaze_yaw_deg=25.0, pupil_mm=8.0),
        right=replace(SHUT, gaze_yaw_deg=25.0, pupil_mm=8.0),
    )
    change = np.abs(drawn(renderer, away) - drawn(renderer, state)).max(-1)
    assert (change > 8).sum() == 0


def test_a_larger_pupil_is_drawn_larger(renderer: MaskRenderer) -> None:
    small = replace(neutral_state(), left=EyeState(pupil_mm=2.5))
    large = replace(neutral_state(), left=EyeState(pupil_mm=7.0))
    darker = drawn(renderer, small).sum(-1) - drawn(renderer, large).sum(-1) > 60
    assert darker[:, 320:].sum() > 30
    assert darker[:, :320].sum() == 0


@pytest.mark.parametrize("expression", ["browOuterUpLeft", "mouthSmileLeft"])
def test_left_expressions_show_on_the_right_of_the_picture(
    renderer: MaskRenderer, expression: str
) -> None:
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    weights[EXPRESSIONS.index(expression)] = 0.9
    change = np.abs(
        drawn(renderer, replace(neutral_state(), expression=weights))
        - drawn(renderer, neutral_state())
    ).sum(-1)
    assert change[:, 330:].sum() > 5 * change[:, :310].sum()


def test_a_turn_to_the_patients_left_shows_the_nose_on_the_right(renderer: MaskRenderer) -> None:
    turned = replace(
        neutral_state(), rotation=Rotation.from_euler("y", 40, degrees=True).as_matrix()
    )
    shown = head_pixels(drawn(renderer, turned))
    assert shown[:, [0, -1]].sum() == 0, "the head stays between the picture's sides"
    # The patient's left eye comes nearer to the outline, his right eye to the picture's middle.
    columns = np.nonzero(shown)[1]
    small = replace(turned, right=EyeState(pupil_mm=2.0))
    large = replace(turned, right=EyeState(pupil_mm=7.0))
    right_eye = (drawn(renderer, small) - drawn(renderer, large)).sum(-1) > 60
    assert np.nonzero(right_eye)[1].mean() > columns.mean() + 20


def test_the_head_stands_where_the_offset_says(renderer: MaskRenderer) -> None:
    ahead = pupils(renderer, neutral_state())["left"]
    moved = pupils(renderer, replace(neutral_state(), offset_mm=(20.0, 10.0)))["left"]
    per_mm = 480 / 202
    assert moved[0] - ahead[0] == pytest.approx(20 * per_mm, abs=1)
    assert moved[1] - ahead[1] == pytest.approx(-10 * per_mm, abs=1)


def test_drawing_is_the_same_each_time_and_sizes_can_alternate(renderer: MaskRenderer) -> None:
    first = drawn(renderer, neutral_state())
    drawn(renderer, neutral_state(), (320, 240))
    assert (drawn(renderer, neutral_state()) == first).all()


def test_two_renderers_of_one_thread_do_not_disturb_each_other(renderer: MaskRenderer) -> None:
    first = drawn(renderer, neutral_state(), (160, 120))
    other = MaskRenderer(load_head())
    assert (drawn(other, neutral_state(), (160, 120)) == first).all()
    assert (drawn(renderer, neutral_state(), (160, 120)) == first).all()
    other.close()
    assert (drawn(renderer, neutral_state(), (160, 120)) == first).all()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_masks_drawn_by_turns_in_one_context_are_what_each_is_alone(asynchronous: bool) -> None:
    head = load_head()
    looks = [
        (Inset.NONE, Complexion(), (320, 240), neutral_state()),
        (Inset.EYES, Complexion("dark", "green"), (480, 360), replace(neutral_state(), left=SHUT)),
        (Inset.NONE, Complexion("medium", "blue"), (240, 320), neutral_state()),
    ]
    context = DrawingContext(head)
    together = [
        MaskRenderer(head, inset, complexion=complexion, context=context)
        for inset, complexion, _, _ in looks
    ]
    for each in together:
        each._readback = Readback(context.gl, asynchronous)
    for _ in range(2):
        begun = [
            each.begin(state, size)
            for each, (_, _, size, state) in zip(together, looks, strict=True)
        ]
        samples = [each.end() for each in together]
        for drawn, brought, (inset, complexion, size, state) in zip(
            begun, samples, looks, strict=True
        ):
            alone = MaskRenderer(head, inset, complexion=complexion)
            picture = Composer(inset).compose(drawn, brought, CLOCK).rgb
            assert (picture == alone.draw(state, size, CLOCK).rgb).all()
            alone.close()
    together[0].close()
    drawn = together[1].begin(neutral_state(), SIZE)
    assert together[1].end().shape == drawn.shape
    context.close()


def test_an_odd_size_is_refused(renderer: MaskRenderer) -> None:
    with pytest.raises(RenderingError, match="even"):
        renderer.draw(neutral_state(), (641, 480), CLOCK)


def test_an_absent_device_is_one_line_that_names_the_packages() -> None:
    with pytest.raises(RenderingError, match="libegl1") as caught:
        MaskRenderer(load_head(), device_index=99)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("yaw_deg", [20.0, 35.0, -35.0])
def test_no_tooth_stands_alone_in_a_mouth_seen_from_aside(
    renderer: MaskRenderer, yaw_deg: float
) -> None:
    expression = np.zeros(len(EXPRESSIONS), np.float32)
    expression[EXPRESSIONS.index("jawOpen")] = 0.4
    turned = Rotation.from_euler("y", yaw_deg, degrees=True).as_matrix()
    state = replace(neutral_state(), expression=expression, rotation=turned)
    mouth = renderer.draw_identity(state, SIZE).part == MOUTH
    bright = drawn(renderer, state)[mouth].mean(axis=-1) > 140
    assert mouth.sum() > 1000
    assert bright.mean() < 0.06
