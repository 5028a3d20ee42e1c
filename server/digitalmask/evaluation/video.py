"""How a mask follows a real video: both are tracked by the reference tracker and compared.

There is no truth here: original and mask are read by one judge, and what it gets wrong in one it
may get wrong in both. `digitalmask evaluate truth` has the truth; this has real faces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.errors import MediaError
from digitalmask.evaluation.alternative import LandmarkMask, canonical_triangles
from digitalmask.evaluation.measures import (
    CLOSED_BELOW,
    QUANTITIES,
    FaceTrack,
    eye_error_pct,
    open_frames,
    open_level,
    read_face,
    towards_sight,
)
from digitalmask.evaluation.reference_tracker import ReferenceFace, ReferenceTracker, Say
from digitalmask.evaluation.replay import replay
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.pipeline import Drawer, Follower, Masker, Sighting
from digitalmask.rendering import MaskRenderer
from digitalmask.tracking import FaceTracker
from digitalmask.tracking.networks import Networks
from digitalmask.tracking.observation import FaceObservation

Floats = NDArray[np.float64]
Figures = dict[str, float | int | None]

# The least standard deviation over a video at which a quantity counts as varying; below it a
# correlation would be one of noise. The reference tracker's own noise from frame to frame in the
# nine videos of the project is 0.004 to 0.012 in iris_x (1 degree of gaze is 0.0065), 0.002 to
# 0.007 in iris_y, 0.005 to 0.017 in vergence (to which turning the head adds 0.03), 0.003 to 0.010
# in opening, up to 0.019 in mouth, up to 0.7 degrees in the head's turn.
_LEAST_SPREAD = {
    "iris_x_left": 0.025, "iris_x_right": 0.025, "iris_y_left": 0.015, "iris_y_right": 0.015,
    "vergence": 0.06, "opening_left": 0.03, "opening_right": 0.03, "mouth": 0.03,
    "yaw": 1.0, "pitch": 1.0, "roll": 1.0,
}  # fmt: skip
_FEWEST_FRAMES = 25
# Of an eye's open level it is closed enough to answer another below the first share, and open again
# above the second.
_ANSWER_BELOW, _OPEN_ABOVE = 0.6, 0.7
_BLINK_APART_S = 0.1
# Enough to give the reference tracker another cut-out of the face. A tenth smaller does not (its
# figures agree to .99); this agrees with a wide margin around the picture: .94 to .96 for the
# irises in d6.mp4.
_REPEAT_TURN_DEG = 8.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of a video, as the reference tracker sees it and what was drawn from it.

    at_s: since the video's start. sighting: what the mask was drawn from. carded: no mask was
    shown, or one on its way to or from a card. original, mask, alternative: None where nothing was
    found. repeat: the original turned in its plane by 8 degrees. driving: the points that the
    alternative was drawn from, as far as points alone say. The pictures are (height, width, 3).
    """

    at_s: float
    sighting: Sighting
    carded: bool
    original: FaceTrack | None
    mask: FaceTrack | None
    alternative: FaceTrack | None
    driving: FaceTrack | None
    repeat: FaceTrack | None
    original_rgb: NDArray[np.uint8] | None = field(repr=False)
    mask_rgb: NDArray[np.uint8] | None = field(repr=False)


def follow(
    path: Path, networks: Networks, reference: ReferenceTracker, say: Say, *, compared: bool
) -> Iterator[Moment]:
    """Mask a video through the real stages, frame by frame, and track what comes out.

    compared: whether to track the alternative and the repeat too. say: gets a line where a damaged
    file ends early. Errors: MediaError where nothing can be read.
    """
    head = load_head()
    tracker = _OverheardTracker(networks)
    masker = Masker(
        Follower(tracker, MaskEstimator(head)),
        Drawer(lambda: MaskRenderer(head)),
    )
    other = _Alternative(reference) if compared else None
    started_s: float | None = None
    with VideoReader(path) as reader:
        try:
            for item in reader:
                if not isinstance(item, PatientFrame):
                    continue
                at_s = item.clock.captured_at_s
                started_s = at_s if started_s is None else started_s
                sighting = masker.follow(item)
                masked = masker.draw(sighting)
                rgb = item.rgb
                seen = other.track(tracker.observation, item) if other else (None, None)
                yield Moment(
                    at_s=at_s - started_s,
                    sighting=sighting,
                    carded=masked.card is not None,
                    original=_track(reference.track(rgb)),
                    mask=_track(reference.track(masked.rgb)) if masked.card is None else None,
                    alternative=seen[0],
                    driving=seen[1],
                    repeat=_track(reference.track(_turned(rgb))) if compared else None,
                    original_rgb=rgb,
                    mask_rgb=masked.rgb,
                )
        finally:
            masker.close()
        if started_s is None:
            why = reader.stopped_because or "it has no frame"
            raise MediaError(f"nothing of {path} could be read: {why}")
        if reader.stopped_at_s is not None:
            say(f"{path} is damaged: it was read until {reader.stopped_at_s:.1f} s")


