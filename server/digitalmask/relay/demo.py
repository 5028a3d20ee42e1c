"""A patient for the demonstration, who joins by WHIP like any other."""

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from digitalmask.relay.film import open_film
from digitalmask.relay.whip_client import WhipClient

_FRAME_RATE = 30
_SIZE = (640, 480)
_AUDIO_RATE = 48000
_AUDIO_SAMPLES = _AUDIO_RATE // 50


async def play_file(path: Path, url: str, token: str) -> None:
    """Play a video over and over as the patient, until cancelled."""
    tracks = tuple(track for track in open_film(path, over_and_over=True) if track is not None)
    try:
        async with WhipClient(url, token, tracks):
            await asyncio.Event().wait()
    finally:
        for track in tracks:
            track.stop()


async def play_simulated_patient(url: str, token: str) -> None:
    """Let the simulated patient join, until cancelled."""
    from digitalmask.simulation import SimulatedPatient

    patient = SimulatedPatient()
    started_at_s = time.monotonic()
    video = _DrawnVideo(lambda at_s: patient.frame(at_s, _SIZE), started_at_s)
    audio = _SpokenAudio(patient.speech, started_at_s)
    async with WhipClient(url, token, (video, audio)):
        await asyncio.Event().wait()


class _DrawnVideo(MediaStreamTrack):
    """Frames drawn in time, in the one thread that owns the patient's graphics context."""

    kind = "video"

    def __init__(self, draw: Callable[[float], np.ndarray], started_at_s: float) -> None:
        super().__init__()
        from concurrent.futures import ThreadPoolExecutor

        self._draw = draw
        self._started_at_s = started_at_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulated-patient")
        self._number = 0

    async def recv(self) -> VideoFrame:
        """The next frame at its time; frames that would be late are left out."""
        elapsed_s = time.monotonic() - self._started_at_s
        self._number = max(self._number + 1, int(elapsed_s * _FRAME_RATE))
        at_s = self._number / _FRAME_RATE
        await asyncio.sleep(max(0.0, at_s - elapsed_s))
        rgb = await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, at_s)
        frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._number * 90000 // _FRAME_RATE, Fraction(1, 90000)
        return frame


class _SpokenAudio(MediaStreamTrack):
    """The patient's voice, 20 ms at a time."""

    kind = "audio"

    def __init__(
        self, speak: Callable[[float, float, int], np.ndarray], started_at_s: float
    ) -> None:
        super().__init__()
        self._speak = speak
        self._started_at_s = started_at_s
        self._number = 0

    async def recv(self) -> AudioFrame:
        """The next 20 ms."""
        at_s = self._number * _AUDIO_SAMPLES / _AUDIO_RATE
        await asyncio.sleep(max(0.0, at_s - (time.monotonic() - self._started_at_s)))
        samples = self._speak(at_s, _AUDIO_SAMPLES / _AUDIO_RATE, _AUDIO_RATE)
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = _AUDIO_RATE
        frame.pts, frame.time_base = self._number * _AUDIO_SAMPLES, Fraction(1, _AUDIO_RATE)
        self._number += 1
        return frame
