"""How true the mask is to a simulated patient, of whom everything is known.

Every scenario is drawn and goes through the real tracker and estimator; their state is compared
with the truth, and so is what is drawn of it, read from the renderer's identity pass alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import Head, load_head
from digitalmask.evaluation.drawn import DrawnFace, DrawnReader
from digitalmask.evaluation.figures import Figures, Seen, compare, gather_truth, worst
from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.rendering import MaskRenderer, mask_camera
from digitalmask.simulation.people import PEOPLE, SKIN_TONES
from digitalmask.simulation.recording import Setting, play
from digitalmask.simulation.scenarios import (
    BLINKS,
    NYSTAGMUS,
    SACCADES,
    SCENARIOS,
    TREMOR,
    Scenario,
)
from digitalmask.simulation.truth import FrameTruth
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.networks import Networks

_LEAST_CONFIDENCE = 0.5  # below it no mask is shown
_CLOCK_HZ = 90000
# The identity pass is drawn so much finer than the picture, in which softened edges show parts of a
# pixel: its own edges are hard, and at 640x480 they alone would blur gaze by 0.2 degrees.
_FINER = 2
# Where one of these is asked for every frame is read, else every second.
_QUICK = frozenset((BLINKS, NYSTAGMUS, SACCADES, TREMOR))
# Beyond these the worst nystagmus of the summary says nothing of what is asked for.
_ASKED_HZ = 6.0


@dataclass(frozen=True, slots=True)
class Stages:
    """The real stages, as `pipeline.assembly` puts them together."""

    networks: Networks
    head: Head
    renderer: MaskRenderer


def choose_setting(scenario: str, base: Setting, person: int | None = None) -> Setting:
    """Who plays a scenario: persons, skin tones and lightings go round, the same way each time.

    What `base` names (its skin) stays.
    """
    place = list(SCENARIOS).index(scenario)
    skins, lightings = list(SKIN_TONES), ("window", "lamp")
    number = place % PEOPLE if person is None else person
    return replace(
        base,
        person=number,
        skin=base.skin or skins[(place + place // PEOPLE + number) % len(skins)],
        lighting=lightings[(place // 3 + number) % len(lightings)],
    )


def evaluate_truth(
    chosen: Iterable[Scenario],
    base: Setting,
    persons: Sequence[int | None] = (None,),
    provider: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, object]:
    """All figures: `scenarios.<name>.state` and `.drawn`, and `summary` with the worst of each.

    base: the camera. persons: who plays each scenario; None for one whose turn it is. With several
    a scenario's figures are the worst of them. Errors: those of the stages and of `play`.
    """
    networks, head = load_networks(provider), load_head()
    renderer = MaskRenderer(head)
    stages = Stages(networks, head, renderer)
    results: dict[str, dict[str, object]] = {}
    kept: dict[str, list[tuple[Scenario, Figures]]] = {"state": [], "drawn": []}
    try:
        for scenario in chosen:
            takes = []
            for person in persons:
                setting = choose_setting(scenario.name, base, person)
                say(f"{scenario.name}: person {setting.person}, {setting.skin}, {setting.lighting}")
                takes.append(evaluate_scenario(scenario, setting, stages))
            figures = {kind: _merged([getattr(take, kind) for take in takes]) for kind in kept}
            results[scenario.name] = {
                "persons": [take.setting.person for take in takes],
                "skins": [take.setting.skin for take in takes],
                "lightings": [take.setting.lighting for take in takes],
                "frames": sum(take.frames for take in takes),
                "followed": sum(take.followed for take in takes),
                **figures,
            }
            for kind, values in figures.items():
                kept[kind].append((scenario, values))
    finally:
        renderer.close()
    summary: dict[str, object] = {kind: _summary(values) for kind, values in kept.items()}
    return {"size": "x".join(map(str, base.size)), "scenarios": results, "summary": summary}


@dataclass(frozen=True, slots=True)
class Take:
    """One person's figures in one scenario."""

    setting: Setting
    frames: int
    followed: int
    state: Figures
    drawn: Figures


