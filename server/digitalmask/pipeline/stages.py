"""What the loop asks of each stage, and of them all together."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import FaceObservation

_log = logging.getLogger(__name__)


class Tracking(StrEnum):
    """What the pages say of the patient's face."""

    WAITING = "waiting"
    FOLLOWING = "following"
    LOST = "lost"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Provider:
    """What a patient's networks run on now, and what the masks are drawn on; empty if unknown."""

    networks: str = ""
    drawing: str = ""

    def __str__(self) -> str:
        return f"{self.networks}, OpenGL on {self.drawing}" if self.networks else ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of the patient in one frame: all that goes from reading a face to drawing it.

    size: (width, height) of the frame, made even. state: None where there is nothing to draw;
    `tracking` says why.
    """

    clock: FrameClock
    size: tuple[int, int]
    tracking: Tracking
    state: MaskState | None = None


class Tracker(Protocol):
    """Finds the patient's face in a frame."""

    def track(self, frame: PatientFrame) -> FaceObservation | None:
        """The face, None where there is none."""

    def reset(self) -> None:
        """Forget the patient."""


class Estimator(Protocol):
    """Reads the state of the mask off an observation."""

    def estimate(self, observation: FaceObservation) -> MaskState:
        """The state for this frame."""

    def reset(self) -> None:
        """Forget the patient."""


class Renderer(Protocol):
    """Draws a state."""

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        """The mask, `size` as (width, height)."""

    def close(self) -> None:
        """Give the graphics context back."""


class FrameMasker(Protocol):
    """One patient's two halves together: `Masker`, here or in other processes."""

    @property
    def stage_ms(self) -> dict[str, float]:
        """Recent milliseconds of each stage."""

    @property
    def provider(self) -> Provider:
        """What the networks run on now, and what masks are drawn on."""

    def follow(self, frame: PatientFrame) -> Sighting:
        """What this frame shows of the patient. One thread."""

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask, or a card. One thread, which may be another."""

    def close(self) -> None:
        """Give everything back. In the thread that draws."""


class StageTimes:
    """How long each stage takes: a mean that follows."""

    def __init__(self) -> None:
        self.recent_ms: dict[str, float] = {}

    @contextlib.contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        """Measure what is done within."""
        started = time.perf_counter()
        yield
        taken_ms = (time.perf_counter() - started) * 1e3
        before_ms = self.recent_ms.get(stage, taken_ms)
        self.recent_ms[stage] = before_ms + 0.1 * (taken_ms - before_ms)


class FaultLog:
    """Says each kind of fault once, never by its message, which could quote pixels."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def note(self, what: str, error: Exception) -> None:
        """Log it, where it is the first of its kind."""
        kind = f"{what}: {type(error).__name__}"
        if kind not in self._said:
            self._said.add(kind)
            _log.warning("%s; a card is shown (said once)", kind)
