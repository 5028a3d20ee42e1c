"""How much work is put into a mask, lowered by itself where the machine cannot keep up.

First every second frame is no longer read (the head's motion is carried on, all are drawn), then
the picture is drawn smaller; back up in the same steps.
"""

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

# Shares of the camera's frames that come out: below the first it is too much, from the second on
# there may be room for more, if neither half would then be busy for longer than this share.
_TOO_FEW, _ENOUGH, _MOST_BUSY = 0.90, 0.95, 0.80
_SHORT_PERIODS = 2  # in a row, before less is done
_LEAST_OFFERED = 5  # with fewer frames in a period nothing can be said
# More is tried after so many periods; twice as many, up to the second, where that did not last.
_PATIENCE, _MOST_PATIENCE = 5, 60


class Governor:
    """Chooses the effort by what comes out of what goes in, period by period (a second each)."""

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

    def note(self, offered: int, shown: int, reading: float, drawing: float) -> None:
        """What happened in the period that ends now.

        offered: the camera's frames. shown: pictures that came out. reading, drawing: the share of
        the period in which either half was at work.
        """
        if offered < _LEAST_OFFERED:
            return
        self._since_raised += 1
        kept = shown / offered
        self._short = self._short + 1 if kept < _TOO_FEW else 0
        room = kept >= _ENOUGH and self._has_room(reading, drawing)
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

    def _has_room(self, reading: float, drawing: float) -> bool:
        """Whether the next higher effort would leave both halves some time."""
        now, more = self.effort, LEVELS[max(self._level - 1, 0)]
        reading *= now.read_every / more.read_every
        drawing *= (more.scale / now.scale) ** 2
        return max(reading, drawing) < _MOST_BUSY
