"""A scenario becomes a video with its truth beside it."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.simulation.recording import Setting, Vp8Line, play, record
from digitalmask.simulation.scenarios import find_scenario

SIZE = (320, 240)


@pytest.mark.gl
def test_a_recording_has_as_many_frames_as_its_truth_has_lines(tmp_path: Path) -> None:
    target = tmp_path / "one.mp4"
    frames, truth = record(find_scenario("quiet"), Setting(size=SIZE, rate=25), target, 0.4)
    with av.open(target) as container:
        times = [frame.time for frame in container.decode(video=0)]
    with truth.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert truth == tmp_path / "one.csv"
    assert frames == len(rows) == len(times) == 10
    assert [float(row["time_s"]) for row in rows] == pytest.approx(times, abs=1e-4)


@pytest.mark.gl
def test_skin_tone_and_lighting_change_the_picture_and_not_the_truth() -> None:
    scenario = find_scenario("quiet")
    shots = [
        next(play(scenario, Setting(skin=skin, lighting=lighting, size=SIZE)))
        for skin, lighting in (("light", "window"), ("dark", "window"), ("light", "lamp"))
    ]
    light, dark, lamp = (shot.rgb[100:140, 140:180].mean(axis=(0, 1)) for shot in shots)
    assert light.mean() > dark.mean() + 20
    assert light[2] - light[0] > lamp[2] - lamp[0] + 5  # a lamp is warmer
    assert all(shot.truth.right == shots[0].truth.right for shot in shots)


def test_vp8_at_few_bits_hands_every_frame_on_and_costs_detail() -> None:
    line = Vp8Line((320, 240), 30, 100)
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (30, 40, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    arrived = [line.send(np.roll(picture, 3 * number, axis=1)) for number in range(12)]
    lost = np.abs(arrived[-1].astype(float) - np.roll(picture, 33, axis=1))
    assert all(frame.shape == picture.shape for frame in arrived)
    assert 1 < lost.mean() < 60


def test_an_ending_that_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.mp4"):
        record(find_scenario("quiet"), Setting(), tmp_path / "one.avi")
