"""Plays a scenario before a simulated camera, and records it with its truth."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import MediaError
from digitalmask.simulation.patient import SimulatedPatient
from digitalmask.simulation.scenarios import Scenario
from digitalmask.simulation.truth import FrameTruth, TruthTeller, write_csv

_DETAIL = 2  # where truth is measured, the camera must not lock edges to its pixels
_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Setting:
    """Who sits before which camera.

    person: 0 to 5. skin: of `people.SKIN_TONES`, the person's own where None. lighting: of
    `drawing.LIGHTINGS`. size: (width, height). rate: frames a second. noise: the camera's, standard
    deviation in steps of 8 bits. vp8_kbps: the picture goes through VP8 at so many kbit/s, where
    not None, as over a WebRTC connection.
    """

    person: int = 0
    skin: str | None = None
    lighting: str = "window"
    size: tuple[int, int] = (640, 480)
    rate: float = 30.0
    noise: float = 1.5
    vp8_kbps: int | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame of the simulated camera, (height, width, 3) RGB, and what is true of it."""

    rgb: NDArray[np.uint8] = field(repr=False)
    truth: FrameTruth


def play(scenario: Scenario, setting: Setting, seconds: float | None = None) -> Iterator[Shot]:
    """All frames of a scenario, or those of its first `seconds`.

    Errors: AssetError, RenderingError as `SimulatedPatient`'s; MediaError without VP8.
    """
    patient = SimulatedPatient(
        setting.person, setting.lighting, setting.noise, setting.skin, _DETAIL
    )
    teller = TruthTeller(patient.person, scenario)
    line = None
    if setting.vp8_kbps is not None:
        line = Vp8Line(setting.size, setting.rate, setting.vp8_kbps)
    duration_s = scenario.duration_s if seconds is None else min(seconds, scenario.duration_s)
    try:
        for number in range(max(round(duration_s * setting.rate), 1)):
            t_s = number / setting.rate
            rgb = patient.draw(scenario.pose_at(t_s), setting.size)
            yield Shot(line.send(rgb) if line is not None else rgb, teller.at(t_s))
    finally:
        patient.close()


class Vp8Line:
    """A VP8 encoder in real-time mode and a decoder, as between two browsers; no frame is lost."""

    def __init__(self, size: tuple[int, int], rate: float, kbps: int) -> None:
        try:
            encoder = av.CodecContext.create("libvpx", "w")
            decoder = av.CodecContext.create("vp8", "r")
        except av.error.FFmpegError as error:
            raise MediaError(f"PyAV has no VP8: {error}") from error
        assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - for the type
        assert isinstance(decoder, av.VideoCodecContext)  # noqa: S101 - for the type
        encoder.width, encoder.height = size
        encoder.pix_fmt = "yuv420p"
        encoder.framerate = Fraction(rate).limit_denominator(1001)
        encoder.time_base = 1 / encoder.framerate
        encoder.bit_rate = kbps * 1000
        encoder.gop_size = 3000
        # As aiortc and browsers set it: constant bitrate, no look-ahead, no dropped frame.
        encoder.options = {
            "deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0",
            "minrate": str(kbps * 1000), "maxrate": str(kbps * 1000), "bufsize": str(kbps * 1000),
            "drop-threshold": "0", "error-resilient": "1", "qmin": "2", "qmax": "56",
            "noise-sensitivity": "4",
        }  # fmt: skip
        self._encoder, self._decoder = encoder, decoder
        self._sent = 0

    def send(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What arrives at the other end."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = self._sent
        self._sent += 1
        try:
            for packet in self._encoder.encode(frame):
                for arrived in self._decoder.decode(packet):
                    return np.asarray(arrived.to_ndarray(format="rgb24"), np.uint8)
        except av.error.FFmpegError as error:
            raise MediaError(f"VP8 failed: {error}") from error
        raise MediaError("VP8 lost a frame")


def record(
    scenario: Scenario,
    setting: Setting,
    path: Path,
    seconds: float | None = None,
    progress: Callable[[], object] = lambda: None,
) -> tuple[int, Path]:
    """Write the scenario as a video and its truth beside it; how many frames, and the truth's file.

    Both appear whole or not at all. Errors: MediaError and those of `play`.
    """
    if path.suffix.lower() not in (".mp4", ".mov", ".mkv"):
        raise MediaError(f"cannot write {path.name}: the ending must be one of .mp4, .mov, .mkv")
    truth_path = path.with_suffix(".csv")
    rate = Fraction(setting.rate).limit_denominator(1001)
    rows: list[FrameTruth] = []
    parts = []
    try:
        for target in (path, truth_path):
            handle, name = tempfile.mkstemp(
                prefix=".simulating-", suffix=target.suffix, dir=path.parent
            )
            os.close(handle)
            parts.append(Path(name))
            parts[-1].chmod(0o644)
        with av.open(parts[0], "w") as container:
            video = container.add_stream("libx264", rate=rate)
            assert isinstance(video, av.VideoStream)  # noqa: S101 - for the type
            video.width, video.height = setting.size
            video.pix_fmt = "yuv420p"
            # Finer than a camera's own coding: what is lost is to be lost before this file.
            video.options = {"preset": "veryfast", "crf": "12"}
            video.codec_context.time_base = _MICROSECOND
            for shot in play(scenario, setting, seconds):
                frame = av.VideoFrame.from_ndarray(shot.rgb, format="rgb24")
                frame.pts, frame.time_base = round(shot.truth.t_s / _MICROSECOND), _MICROSECOND
                container.mux(video.encode(frame))
                rows.append(shot.truth)
                progress()
            container.mux(video.encode(None))
        with parts[1].open("w", encoding="utf-8", newline="") as file:
            write_csv(rows, file)
        for part, target in zip(parts, (path, truth_path), strict=True):
            part.replace(target)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"cannot write {path}: {error.strerror}") from error
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return len(rows), truth_path
