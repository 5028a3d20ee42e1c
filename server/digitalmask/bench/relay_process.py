"""The relay that is measured, in a process of its own: `python -m … KIND SLOW_S`.

`masked` is the product's own application. `marked` is the same, whose masks carry the time stamp of
their camera frame as bars (`bar_code`); nothing of the product draws them. `passthrough` is a stock
aiortc relay that masks nothing: the floor that the same wire, codec and machine set; it exists for
the comparison alone. All listen on 127.0.0.1. Prints one JSON line (address, room, tokens), and
another for each line of standard input: what was noted since the last (`bench.relay.Noted`). Ends
with standard input.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

from digitalmask.bench.bar_code import draw_number
from digitalmask.bench.camera_clock import CameraClock
from digitalmask.bench.packet_times import PacketTimes
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import FrameMasker, Sighting, isolated
from digitalmask.pipeline.drawing_process import shared_drawing
from digitalmask.relay.admission import Keys
from digitalmask.relay.invitations import Role, invite
from digitalmask.relay.peer import offer_loopback
from digitalmask.relay.rooms import Rooms
from digitalmask.relay.server import make_app
from digitalmask.tracking.inference_process import shared_inference

_SLOW_FRAME_S = 0.12  # a quarter of the camera's rate, still below the watchdog's 150 ms
_BEFORE_SLOW_S = 5.0


def _slowed(make: Callable[[], FrameMasker], slow_s: float) -> Callable[[], FrameMasker]:
    """Maskers that take `_SLOW_FRAME_S` a frame for `slow_s` from the sixth second on."""

    def slow_masker() -> FrameMasker:
        masker = make()
        follow, started_at_s = masker.follow, time.monotonic()

        def slow_follow(frame: PatientFrame) -> Sighting:
            sighting = follow(frame)
            if _BEFORE_SLOW_S < time.monotonic() - started_at_s < _BEFORE_SLOW_S + slow_s:
                late_s = _SLOW_FRAME_S - (time.monotonic() - frame.clock.captured_at_s)
                time.sleep(max(0.0, late_s))
            return sighting

        masker.follow = slow_follow  # type: ignore[method-assign]
        return masker

    return slow_masker


def _marked(make: Callable[[], FrameMasker]) -> Callable[[], FrameMasker]:
    """Maskers that mark each mask, and no card, with the time stamp of its camera frame."""

    def marking_masker() -> FrameMasker:
        masker = make()
        draw = masker.draw

        def mark(sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
            drawn = draw(sighting, size)
            if drawn.card is None:
                draw_number(drawn.rgb, drawn.clock.pts)
            return drawn

        masker.draw = mark  # type: ignore[method-assign]
        return masker

    return marking_masker


def _passthrough() -> web.Application:
    relay = MediaRelay()
    connections: list[RTCPeerConnection] = []
    cameras: list[MediaStreamTrack] = []

    async def answer(request: web.Request, send: bool) -> web.Response:
        connection = RTCPeerConnection()
        connections.append(connection)
        if not send:
            connection.on("track", cameras.append)
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        if send:
            connection.addTrack(relay.subscribe(cameras[-1], buffered=False))
        await connection.setLocalDescription(await connection.createAnswer())
        return web.Response(
            status=201,
            text=connection.localDescription.sdp,
            headers={"Location": f"{request.path}/1"},
        )

    async def publish(request: web.Request) -> web.Response:
        return await answer(request, send=False)

    async def watch(request: web.Request) -> web.Response:
        return await answer(request, send=True)

    async def close(_app: web.Application) -> None:
        await asyncio.gather(*(connection.close() for connection in connections))

    app = web.Application()
    app.router.add_post("/whip/{room}", publish)
    app.router.add_post("/whep/{room}/{stream}", watch)
    app.on_shutdown.append(close)
    return app


async def _serve(
    kind: str, slow_s: float, folder: Path, make: Callable[[], FrameMasker] | None
) -> None:
    times, camera = PacketTimes(), CameraClock()
    times.note()
    keys = Keys("k" * 48, "a" * 48)  # good for this process and this loopback address alone
    room_id = "bench"
    if make is not None:
        if kind == "marked":
            camera.note()
            make = _marked(make)
        rooms = Rooms(_slowed(make, slow_s) if slow_s else make, folder / "rooms.json")
        room_id = rooms.create()
        app = make_app(rooms, keys, [])
    else:
        offer_loopback()
        app = _passthrough()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready = {
        "url": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "room": room_id,
        "patient": invite(keys.invitations, room_id, Role.PATIENT),
        "doctor": invite(keys.invitations, room_id, Role.DOCTOR),
        "observer": invite(keys.invitations, room_id, Role.OBSERVER),
        "admin": keys.admin,
    }
    print(json.dumps(ready), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while await lines.readline():
        noted = {"added_ms": times.take_added_ms(), "sent_at": camera.take_reports()}
        print(json.dumps(noted), flush=True)
    await runner.cleanup()


def main() -> None:
    """Serve until standard input ends."""
    kind, slow_s = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as shared:
        make = None
        if kind in ("masked", "marked"):
            # As `digitalmask serve` does: on a GPU all rooms share what runs there.
            inference = shared.enter_context(shared_inference("auto"))
            drawing = shared.enter_context(shared_drawing())
            make = isolated(inference=inference, drawing=drawing)
        asyncio.run(_serve(kind, slow_s, Path(folder), make))


if __name__ == "__main__":
    main()
