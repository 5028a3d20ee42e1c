"""Brings what was drawn into the processor's memory."""

import moderngl
import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import ContextLostError
from digitalmask.opengl import Fences, draws_in_software


class Readback:
    """Reads the corner of a framebuffer, in two steps. One thread, with the context current.

    A GPU copies into a buffer of its own while the processor goes on (`begin`), which then waits
    and takes it (`end`). Where the processor itself draws there is nothing to gain: it reads in
    `end`. What others begin to draw in between is not waited for. asynchronous: whether to use the
    buffer; as the device is where None.
    """

    def __init__(self, gl: moderngl.Context, asynchronous: bool | None = None) -> None:
        self._gl = gl
        self._fences = Fences()
        self._asynchronous = not draws_in_software(gl) if asynchronous is None else asynchronous
        self._buffer: moderngl.Buffer | None = None
        self._drawn: moderngl.Framebuffer | None = None
        self._shape = (0, 0, 4)
        self._memory = np.empty(0, np.uint8)  # memory that is had anew for each frame costs more

    def begin(self, drawn: moderngl.Framebuffer, across: int, down: int) -> None:
        """Have the first `across` columns of `down` rows brought."""
        self._drawn, self._shape = drawn, (down, across, 4)
        # moderngl leaves one behind where it releases a framebuffer that is in use.
        _ = self._gl.error
        if self._asynchronous:
            count = across * down * 4
            if self._buffer is None or self._buffer.size < count:
                self.close()
                self._buffer = self._gl.buffer(reserve=count, dynamic=True)
            drawn.read_into(self._buffer, (0, 0, across, down), components=4, alignment=1)
        self._fences.put()

    def end(self, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """(down, across, 4) RGBA. Errors: ContextLostError where the context is lost.

        into: (n,) memory for it, at least as long; one that `end` uses again where None.
        """
        down, across, _ = self._shape
        assert self._drawn is not None  # noqa: S101 - for the type
        count = down * across * 4
        if into is None:
            if self._memory.size < count:
                self._memory = np.empty(count, np.uint8)
            into = self._memory
        self._fences.wait()
        if self._asynchronous and self._buffer is not None:
            self._buffer.read_into(into, count)
        else:
            self._drawn.read_into(into, (0, 0, across, down), components=4, alignment=1)
        # A context that is lost says so with every call, and reads as an empty picture.
        fault = self._gl.error
        if fault != "GL_NO_ERROR":
            raise ContextLostError(f"OpenGL's context was lost ({fault})")
        return into[:count].reshape(self._shape)

    def close(self) -> None:
        """Give the buffer back."""
        if self._buffer is not None:
            self._buffer.release()
            self._buffer = None
