"""Rooms are tried one after the other, and what is held is told from their figures."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from digitalmask.bench import rooms
from digitalmask.bench.camera import CodedCamera, coded_film
from digitalmask.cli import main
from digitalmask.relay.jitter_buffer import is_key_frame


def figures(held: bool, added_ms: float) -> dict[str, object]:
    return {"held": held, "added_ms_p95": added_ms, "mib_per_room": 300.0, "reduced": 0}


async def test_rooms_are_added_until_they_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    most_held = 2

    class Running:
        async def measure(self, _seconds: float) -> dict[str, object]:
            return figures(tried[-1] <= most_held, 20.0 * tried[-1])

    @asynccontextmanager
    async def running(_coded: Any, _codec: str, count: int) -> AsyncIterator[Running]:
        tried.append(count)
        yield Running()

    monkeypatch.setattr(rooms, "_running_rooms", running)
    results = await rooms.measure_rooms([b""], "video/h264", 1.0, 16)
    assert tried == [1, 2, 3]
    assert (results["rooms"], results["added_ms_p95"]) == (2, 40.0)
    most_held = 0
    none = await rooms.measure_rooms([b""], "video/h264", 1.0, 16)
    assert (none["rooms"], none["added_ms_p95"]) == (0, 20.0)


@pytest.mark.parametrize("codec", ["video/h264", "video/vp8"])
async def test_a_coded_camera_begins_with_a_key_frame_and_again_when_asked(codec: str) -> None:
    frames = [np.full((180, 160), 20 * shade, np.uint8) for shade in range(6)]
    camera = CodedCamera(coded_film(frames, codec), seed=1)
    sent = [await camera.recv() for _ in range(3)]
    camera.start_anew()
    sent.append(await camera.recv())
    assert [is_key_frame(each.data) for each in sent] == [True, False, False, True]
    stamps = [each.timestamp for each in sent]
    assert all(2000 < step < 6000 for step in np.diff(stamps))
    assert list(camera.captured_at_s) == stamps


@pytest.mark.gl
@pytest.mark.models
def test_one_room_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rooms", "--seconds", "2", "--most", "1", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    (one,) = results["tried"].values()
    assert one["tracking"] == "following"
    assert one["fps"] > 0
    assert one["added_ms_p50"] <= one["added_ms_p95"] == results["added_ms_p95"]
    assert one["oldest_ms"] > one["added_ms_p50"]
    assert one["client_cores"] < 0.5
    assert 20 < results["mib_per_room"] < 2000


@pytest.mark.parametrize("wrong", [("--seconds", "0"), ("--most", "0"), ("--cores", "1000")])
def test_wrong_numbers_are_refused(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "rooms", *wrong]) == 1
    assert capsys.readouterr().err.count("\n") == 1


async def test_a_decoder_that_is_spared_still_ends() -> None:
    spared: Any = rooms._Undecoded()
    spared.put(("codec", "frame"))
    spared.put(None)
    assert await asyncio.to_thread(spared.get, timeout=1.0) is None
