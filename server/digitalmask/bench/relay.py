"""How fast a masked picture goes from client to client, beside a stock relay that masks nothing.

A frame's identity is its presentation time stamp, so no pixel of the camera needs to pass: the
source stamps each frame with the moment of its capture (30 fps with 1 ms of jitter), both relays
keep the differences between stamps, and the one offset that maps the viewer's stamps onto the
source's tells which frame each one is.

The camera's client is the same for both. The masked relay's viewer decodes a frame when its last
packet has come, as browsers do; the stock relay's is stock, and waits for the next frame's first.
What either relay itself takes is `added_ms`, and `wire_ms` ends at the viewer's last packet.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import ClientError, ClientSession
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from numpy.typing import NDArray

from digitalmask.bench.camera import Camera, code_quickly
from digitalmask.bench.packet_times import PacketTimes, pairs_of
from digitalmask.bench.stamps import match_stamps
from digitalmask.errors import ConfigurationError, SignallingError
from digitalmask.relay.whip_client import WhipClient

if TYPE_CHECKING:
    import psutil

# What is left out at the start: the session is set up, the first key frame and the fonts are made.
SETTLE_S = 3.0

Film = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class RelayFigures:
    """One relay's figures.

    fps: frames decoded at the viewer a second. latency_ms: from capture to decoded. wire_ms: from
    capture to the last packet at the viewer. added_ms: in the relay's process, from the last
    packet of a frame in to its first packet out. cores: CPU time of the relay, the processes that
    it started among it, by wall time. tracking, reduced, stage_ms: what the relay said of the
    patient's face, of how far it does less (`digitalmask.pipeline.effort.LEVELS`) and of its stages
    at the end (nothing where it has no such thing). latencies_ms: (seconds since the first measured
    frame, latency) of each frame.
    """

    fps: float
    latency_ms_p50: float
    latency_ms_p95: float
    wire_ms_p50: float
    added_ms_p50: float
    added_ms_p95: float
    cores: float
    tracking: str
    reduced: int
    stage_ms: dict[str, float]
    latencies_ms: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a relay's process noted.

    added_ms: for each video that came in, of each frame, from its last packet in to its first
    packet out. sent_at: of a "marked" relay, when the patient's browser says (RTCP sender reports)
    that frames were captured: milliseconds of UTC, and the number that their mask is marked with.
    """

    added_ms: list[list[float]]
    sent_at: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """A relay in a process of its own."""

    kind: str
    url: str
    room: str
    patient: str
    doctor: str
    observer: str
    admin: str
    process: "psutil.Process"
    pipes: asyncio.subprocess.Process

    def sending(self, camera: Camera, codec: str) -> WhipClient:
        """A patient's client."""
        url = f"{self.url}/whip/{self.room}"
        return WhipClient(url, self.patient, (camera,), video_codec=codec)

    def watching(self, token: str, codec: str) -> WhipClient:
        """A viewer's client."""
        url = f"{self.url}/whep/{self.room}/patient"
        return WhipClient(url, token, at_once=self.kind == "masked", video_codec=codec)

    async def said(self, room: str, token: str) -> dict[str, Any]:
        """What it tells the pages of a room's patient."""
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            ClientSession() as http,
            http.get(f"{self.url}/rooms/{room}/events", headers=headers) as events,
        ):
            async for line in events.content:
                if line.startswith(b"data:"):
                    patient: dict[str, Any] = json.loads(line[5:])["patient"]
                    return patient
        return {}

    async def noted(self) -> Noted:
        """What it noted since the last call; the first tells of the time since it started.

        Errors: TimeoutError, ConfigurationError where it has ended.
        """
        if self.pipes.stdin is None or self.pipes.stdout is None:
            raise ConfigurationError("the relay's process has no pipes")
        self.pipes.stdin.write(b"\n")
        line = await asyncio.wait_for(self.pipes.stdout.readline(), 30.0)
        if not line:
            raise ConfigurationError(f"the {self.kind} relay has ended: see the lines above")
        return Noted(**json.loads(line))


