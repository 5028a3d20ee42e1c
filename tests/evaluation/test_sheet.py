"""A sheet shows ten telling instants, the original above its mask."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitalmask.errors import MediaError
from digitalmask.evaluation.measures import FaceTrack, read_face
from digitalmask.evaluation.sheet import (
    INSTANTS,
    Column,
    choose,
    columns_of,
    draw_sheet,
    write_sheets,
)
from digitalmask.evaluation.video import Moment
from digitalmask.media.frame_clock import FrameClock
from digitalmask.pipeline import Sighting, Tracking
from tests.evaluation.faces import OPENING, face

SIZE = (400, 300)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def plain(colour: tuple[int, int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)


def columns(tracks: list[FaceTrack | None]) -> list[Column]:
    return [
        Column(number / 30, False, None if track is None else read_face(track), (b"",) * 4)
        for number, track in enumerate(tracks)
    ]


def test_the_instants_that_tell_most_are_chosen() -> None:
    tracks: list[FaceTrack | None] = [face() for _ in range(150)]
    tracks[20] = face(left_x=0.2, right_x=0.2)
    tracks[40] = face(left_x=-0.2, right_x=-0.2)
    tracks[60] = face(left_opening=0.0, right_opening=0.0, left_x=3.0)
    tracks[80] = face(mouth=0.5)
    tracks[100] = face(yaw_deg=30)
    tracks[120] = face(left_x=-0.1, right_x=0.1)
    tracks[140] = face(left_opening=0.6 * OPENING)
    chosen = dict(choose(columns(tracks)))
    assert len(chosen) == INSTANTS
    assert chosen[20] == "eyes to patient's left"
    assert chosen[40] == "eyes to patient's right"
    assert chosen[60] == "eyes closed"
    assert chosen[80] == "mouth open"
    assert chosen[100] == "head to patient's left"
    assert chosen[120] == "eyes crossed most"
    assert chosen[140] == "lids unlike"
    assert min(np.diff(sorted(chosen))) >= 6


@pytest.mark.parametrize("count", [1, 4, 12, 40])
def test_a_short_video_gives_as_many_instants_as_it_has(count: int) -> None:
    chosen = [index for index, _ in choose(columns([None] * count))]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, INSTANTS)


def test_the_original_stands_above_the_mask_and_a_card_is_called_so() -> None:
    nothing = Sighting(FrameClock(0.0, 0, Fraction(1, 90000)), SIZE, Tracking.WAITING)
    moments = [
        Moment(at_s, nothing, False, face(), face(), None, None, None, plain(RED), plain(BLUE))
        for at_s in np.arange(100) / 30
    ]
    sheet = draw_sheet("a.mp4", columns_of(moments)).astype(int)
    colours = [
        row for row in sheet[:, 150] if abs(row - RED).max() < 12 or abs(row - BLUE).max() < 12
    ]
    order = ["red" if row[0] > row[2] else "blue" for row in colours]
    assert order.index("blue") == 330
    one = ["red"] * 330 + ["blue"] * 330 + ["red"] * 100 + ["blue"] * 100
    assert order == 2 * one  # ten instants, five a row


def test_several_sheets_have_a_file_each(tmp_path: Path) -> None:
    sheets = [(name, plain(RED)) for name in ("a", "b", "a")]
    paths = write_sheets(sheets, tmp_path / "out.png")
    assert [path.name for path in paths] == ["out-a.png", "out-b.png", "out-a-3.png"]
    one = write_sheets(sheets[:1], tmp_path / "out.png")
    assert one == [tmp_path / "out.png"]
    read = cv2.imread(str(one[0]))
    assert read is not None
    assert read[0, 0].tolist() == [30, 30, 200]  # OpenCV reads BGR
    with pytest.raises(MediaError, match="cannot write"):
        write_sheets(sheets, tmp_path / "missing" / "out.png")
