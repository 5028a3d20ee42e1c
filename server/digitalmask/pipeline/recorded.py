"""Masks what was recorded: a video with its sound, or a still picture."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import cv2

from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.measurements import MeasurementsWriter
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.picture_reader import read_picture
from digitalmask.media.reader import VideoReader
from digitalmask.media.voice import VoiceWay
from digitalmask.media.writer import VideoWriter, write_picture
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.stages import Sighting

T = TypeVar("T")
Size = tuple[int, int]
MakeMasker = Callable[[], Masker]

_MOST_UNWRITTEN = 3  # pictures that wait for the encoder
# A still picture is shown for so long, as if it were a video, until what is smoothed has settled.
_SETTLE_S, _SETTLE_RATE = 1.0, 30
_LARGEST_PX, _SMALLEST_PX = 3840, 120


@dataclass(frozen=True, slots=True)
class Masked:
    """What became of a file.

    size: (width, height) of the result. frames, followed: how many there are, and in how many of
    them the mask is drawn. seconds: how long it is, 0 for a picture. stopped_at_s,
    stopped_because: where a damaged video ended early.
    """

    size: Size
    frames: int
    followed: int
    seconds: float
    stopped_at_s: float | None = None
    stopped_because: str = ""


def one_thread_a_stage() -> None:
    """Keep each stage of this process to one thread; before its first masker is made.

    The stages go on beside each other: with threads of their own, they wait for each other (on two
    cores a video took half as long again, with Mesa's software drawing).
    """
    cv2.setNumThreads(1)
    os.environ.setdefault("LP_NUM_THREADS", "0")


def mask_video(
    source: Path,
    target: Path,
    make_masker: MakeMasker,
    size: Size | None = None,
    measurements: Path | None = None,
    voice: VoiceWay = VoiceWay.MASK,
    progress: Callable[[int | None], object] = lambda _total: None,
) -> Masked:
    """Mask a video; the result is there when it is whole.

    Following the face, drawing and coding go on beside each other, each in a thread of its own.

    size: of the result, the source's own where None. measurements: the table to write beside it.
    voice: what becomes of the sound.
    progress: called at each frame with how many there are, if that is known.
    Errors: MediaError and those of `make_masker`.
    """
    frames = drawn = 0
    seconds = 0.0
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        masker = make_masker()
        stack.callback(masker.close)
        table = stack.enter_context(MeasurementsWriter(measurements)) if measurements else None
        writer = stack.enter_context(VideoWriter(target, reader.rate, reader.audio, voice))
        line = stack.enter_context(_Line())
        total = reader.frame_count
        for item in _followed(reader, masker.follow):
            if not isinstance(item, Sighting):
                line.put(writer.write_sound, item)
                continue
            # A file's size may change; the result's does not.
            size = size or _even(*item.size)
            masked = masker.draw(item, size)
            line.put(writer.write, masked)
            if table is not None:
                table.write(item.clock, item.state)
            frames += 1
            drawn += masked.card is None
            seconds = max(seconds, item.clock.captured_at_s)
            progress(total)
        line.wait()
        if size is None or frames == 0:
            why = reader.stopped_because or "it has no frame"
            raise MediaError(f"nothing of {source} could be read: {why}")
        seconds += 1 / float(reader.rate)
    return Masked(size, frames, drawn, seconds, reader.stopped_at_s, reader.stopped_because)


def mask_picture(
    source: Path,
    target: Path,
    make_masker: MakeMasker,
    size: Size | None = None,
    measurements: Path | None = None,
) -> Masked:
    """Mask a still picture; as `mask_video`."""
    picture = read_picture(source)
    size = size or _even(picture.width, picture.height)
    masker = make_masker()
    try:
        for frame in _shown(picture):
            sighting = masker.follow(frame)
        masked = masker.draw(sighting, size)
    finally:
        masker.close()
    with contextlib.ExitStack() as stack:
        if measurements is not None:
            table = stack.enter_context(MeasurementsWriter(measurements))
            table.write(picture.clock, sighting.state)
        write_picture(masked, target)
    return Masked(size, 1, int(masked.card is None), 0.0)


def _shown(picture: PatientFrame) -> Iterator[PatientFrame]:
    """The same picture again and again, as a camera would see it."""
    for number in range(round(_SETTLE_S * _SETTLE_RATE)):
        clock = FrameClock(number / _SETTLE_RATE, number, Fraction(1, _SETTLE_RATE))
        yield replace(picture, clock=clock)


def _followed(
    items: Iterable[PatientFrame | T], follow: Callable[[PatientFrame], Sighting]
) -> Iterator[Sighting | T]:
    """The same items, with what each frame shows in its place.

    A frame is followed in another thread while what came before it is dealt with in this one.
    """
    held: deque[Future[Sighting] | T] = deque()
    begun = 0
    with ThreadPoolExecutor(1, thread_name_prefix="follow") as thread:
        for item in items:
            if not isinstance(item, PatientFrame):
                held.append(item)
                continue
            held.append(thread.submit(follow, item))
            begun += 1
            while begun > 1:
                first = held.popleft()
                begun -= isinstance(first, Future)
                yield first.result() if isinstance(first, Future) else first
        for rest in held:
            yield rest.result() if isinstance(rest, Future) else rest


class _Line:
    """Does one thing after another in a thread of its own, a few behind; use as a context."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._begun: deque[Future[None]] = deque()

    def __enter__(self) -> "_Line":
        """The line itself."""
        return self

    def __exit__(self, *_about: object) -> None:
        """Let go of what is not done."""
        self._thread.shutdown(cancel_futures=True)

    def put(self, do: Callable[[T], None], what: T) -> None:
        """Do this in its turn. Raises what one of those before has raised."""
        self._begun.append(self._thread.submit(do, what))
        if len(self._begun) > _MOST_UNWRITTEN:
            self._begun.popleft().result()

    def wait(self) -> None:
        """Wait until all is done. Raises as `put`."""
        while self._begun:
            self._begun.popleft().result()


def _even(width: int, height: int) -> Size:
    """The size of the result: the source's, even, within what is drawn."""
    scale = min(1.0, _LARGEST_PX / max(width, height))
    scale = max(scale, _SMALLEST_PX / min(width, height))
    return round(width * scale) & ~1, round(height * scale) & ~1
