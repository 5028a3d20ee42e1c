"""What is said of timed trackers, and that they are kept to one core."""

import os
from pathlib import Path

import pytest

from digitalmask.bench import track
from digitalmask.bench.one_core import one_core
from digitalmask.bench.track import measure, summary
from digitalmask.errors import AssetError, MediaError


def hush(_line: str) -> None:
    """Take no notice."""


def test_frames_without_a_face_count_as_time_and_are_counted() -> None:
    figures = summary("a_", [50.0] * 10 + [2.0] * 60 + [-4.0] * 40)
    assert figures == {"a_ms_p50": 2.0, "a_ms_p95": 4.0, "a_missed": 40}


def test_a_short_film_is_counted_whole() -> None:
    assert summary("", [3.0, -3.0])["missed"] == 1


def test_a_measurement_keeps_to_one_core_and_gives_the_others_back() -> None:
    before = os.sched_getaffinity(0)
    with one_core():
        assert os.sched_getaffinity(0) == {max(before)}
    assert os.sched_getaffinity(0) == before
    with pytest.raises(MediaError), one_core():
        raise MediaError("broken off")
    assert os.sched_getaffinity(0) == before


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="there is no file"):
        measure(tmp_path / "no.mp4", hush, 10)


def test_a_worker_that_cannot_start_is_told_in_one_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2; echo no module >&2; exit 3\n")
    python.chmod(0o755)
    with (
        pytest.raises(Exception, match="MediaPipe's facemesh ended: no module") as told,
        track._Worker(python, "facemesh", tmp_path),
    ):
        pass
    assert "\n" not in str(told.value)
    assert not isinstance(told.value, AssetError)
