"""Clients that send what a patient's browser does not: each gets its answer, and the room lives."""

import asyncio
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession
from aiortc import MediaStreamTrack
from av import VideoFrame

from digitalmask.bench.camera import code_quickly
from digitalmask.relay.codecs import H264, VP8
from digitalmask.relay.invitations import Role
from digitalmask.relay.whip_client import WhipClient
from tests.relay.support import (
    GREEN,
    Camera,
    Relay,
    Tone,
    assert_heard,
    colour_of,
    running_relay,
    track_of,
)


class SilentCamera(MediaStreamTrack):
    """A camera that is offered and never sends a frame."""

    kind = "video"

    async def recv(self) -> VideoFrame:
        await asyncio.Event().wait()
        raise AssertionError


class LargeCamera(Camera):
    """A camera of 3840x2160 pixels, 10 frames a second."""

    def __init__(self) -> None:
        super().__init__()
        self._large = VideoFrame(3840, 2160, "yuv420p")
        for plane in self._large.planes:
            plane.update(bytes([90]) * plane.buffer_size)

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.1)
        self._number += 1
        self._large.pts, self._large.time_base = self._number * 9000, Fraction(1, 90000)
        return self._large


async def assert_lives(relay: Relay) -> None:
    """A patient joins, and a doctor sees the mask."""
    async with (
        relay.publisher(relay.token(Role.PATIENT), Camera()),
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        assert await colour_of(await track_of(doctor, "video"), GREEN)


async def shown_to(doctor: WhipClient) -> np.ndarray:
    """The next picture that a doctor gets."""
    frame = await (await track_of(doctor, "video")).recv()
    assert isinstance(frame, VideoFrame)
    return frame.to_ndarray(format="rgb24")


async def test_a_patient_without_a_camera_is_heard_and_a_card_is_shown(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        async with (
            relay.publisher(relay.token(Role.PATIENT), Tone()),
            relay.viewer(relay.token(Role.DOCTOR)) as doctor,
        ):
            assert (await shown_to(doctor)).mean() > 80
            await assert_heard(await track_of(doctor, "audio"))
        await assert_lives(relay)


async def test_a_camera_that_never_sends_a_frame_leaves_the_card(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        async with (
            relay.publisher(relay.token(Role.PATIENT), SilentCamera()),
            relay.viewer(relay.token(Role.DOCTOR)) as doctor,
        ):
            assert (await shown_to(doctor)).mean() > 80
        await assert_lives(relay)


@pytest.mark.parametrize("codec", [H264, VP8])
async def test_a_client_that_knows_one_codec_alone_is_masked(tmp_path: Path, codec: str) -> None:
    async with running_relay(tmp_path) as relay:
        url = f"{relay.url}/whip/{relay.room}"
        async with (
            WhipClient(url, relay.token(Role.PATIENT), (Camera(),), video_codec=codec),
            relay.viewer(relay.token(Role.DOCTOR)) as doctor,
        ):
            assert await colour_of(await track_of(doctor, "video"), GREEN)


async def test_a_camera_of_4k_is_masked_no_larger_than_full_hd(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        url = f"{relay.url}/whip/{relay.room}"
        camera = LargeCamera()
        async with WhipClient(
            url, relay.token(Role.PATIENT), (camera,), video_codec=H264
        ) as patient:
            code_quickly(patient.connection.getSenders()[0], H264)
            async with relay.viewer(relay.token(Role.DOCTOR), at_once=True) as doctor:
                track = await track_of(doctor, "video")
                assert await colour_of(track, GREEN)
                frame = await track.recv()
                assert isinstance(frame, VideoFrame)
                assert (frame.width, frame.height) == (1920, 1080)
        await assert_lives(relay)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 4000, b"v=0\r\n" * 900, b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 500],
    ids=["nothing", "zeros", "repeated", "a thousand sections"],
)
async def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        for path in (f"/whip/{relay.room}", f"/whep/{relay.room}/patient"):
            headers = {
                "Authorization": f"Bearer {relay.token(Role.DOCTOR)}",
                "Content-Type": "application/sdp",
            }
            async with http.post(relay.url + path, data=garbage, headers=headers) as answer:
                assert 400 <= answer.status < 500
        await assert_lives(relay)
