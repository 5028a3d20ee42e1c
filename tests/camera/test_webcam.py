"""Webcams and films as webcams: frames at their own pace, and an end that is said."""

import itertools
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from digitalmask.camera.webcam import Webcam, film_frames, find_webcam, webcam_frames
from digitalmask.errors import ConfigurationError, MediaError
from tests.media.videos import plain, quarters, seen_quarters, write_video

HERE = Webcam("/dev/null", "A webcam")


def test_a_film_is_played_over_and_over_at_its_own_pace(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [plain(20), plain(120), plain(220)], rate=20)
    started_s = time.monotonic()
    frames = list(itertools.islice(film_frames(film), 8))
    assert time.monotonic() - started_s == pytest.approx(8 / 20, abs=0.15)
    levels = [round(frame.rgb.mean(), -1) for frame in frames]
    assert levels[:6] == levels[:3] * 2
    stamps = [frame.clock.captured_at_s for frame in frames]
    assert stamps == sorted(stamps)
    assert stamps[0] >= started_s


def test_a_film_that_is_taken_away_ends(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [plain()] * 2)
    frames = film_frames(film)
    next(frames)
    film.unlink()
    with pytest.raises(MediaError, match="there is no file"):
        list(frames)


def test_a_mirrored_picture_is_turned_round(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [quarters()])
    assert seen_quarters(next(film_frames(film)).rgb) == "RGBW"
    assert seen_quarters(next(film_frames(film, mirrored=True)).rgb) == "GRWB"


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """A driver that plays a film and refuses compressed pictures; returns what it is asked for."""
    film = write_video(tmp_path / "film.mp4", [quarters()] * 3)
    asked: list[dict[str, str]] = []
    whole = av.open

    def driver(device: str, format: str, options: dict[str, str]) -> Any:  # noqa: A002
        assert format == "v4l2"
        asked.append(options)
        if device == "/dev/full" or options.get("input_format") == "mjpeg":
            raise av.error.ArgumentError(22, "Invalid argument")
        return whole(str(film))

    monkeypatch.setattr(av, "open", driver)
    return asked


def test_a_webcam_gives_frames_until_it_is_unplugged(plugged: list[dict[str, str]]) -> None:
    frames = webcam_frames(HERE, (1280, 720), Fraction(30))
    seen = [next(frames) for _ in range(3)]
    assert [seen_quarters(frame.rgb) for frame in seen] == ["RGBW"] * 3
    assert np.ptp([frame.clock.captured_at_s - time.monotonic() for frame in seen]) < 5
    with pytest.raises(MediaError, match="A webcam has gone"):
        next(frames)
    assert [each.get("input_format") for each in plugged] == ["mjpeg", None]
    assert all(each["video_size"] == "1280x720" for each in plugged)


@pytest.mark.usefixtures("plugged")
def test_one_that_is_busy_is_said() -> None:
    with pytest.raises(MediaError, match="the webcam /dev/full cannot be opened: Invalid argument"):
        next(webcam_frames(Webcam("/dev/full", "A webcam"), (640, 480), Fraction(30)))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [
        av.DeviceInfo("/dev/video0", "Integrated", False, ["video"]),
        av.DeviceInfo("/dev/video2", "On a stick", True, ["video"]),
        av.DeviceInfo("/dev/audio0", "Microphone", False, ["audio"]),
    ]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _format: devices)


@pytest.mark.usefixtures("two")
def test_a_webcam_is_found_by_its_device_or_name() -> None:
    assert find_webcam(None).device == "/dev/video0"
    assert find_webcam("/dev/video2").name == "On a stick"
    assert find_webcam("On a stick").device == "/dev/video2"
    with pytest.raises(ConfigurationError, match=r"'Other' \(webcams: /dev/video0, /dev/video2\)"):
        find_webcam("Other")


@pytest.mark.usefixtures("two", "plugged")
def test_one_that_is_back_under_another_device_is_found_by_its_name() -> None:
    frames = webcam_frames(Webcam("/dev/none", "On a stick"), (640, 480), Fraction(30))
    assert seen_quarters(next(frames).rgb) == "RGBW"


def test_without_any_webcam_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _format: [])
    with pytest.raises(ConfigurationError, match="no webcam was found: plug one in"):
        find_webcam(None)