def evaluate_scenario(scenario: Scenario, setting: Setting, stages: Stages) -> Take:
    """Play it once, and compare."""
    tracker = FaceTracker(stages.networks)
    estimator = MaskEstimator(stages.head)
    reader = DrawnReader(stages.head.eye_centres_mm)
    fine = (_FINER * setting.size[0], _FINER * setting.size[1])
    step = 1 if scenario.figures & _QUICK else 2
    truths: list[FrameTruth] = []
    states: list[MaskState | None] = []
    faces: list[DrawnFace | None] = []
    for shot in play(scenario, setting):
        t_s = shot.truth.t_s
        clock = FrameClock(t_s, round(t_s * _CLOCK_HZ), Fraction(1, _CLOCK_HZ))
        found = tracker.track(PatientFrame.of_rgb(clock, shot.rgb))
        state = estimator.estimate(found) if found is not None else None
        if state is not None and not state.confidence >= _LEAST_CONFIDENCE:
            state = None
        truths.append(shot.truth)
        states.append(state)
        face = None
        if state is not None and shot.truth.scored and len(states) % step == 0:
            identity = stages.renderer.draw_identity(state, fine)
            face = reader.read(identity, mask_camera(state, fine))
        faces.append(face)
    truth = gather_truth(truths)
    return Take(
        setting=setting,
        frames=len(states),
        followed=sum(state is not None for state in states),
        state=compare(scenario, truth, _of_states(states), truth.margins_mm),
        drawn=compare(scenario, truth, _of_drawing(faces), truth.seen.lids_mm),
    )


def _nothing(count: int) -> Seen:
    return Seen(
        gaze_deg=np.full((count, 2, 2), np.nan),
        lids_mm=np.full((count, 2, 2), np.nan),
        opening_mm=np.full((count, 2), np.nan),
        rotation=np.full((count, 3, 3), np.nan),
        rest_mm=np.full((count, 3), np.nan),
    )


def _of_states(states: Sequence[MaskState | None]) -> Seen:
    seen = _nothing(len(states))
    for frame, state in enumerate(states):
        if state is None:
            continue
        for side, eye in enumerate((state.right, state.left)):
            seen.gaze_deg[frame, side] = eye.gaze_yaw_deg, eye.gaze_pitch_deg
            upper, lower = eye.upper_lid_mm[1], eye.lower_lid_mm[1]
            seen.lids_mm[frame, side] = upper, lower
            seen.opening_mm[frame, side] = max(upper - lower, 0.0)
        seen.rotation[frame] = state.rotation
        rest = state.rest
        seen.rest_mm[frame] = rest.brow_mm, rest.mouth_corner_mm, rest.nasolabial_mm
    return seen


def _of_drawing(faces: Sequence[DrawnFace | None]) -> Seen:
    """Of a covered eye the last gaze stands, as it does for whoever looks at it."""
    seen = _nothing(len(faces))
    for frame, face in enumerate(faces):
        if face is None:
            continue
        seen.rotation[frame] = face.rotation
        for side, eye in enumerate((face.right, face.left)):
            seen.gaze_deg[frame, side] = eye.gaze_deg
            seen.lids_mm[frame, side] = eye.upper_mm, eye.lower_mm
            seen.opening_mm[frame, side] = eye.opening_mm
    return seen


def _merged(takes: Sequence[Figures]) -> Figures:
    """The worst of each figure; None where nobody has it."""
    names = list(dict.fromkeys(name for take in takes for name in take))
    merged: Figures = {}
    for name in names:
        known = [value for take in takes if (value := take.get(name)) is not None]
        merged[name] = worst(name, known) if known else None
    return merged


def _summary(results: Sequence[tuple[Scenario, Figures]]) -> dict[str, object]:
    """The worst of each figure; of nystagmus up to 6 Hz, and each frequency by itself."""
    named: list[Figures] = []
    for scenario, figures in results:
        hertz = scenario.nystagmus_hz
        chosen = dict(figures)
        if hertz is not None:
            for name, value in figures.items():
                chosen[f"{name}_{hertz:.0f}hz"] = value
                if hertz > _ASKED_HZ:
                    del chosen[name]
        named.append(chosen)
    values = _merged(named)
    where: dict[str, str] = {}
    for (scenario, _), figures in zip(results, named, strict=True):
        for name, value in figures.items():
            if value is not None and value == values[name]:
                where.setdefault(name, scenario.name)
    return {**values, "worst_in": where}
