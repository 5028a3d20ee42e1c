"""How much work is put into a mask, lowered by itself where the machine cannot keep up.

First every second frame is no longer read (the head's motion is carried on, all are drawn), then
the picture is drawn smaller; back up in the same steps.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """What is done for a mask.

    read_every: of so many frames one is read; all are drawn. scale: of the picture's size.
    """

    read_every: int = 1
    scale: float = 1.0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """A picture's size with this effort, even."""
        return round(width * self.scale / 2) * 2, round(height * self.scale / 2) * 2


LEVELS = (Effort(), Effort(2), Effort(2, 0.75), Effort(2, 0.5))

# Shares of the camera's frames that come out in time: below the first it is too much, from the
# second on there may be room for more, if neither half would then be busy for longer than this.
_TOO_FEW, _ENOUGH, _MOST_BUSY = 0.95, 0.97, 0.80
# Of what the processors have left, a room may ask for this much: others may ask as well.
_IDLE_SHARE = 0.5
_SHORT_PERIODS = 2  # in a row, before less is done
_LEAST_OFFERED = 5  # with fewer frames in a period nothing can be said
# More is tried after so many periods; twice as many, up to the second, where that did not last.
_PATIENCE, _MOST_PATIENCE = 5, 60


class Governor:
    """Chooses the effort by what comes out in time, period by period (a second each)."""

    def __init__(self) -> None:
        self._level = 0
        self._short = 0
        self._good = 0
        self._patience = _PATIENCE
        self._since_raised = _MOST_PATIENCE

    @property
    def level(self) -> int:
        """The step of `LEVELS`: 0 is everything."""
        return self._level

    @property
    def effort(self) -> Effort:
        """What to do now."""
        return LEVELS[self._level]

    def note(
        self,
        offered: int,
        in_time: int,
        reading: float,
        drawing: float,
        idle_processors: float = math.nan,
    ) -> None:
        """What happened in the period that ends now.

        offered: the camera's frames. in_time: pictures that came out, and soon enough. reading,
        drawing: the share of the period in which either half was at work. idle_processors: how
        many had nothing to do, on average; not a number where that is not known.
        """
        if offered < _LEAST_OFFERED:
            return
        self._since_raised += 1
        kept = in_time / offered
        self._short = self._short + 1 if kept < _TOO_FEW else 0
        room = kept >= _ENOUGH and self._has_room(reading, drawing, idle_processors)
        self._good = self._good + 1 if room else 0
        if self._short >= _SHORT_PERIODS and self._level + 1 < len(LEVELS):
            if self._since_raised <= 2 * _PATIENCE:
                self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._level += 1
            self._short = self._good = 0
        elif self._good >= self._patience and self._level > 0:
            self._level -= 1
            self._short = self._good = self._since_raised = 0
        if self._since_raised > _MOST_PATIENCE:
            self._patience = _PATIENCE

    def _has_room(self, reading: float, drawing: float, idle_processors: float) -> bool:
        """Whether the next higher effort would leave both halves, and the machine, some time."""
        now, more = self.effort, LEVELS[max(self._level - 1, 0)]
        would_read = reading * now.read_every / more.read_every
        would_draw = drawing * (more.scale / now.scale) ** 2
        asked = would_read - reading + would_draw - drawing
        too_much = asked > _IDLE_SHARE * idle_processors  # of what is known alone
        return max(would_read, would_draw) < _MOST_BUSY and not too_much
