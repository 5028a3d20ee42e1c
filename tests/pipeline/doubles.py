"""Stages that do what a test tells them to, and a camera whose every pixel is marked."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import numpy as np

from digitalmask.mask_state import MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Drawer, Follower, Masker
from digitalmask.tracking.observation import FaceObservation

SIZE = (160, 120)
KEY = (255, 0, 254)  # a colour that neither mask nor card has
SKIN = 90
TIME_BASE = Fraction(1, 90000)


def camera_frame(at_s: float, size: tuple[int, int] = SIZE) -> PatientFrame:
    """A frame of the key colour alone."""
    rgb = np.full((size[1], size[0], 3), KEY, np.uint8)
    return PatientFrame.of_rgb(FrameClock(at_s, round(at_s / TIME_BASE), TIME_BASE), rgb)


def shows_camera(masked: MaskedFrame) -> bool:
    """Whether any pixel is near the key colour."""
    far = np.abs(masked.rgb.astype(int) - KEY).sum(axis=2)
    return bool((far < 60).any())


class StageError(Exception):
    """What a broken stage raises."""


@dataclass
class Stages:
    """Tracker, estimator and renderer in one; the test sets what each does next.

    before: called at the start of the stage of that name; it may raise or hang.
    """

    face: bool = True
    confidence: float = 1.0
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    resets: int = 0
    renderers: int = 0
    closed: int = 0

    def _begin(self, stage: str) -> None:
        self.before.get(stage, lambda: None)()

    def track(self, frame: PatientFrame) -> FaceObservation | None:
        self._begin("track")
        return cast(FaceObservation, frame.clock) if self.face else None

    def estimate(self, observation: FaceObservation) -> MaskState:
        self._begin("estimate")
        state = neutral_state(cast(FrameClock, observation).captured_at_s)
        return MaskState(
            state.captured_at_s,
            state.rotation,
            state.offset_mm,
            state.left,
            state.right,
            state.expression,
            confidence=self.confidence,
        )

    def reset(self) -> None:
        self._begin("reset")
        self.resets += 1

    def draw(self, _state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        self._begin("draw")
        return MaskedFrame(clock, np.full((size[1], size[0], 3), SKIN, np.uint8))

    def close(self) -> None:
        self.closed += 1

    def renderer(self) -> "Stages":
        self._begin("renderer")
        self.renderers += 1
        return self

    def masker(self) -> Masker:
        self._begin("masker")
        return Masker(self.follower(), self.drawer())

    def follower(self) -> Follower:
        return Follower(self, self)

    def drawer(self) -> Drawer:
        return Drawer(self.renderer)


def fails() -> None:
    """A stage that breaks."""
    raise StageError("a message that may quote anything")


class Hang:
    """A stage that hangs until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def __call__(self) -> None:
        self.released.wait(20.0)
