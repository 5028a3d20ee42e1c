"""Only masks are written, whole files or none, and the sound stays in step."""

import os
import resource
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.media.writer import VideoWriter
from tests.media.videos import (
    FLASHES_S,
    SIZE,
    Picture,
    beeps,
    flash_and_beep,
    flashes,
    noise,
    plain,
    quarters,
    seen_quarters,
    shown,
    tone,
    write_video,
)

ENDINGS = [".mp4", ".mov", ".mkv", ".webm"]
TICK = Fraction(1, 90000)


def masked(at_s: float, picture: Picture | None = None) -> MaskedFrame:
    clock = FrameClock(at_s, round(at_s / TICK), TICK)
    return MaskedFrame(clock, plain() if picture is None else picture)


def write(path: Path, frames: Iterable[Any]) -> Path:
    with VideoWriter(path, Fraction(30), None) as out:
        for frame in frames:
            out.write(frame)
    return path


def pass_on(source: Path, target: Path, lost_s: tuple[float, float] = (0.0, 0.0)) -> Path:
    """Write a file's pictures as if they were masks, with its sound but for what is lost."""
    with VideoReader(source) as reader, VideoWriter(target, reader.rate, reader.audio) as out:
        for item in reader:
            if isinstance(item, PatientFrame):
                out.write(MaskedFrame(item.clock, item.rgb))
            elif not lost_s[0] <= float((item.dts or 0) * item.time_base) < lost_s[1]:
                out.write_sound(item)
    return target


