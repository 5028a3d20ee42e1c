"""Whole evaluations of small galleries, and what is attacked of a picture and of a recording."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.cli import main
from digitalmask.errors import ConfigurationError, MediaError
from digitalmask.evaluation import disguises, privacy
from digitalmask.evaluation.galleries import read_galleries
from digitalmask.evaluation.recognisers import Recogniser, aligned
from digitalmask.evaluation.sessions import MASK, ORIGINAL, SessionReader
from digitalmask.simulation import SimulatedPatient
from digitalmask.tracking import load_networks
from tests.media.videos import write_video

pytestmark = [pytest.mark.gl, pytest.mark.models]


@dataclass
class Colours:
    """Knows people by the colours of their faces."""

    asked: int = 0
    name: str = "colours"
    looked_at: list[NDArray[np.uint8]] = field(default_factory=list)

    def embed(self, rgb: NDArray[np.uint8], points: NDArray[Any]) -> NDArray[Any]:
        self.asked += 1
        face = aligned(rgb, points, 32, 1.0).astype(np.float64)
        self.looked_at.append(rgb)
        colours = cv2.resize(face, (4, 4), interpolation=cv2.INTER_AREA).ravel() - 128
        return np.asarray(colours / np.linalg.norm(colours))

    def recogniser(self) -> Recogniser:
        return Recogniser(self.name, self.embed)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated patients: two pictures of two of them, a video of each of the first two."""
    folder = tmp_path_factory.mktemp("people")
    for number in range(3):
        mine = folder / f"patient{number}"
        mine.mkdir()
        patient = SimulatedPatient(number)
        for moment in (0.2, 6.6):
            rgb = patient.frame(moment, (320, 240))
            cv2.imwrite(str(mine / f"at{moment}.png"), rgb[..., ::-1])
        if number < 2:
            frames = [patient.frame(6 + place / 10, (320, 240)) for place in range(20)]
            write_video(mine / "talk.mp4", frames, rate=10, options={})
        patient.close()
    return folder


def test_people_are_found_in_their_pictures_and_the_figures_are_whole(
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    colours = Colours()
    monkeypatch.setattr(privacy, "load_recognisers", lambda _: (colours.recogniser(),))
    kept = tmp_path / "kept"
    asked = ["evaluate", "privacy", str(people), "--conditions", "eyebar", "--keep", str(kept)]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["sessions"], found["unseen"]) == (3, 8, 0)
    assert (found["people_with_several_sessions"], found["people_with_a_recording"]) == (3, 2)
    recognised = found["recognisers"]["colours"]
    assert list(recognised) == [
        "original", "eyebar", "mask", "mask_vs_mask", "mask_vs_mask_same_session",
    ]  # fmt: skip
    assert recognised["original"]["rank1"] == 1.0
    for figures in (*recognised.values(), *found["numbers_same_session"].values()):
        if figures:
            assert {"rank1", "rank1_ci", "rank5", "auc", "auc_ci", "eer", "tar"} <= set(figures)
            assert figures["rank1_ci"][0] <= figures["rank1"] <= figures["rank1_ci"][1]
    assert recognised["mask_vs_mask"]["probes"] == 8
    assert recognised["mask_vs_mask_same_session"]["probes"] == 4
    assert set(found["trained"]) == {"colours", "together"}
    assert {"pose", "gaze", "lids", "pupils", "rest", "brows", "mouth", "blinks", "all"} <= set(
        found["numbers"]
    )
    assert found["found"]["mask"] == 1.0
    # What was kept is numbers, a few thousand bytes a file, and the next run asks nobody.
    assert len(list(kept.iterdir())) == 8
    assert max(path.stat().st_size for path in kept.iterdir()) < 20_000
    before = colours.asked
    assert main([*asked, "--json"]) == 0
    assert colours.asked == before
    assert json.loads(capsys.readouterr().out) == found
    assert main(asked) == 0
    assert "recognisers colours mask_vs_mask" in capsys.readouterr().out


def test_a_recording_is_attacked_in_both_halves_and_a_picture_once(people: Path) -> None:
    colours = Colours()
    with SessionReader(
        load_networks("cpu"), [colours.recogniser()], print, [ORIGINAL, MASK]
    ) as reader:
        video = reader.read(people / "patient0" / "talk.mp4")
        picture = reader.read(people / "patient0" / "at0.2.png")
        grey = people / "grey.png"
        cv2.imwrite(str(grey), np.full((240, 320, 3), 128, np.uint8))
        assert reader.read(grey) is None
        grey.write_bytes(b"no picture")
        with pytest.raises(MediaError, match="cannot be read as a picture"):
            reader.read(grey)
        grey.unlink()
    assert video is not None
    assert picture is not None
    halves = video.half.tolist()
    assert halves == sorted(halves)
    assert halves.count(0) == 2
    assert halves.count(1) >= 1
    assert picture.half.tolist() == [0]
    for session in (video, picture):
        originals, masks = (session.answers[name, "colours"] for name in (ORIGINAL, MASK))
        assert originals.shape == masks.shape == (len(session.half), 48)
        assert session.found[MASK].all()
        # All masks have one colour, whoever is behind them.
        assert np.abs(masks - masks[0]).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no folder nowhere"),
        ([".", "--conditions", "mask,moustache"], "there is no condition 'moustache'"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "privacy", *arguments]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_place_that_cannot_hold_answers_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write to"):
        SessionReader(load_networks("cpu"), [], print, [], tmp_path / "file" / "in")


def test_deface_hides_a_photographed_face(test_data: Path) -> None:
    if not disguises.environment_dir().is_dir():
        pytest.skip("deface's environment is not there (`digitalmask evaluate privacy` makes it)")
    person = read_galleries([test_data / "people" / "lfw10"])[0].people[0]
    bgr = cv2.imread(str(person.files[0]))
    assert bgr is not None
    rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
    with disguises.Deface(print) as deface:
        hidden, faces = deface.hide(rgb)
        nothing, none = deface.hide(np.full_like(rgb, 128))
    assert faces > 0
    height, width = rgb.shape[:2]
    middle = np.s_[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    assert cv2.Laplacian(hidden[middle], cv2.CV_64F).std() < 0.3 * (
        cv2.Laplacian(rgb[middle], cv2.CV_64F).std()
    )
    assert (hidden == rgb).all(axis=-1).mean() > 0.1
    assert none == 0
    assert (nothing == 128).all()
