"""What a curious doctor's program keeps of all that a relay sends it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from aiohttp.web import Application
from aiortc import MediaStreamTrack
from aiortc.codecs.base import Decoder
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from digitalmask.pipeline import FrameMasker
from digitalmask.relay.codecs import H264, CodedMask
from digitalmask.relay.invitations import Role, invite
from digitalmask.relay.rooms import Rooms
from digitalmask.relay.server import make_app
from digitalmask.relay.whip_client import WhipClient
from tests.leak.key import Catch, Picture
from tests.relay.support import KEYS, Tone


def decoder_of(codec: str) -> Callable[[CodedMask], list[VideoFrame]]:
    decoder: Decoder = H264Decoder() if codec == H264 else Vp8Decoder()

    def decode(coded: CodedMask) -> list[VideoFrame]:
        frames = decoder.decode(JitterFrame(coded.data, coded.timestamp))
        return [frame for frame in frames if isinstance(frame, VideoFrame)]

    return decode


class MarkedCamera(MediaStreamTrack):
    """Shows one picture, or what `show` makes of a moment, 30 times a second."""

    kind = "video"

    def __init__(self, show: Callable[[float], Picture]) -> None:
        super().__init__()
        self._show = show
        self._started_at_s = time.monotonic()
        self._number = 0

    async def recv(self) -> VideoFrame:
        at_s = self._number / 30
        self._number += 1
        await asyncio.sleep(max(0.0, self._started_at_s + at_s - time.monotonic()))
        frame = VideoFrame.from_ndarray(self._show(at_s), format="rgb24")
        frame.pts, frame.time_base = round(at_s * 90000), Fraction(1, 90000)
        return frame


async def keep_all(track: MediaStreamTrack, catch: Catch, every: int = 1) -> None:
    """Search each frame of a track until it ends; of pictures, one in `every`."""
    number = 0
    try:
        while True:
            frame = await track.recv()
            number += 1
            if isinstance(frame, AudioFrame):
                catch.sound("sound", frame.to_ndarray().tobytes())
            elif isinstance(frame, VideoFrame) and number % every == 0:
                catch.picture("video", np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    except MediaStreamError:
        return


@asynccontextmanager
async def consultation(
    folder: Path, make_masker: Callable[[], FrameMasker], camera: MediaStreamTrack
) -> AsyncIterator[Catch]:
    """A relay with a patient and a doctor; what the doctor gets is searched as it comes.

    At the end every address of the relay is asked as a doctor, and all that it wrote is searched.
    """
    catch = Catch()
    rooms = Rooms(make_masker, folder / "rooms.json")
    app = make_app(rooms, KEYS, [])
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    room, base = rooms.create(), str(server.make_url("")).rstrip("/")
    patient, doctor = (invite(KEYS.invitations, room, role) for role in (Role.PATIENT, Role.DOCTOR))
    viewer = WhipClient(f"{base}/whep/{room}/patient", doctor)
    searching: list[asyncio.Task[None]] = []
    try:
        async with WhipClient(f"{base}/whip/{room}", patient, (camera, Tone())), viewer:
            catch.text("answer", viewer.connection.remoteDescription.sdp)
            for _ in range(2):
                track = await asyncio.wait_for(viewer.received.get(), 5.0)
                searching.append(asyncio.create_task(keep_all(track, catch)))
            await asyncio.wait_for(catch.first.wait(), 10.0)
            yield catch
            for path in _addresses(app, room):
                await _ask(base + path, doctor, catch)
        catch.folder(folder)
    finally:
        for task in searching:
            task.cancel()
        await server.close()


def _addresses(app: Application, room: str) -> Iterator[str]:
    """Every address that can be read, with what the doctor knows put in."""
    known = {"room": room, "stream": "patient"}

    def filled(part: re.Match[str]) -> str:
        return known.get(part[1], "x")

    for route in app.router.routes():
        resource = route.resource
        if route.method != "GET" or resource is None or "/static" in resource.canonical:
            continue
        yield re.sub(r"\{(\w+)\}", filled, resource.canonical)


async def _ask(url: str, token: str, catch: Catch) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with ClientSession() as http, http.get(url, headers=headers) as answer:
        catch.text(url, repr(dict(answer.headers)))
        with suppress(TimeoutError):  # of a stream of events, the first few
            async with asyncio.timeout(0.2):
                async for chunk in answer.content.iter_any():
                    catch.data(url, chunk)
