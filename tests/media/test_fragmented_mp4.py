"""A live recording: in step, whole as far as it went, and silent about whose it is."""

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.media.fragmented_mp4 import FragmentedMp4
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame

_BEGINS_S = 1000.0  # on the monotonic clock

# Writes masks and silence until it is killed at the moment given, in seconds of the recording.
_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.media.test_fragmented_mp4 import mask, tone
from digitalmask.media.fragmented_mp4 import FragmentedMp4
file = FragmentedMp4(Path(sys.argv[1]))
number = 0
while True:
    at_s = 1000.0 + number / 30
    file.write(mask(number * 3 % 250), at_s)
    file.write_sound(tone(1600), at_s)
    number += 1
    if number / 30 >= float(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def mask(level: int, size: tuple[int, int] = (160, 120)) -> MaskedFrame:
    rgb = np.full((size[1], size[0], 3), level, np.uint8)
    return MaskedFrame(FrameClock(0.0, 0, Fraction(1, 90000)), rgb)


def tone(samples: int) -> av.AudioFrame:
    wave = np.where(np.arange(samples) // 24 % 2, 9000, -9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
    frame.sample_rate = 48000
    return frame


def recording(path: Path) -> Path:
    """45 masks, one and a half seconds."""
    file = FragmentedMp4(path)
    for number in range(45):
        file.write(mask(number), _BEGINS_S + number / 30)
        file.write_sound(tone(1600), _BEGINS_S + number / 30)
    file.close()
    return path


def pictures(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(f.time or 0.0, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def boxes(path: Path) -> list[str]:
    """The names of a file's outermost boxes."""
    data, names, place = path.read_bytes(), [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        names.append(data[place + 4 : place + 8].decode("ascii"))
        place += size or len(data)
    return names


@pytest.mark.parametrize("killed_at_s", [2.5, 5.9])
def test_a_killed_program_leaves_a_file_that_plays_to_within_two_seconds(
    tmp_path: Path, killed_at_s: float
) -> None:
    path = tmp_path / "recording.mp4"
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(killed_at_s)])
    assert ended.returncode == -signal.SIGKILL
    shown = pictures(path)
    assert shown[-1][0] > killed_at_s - 2.0
    assert len(sound(path)) / 48000 > killed_at_s - 2.0
    # Nothing is missing before; the first picture lasts as long as AAC's encoder delay more.
    steps = np.diff([at_s for at_s, _ in shown])
    assert np.allclose(steps[1:], 1 / 30, atol=0.001)


def test_a_closed_file_is_a_plain_mp4_that_every_player_knows(tmp_path: Path) -> None:
    path = recording(tmp_path / "recording.mp4")
    assert "moof" not in boxes(path)
    assert "moov" in boxes(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with av.open(str(path)) as container:
        video: Any = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.codec_context.profile == "High"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.duration is not None
        assert abs(container.duration / 1e6 - 1.5) < 0.1
        told = dict(container.metadata)
        for stream in container.streams:
            told |= stream.metadata
        keys = {"creation_time", "encoder", "title", "artist", "comment", "date", "location"}
        assert not keys & set(told)


def test_sound_is_where_it_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    file = FragmentedMp4(path)
    for number in range(90):
        at_s = _BEGINS_S + number / 30
        file.write(mask(200 if 1.0 <= number / 30 < 1.5 else 20), at_s)
        if 1.0 <= number / 30 < 1.5:
            file.write_sound(tone(1600), at_s)
    file.close()
    bright = [at_s for at_s, rgb in pictures(path) if rgb.mean() > 100]
    loud = np.flatnonzero(np.abs(sound(path)) > 0.05) / 48000
    assert abs(bright[0] - 1.0) < 0.025
    assert abs(loud[0] - bright[0]) < 0.01
    assert abs(loud[-1] - loud[0] - 0.5) < 0.03


def test_a_picture_of_another_size_is_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    file = FragmentedMp4(path)
    for number, size in enumerate([(160, 120), (320, 240), (120, 160), (160, 120)]):
        file.write(mask(50 * (number + 1), size), _BEGINS_S + number / 30)
    file.close()
    shown = [rgb for _, rgb in pictures(path)]
    assert {rgb.shape for rgb in shown} == {(120, 160, 3)}
    assert [round(float(rgb.mean()) / 50) for rgb in shown] == [1, 2, 3, 4]


def test_only_masks_are_recorded_and_no_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    file = FragmentedMp4(path)
    with pytest.raises(TypeError):
        file.write(np.zeros((120, 160, 3), np.uint8), _BEGINS_S)  # type: ignore[arg-type]
    with pytest.raises(MediaError):
        FragmentedMp4(path)
    file.close()
    assert list(tmp_path.iterdir()) == []  # without a picture there is no file
