"""Frames are told by their stamps alone, and recovery is read off latencies."""

import random
from pathlib import Path

import pytest

from digitalmask.bench.camera import read_video
from digitalmask.bench.packet_times import PacketTimes
from digitalmask.bench.recovery import recovery
from digitalmask.bench.stamps import match_stamps
from digitalmask.errors import MediaError


def test_stamps_are_matched_across_an_unknown_offset_with_frames_missing() -> None:
    jitter = random.Random(3)
    captured = {number * 3000 + jitter.randrange(90): number / 30 for number in range(200)}
    decoded = {
        stamp + 123_456 + jitter.randint(-2, 2): at_s + 0.05
        for number, (stamp, at_s) in enumerate(captured.items())
        if number % 3
    }
    pairs = match_stamps(captured, decoded)
    assert len(pairs) == len(decoded)
    assert all(at_s - captured_at_s == pytest.approx(0.05) for captured_at_s, at_s in pairs)


def test_nothing_decoded_matches_nothing() -> None:
    assert match_stamps({0: 0.0}, {}) == []


def test_recovery_says_how_long_latency_stayed_high() -> None:
    fast = [(number / 30, 80.0) for number in range(150)]
    slow = [(5.0 + number / 8, 200.0) for number in range(1, 40)]
    end = slow[-1][0]
    still_late = [(end + number / 30, 300.0) for number in range(1, 16)]
    again_fast = [(end + 0.5 + number / 30, 80.0) for number in range(1, 90)]
    figures = recovery([*fast, *slow, *still_late, *again_fast])
    back_after_s = figures["back_after_s"]
    assert isinstance(back_after_s, float)
    assert 0.2 < back_after_s < 0.8
    assert figures["before_latency_ms_p50"] == 80.0
    assert figures["slow_latency_ms_max"] == 200.0


def test_a_file_that_is_no_video_gives_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("not a video")
    with pytest.raises(MediaError, match="cannot read a video"):
        read_video(file, (640, 480))


@pytest.mark.data
def test_a_portrait_video_is_cropped_to_the_measured_size(test_data: Path) -> None:
    for width, height in ((640, 480), (1280, 720)):
        frames = read_video(test_data / "video" / "s20.mp4", (width, height))
        assert frames[0].shape == (height * 3 // 2, width)


def test_packets_in_and_out_are_matched_by_frame_though_sources_and_clocks_differ() -> None:
    jitter = random.Random(5)
    times = PacketTimes()
    stamps = [number * 3000 + jitter.randrange(90) for number in range(300)]
    times.last_in_at_s = {7: {stamp: number / 30 for number, stamp in enumerate(stamps)}}
    sound = {number * 960: number / 50 for number in range(300)}
    picture = {stamp + 77_777: number / 30 + 0.02 for number, stamp in enumerate(stamps)}
    times.first_out_at_s = {8: sound, 9: picture}
    (added_ms,) = times.take_added_ms()
    assert len(added_ms) == len(stamps)
    assert added_ms == pytest.approx([20.0] * len(stamps))
    assert times.take_added_ms() == []
