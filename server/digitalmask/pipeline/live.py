"""A patient's loop in real time, in a thread of its own, with a watchdog beside it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from digitalmask.errors import DigitalMaskError, PipelineError
from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.newest_slot import NewestSlot
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.stages import FrameMasker, Tracking
from digitalmask.rendering import draw_card, fade

_log = logging.getLogger(__name__)

# A frame that is not out after so long is not waited for: a mask that stands still is a mask that
# no longer follows. It fades to the card.
_HANG_S = 0.150
_FADE_S = 0.200
# A result that is older than this is not shown any more.
_STALE_S = 0.500
# No frame from the camera for so long: the doctor is told.
_SILENCE_S = 1.0
_CARD_INTERVAL_S = 0.1
# A worker that hangs for so long is left behind and a new one started.
_ABANDON_S = 5.0
_TRY_AGAIN_S = 1.0  # between attempts to make a masker
_MOST_ABANDONED = 5  # each leaves a thread behind; then the card stays


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """How the loop is doing.

    stage_ms: recent milliseconds of each stage. replaced: frames that a newer one replaced.
    """

    tracking: Tracking = Tracking.WAITING
    fps: float = 0.0
    stage_ms: dict[str, float] = field(default_factory=dict)
    replaced: int = 0
    provider: str = ""


class _Worker:
    """One thread with one masker; left behind where it hangs."""

    def __init__(self, pipeline: "LivePipeline") -> None:
        self.slot: NewestSlot[PatientFrame] = NewestSlot()
        self.busy_since_s: float | None = None
        self.thread = threading.Thread(
            target=pipeline.work, args=(self,), name="mask-pipeline", daemon=True
        )


class LivePipeline:
    """Masks the newest frame. `submit` from any thread; `on_frame` is called from its own two.

    What goes to `on_frame` is newer than what went before, and comes at least every 100 ms once
    something is late: from the worker a mask or a card, from the watchdog a card.
    """

    def __init__(
        self,
        make_masker: Callable[[], FrameMasker],
        on_frame: Callable[[MaskedFrame], None],
        size: tuple[int, int] | None = None,
    ) -> None:
        self._make_masker = make_masker
        self._on_frame = on_frame
        self._size = size
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._last_size = size or (640, 480)
        self._submitted_at_s = time.monotonic()
        self._out_at_s = time.monotonic()
        self._last_clock: FrameClock | None = None
        self._last_mask: MaskedFrame | None = None
        self._card_clock: tuple[FrameClock, float] | None = None
        self._times: deque[float] = deque(maxlen=60)
        self._status = PipelineStatus()
        self._replaced = 0
        self._abandoned = 0
        self._said: set[tuple[str, str]] = set()
        self._worker = _Worker(self)
        self._worker.thread.start()
        self._watchdog = threading.Thread(target=self._watch, name="mask-watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, frame: PatientFrame) -> None:
        """Hand the newest frame in; an older one that waits is dropped."""
        with self._lock:
            self._submitted_at_s = time.monotonic()
            self._last_size = self._size or (frame.width & ~1, frame.height & ~1)
            self._card_clock = (frame.clock, self._submitted_at_s)
            worker = self._worker
        worker.slot.put(frame)

    def status(self) -> PipelineStatus:
        """How the loop is doing now."""
        now = time.monotonic()
        with self._lock:
            recent = [at for at in self._times if now - at < 2.0]
            replaced = self._replaced + self._worker.slot.replaced
            return replace(self._status, fps=len(recent) / 2.0, replaced=replaced)

    def close(self) -> None:
        """Stop both threads; a worker that hangs is left behind."""
        self._closed.set()
        self._worker.slot.close()
        self._watchdog.join(1.0)
        self._worker.thread.join(1.0)

    def work(self, worker: _Worker) -> None:
        """The worker's thread."""
        masker: FrameMasker | None = None
        tried_at_s = -_TRY_AGAIN_S
        while not self._closed.is_set() and worker is self._worker:
            if masker is None and time.monotonic() - tried_at_s >= _TRY_AGAIN_S:
                tried_at_s = time.monotonic()
                masker = self._masker_or_none()
            frame = worker.slot.take(0.5)
            if frame is None:
                continue
            worker.busy_since_s = time.monotonic()
            try:
                if masker is None:
                    raise PipelineError("there is no masker")
                masked = masker.mask(frame, self._size)
                status = PipelineStatus(
                    masker.tracking, 0.0, dict(masker.stage_ms), 0, masker.provider
                )
            except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
                self._say_once("the mask cannot be made: %s; a card is shown", type(error).__name__)
                masked = draw_card(Card.FAULT, self._last_size, frame.clock)
                status = PipelineStatus(tracking=Tracking.FAULT)
            late = time.monotonic() - worker.busy_since_s > _STALE_S
            worker.busy_since_s = None
            if worker is not self._worker:
                break
            with self._lock:
                self._status = status
            # The watchdog has shown a card since: an old mask would jump back in time.
            if late and masked.card is None:
                masked = draw_card(Card.FAULT, (masked.width, masked.height), masked.clock)
            self._emit(masked)
        if masker is not None:
            masker.close()

    def _masker_or_none(self) -> FrameMasker | None:
        try:
            return self._make_masker()
        except DigitalMaskError as error:
            self._say_once("no masker can be made (%s); a card is shown", str(error))
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._say_once("no masker can be made (%s); a card is shown", type(error).__name__)
        return None

    def _say_once(self, what: str, detail: str) -> None:
        if (what, detail) not in self._said:
            self._said.add((what, detail))
            _log.warning(what, detail)

    def _emit(self, masked: MaskedFrame, from_watchdog: bool = False) -> None:
        with self._lock:
            clock = masked.clock
            last = self._last_clock
            if last is not None and clock.pts * clock.time_base <= last.pts * last.time_base:
                return
            self._last_clock = clock
            if not from_watchdog:
                self._last_mask = masked if masked.card is None else None
            self._out_at_s = time.monotonic()
            self._times.append(self._out_at_s)
            # Handed on under the lock: frames of the two threads keep their order.
            try:
                self._on_frame(masked)
            except Exception as error:  # noqa: BLE001 - a sink's fault must not end the loop
                _log.warning("a sink failed: %s", type(error).__name__)

    def _watch(self) -> None:
        while not self._closed.wait(_CARD_INTERVAL_S / 2):
            now = time.monotonic()
            worker = self._worker
            busy_since_s = worker.busy_since_s
            hanging = busy_since_s is not None and now - busy_since_s > _HANG_S
            with self._lock:
                silent = now - self._submitted_at_s > _SILENCE_S
                due = now - self._out_at_s >= _CARD_INTERVAL_S
                known = self._card_clock
                size = self._last_size
                last_mask = self._last_mask
            if (
                busy_since_s is not None
                and now - busy_since_s > _ABANDON_S
                and self._abandoned < _MOST_ABANDONED
            ):
                self._abandon(worker)
            if not due or known is None or not (hanging or silent):
                continue
            card = Card.FAULT if hanging else Card.WAITING
            with self._lock:
                tracking = Tracking.FAULT if hanging else Tracking.WAITING
                self._status = replace(self._status, tracking=tracking)
            drawn = draw_card(card, size, _later(known[0], now - known[1]))
            held_s = now - (busy_since_s if hanging and busy_since_s is not None else now)
            share = (held_s - _HANG_S) / _FADE_S
            if hanging and share < 1.0 and _same_size(last_mask, drawn):
                drawn = fade(replace(last_mask, clock=drawn.clock), drawn, share)
            self._emit(drawn, from_watchdog=True)

    def _abandon(self, worker: _Worker) -> None:
        _log.warning("a stage hangs; it is left behind and a new one started")
        with self._lock:
            self._replaced += worker.slot.replaced
            self._abandoned += 1
            fresh = _Worker(self)
            self._worker = fresh
        worker.slot.close()
        fresh.thread.start()


def _same_size(mask: MaskedFrame | None, card: MaskedFrame) -> TypeGuard[MaskedFrame]:
    return mask is not None and (mask.width, mask.height) == (card.width, card.height)


def _later(clock: FrameClock, seconds: float) -> FrameClock:
    """The clock of a moment that no frame has."""
    ticks = int(seconds / clock.time_base)
    return FrameClock(clock.captured_at_s + seconds, clock.pts + ticks, clock.time_base)
