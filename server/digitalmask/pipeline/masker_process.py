"""A masker whose two halves have a process each.

A relay moves a thousand packets a second through one interpreter; a masker in the same one waits
for the interpreter's lock at each of its steps. Beside it, each half has a lock of its own: a
frame is drawn while the next is read. A fault in native code (a driver, a network's runtime) ends
that process, not the consultation. And what the drawing process can reach of the patient is the
`MaskState` that it is sent.

Pictures pass through anonymous memory, which has no name in any file system and ends with the
processes; what is said about them goes through a socket.
"""

import contextlib
import importlib
import logging
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.core_dumps import forbid_core_dumps
from digitalmask.errors import DigitalMaskError, PipelineError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import Colours, PatientFrame
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.drawing_process import DrawingProcess
from digitalmask.pipeline.follower import Follower
from digitalmask.pipeline.stages import Provider, Sighting

_PICTURE_BYTES = 3 * 8192 * 8192  # the largest; only what is written to takes memory
_START_S = 60.0  # a TensorRT engine is not built in less
_ANSWER_S = 4.0  # less than after which the pipeline leaves a thread behind
_AGAIN_S = 2.0  # one that ends is started again, but not more often
_WARM_UP_SIZE = (640, 480)
# By its name, so that both processes have the same classes to speak in.
_RUN = f"from {__name__} import serve; serve()"

Shapes = tuple[tuple[int, ...], tuple[int, ...]]  # of a frame's luma and chroma


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the other process says: the result, how long its stages take, what it runs on."""

    result: Any = None
    stage_ms: dict[str, float] | None = None
    provider: str = ""


class MaskerProcess:
    """Does what `Masker` does. One thread follows, one draws.

    follower, drawer: `module:function` of a maker and its options, which the other process imports.
    drawing: the process that draws for all rooms, if there is one; what it draws is laid into the
    picture here, and once it is given up, the room has a drawing process of its own like others.
    Raises what kept a process from starting, and PipelineError from `follow` and `draw` where it
    has ended or does not answer; it is started again with a later frame.
    """

    def __init__(
        self,
        follower: tuple[str, ...],
        drawer: tuple[str, ...],
        drawing: DrawingProcess | None = None,
    ) -> None:
        self._drawer, self._shared = drawer, drawing
        self._following = _Process(follower)
        try:
            self._drawing: _Drawing | Drawer
            if drawing is not None and not drawing.given_up:
                self._drawing = drawing.drawer(*drawer[1:])
                self._drawing.warm_up(_WARM_UP_SIZE)
                self._following.wait()
                return
            self._shared = None
            self._drawing = _Drawing(drawer)
            self._following.wait()
            self._drawing.wait()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def possible() -> bool:
        """Whether this system has what it needs."""
        return hasattr(os, "memfd_create")

    @property
    def provider(self) -> Provider:
        """What the networks run on now, and what masks are drawn on."""
        return Provider(self._following.provider, self._drawing.provider)

    @property
    def stage_ms(self) -> dict[str, float]:
        """Recent milliseconds of each stage."""
        return self._following.stage_ms | self._drawing.stage_ms

    def follow(self, frame: PatientFrame) -> Sighting:
        """What this frame shows of the patient."""
        if frame.luma.nbytes + frame.chroma.nbytes > _PICTURE_BYTES:
            raise PipelineError(f"a frame of {frame.width}x{frame.height} is too large")
        clock = frame.clock
        fraction = (clock.time_base.numerator, clock.time_base.denominator)
        shapes = frame.luma.shape, frame.chroma.shape
        about = (shapes, frame.colours, clock.captured_at_s, clock.pts, fraction)

        def put(memory: mmap.mmap) -> None:
            for place, plane in zip(
                _planes(memory, shapes), (frame.luma, frame.chroma), strict=True
            ):
                np.copyto(place, plane)

        sighting = self._following.ask(about, put)
        assert isinstance(sighting, Sighting)  # noqa: S101 - for the type
        return sighting

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask, or a card."""
        if self._shared is not None and self._shared.given_up:
            self._shared = None
            self._drawing.close()
            self._drawing = _Drawing(self._drawer)
        return self._drawing.draw(sighting, size)

    def close(self) -> None:
        """End both processes."""
        self._following.close()
        if hasattr(self, "_drawing"):
            self._drawing.close()


