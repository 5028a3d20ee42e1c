"""`digitalmask evaluate` on a simulated patient's video, and what it refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitalmask.cli import main
from digitalmask.evaluation.reference_tracker import environment_dir
from digitalmask.simulation import SimulatedPatient
from tests.media.videos import plain, shown, write_video

needs_reference = pytest.mark.skipif(
    not environment_dir().is_dir(),
    reason="MediaPipe's environment is not there (`digitalmask evaluate video` makes it)",
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 6.1 s of the conversation on: a look to either side and a blink."""
    patient = SimulatedPatient()
    pictures = [patient.frame(6.1 + number / 20, (320, 240)) for number in range(36)]
    patient.close()
    path = tmp_path_factory.mktemp("videos") / "patient.mp4"
    return write_video(path, pictures, rate=20, options={})


@needs_reference
@pytest.mark.gl
@pytest.mark.models
def test_mask_and_alternative_follow_a_simulated_patient(
    video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "video", str(video), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["videos"]["patient.mp4"]
    other = found["alternative"]
    assert other["measured_on"] == "drawing"
    for figures in (found, other):
        assert figures["frames"] == 36
        assert figures["tracked"] > 0.95
        for key in ("iris_x_left_r", "iris_x_right_r", "opening_left_r", "opening_right_r"):
            assert figures[key] > 0.8
        assert figures["blink_recall"] == 1.0
        assert 0 < figures["eye_error_pct"] < 15
    assert set(found) - {"alternative", "repeat", "replay", "face_px"} == set(other) - {
        "measured_on"
    }
    assert found["repeat"].keys() == other.keys() - {"measured_on"}
    assert found["replay"].keys() == other.keys() - {"measured_on"}
    for key in ("repeat", "replay"):
        assert found[key]["iris_x_left_r"] > 0.9


@needs_reference
@pytest.mark.data
@pytest.mark.gl
@pytest.mark.models
def test_the_mask_follows_a_real_face(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first 1.4 s of a man who looks to both sides, grins and holds his head still."""
    pictures = [picture for _, picture in shown(test_data / "video" / "d0.mp4")[:36]]
    small = [np.asarray(cv2.resize(picture, (320, 320)), np.uint8) for picture in pictures]
    path = write_video(tmp_path / "d0.mp4", small, rate=25)
    assert main(["evaluate", "video", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["videos"]["d0.mp4"]
    assert (found["frames"], found["tracked"]) == (36, 1.0)
    for key in ("iris_x_left_r", "iris_x_right_r", "mouth_r"):
        assert found[key] > 0.95
    assert found["yaw_r"] is None


@needs_reference
@pytest.mark.gl
@pytest.mark.models
def test_a_sheet_is_written_and_says_whose_face_it_shows(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "sheet.png"
    assert main(["evaluate", "sheet", str(video), str(target), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"sheets": [str(target)]}
    assert "patients' own faces" in told.err
    sheet = cv2.imread(str(target))
    assert sheet is not None
    assert min(sheet.shape[:2]) > 1000


@needs_reference
@pytest.mark.gl
@pytest.mark.models
def test_a_video_without_a_face_has_cards_and_no_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "wall.mp4", [plain() for _ in range(8)])
    assert main(["evaluate", "video", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["videos"]["wall.mp4"]
    assert (found["frames"], found["cards"]) == (8, 8)
    numbers = [value for key, value in found.items() if key.endswith("_r")]
    assert numbers == [None] * 11
    assert found["face_px"] is None


@needs_reference
@pytest.mark.models
def test_what_is_no_video_gives_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    assert main(["evaluate", "video", str(tmp_path / "notes.mp4"), "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "cannot be read as a video" in told.err.splitlines()[-1]


def test_help_says_that_a_sheet_shows_the_patient(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "sheet", "--help"])
    assert "PATIENT'S OWN FACE" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["video", "missing.mp4"], "there is no file missing.mp4"),
        (["sheet", "missing.mp4", "out.jpg"], "does not end in .png"),
        (["sheet", "missing.mp4", "nowhere/out.png"], "there is no folder nowhere"),
        (["sheet", "missing.mp4", "out.png"], "there is no file missing.mp4"),
    ],
)
def test_bad_input_gives_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert reason in told.err
    assert told.err.count("\n") == 1
