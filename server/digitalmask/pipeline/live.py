"""A patient's loop in real time: a thread that reads, one that draws, a watchdog beside them."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from digitalmask.anatomy import carried_on
from digitalmask.errors import DigitalMaskError, PipelineError
from digitalmask.mask_state import Card, MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.newest_slot import NewestSlot
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.effort import Governor
from digitalmask.pipeline.processors import idle_s
from digitalmask.pipeline.stages import FrameMasker, Provider, Sighting, Tracking
from digitalmask.rendering import draw_card, fade

_log = logging.getLogger(__name__)

# A frame that is not out after so long is not waited for: a mask that stands still is a mask that
# no longer follows. It fades to the card.
_HANG_S = 0.150
_FADE_S = 0.200
# What comes out later than this is too late to talk by, and less is done: two frames of the
# camera's, but for what coding and sending take.
_IN_TIME_S = 0.060
# A result that is older than this is not shown any more.
_STALE_S = 0.500
# No frame from the camera for so long: the doctor is told.
_SILENCE_S = 1.0
_CARD_INTERVAL_S = 0.1
# A worker that hangs for so long is left behind and a new one started.
_ABANDON_S = 5.0
_TRY_AGAIN_S = 1.0  # between attempts to make a masker
_PERIOD_S = 1.0  # after which the effort is thought over
_END_S = 1.0  # what a thread is waited for at the end
_MOST_ABANDONED = 5  # each leaves a thread behind; then the card stays


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """How the loop is doing.

    stage_ms: recent milliseconds of each stage. submitted: the camera's frames. shown: what came
    out for them. replaced: frames that a newer one replaced. level: of `LEVELS`, how much
    is done for each.
    """

    tracking: Tracking = Tracking.WAITING
    fps: float = 0.0
    stage_ms: dict[str, float] = field(default_factory=dict)
    submitted: int = 0
    shown: int = 0
    replaced: int = 0
    level: int = 0
    provider: Provider = field(default_factory=Provider)


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A frame on its way to the reading thread, and when it was handed in."""

    frame: PatientFrame
    at_s: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sighting on its way to the drawing thread; when its frame was handed in, and was taken."""

    sighting: Sighting
    submitted_at_s: float
    taken_at_s: float


class _Run:
    """One masker with its two threads; left behind where one hangs.

    following_since_s, drawing_since_s: when the frame that either is at work on was taken.
    busy_s: for how long either was at work, in sum.
    """

    def __init__(self, pipeline: "LivePipeline") -> None:
        self.frames: NewestSlot[_Submitted] = NewestSlot()
        self.seen: NewestSlot[_Seen] = NewestSlot()
        self.masker: FrameMasker | None = None
        self.following_since_s: float | None = None
        self.drawing_since_s: float | None = None
        self.busy_s = [0.0, 0.0]
        self.threads = [
            threading.Thread(target=work, args=(self,), name=name, daemon=True)
            for work, name in ((pipeline.follow, "mask-follow"), (pipeline.draw, "mask-draw"))
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def close(self) -> None:
        self.frames.close()
        self.seen.close()

    @property
    def replaced(self) -> int:
        return self.frames.replaced + self.seen.replaced

    def in_work_since_s(self) -> float | None:
        """When the oldest frame that is in work was taken."""
        since_s = [at for at in (self.following_since_s, self.drawing_since_s) if at is not None]
        return min(since_s, default=None)


class LivePipeline:
    """Masks the newest frame. `submit` from any thread; `on_frame` is called from its own.

    What goes to `on_frame` is newer than what went before, and comes at least every 100 ms once
    something is late: a mask or a card, from the watchdog a card.
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
        self._times: deque[float] = deque(maxlen=120)
        self._status = PipelineStatus()
        self._submitted = self._shown = self._in_time = self._replaced = 0
        self._abandoned = 0
        self._governor = Governor()
        self._said: set[tuple[str, str]] = set()
        self._run = _Run(self)
        self._run.start()
        self._watchdog = threading.Thread(target=self._watch, name="mask-watchdog", daemon=True)
        self._watchdog.start()

    def submit(self, frame: PatientFrame) -> None:
        """Hand the newest frame in; an older one that waits is dropped."""
        with self._lock:
            self._submitted_at_s = time.monotonic()
            self._submitted += 1
            self._last_size = self._size or frame.even_size
            self._card_clock = (frame.clock, self._submitted_at_s)
            run, submitted = self._run, _Submitted(frame, self._submitted_at_s)
        run.frames.put(submitted)

    def status(self) -> PipelineStatus:
        """How the loop is doing now."""
        now = time.monotonic()
        with self._lock:
            recent = [at for at in self._times if now - at < 2.0]
            replaced = self._replaced + self._run.replaced
            return replace(
                self._status,
                fps=len(recent) / 2.0,
                submitted=self._submitted,
                shown=self._shown,
                replaced=replaced,
                level=self._governor.level,
            )

    def close(self) -> None:
        """Stop all threads; one that hangs is left behind."""
        self._closed.set()
        self._run.close()
        self._watchdog.join(_END_S)
        for thread in self._run.threads:
            thread.join(_END_S)

    def follow(self, run: _Run) -> None:
        """The thread that reads the patient's frames."""
        tried_at_s = -_TRY_AGAIN_S
        last: list[MaskState] = []  # the two read last
        read = False
        while not self._closed.is_set() and run is self._run:
            if run.masker is None and time.monotonic() - tried_at_s >= _TRY_AGAIN_S:
                tried_at_s = time.monotonic()
                run.masker = self._masker_or_none()
            submitted = run.frames.take(0.5)
            if submitted is None:
                continue
            frame = submitted.frame
            taken_at_s = run.following_since_s = time.monotonic()
            # The one after a frame that was read is not, where that is too much.
            read = not (read and len(last) == 2 and self._governor.effort.read_every > 1)
            if read:
                sighting = self._sighting(run.masker, frame)
                last = [*last[-1:], sighting.state] if sighting.state is not None else []
            else:
                state = carried_on(last[0], last[1], frame.clock.captured_at_s)
                sighting = Sighting(frame.clock, frame.even_size, Tracking.FOLLOWING, state)
            # The one that was carried on comes right behind the one that was read.
            seen = _Seen(sighting, submitted.at_s, taken_at_s)
            run.seen.put_after(seen, 0.0 if read else _HANG_S / 2)
            run.busy_s[0] += time.monotonic() - taken_at_s
            run.following_since_s = None

    def draw(self, run: _Run) -> None:
        """The thread that draws what was seen, and hands it on."""
        while not self._closed.is_set() and run is self._run:
            seen = run.seen.take(0.5)
            if seen is None:
                continue
            began_at_s = time.monotonic()
            run.drawing_since_s = seen.taken_at_s
            masked, tracking = self._drawn(run.masker, seen.sighting)
            now = time.monotonic()
            run.busy_s[1] += now - began_at_s
            run.drawing_since_s = None
            if run is not self._run:
                break
            with self._lock:
                masker = run.masker
                self._status = replace(
                    self._status,
                    tracking=tracking,
                    stage_ms={} if masker is None else dict(masker.stage_ms),
                    provider=Provider() if masker is None else masker.provider,
                )
            # The watchdog has shown a card since: an old mask would jump back in time.
            if now - seen.taken_at_s > _STALE_S and masked.card is None:
                masked = draw_card(Card.FAULT, (masked.width, masked.height), masked.clock)
            self._emit(masked, in_time=now - seen.submitted_at_s <= _IN_TIME_S)
        # What it closes is not taken from under the thread that reads, unless that hangs.
        run.threads[0].join(_END_S)
        if run.masker is not None:
            run.masker.close()

    def _sighting(self, masker: FrameMasker | None, frame: PatientFrame) -> Sighting:
        try:
            if masker is None:
                raise PipelineError("there is no masker")
            return masker.follow(frame)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._say_once("the face cannot be read: %s; a card is shown", type(error).__name__)
            return Sighting(frame.clock, frame.even_size, Tracking.FAULT)

    def _drawn(
        self, masker: FrameMasker | None, sighting: Sighting
    ) -> tuple[MaskedFrame, Tracking]:
        size = self._governor.effort.size(*(self._size or sighting.size))
        try:
            if masker is None:
                raise PipelineError("there is no masker")
            masked = masker.draw(sighting, size)
            return masked, Tracking.FAULT if masked.card is Card.FAULT else sighting.tracking
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
            self._say_once("the mask cannot be drawn: %s; a card is shown", type(error).__name__)
            return draw_card(Card.FAULT, size, sighting.clock), Tracking.FAULT

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

    def _emit(
        self, masked: MaskedFrame, from_watchdog: bool = False, in_time: bool = False
    ) -> None:
        with self._lock:
            clock = masked.clock
            last = self._last_clock
            if last is not None and clock.pts * clock.time_base <= last.pts * last.time_base:
                return
            self._last_clock = clock
            if not from_watchdog:
                self._shown += 1
                self._in_time += in_time
                self._last_mask = masked if masked.card is None else None
            self._out_at_s = time.monotonic()
            self._times.append(self._out_at_s)
            # Handed on under the lock: frames of the two threads keep their order.
            try:
                self._on_frame(masked)
            except Exception as error:  # noqa: BLE001 - a sink's fault must not end the loop
                _log.warning("a sink failed: %s", type(error).__name__)

    def _watch(self) -> None:
        period = _Period()
        while not self._closed.wait(_CARD_INTERVAL_S / 2):
            now = time.monotonic()
            run = self._run
            busy_since_s = run.in_work_since_s()
            hanging = busy_since_s is not None and now - busy_since_s > _HANG_S
            with self._lock:
                silent = now - self._submitted_at_s > _SILENCE_S
                due = now - self._out_at_s >= _CARD_INTERVAL_S
                known = self._card_clock
                size = self._last_size
                last_mask = self._last_mask
                counts = _Period(
                    now, self._submitted, self._shown, self._in_time, run, tuple(run.busy_s)
                )
            if now - period.at_s >= _PERIOD_S:
                counts = replace(counts, idle_s=idle_s())
                self._govern(period, counts)
                period = counts
            if (
                busy_since_s is not None
                and now - busy_since_s > _ABANDON_S
                and self._abandoned < _MOST_ABANDONED
            ):
                self._abandon(run)
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

    def _govern(self, before: "_Period", now: "_Period") -> None:
        # The first second of a masker says nothing: networks are loaded, shaders are compiled.
        if before.run is not now.run or before.shown == 0 or now.run is None:
            return
        length_s = now.at_s - before.at_s
        reading, drawing = (
            (after - earlier) / length_s
            for after, earlier in zip(now.busy_s, before.busy_s, strict=True)
        )
        level = self._governor.level
        self._governor.note(
            now.submitted - before.submitted,
            now.in_time - before.in_time,
            reading,
            drawing,
            (now.idle_s - before.idle_s) / length_s,
        )
        if self._governor.level != level:
            effort = self._governor.effort
            _log.warning(
                "%s: of %d frames one is read, the picture is drawn at %d %%",
                "too much to do" if self._governor.level > level else "room for more",
                effort.read_every,
                100 * effort.scale,
            )

    def _abandon(self, run: _Run) -> None:
        _log.warning("a stage hangs; it is left behind and a new one started")
        with self._lock:
            self._replaced += run.replaced
            self._abandoned += 1
            fresh = _Run(self)
            self._run = fresh
        run.close()
        fresh.start()


@dataclass(frozen=True, slots=True)
class _Period:
    """What was counted up to a moment."""

    at_s: float = 0.0
    submitted: int = 0
    shown: int = 0
    in_time: int = 0
    run: _Run | None = None
    busy_s: tuple[float, ...] = (0.0, 0.0)
    idle_s: float = math.nan


def _same_size(mask: MaskedFrame | None, card: MaskedFrame) -> TypeGuard[MaskedFrame]:
    return mask is not None and (mask.width, mask.height) == (card.width, card.height)


def _later(clock: FrameClock, seconds: float) -> FrameClock:
    """The clock of a moment that no frame has."""
    ticks = int(seconds / clock.time_base)
    return FrameClock(clock.captured_at_s + seconds, clock.pts + ticks, clock.time_base)
