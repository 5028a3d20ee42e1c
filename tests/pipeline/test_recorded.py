"""What is masked beside each other is what is masked in turn; a fault is one frame's own."""

import csv
from pathlib import Path

import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.pipeline import make_masker
from digitalmask.pipeline.recorded import mask_video
from digitalmask.simulation import SimulatedPatient
from tests.media.videos import beeps, flash_and_beep, flashes, plain, shown, shows_key, write_video
from tests.pipeline.doubles import KEY, Stages, fails


@pytest.mark.gl
@pytest.mark.models
def test_the_mask_is_the_same_as_frame_by_frame(tmp_path: Path) -> None:
    source, table = tmp_path / "in.mp4", tmp_path / "out.csv"
    patient = SimulatedPatient()
    write_video(source, [patient.frame(number / 15, (320, 240)) for number in range(8)], rate=15)
    patient.close()
    result = mask_video(source, tmp_path / "out.mkv", make_masker("cpu"), measurements=table)
    assert result.frames == result.followed == 8
    assert result.seconds == pytest.approx(8 / 15, abs=0.01)
    masker = make_masker("cpu")()
    with VideoReader(source) as reader:
        frames = [item for item in reader if isinstance(item, PatientFrame)]
    masks = [masker.draw(sighting) for sighting in map(masker.follow, frames)]
    masker.close()
    for mask, (_, written) in zip(masks, shown(tmp_path / "out.mkv"), strict=True):
        assert np.abs(mask.rgb.astype(int) - written).mean() < 3
    with table.open(newline="") as file:
        assert [row["followed"] for row in csv.DictReader(file)] == ["1"] * 8


def test_sound_stays_in_step_with_what_is_followed_ahead(tmp_path: Path) -> None:
    source, target = flash_and_beep(tmp_path / "in.mkv"), tmp_path / "out.mp4"
    mask_video(source, target, Stages().masker)
    assert len(shown(target)) == len(shown(source))
    assert flashes(target) == []  # the double's mask has one colour
    assert beeps(target) == pytest.approx(beeps(source), abs=0.040)


@pytest.mark.parametrize("stage", ["track", "draw"])
def test_a_stage_that_fails_gives_cards_and_no_camera(tmp_path: Path, stage: str) -> None:
    picture = np.full((120, 160, 3), KEY, np.uint8)
    source, target = write_video(tmp_path / "in.mp4", [picture] * 6), tmp_path / "out.mp4"
    result = mask_video(source, target, Stages(before={stage: fails}).masker)
    assert (result.frames, result.followed) == (6, 0)
    assert not any(shows_key(picture) for _, picture in shown(target))


def test_a_result_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", [plain()] * 3)
    with pytest.raises(MediaError, match="the ending must be one of"):
        mask_video(source, tmp_path / "out.gif", Stages().masker)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
