"""The first half of a patient's loop: a camera's frame in, what was seen of the patient out."""

import contextlib
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.stages import Estimator, FaultLog, Sighting, StageTimes, Tracker, Tracking

_LEAST_CONFIDENCE = 0.5
# After a loss of so long it may be somebody else: the estimator's neutral is forgotten.
_FORGET_S = 3.0


class Follower:
    """Tracks and reads one patient. One thread only: the one that made it.

    where: says what the networks run on now.

    A fault in a stage is logged by its kind alone (never by its message, which could quote pixels),
    resets both stages, and is told by the sighting.
    """

    def __init__(
        self, tracker: Tracker, estimator: Estimator, where: Callable[[], str] = lambda: "CPU"
    ) -> None:
        self._tracker = tracker
        self._estimator = estimator
        self._where = where
        self.times = StageTimes()
        self._followed_at_s: float | None = None
        self._faults = FaultLog()

    @property
    def provider(self) -> str:
        """What the networks run on now."""
        return self._where()

    def warm_up(self, size: tuple[int, int]) -> None:
        """Do once what is slow the first time.

        A fault is not told here: it comes again with the first frame, which has its card.
        """
        clock = FrameClock(0.0, 0, Fraction(1, 90000))
        with contextlib.suppress(Exception):
            nothing = np.zeros((size[1], size[0], 3), np.uint8)
            self._tracker.track(PatientFrame.of_rgb(clock, nothing))
            self._tracker.reset()

    def follow(self, frame: PatientFrame) -> Sighting:
        """What this frame shows of the patient; never raises for a fault in a stage."""
        try:
            state = self._read(frame)
            tracking = Tracking.FOLLOWING if state is not None else self._missing(frame.clock)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._faults.note("a stage failed", error)
            self._recover()
            state, tracking = None, Tracking.FAULT
        if state is not None:
            self._followed_at_s = frame.clock.captured_at_s
        return Sighting(frame.clock, frame.even_size, tracking, state)

    def _read(self, frame: PatientFrame) -> MaskState | None:
        with self.times.measured("track"):
            observation = self._tracker.track(frame)
        if observation is None:
            return None
        with self.times.measured("anatomy"):
            state = self._estimator.estimate(observation)
        return state if state.confidence >= _LEAST_CONFIDENCE else None

    def _missing(self, clock: FrameClock) -> Tracking:
        if self._followed_at_s is None:
            return Tracking.WAITING
        lost_s = clock.captured_at_s - self._followed_at_s
        if lost_s > _FORGET_S or lost_s < 0:
            self._estimator.reset()
            self._followed_at_s = None
        return Tracking.LOST

    def _recover(self) -> None:
        self._followed_at_s = None
        for reset in (self._tracker.reset, self._estimator.reset):
            try:
                reset()
            except Exception as error:  # noqa: BLE001 - a broken stage may refuse that too
                self._faults.note("a stage could not be reset", error)
