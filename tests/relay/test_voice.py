"""What listeners hear of a patient."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession
from av import AudioFrame

from digitalmask.media.voice import VoiceWay
from digitalmask.media.voice_mask import VoiceMask
from digitalmask.relay.voice import Voice, VoiceTrack
from tests.relay.support import Tone, running_relay


class OpusTone(Tone):
    """As Opus' decoder gives it."""

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        both = np.repeat(frame.to_ndarray(), 2, axis=1).astype(np.int16)
        stereo = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        stereo.sample_rate, stereo.pts, stereo.time_base = 48000, frame.pts, frame.time_base
        return stereo


async def loudest(track: VoiceTrack, seconds: float = 0.8) -> int:
    found = 0
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        frame = await track.recv()
        assert frame.sample_rate == 48000
        found = max(found, int(np.abs(frame.to_ndarray().astype(int)).max()))
    return found


@pytest.mark.parametrize(("way", "heard"), [("pass", True), ("mask", True), ("off", False)])
async def test_a_voice_is_heard_as_its_way_says(way: str, heard: bool) -> None:
    voice = Voice(VoiceWay(way))
    track = voice.listener()
    voice.take_from(Tone())
    assert (await loudest(track) > 2000) == heard
    voice.close()


async def test_the_relay_says_what_becomes_of_the_voice(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        ClientSession() as http,
        http.get(f"{relay.url}/terms") as answer,
    ):
        assert await answer.json() == {"voice": "mask"}


async def test_a_voice_that_cannot_be_masked_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_self: object, samples: object) -> None:
        raise ValueError(f"cannot mask {samples}")

    monkeypatch.setattr(VoiceMask, "mask", fail)
    voice = Voice(VoiceWay.MASK)
    track = voice.listener()
    voice.take_from(Tone())
    assert await loudest(track, 0.4) == 0
    assert caplog.messages
    assert set(caplog.messages) == {"a voice cannot be masked: ValueError"}
    voice.close()


@pytest.mark.parametrize("way", list(VoiceWay))
async def test_silence_and_voice_are_of_one_kind(way: VoiceWay) -> None:
    """A sender cannot change over."""
    voice = Voice(way)
    track = voice.listener()
    frames = [await track.recv()]
    voice.take_from(OpusTone())
    frames += [await track.recv() for _ in range(10)]
    voice.take_from(None)
    frames += [await track.recv() for _ in range(12)]
    kinds = {
        (each.format.name, each.layout.name, each.sample_rate, each.samples) for each in frames
    }
    assert kinds == {("s16", "stereo", 48000, 960)}
    voice.close()


async def test_the_tone_itself_is_not_in_the_masked_voice() -> None:
    voice = Voice(VoiceWay.MASK)
    track = voice.listener()
    voice.take_from(Tone())
    frames = [await track.recv() for _ in range(60)]
    assert all(isinstance(frame, AudioFrame) for frame in frames)
    samples = np.concatenate([frame.to_ndarray()[0, ::2] for frame in frames[30:]]).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    strongest_hz = np.argmax(spectrum) * 48000 / len(samples)
    assert abs(strongest_hz - 1000.0) > 50.0
    voice.close()
