"""Series of faces with known answers: what follows has r = 1, what does not is told."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from digitalmask.evaluation.measures import FaceTrack
from digitalmask.evaluation.video import Figures, closures, correlation, figures, matched
from tests.evaluation.faces import OPENING, face

COUNT, RATE = 120, 30.0
AT_S = np.arange(COUNT) / RATE
BLINKS_S = (0.8, 1.9, 3.1)


def closing(at_s: float, blinks_s: Sequence[float] = BLINKS_S) -> float:
    """The opening of an eye that blinks for 0.2 s."""
    return OPENING * min(min(abs(at_s - blink_s) / 0.1, 1.0) for blink_s in blinks_s)


def moving(at_s: float, **other: float) -> FaceTrack:
    """All that is compared varies, each in a rhythm of its own."""
    wave = [np.sin(2 * np.pi * hertz * at_s) for hertz in (0.5, 0.8, 1.1, 1.7, 0.9, 0.7)]
    what = {
        "left_x": 0.15 * wave[0],
        "right_x": 0.15 * wave[1],
        "y": 0.05 * wave[2],
        "left_opening": closing(at_s),
        "right_opening": closing(at_s),
        "mouth": 0.2 + 0.1 * wave[3],
        "yaw_deg": 10 * wave[4],
        "pitch_deg": 5 * wave[5],
        "roll_deg": 4 * wave[0],
    }
    return face(**(what | other))


def compare(mask: Callable[[float], FaceTrack | None], cards: Sequence[int] = ()) -> Figures:
    originals = [moving(at_s) for at_s in AT_S.tolist()]
    masks = [mask(at_s) for at_s in AT_S.tolist()]
    return figures(AT_S.tolist(), originals, masks, [n in cards for n in range(COUNT)])


def test_a_mask_that_does_the_same_follows_in_everything() -> None:
    found = compare(moving)
    for name in ("iris_x_left", "iris_y_right", "vergence", "opening_left", "mouth", "yaw", "roll"):
        assert found[f"{name}_r"] == pytest.approx(1.0)
    assert found["blink_recall"] == found["blink_precision"] == 1.0
    assert found["blinks"] == 6  # three of each eye
    assert found["eye_error_pct"] == 0.0
    assert (found["frames"], found["cards"], found["tracked"]) == (COUNT, 0, 1.0)


def test_another_face_that_moves_alike_follows_but_for_the_shape() -> None:
    found = compare(lambda at_s: moving(at_s, shape=0.08, scale=0.5))
    assert found["iris_x_left_r"] == pytest.approx(1.0)
    assert found["opening_left_r"] == pytest.approx(1.0)
    assert found["eye_error_pct"] == pytest.approx(8 * 7 / 19, abs=0.01)


def test_a_squint_that_grazes_the_threshold_is_found_and_a_wide_eye_is_not() -> None:
    def squinting(least: float) -> Callable[[float], FaceTrack]:
        def at(at_s: float) -> FaceTrack:
            opening = max(closing(at_s), least * OPENING)
            return moving(at_s, left_opening=opening, right_opening=opening)

        return at

    originals = [squinting(0.45)(at_s) for at_s in AT_S.tolist()]
    for least, recall in ((0.55, 1.0), (0.65, 0.0)):
        masks = [squinting(least)(at_s) for at_s in AT_S.tolist()]
        found = figures(AT_S.tolist(), originals, masks, [False] * COUNT)
        assert found["blink_recall"] == recall
        assert found["blink_precision"] is None


def test_one_eye_that_is_still_is_told_by_itself() -> None:
    found = compare(lambda at_s: moving(at_s, left_x=0.0, left_opening=OPENING))
    assert found["iris_x_left_r"] == 0.0
    assert found["opening_left_r"] == 0.0
    assert found["iris_x_right_r"] == pytest.approx(1.0)
    assert found["blink_recall"] == 0.5
    assert found["blink_precision"] == 1.0


def test_eyes_that_swap_sides_do_not_pass() -> None:
    def mirrored(at_s: float) -> FaceTrack:
        wave = [0.15 * float(np.sin(2 * np.pi * hertz * at_s)) for hertz in (0.5, 0.8)]
        return moving(at_s, left_x=-wave[1], right_x=-wave[0])

    found = compare(mirrored)
    assert isinstance(found["iris_x_left_r"], float)
    assert found["iris_x_left_r"] < 0.5


def test_what_does_not_vary_has_no_figure() -> None:
    still = [face() for _ in AT_S]
    found = figures(AT_S.tolist(), still, still, [False] * COUNT)
    for key in ("iris_x_left_r", "vergence_r", "opening_left_r", "mouth_r", "pitch_r"):
        assert found[key] is None
    assert found["blink_recall"] is None
    assert found["blink_precision"] is None


def test_cards_are_counted_and_not_compared() -> None:
    found = compare(lambda at_s: moving(at_s) if at_s > 0.5 else None, cards=range(10))
    assert found["cards"] == 10
    assert found["tracked"] == pytest.approx(104 / 110, abs=1e-3)  # frames 10 to 15 were lost
    assert found["mouth_r"] == pytest.approx(1.0)


def test_a_video_without_a_face_has_no_figures() -> None:
    nobody = [None] * 5
    found = figures([0.0] * 5, nobody, nobody, [True] * 5)
    assert found["tracked"] is None
    assert found["eye_error_pct"] is None
    assert found["frames"] == found["cards"] == 5


def test_an_iris_behind_a_lid_is_not_compared() -> None:
    def astray(at_s: float) -> FaceTrack:
        return moving(at_s, y=5.0) if closing(at_s) < 0.4 * OPENING else moving(at_s)

    assert compare(astray)["iris_y_left_r"] == pytest.approx(1.0)


def test_a_shift_in_time_lowers_the_correlation() -> None:
    wave = np.sin(2 * np.pi * 3 * AT_S)
    assert correlation(wave, np.roll(wave, 1), 0.1) == pytest.approx(np.cos(0.2 * np.pi), abs=0.01)
    assert correlation(wave[:20], wave[:20], 0.1) is None


def test_a_flutter_about_the_threshold_is_one_closure() -> None:
    opening = np.full(90, 1.0)
    opening[30:40] = [0.4, 0.55, 0.45, 0.6, 0.3, 0.0, 0.1, 0.55, 0.45, 0.6]
    opening[60:63] = 0.6  # not half closed
    found = closures(np.arange(90) / RATE, opening)
    assert len(found) == 1
    assert found[0] == pytest.approx((1.0, 39 / RATE))


def test_a_frame_without_a_face_ends_no_closure_and_begins_none() -> None:
    opening = np.array([1.0, 1, np.nan, 1, 0.1, np.nan, 0.1, 1])
    assert len(closures(np.arange(8) / RATE, opening)) == 1
    assert closures(np.arange(3) / RATE, np.full(3, np.nan)) == []


def test_closures_match_one_to_one() -> None:
    assert matched([(1.0, 1.2), (2.0, 2.2)], [(1.25, 1.4), (5.0, 5.1)]) == 1
    assert matched([(1.0, 3.0)], [(1.1, 1.2), (2.0, 2.1)]) == 1
    assert matched([], [(1.0, 1.1)]) == 0
