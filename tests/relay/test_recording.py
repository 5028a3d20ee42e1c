"""Recording a room: only with the patient's consent, only the mask and the voice, in step."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import ClientSession
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from digitalmask.errors import MediaError
from digitalmask.media.fragmented_mp4 import FragmentedMp4
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Sighting
from digitalmask.relay import recording as recording_module
from digitalmask.relay.invitations import Role
from tests.relay.support import (
    GREEN,
    KEYS,
    RED,
    SIZE,
    Camera,
    GreenMasker,
    Relay,
    Tone,
    colour_of,
    running_relay,
    track_of,
)

_FLASH_EVERY_S, _FLASH_S = 1.0, 0.2


class Person:
    """One person's requests about the recording."""

    def __init__(self, relay: Relay, http: ClientSession, role: Role) -> None:
        self.token = relay.token(role)
        self._url = f"{relay.url}/rooms/{relay.room}"
        self._http = http

    async def request(self, method: str, what: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._http.request(method, f"{self._url}/{what}", headers=headers) as answer:
            if answer.content_type == "video/mp4":
                return answer.status, await answer.read()
            return answer.status, await answer.json()

    async def ask(self) -> tuple[int, Any]:
        return await self.request("POST", "recording")

    async def agree(self) -> tuple[int, Any]:
        return await self.request("PUT", "recording/consent")

    async def stop(self) -> tuple[int, Any]:
        return await self.request("DELETE", "recording")

    async def kept(self) -> list[dict[str, Any]]:
        status, body = await self.request("GET", "recordings")
        assert status == 200
        recordings: list[dict[str, Any]] = body["recordings"]
        return recordings

    async def download_the_only_one(self) -> bytes:
        for _ in range(100):  # the file is finished in a thread of its own
            kept = await self.kept()
            if kept:
                break
            await asyncio.sleep(0.05)
        assert len(kept) == 1
        status, body = await self.request("GET", f"recordings/{kept[0]['id']}")
        assert status == 200
        return bytes(body)


class FlashingCamera(Camera):
    """White for a moment each second, else black."""

    async def recv(self) -> VideoFrame:
        frame = await super().recv()
        level = 255 if _flashes(time.monotonic()) else 0
        flash = VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), level, np.uint8), "rgb24")
        flash.pts, flash.time_base = frame.pts, frame.time_base
        return flash


