"""How many rooms one machine holds, and whether one room stays as it is for minutes.

The relay has a process of its own. The clients, all in this one, cost little: each camera sends a
film that was coded before, and each viewer reads packets and decodes nothing. All are kept to the
same cores; `client_cores` says what the clients took of them.

A number of rooms is held where in each of them nine frames in ten of the camera's come out as masks
of a face that is followed, 95 of 100 of them within 66 ms from last packet in to first packet out,
and none is older than 200 ms, from its capture to its last packet at the viewer. `reduced` says how
far the relay did less for that (`digitalmask.pipeline.effort.LEVELS`): from 1 on, every second
frame is drawn without being read.
"""

import asyncio
import queue
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

from digitalmask.bench.camera import RATE, CodedCamera
from digitalmask.bench.packet_times import PacketTimes, pairs_of
from digitalmask.bench.relay import SETTLE_S, RunningRelay, cpu_s, percentile, running_relay
from digitalmask.errors import ConfigurationError
from digitalmask.relay.codecs import MaskPacketizer
from digitalmask.relay.peer import put_encoder
from digitalmask.relay.whip_client import WhipClient

if TYPE_CHECKING:
    import psutil

MOST_ADDED_MS_P95, OLDEST_MS = 66.0, 200.0
LEAST_FPS = 0.9 * RATE
_START_S = 30.0
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Room:
    name: str
    doctor: str
    camera: CodedCamera


async def measure_rooms(
    coded: Sequence[bytes], codec: str, seconds: float, most: int
) -> dict[str, object]:
    """Try one room, two, and so on, until they are not held or there are `most`.

    coded: the patient's film (`coded_film`), in `codec`, a MIME type. `rooms`: how many are held,
    with their `added_ms_p95`, `mib_per_room` and `reduced`; `tried`: the figures for each number,
    of the room that is worst off. Errors: ConfigurationError where the relay does not start or
    answer, or a face is not followed in each room.
    """
    tried: dict[str, dict[str, object]] = {}
    held = 0
    for count in range(1, most + 1):
        async with _running_rooms(coded, codec, count) as running:
            tried[str(count)] = figures = await running.measure(seconds)
        if not figures["held"]:
            break
        held = count
    best = tried[str(max(held, 1))]
    return {
        "rooms": held,
        "added_ms_p95": best["added_ms_p95"],
        "mib_per_room": best["mib_per_room"],
        "reduced": best["reduced"],
        "tried": tried,
    }


async def soak(coded: Sequence[bytes], codec: str, minutes: int) -> dict[str, object]:
    """Each minute's figures of one room; errors as above.

    `mib`: the memory of the relay and its processes at the end of each minute.
    """
    names = ("fps", "added_ms_p50", "added_ms_p95", "oldest_ms", "reduced")
    figures: dict[str, list[object]] = {name: [] for name in (*names, "mib")}
    async with _running_rooms(coded, codec, 1) as running:
        for _ in range(minutes):
            minute = await running.measure(_MINUTE_S)
            for name in names:
                figures[name].append(minute[name])
            figures["mib"].append(round(mib(running.relay.process), 1))
    return {"minutes": minutes, **figures}


