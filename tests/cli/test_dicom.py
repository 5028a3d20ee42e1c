"""`digitalmask dicom`: an object that others' tools take for good, the video in it untouched."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from digitalmask.cli import main
from tests.media.test_fragmented_mp4 import recording

LABELS = (
    "--patient-name=Doe^Zoë", "--patient-id=A-17", "--birth-date=1980-12-31", "--sex=F",
    "--study-date=2026-01-02", "--study-uid=1.2.3.4", "--accession-number=R7",
)  # fmt: skip


def run(*arguments: object) -> int:
    return main(["dicom", *map(str, arguments)])


def peer(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A tool that others wrote."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (scripts/setup --dev)")
    return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True)


def odd(video: Path) -> Path:
    """The same video with an odd number of bytes."""
    if video.stat().st_size % 2 == 0:
        with video.open("ab") as file:
            file.write((9).to_bytes(4, "big") + b"free\0")
    return video


def other_video(path: Path, codec: str, **options: str) -> Path:
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=30, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(3):
            picture = np.full((120, 160, 3), 60 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("labels", [(), LABELS], ids=["anonymous", "labelled"])
def test_independent_tools_find_nothing_wrong(tmp_path: Path, labels: tuple[str, ...]) -> None:
    video, target = recording(tmp_path / "video.mp4"), tmp_path / "video.dcm"
    assert run(video, target, *labels) == 0
    checked = peer("dciodvfy", target)
    assert checked.returncode == 0
    assert "Error" not in checked.stderr + checked.stdout
    assert "VideoPhotographicImage" in checked.stderr + checked.stdout
    assert "yes" in peer("dcmftest", target).stdout


@pytest.mark.parametrize(
    "make", [recording, lambda path: odd(recording(path))], ids=["even", "odd"]
)
def test_the_video_that_comes_out_is_the_one_that_went_in(tmp_path: Path, make: type[Path]) -> None:
    video, target = make(tmp_path / "video.mp4"), tmp_path / "video.dcm"
    assert run(video, target) == 0
    went_in = video.read_bytes()
    padded = went_in + b"\0" * (len(went_in) % 2)  # DICOM knows even lengths alone
    read = pydicom.dcmread(target)
    assert list(generate_frames(read.PixelData, number_of_frames=1)) == [padded]
    assert peer("dcmdump", "+W", tmp_path, target).returncode == 0
    assert (tmp_path / "video.dcm.1.raw").read_bytes() == padded


def test_the_object_says_what_is_in_it_and_what_it_was_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, target = recording(tmp_path / "video.mp4"), tmp_path / "video.dcm"
    assert run(video, target, *LABELS, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    read = pydicom.dcmread(target)
    assert said["sop_instance_uid"] == read.SOPInstanceUID
    assert said["transfer_syntax_uid"] == read.file_meta.TransferSyntaxUID
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.MPEG4HP41
    assert (read.Columns, read.Rows, read.NumberOfFrames) == (160, 120, 45)
    assert float(read.FrameTime) == pytest.approx(1000 / 30, rel=0.05)
    assert read.MultiplexedAudioChannelsDescriptionCodeSequence[0].ChannelMode == "MONO"
    assert (read.PatientName, read.PatientID, read.PatientSex) == ("Doe^Zoë", "A-17", "F")
    assert (read.PatientBirthDate, read.StudyDate) == ("19801231", "20260102")
    assert (read.StudyInstanceUID, read.AccessionNumber) == ("1.2.3.4", "R7")


def test_two_objects_have_two_names_and_tell_nothing_of_a_person(tmp_path: Path) -> None:
    video = recording(tmp_path / "Jane Doe.mp4")
    for name in ("one.dcm", "two.dcm"):
        assert run(video, tmp_path / name) == 0
    one, two = (pydicom.dcmread(tmp_path / name) for name in ("one.dcm", "two.dcm"))
    for uid in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert one[uid].value != two[uid].value
    for label in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"):
        assert not one[label].value
    assert b"Jane" not in (tmp_path / "one.dcm").read_bytes()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path, "cannot read"),
        (lambda path: path.write_bytes(b"nonsense" * 99) and path, "cannot read"),
        (lambda path: other_video(path.with_suffix(".mkv"), "libx264"), "no MP4"),
        (lambda path: other_video(path, "libx264", profile="baseline"), "not H.264 High"),
        (lambda path: other_video(path, "mpeg4"), "not H.264 High"),
        (lambda path: other_video(path, "libx264", profile="high", level="5.1"), "level 5.1"),
    ],
    ids=["missing", "garbage", "matroska", "baseline", "mpeg-4 part 2", "level 5.1"],
)
def test_what_has_no_place_in_dicom_is_refused_in_one_line(
    tmp_path: Path, make: type[Path], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "video.dcm"
    assert run(make(tmp_path / "video.mp4"), target) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not target.exists()


def test_a_file_that_exists_is_replaced_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, target = recording(tmp_path / "video.mp4"), tmp_path / "video.dcm"
    target.write_text("mine")
    assert run(video, target) == 1
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert run(video, target, "--force") == 0
    assert run(video, video, "--force") == 1


@pytest.mark.parametrize(
    "label",
    ["--birth-date=1980", "--study-uid=1.02", "--patient-name=a\\b", "--patient-id=" + "x" * 65],
)
def test_a_label_that_dicom_has_no_room_for_is_wrong_usage(tmp_path: Path, label: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "video.mp4", tmp_path / "video.dcm", label)
    assert stopped.value.code == 2
