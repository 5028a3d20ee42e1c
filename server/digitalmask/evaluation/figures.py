"""How far what was seen of a simulated patient is from the truth, as figures.

Everything here is about one scenario of one person; what is seen is either the tracker's state or
the mask as it is drawn. Eyes come in the order right, left.

Frames count from the end of the scenario's prelude on, where a face was followed. Gaze and lids are
compared in fixations (the truth's gaze within 2 degrees over five frames) of up to 25.5 degrees,
gaze where the pupil's centre is open, lids outside of blinks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pose
from digitalmask.simulation import scenarios
from digitalmask.simulation.scenarios import Scenario
from digitalmask.simulation.truth import FrameTruth

Floats = NDArray[np.float64]
Figures = dict[str, float | None]

_FIXATION_DEG, _FIXATION_FRAMES = 2.0, 2  # before and after
_ECCENTRIC_DEG = 25.5
_PUPIL_OPEN_MM = 0.5
# A blink begins and ends where the opening passes these shares of its open level.
_BEGINS_BELOW, _ENDS_ABOVE, _OPEN_QUANTILE = 0.72, 0.85, 0.8
_BLINK_APART_S = 0.07
_LARGE_SACCADE_DEG, _LEAST_SACCADE_DEG = 19.0, 4.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen, frame by frame; nan where it was not.

    gaze_deg: (n, 2, 2), eye, yaw and pitch. lids_mm: (n, 2, 2), eye, upper and lower lid above the
    pupil's centre. opening_mm: (n, 2), 0 for a closed eye, also where its lids are nan. rotation:
    (n, 3, 3), in the view frame. rest_mm: (n, 3), left above right of brow, corner of the mouth and
    nasolabial fold.
    """

    gaze_deg: Floats
    lids_mm: Floats
    opening_mm: Floats
    rotation: Floats
    rest_mm: Floats


@dataclass(frozen=True, slots=True)
class Truth:
    """The same as it truly was; lids in the pupil's column, margins_mm at half of the fissure.

    t_s: (n,). scored: (n,). blink: (n, 2), the number of the blink that an eye is in, 0 for none.
    """

    seen: Seen
    margins_mm: Floats
    t_s: Floats
    scored: NDArray[np.bool_]
    blink: NDArray[np.int64]


def gather_truth(frames: Sequence[FrameTruth]) -> Truth:
    """The truth of a scenario's frames as arrays."""
    eyes = [(frame.right, frame.left) for frame in frames]
    lids = np.array([[(eye.upper_lid_mm, eye.lower_lid_mm) for eye in pair] for pair in eyes])
    return Truth(
        seen=Seen(
            gaze_deg=np.array(
                [[(eye.gaze_yaw_deg, eye.gaze_pitch_deg) for eye in pair] for pair in eyes]
            ),
            lids_mm=lids,
            opening_mm=lids[..., 0] - lids[..., 1],
            rotation=np.array(
                [
                    Pose(
                        np.asarray(frame.rotation, np.float64),
                        np.asarray(frame.place_mm, np.float64),
                    ).view_rotation()
                    for frame in frames
                ]
            ),
            rest_mm=np.array(
                [(frame.brow_mm, frame.mouth_corner_mm, frame.nasolabial_mm) for frame in frames]
            ),
        ),
        margins_mm=np.array(
            [[(eye.upper_margin_mm[1], eye.lower_margin_mm[1]) for eye in pair] for pair in eyes]
        ),
        t_s=np.array([frame.t_s for frame in frames]),
        scored=np.array([frame.scored for frame in frames]),
        blink=np.array([[eye.blink for eye in pair] for pair in eyes]),
    )


