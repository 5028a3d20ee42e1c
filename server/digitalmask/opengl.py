"""OpenGL without a screen, and what to install where it is missing."""

import ctypes
from collections.abc import Callable

import moderngl

from digitalmask.errors import RenderingError


def offscreen_context(device_index: int = 0) -> moderngl.Context:
    """A context of EGL's for the calling thread; raises RenderingError where there is none.

    device_index: which EGL device; software drawing counts as one.
    """
    try:
        return moderngl.create_standalone_context(backend="egl", device_index=device_index)
    # moderngl raises plain Exception for missing libraries and devices.
    except Exception as error:  # noqa: BLE001
        raise RenderingError(
            f"no OpenGL device {device_index} ({error}): apt-get install libegl1 libgl1"
        ) from None


def finisher() -> Callable[[], None]:
    """OpenGL's glFinish through ctypes, which lets go of Python's lock while it waits."""
    for name in ("libGL.so.1", "libOpenGL.so.0"):
        try:
            finish = ctypes.CDLL(name).glFinish
        except (OSError, AttributeError):
            continue
        return lambda: finish()
    raise RenderingError("OpenGL's library is missing: apt-get install libegl1 libgl1")