def evaluate_video(
    path: Path, networks: Networks, reference: ReferenceTracker, say: Say
) -> dict[str, object]:
    """The figures of one video, with those of the alternative under `alternative`.

    `figures` says what they are. Beside them: `face_px`, the median width of the patient's face
    (the 478 points) in pixels. `repeat`: the figures of the reference tracker against itself, on
    the same pictures turned by 8 degrees: what it reads of a face depends on how the face lies in
    the network's input, and that noise bounds what any mask can be seen to follow. `replay`: those
    of a mask that turns its head, looks and opens its lids as the reference tracker says of the
    original (`replay.replay`): as near to 1 as the figures of any mask can be expected to come.
    `alternative.measured_on`: "drawing", or "points" where the reference tracker does not find the
    drawing in half of the frames and the points that drive it are compared in its stead (they have
    no `yaw_r`, `pitch_r`, `roll_r`).
    """
    moments = [
        replace(moment, original_rgb=None, mask_rgb=None)
        for moment in follow(path, networks, reference, say, compared=True)
    ]
    at_s = [moment.at_s for moment in moments]
    originals = [moment.original for moment in moments]
    cards = [moment.carded for moment in moments]
    ours: dict[str, object] = dict(
        figures(at_s, originals, [moment.mask for moment in moments], cards)
    )
    widths = [float(np.ptp(track.points[:, 0])) for track in originals if track is not None]
    ours["face_px"] = round(float(np.median(widths))) if widths else None
    drawn = [moment.alternative for moment in moments]
    driving = [moment.driving for moment in moments]
    found = sum(track is not None for track in drawn)
    good = found >= 0.5 * max(sum(track is not None for track in driving), 1)
    absent = [track is None for track in driving]
    theirs: dict[str, object] = dict(
        figures(at_s, originals, drawn if good else driving, absent, rotations=good)
    )
    theirs["measured_on"] = "drawing" if good else "points"
    ours["alternative"] = theirs
    repeats = [moment.repeat for moment in moments]
    ours["repeat"] = figures(at_s, originals, repeats, [False] * len(moments))
    replays = replay(
        [moment.sighting for moment in moments],
        originals,
        lambda rgb: _track(reference.track(rgb)),
    )
    ours["replay"] = figures(at_s, originals, replays, cards)
    return ours


def figures(
    at_s: Sequence[float],
    originals: Sequence[FaceTrack | None],
    others: Sequence[FaceTrack | None],
    cards: Sequence[bool],
    *,
    rotations: bool = True,
) -> Figures:
    """How one sequence of faces follows another.

    `<quantity>_r`: Pearson's correlation over the frames in which both were tracked, of each of
        `measures.QUANTITIES`, without any shift in time. An eye's iris counts while that eye is
        open in the original by more than half of its open level (behind a lid the tracker makes
        its place up), vergence while both are. None where there are fewer than 25 frames or the
        original varies by less than `_LEAST_SPREAD` (standard deviation); 0 where it varies and
        the other does not.
    `blink_recall`, `blink_precision`: from 0 to 1, of the closures of each eye by itself, see
        `closures`: the share of the original's at which the other closes too, and of the other's
        at which the original does. One closes below half of its open level; the answer to it has
        to fall below 0.6, so that a squint which grazes the one is no toss of a coin, and to
        overlap it in time (0.1 s of slack, one to one). None where there is none. `blinks`: how
        many the original has, both eyes together.
    `eye_error_pct`: median over frames of `measures.eye_error_pct`, while both eyes are open.
    `frames`: all. `cards`: those in which no mask was shown; they are not compared. `tracked`: the
        share of the others in which both were tracked.
    """
    both = np.array(
        [
            one is not None and other is not None and not card
            for one, other, card in zip(originals, others, cards, strict=True)
        ]
    )
    pairs = [
        (one, other)
        for one, other, counts in zip(originals, others, both, strict=True)
        if counts and one is not None and other is not None
    ]
    unknown = np.full((len(both), len(QUANTITIES)), np.nan)
    first, second = unknown.copy(), unknown.copy()
    errors = np.full(len(both), np.nan)
    if pairs:
        first[both] = [read_face(one) for one, _ in pairs]
        second[both] = [read_face(other) for _, other in pairs]
        errors[both] = [eye_error_pct(one, other) for one, other in pairs]
    open_eyes = {
        side: open_frames(first[:, QUANTITIES.index(f"opening_{side}")]) for side in _SIDES
    }
    result: Figures = {}
    for place, name in enumerate(QUANTITIES):
        counts = both.copy()
        for side in _SIDES:
            if name in (f"iris_x_{side}", f"iris_y_{side}", "vergence"):
                counts &= open_eyes[side]
        spread = _LEAST_SPREAD[name]
        turns = name in ("yaw", "pitch", "roll")
        known = rotations or not turns
        r = correlation(first[counts, place], second[counts, place], spread) if known else None
        result[f"{name}_r"] = r
    result |= _blinks(np.asarray(at_s, np.float64), first, second)
    steady = both & open_eyes["left"] & open_eyes["right"]
    result["eye_error_pct"] = round(float(np.median(errors[steady])), 2) if steady.any() else None
    shown = len(both) - sum(cards)
    result["frames"] = len(both)
    result["cards"] = sum(cards)
    result["tracked"] = round(float(both.sum()) / shown, 4) if shown else None
    return result


