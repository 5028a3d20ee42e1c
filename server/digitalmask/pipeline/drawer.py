"""The second half of a patient's loop: what was seen in, a mask or a card out."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from digitalmask.mask_state import Card, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.pipeline.stages import FaultLog, Renderer, Sighting, StageTimes, Tracking
from digitalmask.rendering import draw_card, fade

# A mask without a confident fit is held for so long (a blink of the tracker, a hand that passes),
# then fades; the design allows 150 ms.
_HOLD_S = 0.150
_FADE_S = 0.200


class Drawer:
    """Draws one patient's mask. One thread only: the one that draws first.

    where: says on which device renderers draw now.

    A fault of the renderer's is logged by its kind, yields a card, and has the renderer made anew.
    """

    def __init__(
        self, make_renderer: Callable[[], Renderer], where: Callable[[], str] = lambda: "software"
    ) -> None:
        self._make_renderer = make_renderer
        self._where = where
        self._renderer: Renderer | None = None
        self.times = StageTimes()
        self._drawn: MaskedFrame | None = None
        # How much of the card is shown (0 none, 1 the card alone) and of which moment that is.
        self._card_share = 0.0
        self._shared_at_s = 0.0
        self._faults = FaultLog()

    @property
    def provider(self) -> str:
        """What masks are drawn on now."""
        return self._where()

    @property
    def stage_ms(self) -> dict[str, float]:
        """Recent milliseconds."""
        return self.times.recent_ms

    def warm_up(self, size: tuple[int, int]) -> None:
        """Do once what is slow the first time: shaders are compiled, memory is taken.

        A fault is not told here: it comes again with the first frame, which has its card.
        """
        with contextlib.suppress(Exception):
            self._renderer = self._renderer or self._make_renderer()
            self._renderer.draw(neutral_state(), size, FrameClock(0.0, 0, Fraction(1, 90000)))

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask, or a card; never raises for a fault of the renderer's.

        size: (width, height) of the result, even; the frame's own where None.
        """
        size = size or sighting.size
        clock = sighting.clock
        try:
            if sighting.tracking is Tracking.FAULT:
                self._forget()
                return draw_card(Card.FAULT, size, clock)
            if sighting.state is None:
                return self._unfollowed(sighting, size)
            with self.times.measured("draw"):
                self._renderer = self._renderer or self._make_renderer()
                drawn = self._renderer.draw(sighting.state, size, clock)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._faults.note("a mask could not be drawn", error)
            self._forget()
            self.close()
            return draw_card(Card.FAULT, size, clock)
        self._drawn = drawn
        return self._faded_in(drawn, size)

    def close(self) -> None:
        """Give the graphics context back."""
        renderer, self._renderer = self._renderer, None
        try:
            if renderer is not None:
                renderer.close()
        except Exception as error:  # noqa: BLE001 - a broken renderer may refuse that too
            self._faults.note("a renderer could not be closed", error)

    def _forget(self) -> None:
        self._drawn, self._card_share = None, 0.0

    def _unfollowed(self, sighting: Sighting, size: tuple[int, int]) -> MaskedFrame:
        if sighting.tracking is Tracking.WAITING or self._drawn is None:
            self._forget()
            card = Card.NO_FACE if sighting.tracking is Tracking.WAITING else Card.LOST
            return draw_card(card, size, sighting.clock)
        at_s = sighting.clock.captured_at_s
        lost_s = at_s - self._drawn.clock.captured_at_s
        share = (lost_s - _HOLD_S) / _FADE_S if lost_s >= 0 else 1.0
        self._card_share, self._shared_at_s = min(max(share, 0.0), 1.0), at_s
        card_drawn = draw_card(Card.LOST, size, sighting.clock)
        if share >= 1.0 or (self._drawn.width, self._drawn.height) != size:
            return card_drawn
        held = replace(self._drawn, clock=sighting.clock)
        return held if share <= 0.0 else fade(held, card_drawn, share)

    def _faded_in(self, drawn: MaskedFrame, size: tuple[int, int]) -> MaskedFrame:
        """The mask; after a loss it comes back out of the card as it went."""
        at_s = drawn.clock.captured_at_s
        self._card_share -= max(at_s - self._shared_at_s, 0.0) / _FADE_S
        self._shared_at_s = at_s
        if self._card_share <= 0.0:
            self._card_share = 0.0
            return drawn
        return fade(drawn, draw_card(Card.LOST, size, drawn.clock), self._card_share)
