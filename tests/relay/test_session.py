"""Whole sessions over loopback: a red patient, a green mask, a blue doctor."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from av import VideoFrame

from digitalmask.bench.stamps import match_stamps
from digitalmask.errors import SignallingError
from digitalmask.relay.invitations import Role
from tests.relay.support import (
    BLUE,
    GREEN,
    RED,
    Camera,
    Tone,
    assert_heard,
    colour_of,
    running_relay,
    track_of,
)


async def test_the_doctor_sees_the_mask_and_hears_the_patient(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera(), Tone()),
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        assert await colour_of(await track_of(doctor, "video"), GREEN)
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.PATIENT), Tone(), Camera()),
        relay.viewer(relay.token(Role.OBSERVER)) as observer,
    ):
        await assert_heard(await track_of(observer, "audio"))


async def test_patient_doctor_and_observer_each_see_the_mask_and_never_the_camera(
    tmp_path: Path,
) -> None:
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera()),
    ):
        for role in Role:
            async with relay.viewer(relay.token(role)) as viewer:
                track = await track_of(viewer, "video")
                assert await colour_of(track, GREEN), role
                for _ in range(5):
                    frame = await track.recv()
                    assert isinstance(frame, VideoFrame)
                    middle = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
                    assert np.abs(middle - RED).max() > 100
            for stream in ("camera", "patient-camera", "patient-1", "doctor-1", "doctor-0"):
                with pytest.raises(SignallingError) as refusal:
                    async with relay.viewer(relay.token(role), stream):
                        pass
                assert refusal.value.status == 404


async def test_the_patient_sees_the_doctor(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.DOCTOR), Camera(BLUE)),
        relay.viewer(relay.token(Role.PATIENT), "doctor-1") as patient,
    ):
        assert await colour_of(await track_of(patient, "video"), BLUE)


async def test_an_observer_may_not_send(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        with pytest.raises(SignallingError) as refusal:
            async with relay.publisher(relay.token(Role.OBSERVER), Camera()):
                pass
        assert refusal.value.status == 403


async def test_a_second_patient_is_refused_and_the_same_one_comes_back(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        token = relay.token(Role.PATIENT)
        async with relay.publisher(token, Camera()):
            with pytest.raises(SignallingError) as refusal:
                async with relay.publisher(relay.token(Role.PATIENT), Camera()):
                    pass
            assert refusal.value.status == 409
            async with (
                relay.publisher(token, Camera()),
                relay.viewer(relay.token(Role.DOCTOR)) as doctor,
            ):
                assert await colour_of(await track_of(doctor, "video"), GREEN)


async def test_latency_is_back_within_a_second_after_a_slow_pipeline(tmp_path: Path) -> None:
    slow_s = 0.0
    decoded: dict[int, float] = {}
    camera = Camera()
    async with (
        running_relay(tmp_path, lambda: slow_s) as relay,
        relay.publisher(relay.token(Role.PATIENT), camera),
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        track = await track_of(doctor, "video")

        async def watch() -> None:
            while True:
                frame = await track.recv()
                if frame.pts is not None:
                    decoded[frame.pts] = time.monotonic()

        watching = asyncio.create_task(watch())
        await asyncio.sleep(2.0)
        slow_from_s, slow_s = time.monotonic(), 0.12
        await asyncio.sleep(3.0)
        slow_until_s, slow_s = time.monotonic(), 0.0
        await asyncio.sleep(2.0)
        watching.cancel()
    pairs = match_stamps(camera.captured_at_s, decoded)

    def late_s(from_s: float, until_s: float) -> list[float]:
        return [at - captured for captured, at in pairs if from_s < at < until_s]

    before = late_s(slow_from_s - 1.0, slow_from_s)
    slow = late_s(slow_from_s + 1.0, slow_until_s)
    after = late_s(slow_until_s + 1.0, slow_until_s + 2.0)
    assert len(slow) < 1.2 * len(before)  # the rate falls ...
    assert max(slow) < 1.0  # ... and nothing queues
    assert np.median(after) < np.median(before) + 0.05