class _Running:
    """A relay with its rooms, which are followed."""

    def __init__(
        self, relay: RunningRelay, rooms: list[_Room], arrivals: PacketTimes, idle_mib: float
    ) -> None:
        import psutil

        self.relay, self._rooms, self._arrivals = relay, rooms, arrivals
        self._idle_mib = idle_mib
        self._own = psutil.Process()

    async def measure(self, seconds: float) -> dict[str, object]:
        """Figures of the next seconds, of the room that is worst off."""
        await self.relay.noted()
        self._arrivals.last_in_at_s.clear()
        self._arrivals.first_out_at_s.clear()
        for room in self._rooms:
            room.camera.captured_at_s.clear()
        said = await self._said()
        before_s, own_before_s = cpu_s(self.relay.process), _own_cpu_s(self._own)
        started_at_s = time.monotonic()
        await asyncio.sleep(seconds)
        wall_s = time.monotonic() - started_at_s
        cores = (cpu_s(self.relay.process) - before_s) / wall_s
        client_cores = (_own_cpu_s(self._own) - own_before_s) / wall_s
        ages = [
            pairs_of(room.camera.captured_at_s, self._arrivals.last_in_at_s) for room in self._rooms
        ]
        added_ms = (await self.relay.noted()).added_ms
        said += await self._said()
        added_p95 = [percentile(each, 95) for each in added_ms]
        oldest_ms = max(
            ((at - captured) * 1e3 for each in ages for captured, at in each), default=0
        )
        # What has just been captured is still on its way.
        fps = min(len(each) for each in ages) / wall_s
        tracking = sorted({each["tracking"] for each in said})
        held = (
            len(added_ms) == len(self._rooms)
            and max(added_p95) < MOST_ADDED_MS_P95
            and oldest_ms <= OLDEST_MS
            and fps >= LEAST_FPS
            and tracking == ["following"]
        )
        return {
            "held": held,
            "fps": round(fps, 2),
            "added_ms_p50": max((percentile(each, 50) for each in added_ms), default=None),
            "added_ms_p95": max(added_p95, default=None),
            "oldest_ms": round(oldest_ms, 1),
            "mib_per_room": round((mib(self.relay.process) - self._idle_mib) / len(self._rooms), 1),
            "relay_cores": round(cores, 2),
            "client_cores": round(client_cores, 2),
            "tracking": " ".join(tracking),
            "reduced": max(each["reduced"] for each in said),
        }

    async def _said(self) -> list[dict[str, Any]]:
        return [await self.relay.said(room.name, room.doctor) for room in self._rooms]


@asynccontextmanager
async def _running_rooms(coded: Sequence[bytes], codec: str, count: int) -> AsyncIterator[_Running]:
    arrivals = PacketTimes()
    async with running_relay("masked") as relay, AsyncExitStack() as clients:
        idle_mib = mib(relay.process)
        rooms = []
        arrivals.note()
        clients.callback(arrivals.stop)
        for number in range(count):
            name, patient, doctor = await _new_room(relay)
            camera = CodedCamera(coded, seed=number)
            sent = await clients.enter_async_context(
                WhipClient(f"{relay.url}/whip/{name}", patient, (camera,), video_codec=codec)
            )
            sender: Any = sent.connection.getSenders()[0]
            put_encoder(sender, MaskPacketizer(codec, lambda _bit_s: None))
            sender._send_keyframe = camera.start_anew
            watched = await clients.enter_async_context(
                WhipClient(f"{relay.url}/whep/{name}/patient", doctor, video_codec=codec)
            )
            for receiver in watched.connection.getReceivers():
                _decode_nothing(receiver)
            rooms.append(_Room(name, doctor, camera))
        await _until_followed(relay, rooms)
        await asyncio.sleep(SETTLE_S)
        yield _Running(relay, rooms, arrivals, idle_mib)


async def _new_room(relay: RunningRelay) -> tuple[str, str, str]:
    """A room, and the patient's and the doctor's invitations."""
    headers = {"Authorization": f"Bearer {relay.admin}"}
    async with ClientSession() as http, http.post(f"{relay.url}/rooms", headers=headers) as made:
        body = await made.json()
    tokens = (body["links"][role].partition("#")[2] for role in ("patient", "doctor"))
    return (body["room"], *tokens)


async def _until_followed(relay: RunningRelay, rooms: list[_Room]) -> None:
    waits_until_s = time.monotonic() + _START_S
    while time.monotonic() < waits_until_s:
        said = [await relay.said(room.name, room.doctor) for room in rooms]
        if all(each.get("tracking") == "following" for each in said):
            return
        await asyncio.sleep(0.5)
    raise ConfigurationError(f"no face was followed in each of {len(rooms)} rooms within 30 s")


class _Undecoded(queue.Queue[Any]):
    """In the place of a receiver's queue to its decoder, before that starts: has the end alone."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            super().put(item, block, timeout)


def _decode_nothing(receiver: Any) -> None:
    receiver._RTCRtpReceiver__decoder_queue = _Undecoded()


def mib(process: "psutil.Process") -> float:
    """A process's memory and that of those it started, what they share counted once (PSS)."""
    processes = (process, *process.children(recursive=True))
    return float(sum(each.memory_full_info().pss for each in processes)) / 2**20


def _own_cpu_s(process: "psutil.Process") -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