class _Process:
    """One half, started when this is made, with a piece of memory for one picture."""

    def __init__(self, maker: tuple[str, ...]) -> None:
        self._maker = maker
        self.stage_ms: dict[str, float] = {}
        self.provider = ""
        self._handle = os.memfd_create("picture", os.MFD_CLOEXEC)
        os.ftruncate(self._handle, _PICTURE_BYTES)
        self.memory = mmap.mmap(self._handle, _PICTURE_BYTES)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._start()

    def wait(self) -> None:
        """Until it is ready."""
        self._answer(_START_S)
        self._ready, self._ready_at_s = True, time.monotonic()

    def ask(self, about: object, put: Callable[[mmap.mmap], None] | None = None) -> Any:
        """What it answers. put: writes the picture that goes with the question."""
        if self._process is None:
            if self._closed or time.monotonic() - self._ready_at_s < _AGAIN_S:
                raise PipelineError("the masking process has ended; it is started again soon")
            self._start()
            self.wait()
        if not self._ready:
            # Nobody has waited for it: whoever asks has a card to show meanwhile.
            if time.monotonic() - self._ready_at_s > _START_S:
                self._end()
            elif not self._connection.poll():
                raise PipelineError("the masking process is starting")
            self.wait()
        if put is not None:
            put(self.memory)
        try:
            self._connection.send(about)
        except OSError as error:
            self._end()
            raise PipelineError("the masking process has ended") from error
        return self._answer(_ANSWER_S)

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._end()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _start(self) -> None:
        self._ready, self._ready_at_s = False, time.monotonic()
        ours, theirs = socket.socketpair()
        handles = (theirs.fileno(), self._handle)
        command = [sys.executable, "-c", _RUN, ",".join(map(str, handles)), *self._maker]
        with theirs:
            # A session of its own: Ctrl-C is for the relay, which ends this process.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=handles, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._connection = Connection(ours.detach())

    def _answer(self, patience_s: float) -> Any:
        try:
            if not self._connection.poll(patience_s):
                raise PipelineError(f"the masking process does not answer in {patience_s:.0f} s")
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._end()
            raise PipelineError("the masking process has ended") from error
        except PipelineError:
            self._end()
            raise
        if isinstance(answer, Exception):
            self._end()
            raise answer
        assert isinstance(answer, _Answer)  # noqa: S101 - for the type
        self.stage_ms, self.provider = answer.stage_ms or {}, answer.provider
        return answer.result

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._connection.close()
            process.kill()
            process.wait()


class _Drawing(_Process):
    """The half that draws."""

    def draw(self, sighting: Sighting, size: tuple[int, int] | None) -> MaskedFrame:
        """The mask, or a card."""
        about, picture_bytes = self.ask((sighting, size))
        view = memoryview(self.memory)[:picture_bytes]
        masked: MaskedFrame = pickle.loads(about, buffers=[view])  # noqa: S301 - our own process
        return replace(masked, rgb=masked.rgb.copy())


def serve() -> None:
    """The other process: do one half's work until the relay has gone.

    Arguments of the command line: handles, module:function of the maker, its options.
    """
    forbid_core_dumps()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The pictures that it works on are small: a second thread waits more than it does (measured,
    # 37 ms of processor a frame for 28 ms of work).
    cv2.setNumThreads(1)
    handles, maker, *options = sys.argv[1:]
    own, picture = map(int, handles.split(","))
    connection = Connection(own)
    memory = mmap.mmap(picture, _PICTURE_BYTES)
    with contextlib.suppress(EOFError, OSError):
        try:
            module, _, function = maker.partition(":")
            half: Follower | Drawer = getattr(importlib.import_module(module), function)(*options)()
            half.warm_up(_WARM_UP_SIZE)
        except DigitalMaskError as error:  # said by the process that asked for the mask
            connection.send(error)
            return
        except Exception as error:  # noqa: BLE001
            connection.send(PipelineError(f"no masker can be made ({type(error).__name__})"))
            return
        connection.send(_Answer(provider=half.provider))
        work = _following(half, memory) if isinstance(half, Follower) else _drawing(half, memory)
        while True:
            about = connection.recv()
            try:
                result = work(*about)
                connection.send(_Answer(result, dict(half.times.recent_ms), half.provider))
            except Exception as error:  # noqa: BLE001 - its message could quote pixels
                connection.send(PipelineError(f"a frame was not masked ({type(error).__name__})"))


def _planes(memory: mmap.mmap, shapes: Shapes) -> list[NDArray[np.uint8]]:
    """A frame's luma and chroma, one after the other."""
    starts = 0, prod(shapes[0])
    return [
        np.ndarray(shape, np.uint8, memory, start)
        for shape, start in zip(shapes, starts, strict=True)
    ]


def _following(follower: Follower, memory: mmap.mmap) -> Callable[..., Sighting]:
    def work(
        shapes: Shapes,
        colours: Colours,
        captured_at_s: float,
        pts: int,
        fraction: tuple[int, int],
    ) -> Sighting:
        clock = FrameClock(captured_at_s, pts, Fraction(*fraction))
        luma, chroma = _planes(memory, shapes)
        return follower.follow(PatientFrame(clock, luma, chroma, colours))

    return work


def _drawing(drawer: Drawer, memory: mmap.mmap) -> Callable[..., tuple[bytes, int]]:
    def work(sighting: Sighting, size: tuple[int, int] | None) -> tuple[bytes, int]:
        masked = drawer.draw(sighting, size)
        pixels: list[pickle.PickleBuffer] = []
        whole = replace(masked, rgb=np.ascontiguousarray(masked.rgb))
        about = pickle.dumps(whole, protocol=5, buffer_callback=pixels.append)
        raw = pixels[0].raw()
        memory[: raw.nbytes] = raw.cast("B")
        return about, raw.nbytes

    return work