def compare(scenario: Scenario, truth: Truth, seen: Seen, lids_mm: Floats) -> Figures:
    """The figures that the scenario is for. lids_mm: the truth's, as `seen` has them.

    gaze_error_deg: angle between the directions, both eyes together. squint_error_pd: median error
    of the difference between the eyes in prism dioptres, horizontal or vertical, the larger.
    mrd1_error_mm, mrd2_error_mm: of the upper and the lower lid. closure_error_mm: worst error of
    the least opening in a blink. blink_recall, blink_precision: events of each eye matched in time.
    nystagmus_gain, nystagmus_lag_ms: amplitude over the truth's and delay at the known frequency
    (least squares, a cubic drift taken out), across or up and down, as the eyes move more, of the
    eye for which it is worse; tremor_gain, tremor_lag_ms: the same of eyes that stay where they
    look while the head trembles. saccade_late_frames:
    frames by which 90 % of a step of 20 degrees (`_all`: of any) is reached after the truth has it,
    at worst, on what was seen before and after it. pose_error_deg: median angle of the rotation in
    between. gaze_jitter_deg, lid_jitter_mm: rms about the median, of the worst eye and axis.
    *_asymmetry_error_mm: error of the median over time.
    """
    figures: Figures = {}
    about = scenario.figures
    steady = truth.scored & _fixating(truth.seen.gaze_deg)
    if scenarios.GAZE in about:
        error = _gaze_error(truth, seen, steady)
        figures["gaze_error_deg_median"] = _quantile(error, 0.5)
        figures["gaze_error_deg_p95"] = _quantile(error, 0.95)
    if scenarios.SQUINT in about:
        figures["squint_error_pd"] = _squint_error(truth, seen, steady)
    if scenarios.LIDS in about:
        away = np.abs(seen.lids_mm - lids_mm)[steady[:, None] & (truth.blink == 0)]
        for lid, name in enumerate(("mrd1", "mrd2")):
            figures[f"{name}_error_mm_median"] = _quantile(away[:, lid], 0.5)
            figures[f"{name}_error_mm_p95"] = _quantile(away[:, lid], 0.95)
    if scenarios.BLINKS in about:
        figures |= _blinks(truth, seen)
    if scenarios.NYSTAGMUS in about and scenario.nystagmus_hz is not None:
        figures |= _oscillating("nystagmus", truth, seen, scenario.nystagmus_hz)
    if scenarios.TREMOR in about and scenario.nystagmus_hz is not None:
        figures |= _oscillating("tremor", truth, seen, scenario.nystagmus_hz)
    if scenarios.SACCADES in about:
        figures |= _saccades(truth, seen)
    if scenarios.POSE in about:
        error = rotation_between_deg(truth.seen.rotation, seen.rotation)[truth.scored]
        figures["pose_error_deg"] = _quantile(error, 0.5)
        figures["pose_error_deg_p95"] = _quantile(error, 0.95)
    if scenarios.JITTER in about:
        figures["gaze_jitter_deg"] = _jitter(seen.gaze_deg[truth.scored])
        figures["lid_jitter_mm"] = _jitter(seen.lids_mm[truth.scored])
    if scenarios.PALSY in about:
        names = ("brow", "mouth_corner", "nasolabial")
        for part, name in enumerate(names):
            at_rest = _quantile(seen.rest_mm[truth.scored, part], 0.5)
            if at_rest is not None:
                true_mm = truth.seen.rest_mm[0, part]
                figures[f"{name}_asymmetry_error_mm"] = abs(at_rest - float(true_mm))
    return {name: None if value is None else round(value, 3) for name, value in figures.items()}


def worst(name: str, values: Sequence[float]) -> float:
    """The worst of several values of one figure."""
    if name.startswith(("nystagmus_gain", "blink_recall", "blink_precision")):
        return min(values)
    if name.startswith("tremor_gain"):
        return _farthest_from_one(values)
    return max(values, key=abs)


def _farthest_from_one(gains: Sequence[float]) -> float:
    return max(gains, key=lambda gain: abs(gain - 1))


def rotation_between_deg(one: Floats, other: Floats) -> Floats:
    """(n,) angles between rotations (n, 3, 3)."""
    cos = (np.einsum("nij,nij->n", one, other) - 1) / 2
    return np.asarray(np.degrees(np.arccos(np.clip(cos, -1, 1))))