def test_a_camera_frame_or_a_bare_picture_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    mask = masked(0.0)
    unmasked: list[Any] = [PatientFrame.of_rgb(mask.clock, mask.rgb), mask.rgb]
    for each in unmasked:
        with pytest.raises(TypeError, match="MaskedFrame"):
            write(tmp_path / "out.mp4", [mask, each])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_is_there_only_when_it_is_whole(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out{ending}"

    def frames() -> Iterator[MaskedFrame]:
        for number in range(30):
            yield masked(number / 30, quarters())
            assert not target.exists()

    write(target, frames())
    assert [file.name for file in tmp_path.iterdir()] == [target.name]
    assert {seen_quarters(picture) for _, picture in shown(target)} == {"RGBW"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_an_error_leaves_nothing_and_an_older_file_as_it_was(
    tmp_path: Path, ending: str, count: int
) -> None:
    target = tmp_path / f"out{ending}"
    target.write_text("older")

    def frames() -> Iterator[MaskedFrame]:
        yield from (masked(number / 30) for number in range(count))
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write(target, frames())
    assert [file.name for file in tmp_path.iterdir()] == [target.name]
    assert target.read_text() == "older"


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no frame"):
        write(tmp_path / "out.mp4", [])
    assert not list(tmp_path.iterdir())


def test_an_unknown_ending_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.mp4, \.mov, \.mkv, \.webm"):
        write(tmp_path / "out.gif", [masked(0.0)])
    with pytest.raises(MediaError, match="No such file or directory"):
        write(tmp_path / "missing" / "out.mp4", [masked(0.0)])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="Permission denied"):
        write(tmp_path / "out.mp4", [masked(0.0)])


@pytest.fixture
def little_space() -> Iterator[None]:
    """No file may grow beyond 200 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("little_space")
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    frames = (masked(number / 30, noise(number)) for number in range(60))
    with pytest.raises(MediaError, match="File too large") as failure:
        write(tmp_path / "out.mp4", frames)
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_uneven_clocks_survive(tmp_path: Path, ending: str) -> None:
    times_s = [0.2, 0.233, 0.3, 0.35, 0.6, 0.61, 1.1, 1.2]
    target = write(tmp_path / f"out{ending}", [masked(at_s) for at_s in times_s])
    assert [at_s for at_s, _ in shown(target)] == pytest.approx(times_s, abs=6e-4)


def test_frames_of_one_moment_are_all_kept_in_order(tmp_path: Path) -> None:
    times_s = [0.0, 0.1, 0.1, 0.05, 0.2]
    frames = [masked(at_s, plain(40 * number)) for number, at_s in enumerate(times_s, 1)]
    pictures = shown(write(tmp_path / "out.mp4", frames))
    assert [round(picture.mean() / 40) for _, picture in pictures] == [1, 2, 3, 4, 5]
    assert (np.diff([at_s for at_s, _ in pictures]) > 0).all()


def test_a_frame_of_another_size_does_not_change_the_files(tmp_path: Path) -> None:
    frames = [masked(0.0, quarters()), masked(0.1, quarters((320, 240)))]
    pictures = shown(write(tmp_path / "out.mp4", frames))
    assert {picture.shape[:2] for _, picture in pictures} == {(SIZE[1], SIZE[0])}


def test_nothing_of_the_sources_metadata_is_copied(tmp_path: Path) -> None:
    named = {"title": "Jane Doe", "comment": "1 Main Street"}
    source = write_video(tmp_path / "in.mp4", [plain()] * 9, sound=tone(0.3), metadata=named)
    assert b"Jane Doe" in source.read_bytes()
    content = pass_on(source, tmp_path / "out.mp4").read_bytes()
    assert b"Jane" not in content
    assert b"Main Street" not in content


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("from_s", "sound_from_s"),
    [(0.0, 0.0), (0.0, 0.4), (0.4, 0.0)],
    ids=["together", "sound late", "picture late"],
)
def test_flash_and_beep_stay_together(
    tmp_path: Path, ending: str, from_s: float, sound_from_s: float
) -> None:
    source = flash_and_beep(tmp_path / "in.mkv", from_s, sound_from_s)
    target = pass_on(source, tmp_path / f"out{ending}")
    assert flashes(target) == pytest.approx(FLASHES_S, abs=0.002)
    assert beeps(target) == pytest.approx(FLASHES_S, abs=0.040)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
@pytest.mark.parametrize("sound_rate", [8000, 44100, 37800, 192000])
def test_sound_of_any_rate_is_kept_in_step(tmp_path: Path, ending: str, sound_rate: int) -> None:
    codecs = ("libx264", "pcm_s16le")
    source = flash_and_beep(tmp_path / "in.mkv", sound_rate=sound_rate, codecs=codecs)
    target = pass_on(source, tmp_path / f"out{ending}")
    assert beeps(target) == pytest.approx(FLASHES_S, abs=0.040)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_sound_that_is_lost_is_a_gap_and_the_rest_stays_in_step(
    tmp_path: Path, ending: str
) -> None:
    source = flash_and_beep(tmp_path / "in.mkv")
    target = pass_on(source, tmp_path / f"out{ending}", lost_s=(1.0, 1.6))
    assert flashes(target) == pytest.approx(FLASHES_S, abs=0.002)
    assert beeps(target) == pytest.approx([FLASHES_S[0], FLASHES_S[2]], abs=0.040)


def test_sound_from_before_the_first_picture_is_kept(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "in.mkv", from_s=1.0)
    target = pass_on(source, tmp_path / "out.mp4")
    assert flashes(target) == pytest.approx(FLASHES_S[1:], abs=0.002)
    assert beeps(target) == pytest.approx(FLASHES_S, abs=0.040)


def test_damaged_sound_does_not_end_the_picture(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", [plain()] * 60, sound=tone(2.0))
    content = bytearray(source.read_bytes())
    random = np.random.default_rng(0)
    with VideoReader(source) as reader:
        packets = [bytes(item) for item in reader if not isinstance(item, PatientFrame)]
    for packet in packets[20:60]:
        at = content.index(packet)
        content[at : at + len(packet)] = random.bytes(len(packet))
    source.write_bytes(content)
    with pytest.raises(av.error.FFmpegError):
        beeps(source)
    assert len(shown(pass_on(source, tmp_path / "out.mp4"))) == 60
