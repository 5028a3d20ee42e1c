"""What an attacker gets of one picture or recording: recognisers' answers, under every disguise.

The picture or recording is masked through the real stages. Nothing of it is kept but numbers; those
of a face recogniser are biometric data all the same.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import Head, load_head
from digitalmask.assets.networks import sha256_of
from digitalmask.assets.paths import models_dir
from digitalmask.errors import ConfigurationError, MediaError
from digitalmask.evaluation.disguises import DISGUISES, Deface
from digitalmask.evaluation.galleries import is_video
from digitalmask.evaluation.recognisers import Recogniser
from digitalmask.evaluation.told_by_numbers import told
from digitalmask.mask_state import MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.rendering import MaskRenderer
from digitalmask.tracking import FaceTracker
from digitalmask.tracking.networks import Networks

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

ORIGINAL, DEFACE, MASK = "original", "deface", "mask"
CONDITIONS: Final = (ORIGINAL, *DISGUISES, DEFACE, MASK)

_MASK_SIZE = (640, 480)
_LEAST_CONFIDENCE = 0.5
_CLOCK_HZ = 90000
# Smaller pictures are enlarged, as an attacker would, and an edge is added where a face fills one.
_LEAST_SIDE_PX, _EDGE = 360, 0.4
# A still picture is held before the camera for so long.
_LOOKS, _STILL_S, _STILL_RATE = 4, 8.0, 10.0
# Of a recording so many instants are attacked, after it has settled, and its numbers from then on.
_INSTANTS, _SETTLED_S, _SETTLED_SHARE, _LONGEST_S = 4, 1.5, 0.25, 30.0
# What the answers depend on: a change in any of these makes kept ones worthless.
_MADE_BY = (
    "anatomy", "assets", "rendering", "tracking", "mask_state.py", "media/reader.py",
    "evaluation/deface_worker.py", "evaluation/disguises.py", "evaluation/recognisers.py",
    "evaluation/sessions.py", "evaluation/told_by_numbers.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """One picture or recording of a person.

    answers: by condition and recogniser, (k, d), for each instant; nan where nothing was shown.
    half: (k,) 0 or 1, which half of a recording an instant is in; all 0 for a picture.
    found: by condition, (k,), whether a face was found there without being told where it is.
    told: by group, (3, f), what the mask's numbers say in all of it and in each half.
    """

    is_video: bool
    answers: Mapping[tuple[str, str], Floats] = field(repr=False)
    half: NDArray[np.int64] = field(repr=False)
    found: Mapping[str, NDArray[np.bool_]] = field(repr=False)
    told: Mapping[str, Floats] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Instant:
    """What is attacked of one moment; a mask is drawn where the patient was followed."""

    rgb: Picture = field(repr=False)
    points: Floats = field(repr=False)
    half: int
    mask: Picture = field(repr=False)


class SessionReader:
    """Masks files and asks the recognisers. One thread; close it, or use it as a context.

    conditions: which of `CONDITIONS`; the original and the mask are always among them.
    keep: a folder in which answers are kept for the next time; None for nowhere.
    """

    def __init__(
        self,
        networks: Networks,
        recognisers: Sequence[Recogniser],
        say: Callable[[str], None],
        conditions: Sequence[str] = CONDITIONS,
        keep: Path | None = None,
    ) -> None:
        self._networks = networks
        self._recognisers = recognisers
        self._conditions = [
            name for name in CONDITIONS if name in conditions or name in (ORIGINAL, MASK)
        ]
        self._head: Head = load_head()
        self._renderer = MaskRenderer(self._head)
        self._finder = FaceTracker(networks)
        self._deface = Deface(say) if DEFACE in self._conditions else None
        usual = self._find(self._draw(neutral_state()))
        self._usual_mask_points = usual if usual is not None else np.zeros((478, 2))
        self._keep = keep
        self._made_by = _fingerprint() if keep is not None else ""
        if keep is not None:
            try:
                keep.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(f"cannot write to {keep}: {error.strerror}") from error

    def __enter__(self) -> "SessionReader":
        """The reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the graphics context back and end `deface`."""
        self._renderer.close()
        if self._deface is not None:
            self._deface.close()

    def read(self, path: Path) -> Session | None:
        """One file; None where no face is found in it. Errors: MediaError where it is damaged."""
        kept = self._kept_at(path)
        if kept is not None and kept.is_file():
            before = _load(kept, path)
            if set(self._conditions) <= set(before.found):
                return before
        shown = self._recording(path) if is_video(path) else self._picture(path)
        if shown is None:
            return None
        instants, features = shown
        answers: dict[tuple[str, str], list[Floats]] = {}
        found: dict[str, list[bool]] = {}
        for instant in instants:
            for condition, picture, points in self._disguised(instant):
                found.setdefault(condition, []).append(self._find(picture) is not None)
                for recogniser in self._recognisers:
                    answer = recogniser.embed(picture, points).astype(np.float32)
                    answers.setdefault((condition, recogniser.name), []).append(answer)
        session = Session(
            is_video=is_video(path),
            answers={key: np.array(values) for key, values in answers.items()},
            half=np.array([instant.half for instant in instants], np.int64),
            found={condition: np.array(values, bool) for condition, values in found.items()},
            told=features,
        )
        if kept is not None:
            _save(session, kept)
        return session

    def _disguised(self, instant: _Instant) -> Iterator[tuple[str, Picture, Floats]]:
        for condition in self._conditions:
            if condition == MASK:
                points = self._find(instant.mask)
                yield condition, instant.mask, self._usual_mask_points if points is None else points
            elif condition == ORIGINAL:
                yield condition, instant.rgb, instant.points
            elif condition == DEFACE:
                assert self._deface is not None  # noqa: S101 - for the type
                yield condition, self._deface.hide(instant.rgb)[0], instant.points
            else:
                yield condition, DISGUISES[condition](instant.rgb, instant.points), instant.points

    def _find(self, rgb: Picture) -> Floats | None:
        """The 478 points (478, 2) of a face in a picture of which nothing is known."""
        self._finder.reset()
        found = self._finder.find(_frame(rgb, 0.0)) and self._finder.find(_frame(rgb, 0.0))
        return None if found is None else found.points[:, :2].astype(np.float64)

    def _draw(self, state: MaskState) -> Picture:
        return np.asarray(self._renderer.draw(state, _MASK_SIZE, _clock(0.0)).rgb, np.uint8)

    def _picture(self, path: Path) -> tuple[list[_Instant], dict[str, Floats]] | None:
        """A picture held before the camera until the mask has settled."""
        for rgb in _pictures(path):
            tracker, estimator = FaceTracker(self._networks), MaskEstimator(self._head)
            seen = None
            for look in range(_LOOKS):
                seen = tracker.track(_frame(rgb, look / _STILL_RATE)) or seen
            if seen is None:
                continue
            # The same picture is seen as the same: tracking it again would say nothing new.
            state = None
            for number in range(round(_STILL_S * _STILL_RATE)):
                at_s = number / _STILL_RATE
                state = estimator.estimate(replace(seen, captured_at_s=at_s))
            if state is None or not state.confidence >= _LEAST_CONFIDENCE:
                continue
            points = seen.points[:, :2].astype(np.float64)
            features = {name: np.tile(values, (3, 1)) for name, values in told([state]).items()}
            return [_Instant(rgb, points, 0, self._draw(state))], features
        return None

    def _recording(self, path: Path) -> tuple[list[_Instant], dict[str, Floats]] | None:
        tracker, estimator = FaceTracker(self._networks), MaskEstimator(self._head)
        with VideoReader(path) as reader:
            length_s = min((reader.frame_count or 0) / float(reader.rate), _LONGEST_S)
            settled_s = min(_SETTLED_S, _SETTLED_SHARE * length_s)
            places = (np.arange(_INSTANTS) + 0.5) / _INSTANTS
            due = [settled_s + place * (length_s - settled_s) for place in places]
            middle_s = 0.5 * (settled_s + length_s)
            states: list[MaskState] = []
            instants: list[_Instant] = []
            started_s: float | None = None
            for item in reader:
                if not isinstance(item, PatientFrame):
                    continue
                started_s = item.clock.captured_at_s if started_s is None else started_s
                at_s = item.clock.captured_at_s - started_s
                if at_s > length_s:
                    break
                seen = tracker.track(item)
                state = None if seen is None else estimator.estimate(seen)
                if state is None or seen is None or not state.confidence >= _LEAST_CONFIDENCE:
                    continue
                if at_s < settled_s:
                    continue
                states.append(replace(state, captured_at_s=at_s))
                if len(instants) < _INSTANTS and at_s >= due[len(instants)]:
                    points = seen.points[:, :2].astype(np.float64)
                    half = int(len(instants) >= _INSTANTS / 2)
                    instants.append(_Instant(item.rgb, points, half, self._draw(state)))
        halves = [[s for s in states if (s.captured_at_s >= middle_s) == later] for later in (0, 1)]
        if not instants or min(len(half) for half in halves) < 2:
            return None
        stretches = [told(part) for part in (states, *halves)]
        return instants, {name: np.array([s[name] for s in stretches]) for name in stretches[0]}

    def _kept_at(self, path: Path) -> Path | None:
        if self._keep is None:
            return None
        name = hashlib.sha256(f"{self._made_by} {sha256_of(path)}".encode()).hexdigest()[:32]
        return self._keep / f"{name}.npz"


def _clock(at_s: float) -> FrameClock:
    return FrameClock(at_s, round(at_s * _CLOCK_HZ), Fraction(1, _CLOCK_HZ))


def _frame(rgb: Picture, at_s: float) -> PatientFrame:
    return PatientFrame.of_rgb(_clock(at_s), rgb)


def _pictures(path: Path) -> Iterator[Picture]:
    """The picture, and the same with an edge around it."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MediaError(f"{path} cannot be read as a picture")
    larger = max(_LEAST_SIDE_PX / min(bgr.shape[:2]), 1.0)
    bgr = cv2.resize(bgr, None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC)
    edge = round(_EDGE * min(bgr.shape[:2]))
    for width in (0, edge):
        edged = cv2.copyMakeBorder(bgr, width, width, width, width, cv2.BORDER_REPLICATE)
        yield np.ascontiguousarray(edged[..., ::-1], np.uint8)


def _fingerprint() -> str:
    """A sum of all that answers depend on."""
    package = Path(__file__).resolve().parent.parent
    files = [models_dir() / "manifest.toml", models_dir() / "recognisers.toml"]
    files += [models_dir() / "head.npz", models_dir() / "landmarks.npz"]
    for name in _MADE_BY:
        place = package / name
        files += sorted(place.glob("*.py")) if place.is_dir() else [place]
    return hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()


def _save(session: Session, path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {"half": session.half}
    arrays |= {f"answer/{condition}/{name}": v for (condition, name), v in session.answers.items()}
    arrays |= {f"found/{condition}": v for condition, v in session.found.items()}
    arrays |= {f"told/{group}": v for group, v in session.told.items()}
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _load(kept: Path, path: Path) -> Session:
    with np.load(kept) as archive:
        named = {tuple(name.split("/")): archive[name] for name in archive.files}
    return Session(
        is_video=is_video(path),
        answers={(key[1], key[2]): v for key, v in named.items() if key[0] == "answer"},
        half=named[("half",)],
        found={key[1]: v for key, v in named.items() if key[0] == "found"},
        told={key[1]: v for key, v in named.items() if key[0] == "told"},
    )
