"""A video file is read frame by frame, and what is wrong with it is said."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from tests.media.videos import (
    cut,
    noise,
    plain,
    quarters,
    seen_quarters,
    tone,
    turn,
    write_video,
)

UNEVEN_S = [0.0, 0.033, 0.1, 0.15, 0.4, 0.41, 0.9, 1.0]
FASTSTART = {"movflags": "faststart"}


def frames_of(path: Path) -> list[PatientFrame]:
    with VideoReader(path) as reader:
        return [item for item in reader if isinstance(item, PatientFrame)]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_each_frame_has_the_moment_at_which_it_was_shown(tmp_path: Path, ending: str) -> None:
    file = write_video(tmp_path / f"uneven{ending}", [plain()] * len(UNEVEN_S), UNEVEN_S)
    clocks = [frame.clock for frame in frames_of(file)]
    assert [clock.captured_at_s for clock in clocks] == pytest.approx(UNEVEN_S, abs=6e-4)
    assert [float(clock.pts * clock.time_base) for clock in clocks] == [
        clock.captured_at_s for clock in clocks
    ]


def test_stamps_are_those_of_the_decoder(tmp_path: Path) -> None:
    file = write_video(tmp_path / "uneven.mkv", [plain()] * len(UNEVEN_S), UNEVEN_S)
    with av.open(str(file)) as source:
        stamps: list[object] = [(frame.pts, frame.time_base) for frame in source.decode(video=0)]
    assert [(frame.clock.pts, frame.clock.time_base) for frame in frames_of(file)] == stamps


def test_frames_without_stamps_are_evenly_spaced(tmp_path: Path) -> None:
    file = write_video(tmp_path / "bare.h264", [plain()] * 25)
    stamps = [frame.clock.captured_at_s for frame in frames_of(file)]
    assert len(stamps) == 25
    assert np.diff(stamps) == pytest.approx(1 / 25)  # a bare stream says no rate


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), "RGBW"),
        ((0, 1, -1, 0), "BRWG"),
        ((-1, 0, 0, -1), "WBGR"),
        ((0, -1, 1, 0), "GWRB"),
        ((-1, 0, 0, 1), "GRWB"),
        ((1, 0, 0, -1), "BWRG"),
        ((0, 1, 1, 0), "RBGW"),
        ((0, -1, -1, 0), "WGBR"),
    ],
    ids=[
        "as it is", "turned right", "upside down", "turned left",
        "mirrored", "mirrored upside down", "mirrored turned left", "mirrored turned right",
    ],
)  # fmt: skip
def test_the_display_matrix_is_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], upright: str
) -> None:
    file = write_video(tmp_path / "turned.mp4", [quarters()] * 3)
    turn(file, matrix)
    frame = frames_of(file)[0]
    assert seen_quarters(frame.rgb) == upright
    assert (frame.width, frame.height) == ((160, 120) if matrix[0] else (120, 160))


@pytest.mark.parametrize("size", [(161, 121), (33, 47), (426, 239)])
def test_odd_sizes_are_read_as_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    file = write_video(
        tmp_path / "odd.mkv", [quarters(size)] * 3, codecs=("ffv1", "aac"), pix_fmt="bgr0"
    )
    frame = frames_of(file)[-1]
    assert (frame.width, frame.height) == size
    wrong = np.abs(frame.rgb.astype(int) - quarters(size)).max(axis=2) > 1
    # Colours are known at half the size: they mix where quarters meet.
    wrong[size[1] // 2 - 1 : size[1] // 2 + 1] = False
    wrong[:, size[0] // 2 - 1 : size[0] // 2 + 1] = False
    assert not wrong.any()


def test_sound_comes_between_the_frames(tmp_path: Path) -> None:
    file = write_video(tmp_path / "spoken.mp4", [plain()] * 60, sound=tone(2.0))
    with VideoReader(file) as reader:
        kinds = ["picture" if isinstance(item, PatientFrame) else "sound" for item in reader]
    assert kinds.count("picture") == 60
    half = kinds[: len(kinds) // 2]
    assert half.count("sound") == pytest.approx(kinds.count("sound") / 2, rel=0.3)


def test_length_and_rate_are_known_beforehand(tmp_path: Path) -> None:
    for name in ("even.mp4", "even.mkv"):
        with VideoReader(write_video(tmp_path / name, [plain()] * 40, rate=20)) as reader:
            assert reader.rate == 20
            assert reader.frame_count == 40


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_of_a_file_that_was_cut_off_the_beginning_is_read(tmp_path: Path, ending: str) -> None:
    pictures = [noise(seed) for seed in range(60)]
    options = FASTSTART if ending == ".mp4" else None
    file = write_video(tmp_path / f"cut{ending}", pictures, sound=tone(2.0), options=options)
    cut(file, 0.5)
    with VideoReader(file) as reader:
        frames = [item for item in reader if isinstance(item, PatientFrame)]
        assert 15 < len(frames) < 45
        assert reader.stopped_at_s == frames[-1].clock.captured_at_s
        assert reader.stopped_because


def test_of_a_file_with_a_hole_the_beginning_is_read(tmp_path: Path) -> None:
    file = write_video(tmp_path / "hole.mp4", [noise(seed) for seed in range(60)])
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    file.write_bytes(content)
    with VideoReader(file) as reader:
        frames = [item for item in reader if isinstance(item, PatientFrame)]
        assert 15 < len(frames) < 45
        assert reader.stopped_at_s == frames[-1].clock.captured_at_s
        assert reader.stopped_because == "Invalid data found when processing input"


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("sound_s", [0.0, 0.5, 4.0], ids=["silent", "shorter", "longer"])
def test_a_whole_file_is_not_called_damaged(tmp_path: Path, ending: str, sound_s: float) -> None:
    sound = tone(sound_s) if sound_s else None
    file = write_video(tmp_path / f"whole{ending}", [plain()] * 60, sound=sound)
    with VideoReader(file) as reader:
        assert len([item for item in reader if isinstance(item, PatientFrame)]) == 60
        assert reader.stopped_at_s is None


def test_a_last_picture_that_stays_is_no_damage(tmp_path: Path) -> None:
    file = write_video(tmp_path / "slow.mp4", [plain()] * 5, UNEVEN_S[:5], rate=Fraction(1, 10))
    with VideoReader(file) as reader:
        assert len(list(reader)) == 5
        assert reader.stopped_at_s is None


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.mp4", b"not a video"), ("empty.mp4", b""), ("noise.mkv", bytes(noise(0)))],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=name) as refusal:
        VideoReader(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_folder_a_missing_file_and_a_sound_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="Is a directory"):
        VideoReader(tmp_path)
    with pytest.raises(MediaError, match="there is no file"):
        VideoReader(tmp_path / "missing.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as target:
        audio = target.add_stream("pcm_s16le", rate=8000)
        assert isinstance(audio, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(tone(0.1, 8000)[None], format="s16", layout="mono")
        frame.sample_rate = 8000
        target.mux(audio.encode(frame))
    with pytest.raises(MediaError, match="no video in it"):
        VideoReader(tmp_path / "sound.wav")


def test_an_mp4_without_its_index_is_refused_in_one_line(tmp_path: Path) -> None:
    file = cut(write_video(tmp_path / "cut.mp4", [noise(seed) for seed in range(10)]), 0.5)
    with pytest.raises(MediaError, match="cannot be read as a video") as refusal:
        VideoReader(file)
    assert "\n" not in str(refusal.value)


def test_pictures_too_small_for_any_face_are_refused(tmp_path: Path) -> None:
    file = write_video(tmp_path / "tiny.mp4", [plain(size=(16, 16))] * 3)
    with pytest.raises(MediaError, match="16x16"):
        frames_of(file)
