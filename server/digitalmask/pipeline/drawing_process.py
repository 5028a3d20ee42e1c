"""One process that draws the masks of every room on a GPU, in one context.

Rooms send states, never a picture, and get the samples of the drawn head back, which each lays into
its own picture. There is one thread, which owns the context. It poses and draws the next head that
was asked for while the samples of the one before are still on their way; it waits for nobody, and a
room asks for its next mask when it has the last one, so that nothing queues.

A state that cannot be drawn is a fault of its room alone. A context that is lost is made anew: the
rooms that were being drawn show a card. Where that does not help for long, or where the process
ends again and again, it is given up, and each room draws in software in a process of its own.
"""

import contextlib
import logging
import mmap
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import load_head
from digitalmask.errors import ContextLostError, RenderingError
from digitalmask.mask_state import MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.opengl import egl_devices
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.drawing_device import DrawingDevice
from digitalmask.pipeline.stages import FaultLog
from digitalmask.rendering import (
    Complexion,
    Composer,
    DrawingContext,
    DrawnHead,
    Inset,
    MaskRenderer,
)
from digitalmask.shared_process import (
    Caller,
    Callers,
    Line,
    SharedProcess,
    give_up,
    run_shared,
)

_log = logging.getLogger(__name__)

# A frame that hangs has its card from the pipeline's watchdog long before; a room that comes with
# colours of its own has its shaders compiled meanwhile.
_ANSWER_S = 1.0
_SAMPLE_BYTES = 16  # of a pixel, at most: two samples across and down
_WARM_UP_SIZE = (640, 480)
_LEAST_BYTES = _SAMPLE_BYTES * 640 * 480
_FAILED = b"\0"
_MOST_ENDS = 3
_AHEAD = 1  # so many heads are begun before the samples of one are waited for


@contextlib.contextmanager
def shared_drawing(anywhere: bool = False) -> Iterator["DrawingProcess | None"]:
    """The process for all rooms on a GPU; None where each room draws for itself.

    anywhere: on whatever there is, software too.
    """
    process = None
    if anywhere or any(not each.software for each in egl_devices()):
        try:
            process = DrawingProcess(make_contexts, *(["anywhere"] if anywhere else []))
        except RenderingError as error:
            _log.warning("the GPU cannot be drawn on (%s); each room draws by itself", error)
    try:
        yield process
    finally:
        if process is not None:
            process.close()


# The room's side.


class RemoteRenderer:
    """Draws masks through the process that listens there. One thread.

    Errors: RenderingError where it cannot be reached, does not answer, or cannot draw the state.
    """

    def __init__(
        self, address: str, inset: Inset, complexion: Complexion, patience_s: float = _ANSWER_S
    ) -> None:
        self._address, self._patience_s = address, patience_s
        self._greeting = pickle.dumps((inset, complexion))
        self._composer = Composer(inset)
        self._line: Line | None = None

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        """The mask, `size` as (width, height)."""
        try:
            line = self._line_for(size)
            answer = line.ask(pickle.dumps((state, size)))
        except OSError as error:
            self._line = None
            raise RenderingError("the drawing process does not answer") from error
        if answer == _FAILED:
            raise RenderingError("the drawing process could not draw a mask")
        drawn: DrawnHead = pickle.loads(answer)  # noqa: S301 - our own process
        samples = np.ndarray(drawn.shape, np.uint8, line.memory)
        return self._composer.compose(drawn, samples, clock)

    def close(self) -> None:
        """Leave."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _line_for(self, size: tuple[int, int]) -> Line:
        """A connection with memory enough."""
        needed = max(_SAMPLE_BYTES * size[0] * size[1], _LEAST_BYTES)
        if self._line is not None and len(self._line.memory) < needed:
            self.close()
        self._line = self._line or Line(self._address, needed, self._patience_s, self._greeting)
        return self._line


# The process.


class RoomRenderer(Protocol):
    """Draws one room's heads, in two steps."""

    def begin(self, state: MaskState, size: tuple[int, int]) -> DrawnHead:
        """Have a head drawn."""

    def end(self, into: NDArray[np.uint8]) -> object:
        """Its samples, brought into this memory (n,)."""

    def close(self) -> None:
        """Give back what it holds."""


class Context(Protocol):
    """What renderers of several rooms draw in."""

    def renderer(self, inset: Inset, complexion: Complexion) -> RoomRenderer:
        """A room's."""

    def close(self) -> None:
        """Give everything back, renderers too."""


class RoomsContext:
    """An OpenGL context for all rooms. device_index: which EGL device."""

    def __init__(self, device_index: int) -> None:
        self._head = load_head()
        self._context = DrawingContext(self._head, device_index)

    def renderer(self, inset: Inset, complexion: Complexion) -> RoomRenderer:
        """A room's; the first of a complexion has its shaders compiled."""
        return MaskRenderer(self._head, inset, complexion=complexion, context=self._context)

    def close(self) -> None:
        """Give it back."""
        self._context.close()


