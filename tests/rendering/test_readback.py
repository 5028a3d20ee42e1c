"""What is read asynchronously is what is read at once."""

import ctypes
from collections.abc import Iterator

import moderngl
import numpy as np
import pytest

from digitalmask.errors import RenderingError
from digitalmask.opengl import draws_in_software, egl_devices, offscreen_context
from digitalmask.rendering.readback import Readback

pytestmark = pytest.mark.gl


@pytest.fixture(scope="module")
def gl() -> Iterator[moderngl.Context]:
    context = offscreen_context()
    with context:
        yield context
    context.release()


def picture(gl: moderngl.Context, seed: int) -> tuple[moderngl.Framebuffer, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 4), np.uint8)
    return gl.framebuffer([gl.texture((64, 48), 4, pixels.tobytes())]), pixels


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_corner_that_was_asked_for_comes_whole(
    gl: moderngl.Context, asynchronous: bool
) -> None:
    readback = Readback(gl, asynchronous)
    for seed, (across, down) in enumerate(((64, 48), (31, 17), (64, 48))):
        drawn, pixels = picture(gl, seed)
        readback.begin(drawn, across, down)
        np.testing.assert_array_equal(readback.end(), pixels[:down, :across])


def test_an_error_of_the_driver_is_no_picture(gl: moderngl.Context) -> None:
    drawn, _ = picture(gl, 0)
    readback = Readback(gl)
    readback.begin(drawn, 64, 48)
    # As far as a test can go: an error that OpenGL keeps until it is asked.
    ctypes.CDLL("libGL.so.1").glEnable(0xFFFF)
    with pytest.raises(RenderingError, match="context was lost"):
        readback.end()


def test_the_device_to_draw_on_comes_first() -> None:
    devices = egl_devices()
    assert devices
    assert list(devices) == sorted(devices, key=lambda each: (each.software, not each.nvidia))
    for device in devices:
        if device.software:
            context = offscreen_context(device.index)
            assert draws_in_software(context)
            context.release()
