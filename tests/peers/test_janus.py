"""`digitalmask push` into Debian's Janus behind simple-whip-server; both go and come back."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import ClientError, ClientSession
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtp import RtpPacket

from digitalmask.relay.invitations import Role
from digitalmask.relay.jitter_buffer import VideoJitterBuffer
from tests.peers.support import free_port, janus, keep, needs_peers, whip_server
from tests.relay.support import GREEN, Camera, Tone, running_relay


class Forwarded(asyncio.DatagramProtocol):
    """What Janus hands on of the consultation: RTP on a port of 127.0.0.1, decoded."""

    def __init__(self, codec: str) -> None:
        self._depayload = {"H264": h264_depayload, "VP8": vp8_depayload}[codec]
        self._decoder: Any = av.CodecContext.create(codec.lower(), "r")
        self._buffer = VideoJitterBuffer()
        self.pictures: asyncio.Queue[np.ndarray] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        packet: Any = RtpPacket.parse(data)
        packet._data = self._depayload(packet.payload)
        _, frame = self._buffer.add(packet)
        if frame is None:
            return
        for each in (frame, *frame.followers):
            # Before the first key frame nothing can be decoded.
            with contextlib.suppress(av.FFmpegError):
                for picture in self._decoder.decode(av.Packet(each.data)):
                    self.pictures.put_nowait(picture.to_ndarray(format="rgb24"))

    async def picture(self) -> np.ndarray:
        """The next picture that comes."""
        while not self.pictures.empty():
            self.pictures.get_nowait()
        return await asyncio.wait_for(self.pictures.get(), 15.0)


async def ready(condition: Callable[[], object]) -> None:
    """Wait for a service to answer."""
    for _ in range(100):
        try:
            await condition()  # type: ignore[misc]
        except ClientError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("it does not answer")


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_mask_is_pushed_into_janus_which_is_waited_for(tmp_path: Path, codec: str) -> None:
    needs_peers()
    port, janus_port = free_port(), free_port()
    loop = asyncio.get_running_loop()
    transport, forwarded = await loop.create_datagram_endpoint(
        lambda: Forwarded(codec), local_addr=("127.0.0.1", 0)
    )
    rtp_port = transport.get_extra_info("sockname")[1]
    base = f"http://127.0.0.1:{port}/whip"
    with ExitStack() as services:
        first = services.enter_context(janus(tmp_path / "janus", janus_port, codec.lower()))
        services.enter_context(whip_server(tmp_path / "whip", port, janus_port))
        async with (
            ClientSession() as http,
            running_relay(tmp_path) as relay,
            relay.publisher(relay.token(Role.PATIENT), Camera(), Tone()),
        ):
            await ready(lambda: http.get(f"{base}/healthcheck"))
            endpoint = {
                "id": "consultation", "room": 1, "token": "secret",
                "recipient": {"host": "127.0.0.1", "videoPort": rtp_port, "videoPt": 96},
            }  # fmt: skip
            async with http.post(f"{base}/create", json=endpoint) as made:
                assert made.status == 200
            pushing = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "digitalmask", "push",
                "--to", f"{base}/endpoint/consultation", "--token", "secret",
                "--from", f"{relay.url}/observer#{relay.token(Role.OBSERVER)}",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            assert pushing.stdout is not None

            async def says(words: str) -> str:
                assert pushing.stdout is not None
                async with asyncio.timeout(25):
                    while words not in (line := (await pushing.stdout.readline()).decode()):
                        assert line, f"it ended before it said {words!r}"
                    return line

            assert codec in await says("Sending the room's mask to http://127.0.0.1")
            picture = await forwarded.picture()
            assert np.abs(picture.mean(axis=(0, 1)) - GREEN).max() < 40
            keep(f"janus-{codec.lower()}", picture)
            if codec == "H264":  # what follows takes its time
                first.kill()
                first.wait()
                await says("trying again in")
                services.enter_context(janus(tmp_path / "janus", janus_port, codec.lower()))
                await says("Sending the room's mask")
                picture = await forwarded.picture()
                assert np.abs(picture.mean(axis=(0, 1)) - GREEN).max() < 40
            pushing.send_signal(signal.SIGINT)
            assert (await asyncio.wait_for(pushing.communicate(), 10))[0].endswith(b"Stopped\n")
            assert pushing.returncode == 0
            async with http.get(f"{base}/endpoints") as answer:
                (left,) = await answer.json()
                assert left["enabled"] is False
    transport.close()