def directions(gaze_deg: Floats) -> Floats:
    """(..., 3) unit vectors of (..., 2) yaw and pitch."""
    yaw, pitch = np.moveaxis(np.radians(gaze_deg), -1, 0)
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)


def _quantile(values: Floats, share: float) -> float | None:
    kept = values[np.isfinite(values)]
    return float(np.quantile(kept, share)) if kept.size else None


def _fixating(gaze_deg: Floats) -> NDArray[np.bool_]:
    """(n,) frames around which neither eye moves by more than a little."""
    count = len(gaze_deg)
    still = np.empty(count, bool)
    for frame in range(count):
        around = gaze_deg[max(frame - _FIXATION_FRAMES, 0) : frame + _FIXATION_FRAMES + 1]
        still[frame] = np.ptp(around, axis=0).max() < _FIXATION_DEG
    return still


def _gaze_error(truth: Truth, seen: Seen, steady: NDArray[np.bool_]) -> Floats:
    real = directions(truth.seen.gaze_deg)
    error = np.degrees(
        np.arccos(np.clip((real * directions(seen.gaze_deg)).sum(axis=-1), -1.0, 1.0))
    )
    central = np.degrees(np.arccos(np.clip(real[..., 2], -1, 1))) <= _ECCENTRIC_DEG
    is_open = truth.seen.lids_mm[..., 0] > _PUPIL_OPEN_MM
    return np.asarray(error[steady[:, None] & central & is_open])


def _squint_error(truth: Truth, seen: Seen, steady: NDArray[np.bool_]) -> float | None:
    """In prism dioptres; frames in which an eye's pupil is covered are left out."""
    is_open = (truth.seen.lids_mm[..., 0] > _PUPIL_OPEN_MM).all(axis=1)
    chosen = steady & is_open
    between = [
        100 * np.tan(np.radians(gaze[chosen, 0] - gaze[chosen, 1]))
        for gaze in (truth.seen.gaze_deg, seen.gaze_deg)
    ]
    errors = [_quantile(np.abs(between[1] - between[0])[:, axis], 0.5) for axis in (0, 1)]
    known = [error for error in errors if error is not None]
    return max(known) if known else None


def blink_events(t_s: Floats, opening_mm: Floats) -> list[tuple[float, float]]:
    """When an eye closed by a good part and was open again: (start_s, end_s) each."""
    known = np.isfinite(opening_mm)
    if not known.any():
        return []
    opening = np.interp(t_s, t_s[known], opening_mm[known])
    level = float(np.quantile(opening, _OPEN_QUANTILE))
    events: list[tuple[float, float]] = []
    start_s: float | None = None
    for at_s, height in zip(t_s.tolist(), opening.tolist(), strict=True):
        if start_s is None and height < _BEGINS_BELOW * level:
            start_s = at_s
        elif start_s is not None and height > _ENDS_ABOVE * level:
            events.append((start_s, at_s))
            start_s = None
    if start_s is not None:
        events.append((start_s, float(t_s[-1])))
    return events


def _blinks(truth: Truth, seen: Seen) -> Figures:
    happened = found = matched = 0
    closure: list[float] = []
    for eye in range(2):
        t_s, number = truth.t_s[truth.scored], truth.blink[truth.scored, eye]
        opening = seen.opening_mm[truth.scored, eye]
        real_opening = truth.seen.opening_mm[truth.scored, eye]
        events = blink_events(t_s, opening)
        found += len(events)
        for blink in np.unique(number[number > 0]):
            during = number == blink
            start_s, end_s = t_s[during][0] - _BLINK_APART_S, t_s[during][-1] + _BLINK_APART_S
            happened += 1
            fitting = [event for event in events if event[0] < end_s and event[1] > start_s]
            if fitting:
                matched += 1
                events.remove(fitting[0])
            window = opening[(t_s >= start_s) & (t_s <= end_s)]
            if np.isfinite(window).any():
                closure.append(abs(float(np.nanmin(window)) - float(real_opening[during].min())))
    return {
        "blink_recall": matched / happened if happened else None,
        "blink_precision": matched / found if found else None,
        "closure_error_mm": max(closure) if closure else None,
    }