class Beep(MediaStreamTrack):
    """Loud in the same moments."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._started_at_s = time.monotonic()
        self._number = 0

    async def recv(self) -> AudioFrame:
        ends_at_s = self._started_at_s + (self._number + 1) / 50
        await asyncio.sleep(max(0.0, ends_at_s - time.monotonic()))
        moments = ends_at_s - 0.02 + np.arange(960) / 48000
        loud = (moments % _FLASH_EVERY_S) < _FLASH_S
        wave = np.where(np.arange(960) // 24 % 2, 9000, -9000) * loud
        frame = AudioFrame.from_ndarray(wave.astype(np.int16)[None, :], "s16", "mono")
        frame.sample_rate, frame.pts = 48000, self._number * 960
        frame.time_base = Fraction(1, 48000)
        self._number += 1
        return frame


class GreyMasker(GreenMasker):
    """Draws one grey, as bright as what it sees."""

    def __init__(self, slow_s: Callable[[], float]) -> None:
        super().__init__(slow_s)
        self._levels: dict[int, int] = {}  # by the frames' time stamps

    def follow(self, frame: PatientFrame) -> Sighting:
        self._levels[frame.clock.pts] = round(float(frame.rgb.mean()))
        return super().follow(frame)

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        width, height = size or sighting.size
        grey = np.full((height, width, 3), self._levels[sighting.clock.pts], np.uint8)
        return MaskedFrame(sighting.clock, grey)


def sound_is_late_s(levels: list[tuple[float, float]], voice: np.ndarray) -> float:
    """By how much the sound is to be moved so that it is loud when the picture is bright."""
    grain_s = 0.005
    moments = np.arange(0.0, min(levels[-1][0], len(voice) / 48000) - grain_s, grain_s)
    shown_at, shown = np.array(levels).T
    bright = shown[np.searchsorted(shown_at, moments, side="right") - 1] > 100
    loudness = np.abs(voice[: len(moments) * 240]).reshape(-1, 240).max(axis=1)
    lags = np.arange(-50, 51)
    likeness = [np.corrcoef(np.roll(bright, lag), loudness)[0, 1] for lag in lags]
    assert max(likeness) > 0.5
    return float(lags[np.argmax(likeness)]) * grain_s


def _flashes(at_s: float) -> bool:
    return at_s % _FLASH_EVERY_S < _FLASH_S


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path, recordings=tmp_path / "recordings") as running:
        yield running


async def test_what_is_recorded_is_the_mask_and_the_voice_in_step(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path, masker=GreyMasker, recordings=tmp_path / "recordings") as relay,
        ClientSession() as http,
    ):
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with (
            relay.publisher(patient.token, FlashingCamera(), Beep()),
            relay.viewer(doctor.token),
        ):
            await asyncio.sleep(1.0)
            assert (await doctor.ask())[1]["state"] == "asked"
            assert (await patient.agree())[1]["state"] == "running"
            await asyncio.sleep(5.0)
            assert (await patient.stop())[1]["state"] == "off"
            path = tmp_path / "downloaded.mp4"
            path.write_bytes(await doctor.download_the_only_one())
    with av.open(str(path)) as container:
        levels = [
            (frame.time or 0.0, float(frame.to_ndarray(format="gray").mean()))
            for frame in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        voice = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert levels[-1][0] > 4.0
    # Within what nobody notices (ITU-R BT.1359: sound 45 ms early to 125 ms late).
    assert -0.045 < sound_is_late_s(levels, voice) < 0.080


async def test_nothing_is_recorded_before_the_patient_agrees(relay: Relay, tmp_path: Path) -> None:
    async with ClientSession() as http:
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        assert (await doctor.ask())[0] == 409  # nobody is there who could agree
        async with relay.publisher(patient.token, Camera(), Tone()), relay.viewer(doctor.token):
            assert (await patient.agree())[0] == 409  # nobody has asked
            assert (await doctor.ask())[0] == 202
            await asyncio.sleep(0.5)
            assert (await patient.stop())[1]["state"] == "off"  # says no
            assert (await patient.agree())[0] == 409
            assert not (tmp_path / "recordings").exists()


async def test_roles_are_kept_apart(relay: Relay) -> None:
    async with ClientSession() as http:
        people = {role: Person(relay, http, role) for role in Role}
        async with relay.publisher(people[Role.PATIENT].token, Camera()):
            for role in (Role.PATIENT, Role.OBSERVER):
                assert (await people[role].ask())[0] == 403
            await people[Role.DOCTOR].ask()
            for role in (Role.DOCTOR, Role.OBSERVER):
                assert (await people[role].agree())[0] == 403
            assert (await Person(relay, http, Role.PATIENT).agree())[0] == 403  # not who is here
            assert (await people[Role.OBSERVER].stop())[0] == 403
            for role in (Role.PATIENT, Role.OBSERVER):
                assert (await people[role].request("GET", "recordings"))[0] == 403


async def test_the_recording_holds_green_masks_and_ends_when_the_patient_leaves(
    relay: Relay, tmp_path: Path
) -> None:
    async with ClientSession() as http:
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with relay.viewer(doctor.token):
            async with relay.publisher(patient.token, Camera(), Tone()):
                await doctor.ask()
                await patient.agree()
                assert await doctor.kept() == []  # a recording that runs is not handed out
                await asyncio.sleep(1.0)
            path = tmp_path / "downloaded.mp4"
            path.write_bytes(await doctor.download_the_only_one())
    (kept,) = (tmp_path / "recordings" / relay.room).iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    middles = [picture.mean(axis=(0, 1)) for picture in pictures]
    assert any(np.abs(middle - GREEN).max() < 40 for middle in middles)
    assert all(np.abs(middle - RED).max() > 100 for middle in middles)


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    async with (
        running_relay(tmp_path, recordings=tmp_path / "recordings") as relay,
        ClientSession() as http,
    ):
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with relay.publisher(patient.token, Camera()), relay.viewer(doctor.token):
            await doctor.ask()
            status, body = await patient.agree()
            assert status == 507
            assert "could not be written" in body["error"]
            assert str(tmp_path) not in body["error"]


async def test_a_full_disk_ends_the_recording_and_the_consultation_goes_on(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MediaError("no space left")

    async with ClientSession() as http:
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with relay.publisher(patient.token, Camera()), relay.viewer(doctor.token) as viewer:
            await doctor.ask()
            await patient.agree()
            await asyncio.sleep(0.5)
            monkeypatch.setattr(FragmentedMp4, "write", refuse)
            await asyncio.sleep(0.5)
            assert await colour_of(await track_of(viewer, "video"), GREEN)
            room = f"{relay.url}/rooms/{relay.room}"
            async with http.get(room, headers={"Authorization": f"Bearer {KEYS.admin}"}) as answer:
                recording = (await answer.json())["recording"]
            assert recording["state"] == "off"
            assert "could not be written" in recording["trouble"]
            assert len(await doctor.kept()) == 1  # what was written before is kept


async def test_a_recording_ends_when_no_doctor_is_there_for_a_while(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "_RETURNS_WITHIN_S", 1.0)
    async with ClientSession() as http:
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with relay.publisher(patient.token, Camera()):
            async with relay.viewer(doctor.token):
                await doctor.ask()
                await patient.agree()
            await asyncio.sleep(0.5)
            async with relay.viewer(doctor.token):
                await asyncio.sleep(1.0)
                assert await doctor.kept() == []  # a doctor who comes back finds it running
            await asyncio.sleep(1.5)
            assert len(await doctor.kept()) == 1


async def test_a_server_without_a_folder_records_nothing(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        doctor, patient = Person(relay, http, Role.DOCTOR), Person(relay, http, Role.PATIENT)
        async with relay.publisher(patient.token, Camera()):
            status, body = await doctor.ask()
            assert status == 409
            assert "no recordings" in body["error"]