def make_contexts(anywhere: str = "") -> DrawingDevice[Context]:
    """Contexts on the GPUs; with `anywhere`, on the best device there is, software too."""
    devices = egl_devices()
    return DrawingDevice(
        RoomsContext, devices[:1] if anywhere else [each for each in devices if not each.software]
    )


def serve() -> None:
    """Draw until the relay has gone."""
    run_shared(_Owner)


class _Owner:
    """Owns the context; its one thread does everything.

    Errors: RenderingError where the device cannot draw a mask.
    """

    def __init__(self, device: DrawingDevice[Context]) -> None:
        self._device = device
        self._rooms: list[_Room] = []
        self._log = FaultLog()
        self._context: Context | None = device.make()
        # What is slow the first time is done now: shaders are compiled, memory is taken.
        renderer = self._context.renderer(Inset.NONE, Complexion())
        renderer.begin(neutral_state(), _WARM_UP_SIZE)
        renderer.end(np.empty(_LEAST_BYTES, np.uint8))
        renderer.close()

    @property
    def provider(self) -> str:
        """Where masks are drawn."""
        return self._device.name

    def work(self, listener: socket.socket) -> None:
        """Until the relay has gone, or the device is given up."""
        self._callers = Callers(listener, lambda: self.provider, self._enter, self._leave)
        waiting: deque[tuple[Caller[_Room], bytes]] = deque()
        begun: deque[Caller[_Room]] = deque()
        while (asked := self._callers.requests(not (waiting or begun))) is not None:
            waiting.extend(asked)
            if waiting:
                caller, request = waiting.popleft()
                self._begin(caller, request)
                begun.append(caller)
            if begun and (len(begun) > _AHEAD or not waiting):
                self._end(begun.popleft())

    def _enter(self, memory: mmap.mmap, greeting: bytes) -> "_Room":
        room = _Room(np.frombuffer(memory, np.uint8), greeting)
        self._rooms.append(room)
        return room

    def _leave(self, room: "_Room") -> None:
        self._rooms.remove(room)
        room.close()

    def _begin(self, caller: Caller["_Room"], request: bytes) -> None:
        room = caller.place
        if room is None:
            return
        with self._faults():
            state, size = pickle.loads(request)  # noqa: S301 - our own relay
            self._context = self._context or self._device.make()
            if room.renderer is None:
                look: tuple[Inset, Complexion] = pickle.loads(room.greeting)  # noqa: S301
                room.renderer = self._context.renderer(*look)
            drawn = room.renderer.begin(state, size)
            if drawn.samples_bytes > room.memory.size:
                raise RenderingError("a room's memory is too small for its picture")
            room.drawn = drawn

    def _end(self, caller: Caller["_Room"]) -> None:
        """Answer a room: what was drawn, or that nothing was."""
        answer, room = _FAILED, caller.place
        if room is not None and room.renderer is not None and room.drawn is not None:
            with self._faults():
                room.renderer.end(room.memory)
                answer = pickle.dumps(room.drawn)
            room.drawn = None
        self._callers.answer(caller, answer)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """A fault within is one room's; but the context's takes all that is being drawn along."""
        try:
            yield
        except ContextLostError:
            for room in self._rooms:
                room.close()
            context, self._context = self._context, None
            with contextlib.suppress(Exception):
                if context is not None:
                    context.close()
            self._device.failed()
        except Exception as error:  # noqa: BLE001 - whatever a state does to a renderer
            self._log.note("a mask could not be drawn", error)
        if self._device.hopeless:
            _log.warning(
                "drawing on %s fails again and again; each room draws in software from now on",
                self._device.name,
            )
            give_up()


@dataclass(eq=False, slots=True)
class _Room:
    """One room: its memory, how it is drawn, and what is being drawn of it."""

    memory: NDArray[np.uint8]
    greeting: bytes
    renderer: RoomRenderer | None = None
    drawn: DrawnHead | None = None

    def close(self) -> None:
        """Give the renderer back."""
        renderer, self.renderer, self.drawn = self.renderer, None, None
        with contextlib.suppress(Exception):  # of a context that is lost
            if renderer is not None:
                renderer.close()


# The relay's side.


class DrawingProcess(SharedProcess):
    """The process as the relay keeps it.

    make: a function of a module, which the process imports by name; it makes the device and what
    is drawn in there from `options`. Errors: RenderingError where it cannot, in its own words.
    """

    def __init__(
        self, make: Callable[..., DrawingDevice[Context]] = make_contexts, *options: str
    ) -> None:
        super().__init__(
            "the drawing process",
            serve,
            make,
            *options,
            error=RenderingError,
            most_ends=_MOST_ENDS,
        )

    def drawer(self, inset: str = "none", skin: str = "light", eyes: str = "neutral") -> Drawer:
        """A room's, through the process; with the options of a drawer of its own."""
        look = Inset(inset), Complexion(skin, eyes)
        return Drawer(lambda: RemoteRenderer(self.address, *look), lambda: self.provider)
