"""What the loop asks of each stage, and of them all together."""

from enum import StrEnum
from typing import Protocol

from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import FaceObservation


class Tracking(StrEnum):
    """What the pages say of the patient's face."""

    WAITING = "waiting"
    FOLLOWING = "following"
    LOST = "lost"
    FAULT = "fault"


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
    """One patient's stages together: `Masker`, here or in another process."""

    tracking: Tracking
    stage_ms: dict[str, float]
    provider: str

    def mask(self, frame: PatientFrame, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask for this frame, or a card."""

    def close(self) -> None:
        """Give everything back."""
