"""Figures say of known errors what they are."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.evaluation.figures import Seen, Truth, blink_events, compare, worst
from digitalmask.simulation.scenarios import (
    BLINKS,
    GAZE,
    JITTER,
    LIDS,
    NYSTAGMUS,
    POSE,
    SACCADES,
    SQUINT,
    TREMOR,
    Scenario,
)

RATE = 30.0
COUNT = 180


def scenario(*figures: str, hertz: float | None = None) -> Scenario:
    return Scenario("a", "", 6.0, frozenset(figures), lambda _, pose: pose, nystagmus_hz=hertz)


def truth(
    yaw: NDArray[np.float64] | None = None,
    upper: NDArray[np.float64] | None = None,
    blink: NDArray[np.int64] | None = None,
) -> Truth:
    gaze = np.zeros((COUNT, 2, 2))
    if yaw is not None:
        gaze[..., 0] = yaw[:, None]
    lids = np.full((COUNT, 2, 2), (4.0, -5.0))
    if upper is not None:
        lids[..., 0] = upper[:, None]
    seen = Seen(
        gaze_deg=gaze,
        lids_mm=lids,
        opening_mm=lids[..., 0] - lids[..., 1],
        rotation=np.tile(np.eye(3), (COUNT, 1, 1)),
        rest_mm=np.zeros((COUNT, 3)),
    )
    blinks = np.zeros((COUNT, 2), np.int64)
    if blink is not None:
        blinks[:] = blink[:, None]
    return Truth(seen, lids, np.arange(COUNT) / RATE, np.arange(COUNT) >= 30, blinks)


def moved(seen: Seen, right_yaw: float = 0.0, left_yaw: float = 0.0, upper: float = 0.0) -> Seen:
    return replace(
        seen,
        gaze_deg=seen.gaze_deg + np.array([[right_yaw, 0.0], [left_yaw, 0.0]]),
        lids_mm=seen.lids_mm + np.array([upper, 0.0]),
    )


def test_what_is_true_has_no_error() -> None:
    real = truth()
    figures = compare(
        scenario(GAZE, SQUINT, LIDS, POSE, JITTER), real, real.seen, real.seen.lids_mm
    )
    assert len(figures) == 11
    assert all(value == pytest.approx(0, abs=0.01) for value in figures.values())


def test_an_error_of_one_eye_is_a_squint_and_of_both_is_none() -> None:
    real = truth()
    both = compare(scenario(GAZE, SQUINT), real, moved(real.seen, 5, 5), real.seen.lids_mm)
    assert both["gaze_error_deg_median"] == pytest.approx(5, abs=0.01)
    assert both["squint_error_pd"] == pytest.approx(0, abs=0.01)
    one = compare(scenario(GAZE, SQUINT), real, moved(real.seen, 5, 0), real.seen.lids_mm)
    assert one["squint_error_pd"] == pytest.approx(100 * np.tan(np.radians(5)), abs=0.01)


def test_lid_errors_and_jitter_are_in_millimetres_and_the_prelude_does_not_count() -> None:
    real = truth()
    seen = moved(real.seen, upper=0.4)
    noise = np.random.default_rng(0).normal(0, 0.1, (COUNT, 2, 2))
    figures = compare(scenario(LIDS), real, seen, real.seen.lids_mm)
    assert figures["mrd1_error_mm_median"] == pytest.approx(0.4)
    assert figures["mrd2_error_mm_median"] == pytest.approx(0.0)
    seen = replace(real.seen, gaze_deg=noise)
    seen.gaze_deg[:30] += 50
    jitter = compare(scenario(JITTER), real, seen, real.seen.lids_mm)
    assert jitter["gaze_jitter_deg"] == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize("hertz", [2.0, 4.0, 6.0, 8.0])
def test_a_weaker_later_nystagmus_has_its_gain_and_lag(hertz: float) -> None:
    t_s = np.arange(COUNT) / RATE
    real = truth(3 * np.sin(2 * np.pi * hertz * t_s))
    shown = truth(0.8 * 3 * np.sin(2 * np.pi * hertz * (t_s - 0.02)) + 0.5 * t_s).seen
    figures = compare(scenario(NYSTAGMUS, hertz=hertz), real, shown, real.seen.lids_mm)
    assert figures["nystagmus_gain"] == pytest.approx(0.8, abs=0.01)
    assert figures["nystagmus_lag_ms"] == pytest.approx(20, abs=1)


def test_a_nystagmus_up_and_down_is_looked_at_along_its_way() -> None:
    t_s = np.arange(COUNT) / RATE
    wave = 3 * np.sin(2 * np.pi * 3.0 * t_s)
    real, shown = truth(), truth(0.3 * wave).seen
    real.seen.gaze_deg[..., 1] = wave[:, None]
    shown.gaze_deg[..., 1] = 0.7 * wave[:, None]
    figures = compare(scenario(NYSTAGMUS, hertz=3.0), real, shown, real.seen.lids_mm)
    assert figures["nystagmus_gain"] == pytest.approx(0.7, abs=0.01)


def test_a_head_that_trembles_is_no_nystagmus_and_its_gain_is_worst_farthest_from_one() -> None:
    t_s = np.arange(COUNT) / RATE
    real = truth(np.sin(2 * np.pi * 3.0 * t_s))
    shown = truth(1.2 * np.sin(2 * np.pi * 3.0 * t_s)).seen
    figures = compare(scenario(TREMOR, hertz=3.0), real, shown, real.seen.lids_mm)
    assert set(figures) == {"tremor_gain", "tremor_lag_ms"}
    assert figures["tremor_gain"] == pytest.approx(1.2, abs=0.01)
    assert worst("tremor_gain", [1.2, 0.9, 0.7]) == 0.7


def test_a_saccade_shown_two_frames_later_is_late_by_two() -> None:
    yaw = np.where(np.arange(COUNT) < 80, 10.0, -10.0)
    real = truth(yaw)
    shown = replace(real.seen, gaze_deg=np.roll(real.seen.gaze_deg, 2, axis=0))
    figures = compare(scenario(SACCADES), real, shown, real.seen.lids_mm)
    assert figures["saccade_late_frames"] == 2
    in_time = compare(scenario(SACCADES), real, moved(real.seen, 3, 3), real.seen.lids_mm)
    assert in_time["saccade_late_frames"] == 0


def blinking(starts: tuple[int, ...], depth: float) -> tuple[NDArray[np.float64], ...]:
    upper, number = np.full(COUNT, 4.0), np.zeros(COUNT, np.int64)
    for place, start in enumerate(starts, 1):
        upper[start : start + 5] = 4.0 - 9.0 * depth
        number[start : start + 5] = place
    return upper, number.astype(np.float64)


def test_blinks_are_events_each_of_which_is_found_or_missed() -> None:
    upper, number = blinking((50, 90, 130), 1.0)
    real = truth(upper=upper, blink=number.astype(np.int64))
    all_found = compare(scenario(BLINKS), real, real.seen, real.seen.lids_mm)
    assert all_found == {"blink_recall": 1.0, "blink_precision": 1.0, "closure_error_mm": 0.0}
    others = truth(upper=blinking((52, 110), 0.8)[0]).seen
    figures = compare(scenario(BLINKS), real, others, real.seen.lids_mm)
    assert figures["blink_recall"] == pytest.approx(1 / 3, abs=1e-3)
    assert figures["blink_precision"] == pytest.approx(1 / 2)
    assert figures["closure_error_mm"] == pytest.approx(9.0)


def test_an_incomplete_blink_is_an_event_and_noise_is_none() -> None:
    t_s = np.arange(COUNT) / RATE
    half = blinking((60,), 0.45)[0] + 5.0
    assert len(blink_events(t_s, half)) == 1
    noise = 9 + np.random.default_rng(0).normal(0, 0.4, COUNT)
    assert blink_events(t_s, noise) == []


def test_frames_without_a_face_do_not_count() -> None:
    real = truth()
    seen = moved(real.seen, 5, 5)
    seen.gaze_deg[40:60] = np.nan
    figures = compare(scenario(GAZE), real, seen, real.seen.lids_mm)
    assert figures["gaze_error_deg_median"] == pytest.approx(5, abs=0.01)
    seen.gaze_deg[:] = np.nan
    assert compare(scenario(GAZE), real, seen, real.seen.lids_mm)["gaze_error_deg_p95"] is None


def test_the_worst_of_a_gain_is_the_smallest_and_of_an_error_the_largest() -> None:
    assert worst("nystagmus_gain", [0.9, 0.7]) == 0.7
    assert worst("nystagmus_lag_ms", [3.0, -9.0]) == -9.0
    assert worst("gaze_error_deg_median", [3.0, 9.0]) == 9.0
