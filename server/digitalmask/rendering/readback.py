"""Brings what was drawn into the processor's memory."""

import moderngl
import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import RenderingError
from digitalmask.opengl import draws_in_software, finisher


class Readback:
    """Reads the corner of a framebuffer, in two steps. One thread, with the context current.

    A GPU copies into a buffer of its own while the processor goes on (`begin`), which then waits
    and takes it (`end`). Where the processor itself draws there is nothing to gain: it reads in
    `end`. asynchronous: whether to use the buffer; as the device is where None.
    """

    def __init__(self, gl: moderngl.Context, asynchronous: bool | None = None) -> None:
        self._gl = gl
        self._finish = finisher()
        self._asynchronous = not draws_in_software(gl) if asynchronous is None else asynchronous
        self._buffer: moderngl.Buffer | None = None
        self._drawn: moderngl.Framebuffer | None = None
        self._shape = (0, 0, 4)

    def begin(self, drawn: moderngl.Framebuffer, across: int, down: int) -> None:
        """Have the first `across` columns of `down` rows brought."""
        self._drawn, self._shape = drawn, (down, across, 4)
        # moderngl leaves one behind where it releases a framebuffer that is in use.
        _ = self._gl.error
        if not self._asynchronous:
            return
        count = across * down * 4
        if self._buffer is None or self._buffer.size < count:
            if self._buffer is not None:
                self._buffer.release()
            self._buffer = self._gl.buffer(reserve=count, dynamic=True)
        drawn.read_into(self._buffer, (0, 0, across, down), components=4, alignment=1)

    def end(self) -> NDArray[np.uint8]:
        """(down, across, 4) RGBA. Errors: RenderingError where the context is lost."""
        down, across, _ = self._shape
        assert self._drawn is not None  # noqa: S101 - for the type
        self._finish()
        if self._asynchronous and self._buffer is not None:
            pixels = self._buffer.read(across * down * 4)
        else:
            pixels = self._drawn.read((0, 0, across, down), components=4, alignment=1)
        # A context that is lost says so with every call, and reads as an empty picture.
        fault = self._gl.error
        if fault != "GL_NO_ERROR":
            raise RenderingError(f"OpenGL's context was lost ({fault})")
        return np.frombuffer(pixels, np.uint8).reshape(self._shape)
