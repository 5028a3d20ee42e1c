"""`digitalmask mask` for many files and for pictures: it goes on, resumes, and sums up."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitalmask.cli import main
from digitalmask.simulation import SimulatedPatient
from tests.camera.pipewire_session import until
from tests.media.videos import plain, shown, write_video

pytestmark = [pytest.mark.gl, pytest.mark.models]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    patient = SimulatedPatient()
    drawn = [patient.frame(number / 15, (320, 240)) for number in range(15)]
    patient.close()
    return drawn


@pytest.fixture
def folder(tmp_path: Path, pictures: list[np.ndarray]) -> Path:
    """Two videos, a picture, and what is none."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    write_video(folder / "first.mp4", pictures, rate=15)
    write_video(folder / "sub" / "second.avi", pictures[:5], rate=15)
    Image.fromarray(pictures[0]).save(folder / "sub" / "still.jpg")
    (folder / "bad.mp4").write_text("no video")
    (folder / "notes.txt").write_text("no video either")
    return folder


def run(*arguments: object) -> int:
    return main(["mask", *map(str, arguments)])


def is_mask(picture: np.ndarray) -> bool:
    """The wall behind the patient is warm, the mask's ground is cool."""
    return bool(picture[:30, :30, 2].mean() > picture[:30, :30, 0].mean() + 5)


def test_a_folder_is_masked_past_a_bad_file_and_resumed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tables = tmp_path / "out", tmp_path / "tables"
    arguments = (folder, out, "--measurements", tables, "--json")
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    counts = {name: said[name] for name in ("files", "masked", "skipped", "failed", "damaged")}
    assert counts == {"files": 4, "masked": 3, "skipped": 0, "failed": 1, "damaged": 0}
    assert said["frames"] == 21
    assert said["video_seconds"] == pytest.approx(20 / 15, abs=0.05)
    assert len(said["warnings"]) == 1
    assert "bad.mp4 cannot be read as a video" in said["warnings"][0]
    assert "digitalmask: 3 masked, 1 failed; 1 s of video in" in captured.err
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["first.mp4", "sub/second.avi.mp4", "sub/still.jpg"]
    assert [is_mask(picture) for _, picture in shown(out / "first.mp4")] == [True] * 15
    assert is_mask(np.asarray(Image.open(out / "sub" / "still.jpg")))
    with (tables / "first.mp4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["followed"] for row in rows] == ["1"] * 15
    assert all(1.0 < float(row["right_mrd1_mm"]) < 6.0 for row in rows)

    (folder / "bad.mp4").unlink()
    (out / "sub" / "still.jpg").unlink()
    before = (out / "first.mp4").stat().st_mtime_ns
    assert run(*arguments, "--quiet") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["masked"], said["skipped"]) == (1, 2)
    assert (out / "first.mp4").stat().st_mtime_ns == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_is_broken_off_leaves_no_partial_result(
    tmp_path: Path, pictures: list[np.ndarray], number: signal.Signals
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_video(folder / "long.mp4", pictures * 40)
    process = subprocess.Popen(
        [sys.executable, "-m", "digitalmask", "mask", folder, out, "--quiet"],
        start_new_session=True,
    )
    until(lambda: out.exists() and any(out.iterdir()), 30.0)
    assert [path.name[:9] for path in out.iterdir()] == [".masking-"]
    os.killpg(process.pid, number)
    assert process.wait(15.0) == (130 if number == signal.SIGINT else -number)
    assert not (out / "long.mp4").exists()
    if number == signal.SIGINT:
        assert not list(out.iterdir())


def test_a_picture_is_upright_and_says_nothing_of_the_camera(
    tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    source, target = tmp_path / "turned.jpg", tmp_path / "masked.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned left, to be shown turned right
    exif[0x010F] = "A maker"
    Image.fromarray(np.ascontiguousarray(np.rot90(pictures[0]))).save(source, exif=exif)
    assert run(source, target, "--measurements", tmp_path / "table.csv") == 0
    masked = Image.open(target)
    assert masked.size == (320, 240)
    assert is_mask(np.asarray(masked))
    assert not masked.getexif()
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("0,0.0000,1,")


def test_a_picture_without_a_face_gives_the_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "room.png", tmp_path / "masked.webp"
    Image.fromarray(plain(60)).save(source)
    assert run(source, target, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["followed_frames"] == 0
    assert "no face was found" in captured.err
    assert np.asarray(Image.open(target)).mean() > 100


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["{in}/none*.mp4", "{out}"], "there is no video or picture in"),
        (["{in}/text.png", "{out}.png"], "cannot be read as a picture"),
        (["{in}/text.png", "{in}/text.png"], "IN and OUT are the same file"),
        (["{in}", "{in}/text.png"], "is no folder: many files need one"),
        (["{in}", "{out}", "--jobs", "-1"], "--jobs is from 1 to 64"),
        (["{in}", "{out}", "--provider", "tpu"], "unknown provider 'tpu'"),
        (["{in}/text.png", "{out}.gif"], "cannot be read as a picture"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.png").write_text("no picture")
    paths = {"in": tmp_path / "in", "out": tmp_path / "out"}
    assert run(*(each.format(**paths) for each in arguments)) == 1
    captured = capsys.readouterr()
    assert line in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "text.png"]
