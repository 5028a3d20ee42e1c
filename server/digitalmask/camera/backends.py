"""The ways to appear as a camera, and which of them are there."""

import sys
from pathlib import Path

from digitalmask.camera.virtual import Size, VirtualCamera
from digitalmask.errors import ConfigurationError, MediaError

BACKENDS = ("pipewire", "pyvirtualcam")


def open_virtual_camera(backend: str, name: str, size: Size, rate: int) -> VirtualCamera:
    """The virtual camera, ready for frames of `size` (width, height).

    backend: one of BACKENDS, or "auto" for the first that is there. name: what a PipeWire camera
    is called; pyvirtualcam's have names of their own, `name` may be the device of one.
    Errors: ConfigurationError, MediaError, with what to install.
    """
    if size[0] % 8:  # rows of colour are then four bytes apart, as GStreamer and drivers want
        raise ConfigurationError(f"a camera's width is a multiple of 8, not {size[0]}")
    failures = []
    for each in _in_order() if backend == "auto" else (backend,):
        try:
            return _open(each, name, size, rate)
        except MediaError as error:
            failures.append(str(error))
    raise MediaError("; or ".join(failures))


def _open(backend: str, name: str, size: Size, rate: int) -> VirtualCamera:
    if backend == "pipewire":
        if sys.platform != "linux":
            raise MediaError("PipeWire is there on Linux alone")
        from digitalmask.camera.pipewire import PipeWireCamera

        return PipeWireCamera(name, size, rate)
    from digitalmask.camera.loopback import LoopbackCamera

    return LoopbackCamera(name if name.startswith("/dev/") else None, size, rate)


def _in_order() -> tuple[str, ...]:
    """Who has loaded v4l2loopback wants it: more programs know such a camera than PipeWire's."""
    if sys.platform != "linux" or Path("/sys/module/v4l2loopback").exists():
        return tuple(reversed(BACKENDS))
    return BACKENDS
