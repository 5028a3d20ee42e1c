"""A masker in a process of its own.

A relay moves a thousand packets a second through one interpreter; a masker in the same one waits
for the interpreter's lock at each of its steps. Beside it, it has a lock of its own, and a fault
in native code (a driver, a network's runtime) ends that process, not the consultation.

Pictures pass through two pieces of anonymous memory, which have no name in any file system and
end with the two processes; what is said about them goes through a socket.
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
from multiprocessing.connection import Connection

import cv2
import numpy as np

from digitalmask.errors import DigitalMaskError, PipelineError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.stages import FrameMasker, Tracking

_PICTURE_BYTES = 3 * 8192 * 8192  # the largest; only what is written to takes memory
_START_S = 60.0  # a TensorRT engine is not built in less
_ANSWER_S = 4.0  # less than after which the pipeline leaves a thread behind
_AGAIN_S = 2.0  # one that ends is started again, but not more often
_WARM_UP_SIZE = (640, 480)
# By its name, so that both processes have the same classes to speak in.
_RUN = f"from {__name__} import serve; serve()"


def isolated(make: Callable[..., Callable[[], Masker]], *options: str) -> Callable[[], FrameMasker]:
    """Makes maskers as `make(*options)` does, each in its own process where the system can.

    make: a function of a module, which the other process imports by name.
    """
    if not hasattr(os, "memfd_create"):
        return make(*options)
    name = f"{make.__module__}:{make.__qualname__}"
    return lambda: MaskerProcess(name, options)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the other process says of a frame, beside its picture."""

    masked: bytes
    picture_bytes: int
    tracking: Tracking
    stage_ms: dict[str, float]
    provider: str


class MaskerProcess:
    """Does what `Masker` does. One thread at a time.

    Raises what kept the process from starting, and PipelineError from `mask` where it has ended or
    does not answer; it is started again with a later frame.
    """

    def __init__(self, maker: str, options: tuple[str, ...] = ()) -> None:
        self._maker = [maker, *options]
        self.tracking = Tracking.WAITING
        self.stage_ms: dict[str, float] = {}
        self.provider = ""
        self._memory = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("camera", "mask")]
        for handle in self._memory:
            os.ftruncate(handle, _PICTURE_BYTES)
        self._camera, self._mask = (mmap.mmap(handle, _PICTURE_BYTES) for handle in self._memory)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = -np.inf
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def mask(self, frame: PatientFrame, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask for this frame, or a card."""
        if frame.rgb.nbytes > _PICTURE_BYTES:
            raise PipelineError(f"a frame of {frame.width}x{frame.height} is too large")
        if self._process is None:
            if time.monotonic() - self._started_at_s < _AGAIN_S:
                raise PipelineError("the masking process has ended; it is started again soon")
            self._start()
        np.copyto(np.ndarray(frame.rgb.shape, np.uint8, self._camera), frame.rgb)
        clock = frame.clock
        fraction = (clock.time_base.numerator, clock.time_base.denominator)
        about = (frame.rgb.shape, clock.captured_at_s, clock.pts, fraction, size)
        answer = self._ask(about, _ANSWER_S)
        self.tracking, self.stage_ms = answer.tracking, answer.stage_ms
        view = memoryview(self._mask)[: answer.picture_bytes]
        masked: MaskedFrame = pickle.loads(answer.masked, buffers=[view])  # noqa: S301 - our own process
        return replace(masked, rgb=masked.rgb.copy())

    def close(self) -> None:
        """End the process."""
        self._end()
        for handle in self._memory:
            os.close(handle)
        self._memory = []

    def _start(self) -> None:
        self._started_at_s = time.monotonic()
        ours, theirs = socket.socketpair()
        handles = (theirs.fileno(), *self._memory)
        command = [sys.executable, "-c", _RUN, ",".join(map(str, handles)), *self._maker]
        with theirs:
            # A session of its own: Ctrl-C is for the relay, which ends this process.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=handles, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._connection = Connection(ours.detach())
        self.provider = self._ask(None, _START_S).provider

    def _ask(self, about: object, patience_s: float) -> _Answer:
        try:
            self._connection.send(about)
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
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._connection.close()
            process.kill()
            process.wait()


def serve() -> None:
    """The other process: mask what comes until the relay has gone.

    Arguments of the command line: handles, module:function of the maker, its options.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The pictures that it works on are small: a second thread waits more than it does (measured,
    # 37 ms of processor a frame for 28 ms of work).
    cv2.setNumThreads(1)
    handles, maker, *options = sys.argv[1:]
    own, camera_handle, mask_handle = map(int, handles.split(","))
    connection = Connection(own)
    camera = mmap.mmap(camera_handle, _PICTURE_BYTES)
    picture = mmap.mmap(mask_handle, _PICTURE_BYTES)
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
        try:
            module, _, function = maker.partition(":")
            masker: Masker = getattr(importlib.import_module(module), function)(*options)()
            masker.warm_up(_WARM_UP_SIZE)
        except DigitalMaskError as error:  # said by the process that asked for the mask
            connection.send(error)
            return
        except Exception as error:  # noqa: BLE001
            connection.send(PipelineError(f"no masker can be made ({type(error).__name__})"))
            return
        connection.send(_Answer(b"", 0, masker.tracking, {}, masker.provider))
        while True:
            shape, captured_at_s, pts, fraction, size = connection.recv()
            clock = FrameClock(captured_at_s, pts, Fraction(*fraction))
            frame = PatientFrame(clock, np.ndarray(shape, np.uint8, camera))
            try:
                connection.send(_answer(masker, masker.mask(frame, size), picture))
            except Exception as error:  # noqa: BLE001 - its message could quote pixels
                connection.send(PipelineError(f"a frame was not masked ({type(error).__name__})"))


def _answer(masker: Masker, masked: MaskedFrame, picture: mmap.mmap) -> _Answer:
    pixels: list[pickle.PickleBuffer] = []
    whole = replace(masked, rgb=np.ascontiguousarray(masked.rgb))
    about = pickle.dumps(whole, protocol=5, buffer_callback=pixels.append)
    raw = pixels[0].raw()
    picture[: raw.nbytes] = raw.cast("B")
    return _Answer(about, raw.nbytes, masker.tracking, dict(masker.stage_ms), masker.provider)
