"""The clock that every frame keeps from decode to encode."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class FrameClock:
    """When a frame was captured.

    captured_at_s: seconds on `time.monotonic`'s scale (for a file: seconds from its start).
    pts, time_base: the presentation time stamp as the decoder gave it; the encoder gets it back,
        so that sound stays in step.
    """

    captured_at_s: float
    pts: int
    time_base: Fraction
