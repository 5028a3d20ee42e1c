"""How fast a masked picture goes from client to client, beside a stock relay that masks nothing.

A frame's identity is its presentation time stamp, so no pixel of the camera needs to pass: the
source stamps each frame with the moment of its capture (30 fps with 1 ms of jitter), both relays
keep the differences between stamps, and the one offset that maps the viewer's stamps onto the
source's tells which frame each one is.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from aiohttp import ClientError, ClientSession
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from digitalmask.errors import ConfigurationError, MediaError, SignallingError
from digitalmask.relay.whip_client import WhipClient

if TYPE_CHECKING:
    import psutil

SIZE = (640, 480)
RATE = 30
_CLOCK_HZ = 90000
_JITTER_S = 0.001
# A stamp comes out of either relay up to two ticks off (measured): allow for twice that.
_ROUNDING_TICKS = 4
# What is left out at the start: the session is set up, the first key frame and the fonts are made.
_SETTLE_S = 3.0
_MOST_FRAMES = 300  # kept in memory (138 MB of I420), played forth and back


@dataclass(frozen=True, slots=True)
class RelayFigures:
    """One relay's figures.

    fps: frames decoded at the viewer a second. latency_ms_p50, latency_ms_p95: from capture to
    decoded. cores: CPU time of the relay, the processes that it started among it, by wall time.
    tracking: what the relay said of the patient's face at the end ("" where it has no such thing).
    latencies_ms: (seconds since the first measured frame, latency) of each frame.
    """

    fps: float
    latency_ms_p50: float
    latency_ms_p95: float
    cores: float
    tracking: str
    latencies_ms: tuple[tuple[float, float], ...]


def read_video(path: Path) -> list[NDArray[np.uint8]]:
    """The first frames of a video as I420 at `SIZE`, cropped to its shape; MediaError if none."""
    frames: list[NDArray[np.uint8]] = []
    width, height = SIZE
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24")
                scale = max(width / rgb.shape[1], height / rgb.shape[0])
                size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
                large = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
                x, y = (large.shape[1] - width) // 2, (large.shape[0] - height) // 2
                cut = np.ascontiguousarray(large[y : y + height, x : x + width])
                frames.append(np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2YUV_I420), np.uint8))
                if len(frames) == _MOST_FRAMES:
                    break
    except (OSError, av.FFmpegError, IndexError) as error:
        raise MediaError(f"cannot read a video from {path}: {error}") from error
    if not frames:
        raise MediaError(f"there is no frame in {path}")
    return frames


def simulated_video() -> list[NDArray[np.uint8]]:
    """Three seconds of the simulated patient, as I420 at `SIZE`."""
    from digitalmask.simulation import SimulatedPatient

    patient = SimulatedPatient()
    drawn = (patient.frame(number / RATE, SIZE) for number in range(3 * RATE))
    return [np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8) for rgb in drawn]


class _Camera(MediaStreamTrack):
    """Plays frames at 30 a second, forth and back, and notes when each was captured."""

    kind = "video"

    def __init__(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        super().__init__()
        self._frames = [*frames, *reversed(frames[1:-1])]
        self._number = 0
        self._started_at_s = time.monotonic()
        self._random = random.Random(1)  # noqa: S311 - jitter, not a secret
        self.captured_at_s: dict[int, float] = {}

    async def recv(self) -> VideoFrame:
        jitter_s = self._random.uniform(0.0, _JITTER_S)
        due_s = self._started_at_s + self._number / RATE + jitter_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        planes = self._frames[self._number % len(self._frames)]
        self._number += 1
        captured_at_s = time.monotonic()
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = round((captured_at_s - self._started_at_s) * _CLOCK_HZ)
        frame.time_base = Fraction(1, _CLOCK_HZ)
        self.captured_at_s[frame.pts] = captured_at_s
        return frame


def match_stamps(
    captured: dict[int, float], decoded: dict[int, float]
) -> list[tuple[float, float]]:
    """The capture and decode times of each frame that both sides know.

    captured, decoded: seconds by stamp, in ticks of clocks that differ by an unknown offset. The
    offset is the one on which most stamps agree; the capture's jitter makes it the only one.
    """
    if not captured or not decoded:
        return []
    own, seen = np.array(sorted(captured)), np.array(sorted(decoded))
    offsets = np.sort((seen[-60:, None] - own[None, :]).ravel())
    agreeing = np.searchsorted(offsets, offsets + 2 * _ROUNDING_TICKS, "right") - np.arange(
        len(offsets)
    )
    first = int(agreeing.argmax())
    offset = int(np.median(offsets[first : first + agreeing[first]]))
    pairs = []
    for stamp in seen.tolist():
        nearest = int(own[np.abs(own - (stamp - offset)).argmin()])
        if abs(nearest - (stamp - offset)) <= 2 * _ROUNDING_TICKS:
            pairs.append((captured[nearest], decoded[stamp]))
    return pairs


async def measure(
    kind: str, frames: Sequence[NDArray[np.uint8]], seconds: float, slow_s: float = 0.0
) -> RelayFigures:
    """Run one relay ("masked" or "passthrough") in a process of its own, and measure it.

    slow_s: slow the masked relay's pipeline to 8 frames a second for so long, from about the
    sixth second on. Errors: ConfigurationError where the relay does not start or sends nothing.
    """
    try:
        import psutil
    except ImportError as error:
        raise ConfigurationError("the benchmark needs psutil: pip install psutil") from error
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "digitalmask.bench.relay_process", kind, str(slow_s),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # as the command line sets it
    )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise ConfigurationError("the relay's process has no pipes")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60.0)
        if not line:
            raise ConfigurationError(f"the {kind} relay did not start: see the lines above")
        ready = json.loads(line)
        watched = psutil.Process(process.pid)
        camera = _Camera(frames)
        url, room = ready["url"], ready["room"]
        decoded: dict[int, float] = {}
        async with (
            WhipClient(f"{url}/whip/{room}", ready["patient"], (camera,)),
            WhipClient(f"{url}/whep/{room}/patient", ready["doctor"]) as viewer,
        ):
            receiving = asyncio.create_task(_receive(viewer, decoded))
            await asyncio.sleep(_SETTLE_S)
            started_at_s, before_s = time.monotonic(), _cpu_s(watched)
            await asyncio.sleep(seconds)
            wall_s, after_s = time.monotonic() - started_at_s, _cpu_s(watched)
            tracking = await _tracking(url, room, ready["doctor"]) if kind == "masked" else ""
            receiving.cancel()
        pairs = [
            (captured_at_s, at_s)
            for captured_at_s, at_s in match_stamps(camera.captured_at_s, decoded)
            if started_at_s <= at_s <= started_at_s + wall_s
        ]
        if not pairs:
            raise ConfigurationError(f"the {kind} relay sent no frame of the camera's clock")
        latencies_ms = [(at_s - captured_at_s) * 1e3 for captured_at_s, at_s in pairs]
        return RelayFigures(
            fps=round(len(pairs) / wall_s, 2),
            latency_ms_p50=round(float(np.percentile(latencies_ms, 50)), 1),
            latency_ms_p95=round(float(np.percentile(latencies_ms, 95)), 1),
            cores=round((after_s - before_s) / wall_s, 3),
            tracking=tracking,
            latencies_ms=tuple(
                (at_s - started_at_s, late)
                for (_, at_s), late in zip(pairs, latencies_ms, strict=True)
            ),
        )
    except (ClientError, SignallingError, TimeoutError) as error:
        raise ConfigurationError(f"the {kind} relay did not answer: {error}") from error
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10.0)
        except TimeoutError:
            process.kill()
            await process.wait()


def _cpu_s(process: "psutil.Process") -> float:
    """What a process and those that it started have used of the processors so far."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def _receive(viewer: WhipClient, decoded: dict[int, float]) -> None:
    while True:
        track = await viewer.received.get()
        if track.kind == "video":
            break
    try:
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame) and frame.pts is not None:
                decoded[frame.pts] = time.monotonic()
    except MediaStreamError:
        return


async def _tracking(url: str, room: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        ClientSession() as http,
        http.get(f"{url}/rooms/{room}/events", headers=headers) as events,
    ):
        async for line in events.content:
            if line.startswith(b"data:"):
                return str(json.loads(line[5:])["patient"]["tracking"])
    return ""
