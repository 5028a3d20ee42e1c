"""OpenGL without a screen: on which device, and what to install where it is missing."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import moderngl

from digitalmask.errors import ContextLostError, RenderingError

_INSTALL = "apt-get install libegl1 libgl1"
# Of EGL_EXT_device_query, EGL_EXT_device_query_name.
_EXTENSIONS, _VENDOR, _RENDERER = 0x3055, 0x3053, 0x335F
_MOST_DEVICES = 64
# Of OpenGL 3.2's sync objects.
_GPU_COMMANDS_COMPLETE, _FLUSH = 0x9117, 1
_ALREADY, _DONE, _FAILED = 0x911A, 0x911C, 0x911D
_PATIENCE_NS = 4_000_000_000  # a picture takes less by far, wherever it is drawn
_SOFTWARE = ("llvmpipe", "softpipe", "swrast")


@dataclass(frozen=True, slots=True)
class EglDevice:
    """What EGL can draw on. index: EGL's. name: as far as it says."""

    index: int
    name: str
    software: bool
    nvidia: bool


@cache
def egl_devices() -> tuple[EglDevice, ...]:
    """All devices, the one to draw on first: NVIDIA's, other GPUs, software; none without EGL."""
    try:
        find = ctypes.CDLL("libEGL.so.1").eglGetProcAddress
    except (OSError, AttributeError):
        return ()
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    query, text = find(b"eglQueryDevicesEXT"), find(b"eglQueryDeviceStringEXT")
    if not query or not text:
        return ()
    handles, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int(0)
    integers = ctypes.POINTER(ctypes.c_int)
    query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, integers)(query)
    query_text = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)(text)
    if not query_devices(_MOST_DEVICES, handles, ctypes.byref(count)):
        return ()

    def said(handle: int | None, what: int) -> str:
        return (query_text(handle, what) or b"").decode("utf-8", "replace")

    devices = []
    for index, handle in enumerate(handles[: count.value]):
        extensions = said(handle, _EXTENSIONS).split()
        software = "EGL_MESA_device_software" in extensions
        nvidia = "EGL_NV_device_cuda" in extensions
        name = "software" if software else "NVIDIA" if nvidia else f"device {index}"
        if "EGL_EXT_device_query_name" in extensions and not software:
            name = said(handle, _RENDERER) or said(handle, _VENDOR) or name
        devices.append(EglDevice(index, name, software, nvidia))
    return tuple(sorted(devices, key=lambda each: (each.software, not each.nvidia, each.index)))


def offscreen_context(device_index: int | None = None) -> moderngl.Context:
    """A context of EGL's for the calling thread; raises RenderingError where there is none.

    device_index: which EGL device, the first of `egl_devices` where None.
    """
    if device_index is None:
        device_index = next((each.index for each in egl_devices()), 0)
    try:
        return moderngl.create_standalone_context(backend="egl", device_index=device_index)
    # moderngl raises plain Exception for missing libraries and devices.
    except Exception as error:  # noqa: BLE001
        raise RenderingError(f"no OpenGL device {device_index} ({error}): {_INSTALL}") from None


def draws_in_software(gl: moderngl.Context) -> bool:
    """Whether the processor does what a GPU would."""
    return any(name in gl.info["GL_RENDERER"] for name in _SOFTWARE)


def finisher() -> Callable[[], None]:
    """OpenGL's glFinish through ctypes, which lets go of Python's lock while it waits."""
    finish = _library("glFinish").glFinish
    return lambda: finish()


class Fences:
    """Waits, without Python's lock, for what OpenGL was told up to some place, and nothing later.

    One place at a time; the context is current.
    """

    def __init__(self) -> None:
        library = _library("glFenceSync")
        self._put, self._wait, self._delete = (
            library.glFenceSync,
            library.glClientWaitSync,
            library.glDeleteSync,
        )
        self._put.restype, self._put.argtypes = ctypes.c_void_p, [ctypes.c_uint, ctypes.c_uint]
        self._wait.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint64]
        self._delete.argtypes = [ctypes.c_void_p]
        self._place: int | None = None

    def put(self) -> None:
        """The place is here."""
        self._drop()
        self._place = self._put(_GPU_COMMANDS_COMPLETE, 0)

    def wait(self) -> None:
        """Until all before the place is done. Errors: ContextLostError where it never is."""
        said = self._wait(self._place, _FLUSH, _PATIENCE_NS) if self._place else _FAILED
        self._drop()
        if said not in (_ALREADY, _DONE):
            raise ContextLostError("OpenGL's context was lost: what was drawn does not end")

    def _drop(self) -> None:
        if self._place:
            self._delete(self._place)
        self._place = None


def _library(function: str) -> ctypes.CDLL:
    """OpenGL's, which has this function. Errors: RenderingError."""
    for name in ("libGL.so.1", "libOpenGL.so.0"):
        try:
            library = ctypes.CDLL(name)
            getattr(library, function)
        except (OSError, AttributeError):
            continue
        return library
    raise RenderingError(f"OpenGL's library is missing: {_INSTALL}")
