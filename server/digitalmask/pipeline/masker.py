"""The synchronous core: one frame in, one mask or card out, whatever happens in between."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from digitalmask.mask_state import Card, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.stages import Estimator, Renderer, Tracker, Tracking
from digitalmask.rendering import draw_card, fade

_log = logging.getLogger(__name__)

_LEAST_CONFIDENCE = 0.5
# A mask without a confident fit is held for so long (a blink of the tracker, a hand that passes),
# then fades; the design allows 150 ms.
_HOLD_S = 0.150
_FADE_S = 0.200
# After a loss of so long it may be somebody else: the estimator's neutral is forgotten.
_FORGET_S = 3.0


class Masker:
    """Tracks, reads and draws one patient. One thread only: the one that made it.

    A fault in a stage is logged by its kind alone (never by its message, which could quote pixels),
    resets the stage, and yields a card.
    """

    def __init__(
        self,
        tracker: Tracker,
        estimator: Estimator,
        make_renderer: Callable[[], Renderer],
        provider: str = "CPU",
    ) -> None:
        self._tracker = tracker
        self._estimator = estimator
        self._make_renderer = make_renderer
        self._renderer: Renderer | None = None
        self.provider = provider
        self.tracking = Tracking.WAITING
        self.stage_ms: dict[str, float] = {}
        self._drawn: MaskedFrame | None = None
        self._followed_at_s: float | None = None
        # How much of the card is shown (0 none, 1 the card alone) and of which moment that is.
        self._card_share = 0.0
        self._shared_at_s = 0.0
        self._logged: set[str] = set()

    def warm_up(self, size: tuple[int, int]) -> None:
        """Do once what is slow the first time: shaders are compiled, memory is taken.

        A fault is not told here: it comes again with the first frame, which has its card.
        """
        clock = FrameClock(0.0, 0, Fraction(1, 90000))
        with contextlib.suppress(Exception):
            self._tracker.track(PatientFrame(clock, np.zeros((size[1], size[0], 3), np.uint8)))
            self._tracker.reset()
            self._renderer = self._renderer or self._make_renderer()
            self._renderer.draw(neutral_state(), size, clock)

    def mask(self, frame: PatientFrame, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask for this frame, or a card; never raises for a fault in a stage.

        size: (width, height) of the result, even; the frame's own, made even, where None.
        """
        size = size or (frame.width & ~1, frame.height & ~1)
        at_s = frame.clock.captured_at_s
        try:
            drawn = self._follow(frame, size)
            if drawn is None:
                return self._unfollowed(frame, size)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._log_once("a stage failed", error)
            self._recover()
            self.tracking = Tracking.FAULT
            return draw_card(Card.FAULT, size, frame.clock)
        self.tracking = Tracking.FOLLOWING
        self._followed_at_s, self._drawn = at_s, drawn
        return self._faded_in(drawn, size)

    def close(self) -> None:
        """Give the graphics context back."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()

    def _follow(self, frame: PatientFrame, size: tuple[int, int]) -> MaskedFrame | None:
        started = time.perf_counter()
        observation = self._tracker.track(frame)
        self._measure("track", started)
        if observation is None:
            return None
        started = time.perf_counter()
        state = self._estimator.estimate(observation)
        self._measure("anatomy", started)
        if not state.confidence >= _LEAST_CONFIDENCE:
            return None
        started = time.perf_counter()
        if self._renderer is None:
            self._renderer = self._make_renderer()
        drawn = self._renderer.draw(state, size, frame.clock)
        self._measure("draw", started)
        return drawn

    def _unfollowed(self, frame: PatientFrame, size: tuple[int, int]) -> MaskedFrame:
        at_s = frame.clock.captured_at_s
        if self._followed_at_s is None or self._drawn is None:
            self.tracking = Tracking.WAITING
            return draw_card(Card.NO_FACE, size, frame.clock)
        self.tracking = Tracking.LOST
        lost_s = at_s - self._followed_at_s
        card = draw_card(Card.LOST, size, frame.clock)
        if lost_s > _FORGET_S or lost_s < 0:
            self._estimator.reset()
            self._drawn = None
            self._followed_at_s = None
            return card
        share = (lost_s - _HOLD_S) / _FADE_S
        self._card_share, self._shared_at_s = min(max(share, 0.0), 1.0), at_s
        if share >= 1.0 or (self._drawn.width, self._drawn.height) != size:
            return card
        held = replace(self._drawn, clock=frame.clock)
        return held if share <= 0.0 else fade(held, card, share)

    def _faded_in(self, drawn: MaskedFrame, size: tuple[int, int]) -> MaskedFrame:
        """The mask; after a loss it comes back out of the card as it went."""
        at_s = drawn.clock.captured_at_s
        self._card_share -= max(at_s - self._shared_at_s, 0.0) / _FADE_S
        self._shared_at_s = at_s
        if self._card_share <= 0.0:
            self._card_share = 0.0
            return drawn
        return fade(drawn, draw_card(Card.LOST, size, drawn.clock), self._card_share)

    def _log_once(self, what: str, error: Exception) -> None:
        kind = f"{what}: {type(error).__name__}"
        if kind not in self._logged:
            self._logged.add(kind)
            _log.warning("%s; a card is shown (said once)", kind)

    def _recover(self) -> None:
        """Put every stage back to its start; the renderer is made anew."""
        self._drawn, self._followed_at_s, self._card_share = None, None, 0.0
        renderer, self._renderer = self._renderer, None
        for repair in (
            self._tracker.reset,
            self._estimator.reset,
            renderer.close if renderer is not None else lambda: None,
        ):
            try:
                repair()
            except Exception as error:  # noqa: BLE001 - a broken stage may refuse that too
                self._log_once("a stage could not be reset", error)

    def _measure(self, stage: str, started: float) -> None:
        measured = (time.perf_counter() - started) * 1e3
        before = self.stage_ms.get(stage, measured)
        self.stage_ms[stage] = before + 0.1 * (measured - before)
