"""The ways to appear as a camera: only masks enter, and what is missing is said in one line."""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitalmask.camera.backends import open_virtual_camera
from digitalmask.camera.loopback import LoopbackCamera
from digitalmask.errors import ConfigurationError, MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from tests.media.videos import SIZE, quarters
from tests.pipeline.doubles import camera_frame

MASKED = MaskedFrame(FrameClock(0.0, 0, Fraction(1, 30)), quarters())


def refusal(backend: str, size: tuple[int, int] = SIZE) -> str:
    with pytest.raises((MediaError, ConfigurationError)) as refused:
        open_virtual_camera(backend, "masked", size, 30)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.pipewire
def test_without_a_session_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "no PipeWire session is running" in refusal("pipewire")


@pytest.mark.pipewire
def test_a_missing_element_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GST_PLUGIN_SYSTEM_PATH_1_0", str(tmp_path))
    monkeypatch.setenv("GST_REGISTRY", str(tmp_path / "registry"))
    assert "apt-get install pipewire wireplumber gstreamer1.0-tools" in refusal("pipewire")


def test_all_that_could_be_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    said = refusal("auto")
    assert "GStreamer is not installed: apt-get install pipewire" in said
    assert "pyvirtualcam is not installed: pip install pyvirtualcam" in said


def test_a_width_that_drivers_pad_is_refused() -> None:
    assert "a multiple of 8, not 426" in refusal("auto", (426, 240))


@pytest.mark.skipif(Path("/sys/module/v4l2loopback").exists(), reason="v4l2loopback is there")
def test_without_v4l2loopback_it_is_said() -> None:
    pytest.importorskip("pyvirtualcam")
    assert "modprobe v4l2loopback" in refusal("pyvirtualcam")


class Device:
    """What pyvirtualcam feeds, in place of a driver."""

    seen: list[Any] = []  # noqa: RUF012

    def __init__(self, **_options: Any) -> None:
        self.seen.clear()

    def send(self, frame: Any) -> None:
        self.seen.append(np.array(frame))

    def device(self) -> str:
        return "a device"

    def close(self) -> None:
        self.seen.append(None)


def test_pyvirtualcam_gets_the_mask_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"test": Device})
    camera = LoopbackCamera(None, SIZE, 30)
    assert camera.device == "a device"
    camera.send(MASKED)
    unmasked: list[Any] = [camera_frame(0.0), MASKED.rgb]
    for each in unmasked:
        with pytest.raises(TypeError, match="MaskedFrame"):
            camera.send(each)
    camera.close()
    planes, end = Device.seen
    assert end is None
    # Luma of the quarters, rows first: red, green / blue, white.
    luma = planes[: SIZE[0] * SIZE[1]].reshape(SIZE[1], SIZE[0])
    assert luma[30, ::80].tolist() == pytest.approx([80, 143], abs=3)
    assert luma[90, ::80].tolist() == pytest.approx([40, 231], abs=3)