def correlation(original: Floats, other: Floats, least_spread: float) -> float | None:
    """Pearson's r; None where the original varies by less than `least_spread`, see `figures`."""
    if len(original) < _FEWEST_FRAMES or original.std() < least_spread:
        return None
    if other.std() < 1e-9:
        return 0.0
    return round(float(np.corrcoef(original, other)[0, 1]), 4)


def closures(
    at_s: Floats, opening: Floats, below: float = CLOSED_BELOW
) -> list[tuple[float, float]]:
    """When an eye is closed: (start, end) in seconds, in order, blinks and longer closures alike.

    It closes where its opening falls below the share `below` of its open level (the 80th
    percentile of the video) and is open again above 0.7 of it. A frame without a figure (nan)
    changes nothing.
    """
    if not np.isfinite(opening).any():
        return []
    level = open_level(opening)
    found: list[tuple[float, float]] = []
    started: float | None = None
    last = 0.0
    for moment, value in zip(at_s.tolist(), opening.tolist(), strict=True):
        if started is None and value < below * level:
            started = moment
        elif started is not None and value > _OPEN_ABOVE * level:
            found.append((started, last))
            started = None
        last = moment
    if started is not None:
        found.append((started, last))
    return found


def matched(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> int:
    """How many stretches of time of two ordered lists overlap one to one, with 0.1 s of slack."""
    count = place = 0
    for start, end in first:
        while place < len(second) and second[place][1] < start - _BLINK_APART_S:
            place += 1
        if place < len(second) and second[place][0] <= end + _BLINK_APART_S:
            count += 1
            place += 1
    return count


_SIDES = ("left", "right")


def _blinks(at_s: Floats, first: Floats, second: Floats) -> Figures:
    # Of the original and of the other: closures, and those that the other side answers.
    count, answered = [0, 0], [0, 0]
    for side in _SIDES:
        place = QUANTITIES.index(f"opening_{side}")
        openings = (first[:, place], second[:, place])
        for which in (0, 1):
            closed = closures(at_s, openings[which])
            answers = closures(at_s, openings[1 - which], _ANSWER_BELOW)
            count[which] += len(closed)
            answered[which] += matched(closed, answers)
    return {
        "blink_recall": round(answered[0] / count[0], 4) if count[0] else None,
        "blink_precision": round(answered[1] / count[1], 4) if count[1] else None,
        "blinks": count[0],
    }


def _track(face: ReferenceFace | None) -> FaceTrack | None:
    return None if face is None else FaceTrack(face.points, towards_sight(face.matrix))


def _turned(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), _REPEAT_TURN_DEG, 1.0)
    turned = cv2.warpAffine(
        rgb, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


class _OverheardTracker:
    """The pipeline's own tracker, which keeps what it last said."""

    def __init__(self, networks: Networks) -> None:
        self._tracker = FaceTracker(networks)
        self.observation: FaceObservation | None = None

    def track(self, frame: PatientFrame) -> FaceObservation | None:
        """The face in this frame."""
        self.observation = self._tracker.track(frame)
        return self.observation

    def reset(self) -> None:
        """Forget the patient."""
        self._tracker.reset()


class _Alternative:
    """The alternative's drawing, and the same judge for it."""

    def __init__(self, reference: ReferenceTracker) -> None:
        self._mask = LandmarkMask(canonical_triangles(reference.bundle))
        self._reference = reference

    def track(
        self, observation: FaceObservation | None, frame: PatientFrame
    ) -> tuple[FaceTrack | None, FaceTrack | None]:
        """What the judge sees in the drawing, and the points that it was drawn from."""
        points = self._mask.follow(None if observation is None else observation.points)
        if points is None:
            return None, None
        drawn = self._mask.draw((frame.width, frame.height))
        return _track(self._reference.track(drawn)), FaceTrack(points, np.eye(3))
