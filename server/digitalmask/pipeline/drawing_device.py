"""Which device a patient's masks are drawn on, and what becomes of it where it fails.

A renderer that fails is made anew with the next frame, on the same device: a driver that was reset
gives a fresh context. Where that does not help for long, the device is given up for the next one,
software drawing last, and the log says so. Until a mask is drawn again there is a card.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from digitalmask.mask_state import MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.opengl import EglDevice
from digitalmask.pipeline.stages import Renderer

_log = logging.getLogger(__name__)

Made = TypeVar("Made")

# So many failures within so long, and the device is given up.
_MOST_FAILURES, _WITHIN_S = 3, 60.0


class DrawingDevice(Generic[Made]):
    """Makes what draws (a renderer, a context for many) on the best device that works. One thread.

    make: on the device of that index. devices: the best one first.
    """

    def __init__(
        self,
        make: Callable[[int], Made],
        devices: Sequence[EglDevice],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        # Without EGL there is none to choose from, and making one says what to install.
        self._devices = list(devices) or [EglDevice(0, "none", software=True, nvidia=False)]
        self._now_s = now_s
        self._failed_at_s: deque[float] = deque(maxlen=_MOST_FAILURES)

    @property
    def name(self) -> str:
        """The device in use."""
        return self._devices[0].name

    @property
    def hopeless(self) -> bool:
        """Whether the last device fails as often as the others, which were given up for that."""
        often = len(self._failed_at_s) == _MOST_FAILURES
        return often and self._failed_at_s[-1] - self._failed_at_s[0] <= _WITHIN_S

    def make(self) -> Made:
        """One on this device; RenderingError where it cannot be made, this time."""
        try:
            return self._make(self._devices[0].index)
        except Exception:
            self.failed()
            raise

    def failed(self) -> None:
        """What was made has failed."""
        self._failed_at_s.append(self._now_s())
        if self.hopeless and len(self._devices) > 1:
            given_up = self._devices.pop(0)
            self._failed_at_s.clear()
            _log.warning(
                "drawing on %s failed %d times; masks are drawn on %s from now on",
                given_up.name, _MOST_FAILURES, self.name,
            )  # fmt: skip


def watched(device: DrawingDevice[Renderer]) -> Renderer:
    """A renderer on a device, which is told of its failures; RenderingError where there is none."""
    return _Watched(device.make(), device.failed)


class _Watched:
    """A renderer that tells of its failures."""

    def __init__(self, renderer: Renderer, failed: Callable[[], None]) -> None:
        self._renderer, self._failed = renderer, failed

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        try:
            return self._renderer.draw(state, size, clock)
        except Exception:
            self._failed()
            raise

    def close(self) -> None:
        self._renderer.close()
