"""`digitalmask mask`: one line for what is wrong, and a file that is whole or not there."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from digitalmask.cli import main
from digitalmask.simulation import SimulatedPatient
from tests.media.videos import plain, write_video

pytestmark = [pytest.mark.gl, pytest.mark.models]


@pytest.fixture(scope="module")
def consultation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a simulated patient."""
    path = tmp_path_factory.mktemp("video") / "consultation.mp4"
    patient = SimulatedPatient()
    write_video(path, (patient.frame(number / 15, (320, 240)) for number in range(15)))
    patient.close()
    return path


def run(*arguments: object) -> int:
    return main(["mask", *map(str, arguments)])


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_video_is_masked_and_its_camera_is_not_in_it(
    consultation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "masked.mp4"
    assert run(consultation, target, "--json", "--quiet") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == said["followed_frames"] == 15
    assert said["size"] == "320x240"
    assert said["warnings"] == []
    masked, camera = pictures(target), pictures(consultation)
    assert len(masked) == len(camera)
    for mask, seen in zip(masked, camera, strict=True):
        # The wall behind the patient is warm, the mask's ground is cool.
        assert mask[:30, :30, 2].mean() > mask[:30, :30, 0].mean()
        assert seen[:30, :30, 2].mean() < seen[:30, :30, 0].mean()


def test_another_size_is_drawn_in_it(consultation: Path, tmp_path: Path) -> None:
    target = tmp_path / "masked.mkv"
    assert run(consultation, target, "--size", "160x200", "--quiet") == 0
    assert pictures(target)[0].shape == (200, 160, 3)


def test_a_video_without_a_face_gives_cards_and_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "room.mp4", tmp_path / "masked.mp4"
    write_video(source, [plain(60)] * 5)
    assert run(source, target, "--json", "--quiet") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["followed_frames"] == 0
    assert "no face was found: the result shows cards only" in captured.err
    assert len(pictures(target)) == 5


def test_a_file_that_was_cut_off_is_masked_as_far_as_it_goes(
    consultation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, source, target = tmp_path / "whole.mkv", tmp_path / "cut.mkv", tmp_path / "masked.mp4"
    frames = pictures(consultation)
    write_video(whole, frames * 4)
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert run(source, target, "--json", "--quiet") == 1
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert 0 < said["frames"] < 60
    assert said["stopped_at_s"] > 0
    assert "is damaged: it was read until" in captured.err
    assert len(pictures(target)) == said["frames"]


def test_what_is_there_is_not_replaced_unasked(
    consultation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "masked.mp4"
    target.write_bytes(b"mine")
    assert run(consultation, target, "--quiet") == 1
    assert "exists: choose another name, or add --force" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert run(consultation, consultation, "--quiet") == 1
    assert "IN and OUT are the same file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["{folder}/none.mp4", "{folder}/out.mp4"], 1, "there is no file"),
        (["{folder}/text.mp4", "{folder}/out.mp4"], 1, "cannot be read as a video"),
        (["{video}", "{folder}/out.doc"], 1, "the ending must be one of .mp4"),
        (["{video}", "{folder}/none/out.mp4"], 1, "cannot write to"),
        (["{video}", "{folder}/out.mp4", "--size", "3x3"], 2, "even numbers from 120 to 3840"),
        (["{video}", "{folder}/out.mp4", "--speed"], 2, "unrecognized arguments: --speed"),
        (["{video}", "{folder}/out.mp4", "--provider", "tpu"], 1, "unknown provider 'tpu'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str],
    status: int,
    line: str,
    consultation: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    given = [each.format(folder=tmp_path, video=consultation) for each in arguments]
    try:
        got = run(*given, "--quiet")
    except SystemExit as end:
        got = int(end.code or 0)
    captured = capsys.readouterr()
    assert got == status
    assert line in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]
