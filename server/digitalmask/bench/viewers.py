"""What a viewer with a bad network does to the others: nothing, it is hoped.

One good viewer alone; then beside one whose packets pass a link that carries little and loses
some. The link lies behind the bad viewer's socket, so nothing of the relay knows of it but by
what the viewer says.
"""

import asyncio
import random
import time
from collections import deque
from typing import Any

from digitalmask.bench.camera import Camera, code_quickly
from digitalmask.bench.packet_times import PacketTimes
from digitalmask.bench.relay import SETTLE_S, Film, percentile, receive, running_relay
from digitalmask.bench.stamps import match_stamps
from digitalmask.relay.whip_client import WhipClient

LOST, BIT_S = 0.05, 300_000
_MOST_DELAY_S = 0.3  # what the link holds back before it drops, as a home router does
_RTP = range(128, 192)  # a datagram's first byte (RFC 7983)


class BadLink:
    """Delays and drops what comes to one client. On the loop only."""

    def __init__(self, lost: float = LOST, bit_s: int = BIT_S) -> None:
        self._lost, self._bit_s = lost, bit_s
        self._random = random.Random(2)  # noqa: S311 - which packets are lost, not a secret
        self._passing: deque[tuple[float, bytes]] = deque()
        self._came = asyncio.Event()
        self._free_at_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self.passed_bytes = 0
        self.dropped = 0

    def put_before(self, client: WhipClient) -> None:
        """Let what comes to this client pass the link from now on."""
        transport: Any = client.connection.getReceivers()[0].transport.transport
        receive_next = transport._recv

        async def pump() -> None:
            try:
                while True:
                    self.take(await receive_next(), time.monotonic())
            except ConnectionError as error:
                self._broken = error
                self._came.set()

        async def receive_late() -> bytes:
            if self._task is None:
                self._task = asyncio.create_task(pump())
            while not self._passing:
                if self._broken is not None:
                    raise self._broken
                self._came.clear()
                await self._came.wait()
            due_s, data = self._passing[0]
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._passing.popleft()
            return data

        transport._recv = receive_late

    def take(self, data: bytes, now_s: float) -> None:
        """Take a datagram: it passes in its turn, or is lost."""
        start_s = max(self._free_at_s, now_s)
        if data[0] in _RTP and (
            self._random.random() < self._lost or start_s - now_s > _MOST_DELAY_S
        ):
            self.dropped += 1
            return
        self._free_at_s = start_s + 8 * len(data) / self._bit_s
        self.passed_bytes += len(data)
        self._passing.append((self._free_at_s, data))
        self._came.set()

    def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()


async def measure_viewers(film: Film, seconds: float, codec: str) -> dict[str, object]:
    """A good viewer's figures alone and beside a bad one, and the bad one's.

    Errors: ConfigurationError where the relay does not start or answer.
    """
    camera = Camera(film)
    arrivals = PacketTimes()
    good: dict[int, float] = {}
    bad: dict[int, float] = {}
    keys: list[float] = []
    link = BadLink()
    async with running_relay("masked") as relay, relay.sending(camera, codec) as patient:
        code_quickly(patient.connection.getSenders()[0], codec)
        async with relay.watching(relay.doctor, codec) as doctor:
            arrivals.note()
            receiving = [asyncio.create_task(receive(doctor, good, keys))]
            await asyncio.sleep(SETTLE_S)
            (source,) = arrivals.bytes_in
            results: dict[str, object] = {}
            for name in ("alone", "beside"):
                started_at_s, before = time.monotonic(), arrivals.bytes_in[source]
                if name == "alone":
                    await asyncio.sleep(seconds)
                else:
                    async with relay.watching(relay.observer, codec) as observer:
                        link.put_before(observer)
                        receiving.append(asyncio.create_task(receive(observer, bad)))
                        await asyncio.sleep(seconds)
                        link.close()
                wall_s = time.monotonic() - started_at_s
                until_s = started_at_s + wall_s
                sent = arrivals.bytes_in[source] - before
                results |= _figures(f"good_{name}", camera, good, started_at_s, until_s)
                results[f"good_{name}_kbit_s"] = round(8 * sent / wall_s / 1000)
                results[f"good_{name}_key_frames"] = sum(
                    started_at_s <= at <= until_s for at in keys
                )
            # The first third is how it finds its rate.
            results |= _figures("bad", camera, bad, started_at_s + wall_s / 3, until_s)
            results["bad_kbit_s"] = round(8 * link.passed_bytes / wall_s / 1000)
            results["bad_packets_lost"] = link.dropped
            for task in receiving:
                task.cancel()
    arrivals.stop()
    return results


def _figures(
    name: str, camera: Camera, decoded: dict[int, float], from_s: float, until_s: float
) -> dict[str, object]:
    late_ms = [
        (at_s - captured_at_s) * 1e3
        for captured_at_s, at_s in match_stamps(camera.captured_at_s, decoded)
        if from_s <= at_s <= until_s
    ]
    return {
        f"{name}_fps": round(len(late_ms) / (until_s - from_s), 2),
        f"{name}_latency_ms_p50": percentile(late_ms, 50),
        f"{name}_latency_ms_p95": percentile(late_ms, 95),
    }