@asynccontextmanager
async def running_relay(kind: str, slow_s: float = 0.0) -> AsyncIterator[RunningRelay]:
    """A relay ("masked", "marked" or "passthrough") until the block ends.

    Errors: ConfigurationError where it does not start, or does not answer in the block.
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
        yield RunningRelay(
            kind=kind, process=psutil.Process(process.pid), pipes=process, **json.loads(line)
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


async def measure(
    kind: str, frames: Film, seconds: float, codec: str, slow_s: float = 0.0
) -> RelayFigures:
    """Run one relay ("masked" or "passthrough") in a process of its own, and measure it.

    codec: the MIME type of the video on both ways. slow_s: slow the masked relay's pipeline to 8
    frames a second for so long, from about the sixth second on. Errors: ConfigurationError where
    the relay does not start or sends nothing.
    """
    arrivals = PacketTimes()
    camera = Camera(frames)
    decoded: dict[int, float] = {}
    async with running_relay(kind, slow_s) as relay, relay.sending(camera, codec) as patient:
        code_quickly(patient.connection.getSenders()[0], codec)
        async with relay.watching(relay.doctor, codec) as viewer:
            arrivals.note()
            receiving = asyncio.create_task(receive(viewer, decoded))
            await asyncio.sleep(SETTLE_S)
            await relay.noted()
            started_at_s, before_s = time.monotonic(), cpu_s(relay.process)
            await asyncio.sleep(seconds)
            wall_s, after_s = time.monotonic() - started_at_s, cpu_s(relay.process)
            added_ms = max((await relay.noted()).added_ms, key=len, default=[])
            said = await relay.said(relay.room, relay.doctor) if kind == "masked" else {}
            receiving.cancel()
    arrivals.stop()

    def during(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(at, late) for at, late in pairs if started_at_s <= late <= started_at_s + wall_s]

    pairs = during(match_stamps(camera.captured_at_s, decoded))
    if not pairs:
        raise ConfigurationError(f"the {kind} relay sent no frame of the camera's clock")
    wire = during(pairs_of(camera.captured_at_s, arrivals.last_in_at_s))
    latencies_ms = [(at_s - captured_at_s) * 1e3 for captured_at_s, at_s in pairs]
    wire_ms = [(at_s - captured_at_s) * 1e3 for captured_at_s, at_s in wire]
    return RelayFigures(
        fps=round(len(pairs) / wall_s, 2),
        latency_ms_p50=percentile(latencies_ms, 50),
        latency_ms_p95=percentile(latencies_ms, 95),
        wire_ms_p50=percentile(wire_ms, 50),
        added_ms_p50=percentile(added_ms, 50),
        added_ms_p95=percentile(added_ms, 95),
        cores=round((after_s - before_s) / wall_s, 3),
        tracking=said.get("tracking", ""),
        reduced=said.get("reduced", 0),
        stage_ms=said.get("stage_ms", {}),
        latencies_ms=tuple(
            (at_s - started_at_s, late) for (_, at_s), late in zip(pairs, latencies_ms, strict=True)
        ),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile, to a tenth; not a number where there are no values."""
    return round(float(np.percentile(values, share)), 1) if values else float("nan")


async def receive(
    viewer: WhipClient, decoded: dict[int, float], keys: list[float] | None = None
) -> None:
    """Note when each frame is decoded, by its stamp, and when key frames were."""
    while True:
        track = await viewer.received.get()
        if track.kind == "video":
            break
    try:
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame) and frame.pts is not None:
                decoded[frame.pts] = time.monotonic()
                if keys is not None and frame.key_frame:
                    keys.append(decoded[frame.pts])
    except MediaStreamError:
        return


def cpu_s(process: "psutil.Process") -> float:
    """What a process and those that it started have used of the processors so far."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)