def _oscillating(name: str, truth: Truth, seen: Seen, hertz: float) -> Figures:
    gains, lags_ms = [], []
    for eye in range(2):
        real_deg, shown_deg = truth.seen.gaze_deg[:, eye], seen.gaze_deg[:, eye]
        chosen = truth.scored & np.isfinite(shown_deg[:, 0])
        if chosen.sum() < 30:
            return {f"{name}_gain": None, f"{name}_lag_ms": None}
        t_s = truth.t_s[chosen]
        axis = int(np.ptp(real_deg[chosen], axis=0).argmax())
        real = _oscillation(t_s, real_deg[chosen, axis], hertz)
        shown = _oscillation(t_s, shown_deg[chosen, axis], hertz)
        gains.append(abs(shown) / abs(real))
        lags_ms.append(-float(np.angle(shown / real)) / (2 * np.pi * hertz) * 1e3)
    return {
        f"{name}_gain": _farthest_from_one(gains),
        f"{name}_lag_ms": max(lags_ms, key=abs),
    }


def _oscillation(t_s: Floats, values: Floats, hertz: float) -> complex:
    """The complex amplitude at a frequency, beside a cubic drift."""
    angle = 2 * np.pi * hertz * t_s
    drift = np.polynomial.polynomial.polyvander((t_s - t_s.mean()) / np.ptp(t_s), 3)
    system = np.column_stack([np.cos(angle), np.sin(angle), drift])
    cosine, sine = np.linalg.lstsq(system, values, rcond=None)[0][:2]
    return complex(cosine, -sine)


def _saccades(truth: Truth, seen: Seen) -> Figures:
    late: dict[str, list[int]] = {"saccade_late_frames": [], "saccade_late_frames_all": []}
    for eye in range(2):
        real, shown = truth.seen.gaze_deg[:, eye, 0], seen.gaze_deg[:, eye, 0]
        for start, end in _steps(real, truth.scored):
            size = abs(real[end] - real[start])
            if np.isnan(shown[start - 4 : end + 9]).any():
                continue
            by = _reached(shown, start, end) - _reached(real, start, end)
            if size > _LEAST_SACCADE_DEG:
                late["saccade_late_frames_all"].append(by)
            if size > _LARGE_SACCADE_DEG:
                late["saccade_late_frames"].append(by)
    return {name: max(values) if values else None for name, values in late.items()}


def _steps(real: Floats, scored: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(last frame before, first frame after) of each fast movement with room around it."""
    fast = np.abs(np.diff(real)) > 0.05
    frames = np.flatnonzero(fast)
    if not frames.size:
        return []
    groups = np.split(frames, np.flatnonzero(np.diff(frames) > 2) + 1)
    steps = [(int(group[0]), int(group[-1]) + 1) for group in groups]
    return [(a, b) for a, b in steps if scored[a] and a > 4 and b + 9 < len(real)]


def _reached(values: Floats, start: int, end: int) -> int:
    """The first frame from the start of a step at which it has 90 % of it."""
    before = float(np.median(values[start - 4 : start + 1]))
    after = float(np.median(values[end + 4 : end + 9]))
    share = (values[start : end + 9] - before) / (after - before)
    return start + int(np.argmax(share >= 0.9))


def _jitter(values: Floats) -> float | None:
    """rms about the median over time, of the worst column."""
    columns = values.reshape(len(values), -1)
    columns = columns[np.isfinite(columns).all(axis=1)]
    if not len(columns):
        return None
    about = columns - np.median(columns, axis=0)
    return float(np.sqrt((about**2).mean(axis=0)).max())
