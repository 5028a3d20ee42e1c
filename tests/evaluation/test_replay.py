"""The replayed mask does what the judge saw, as far as it takes to be seen."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.evaluation.measures import FaceTrack
from digitalmask.evaluation.replay import replay
from digitalmask.mask_state import neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.pipeline import Sighting, Tracking
from tests.evaluation.faces import OPENING, face

pytestmark = pytest.mark.gl

SIZE = (640, 480)
SIGHTING = Sighting(
    FrameClock(0.0, 0, Fraction(1, 90000)), SIZE, Tracking.FOLLOWING, neutral_state()
)
XS = (-0.1, -0.05, 0.0, 0.05, 0.1)


def pupil(rgb: NDArray[np.uint8], side: str) -> NDArray[np.float64]:
    """(x, y) of an eye's darkest place in the picture; the left eye is on its right."""
    half = np.s_[120:240, 320:480] if side == "left" else np.s_[120:240, 160:320]
    dark = rgb[half].sum(axis=2).astype(np.float64)
    rows, columns = np.nonzero(dark <= np.quantile(dark, 0.003))
    return np.array([columns.mean(), rows.mean()])


def replayed(tracks: list[FaceTrack | None], share: float = 1.0) -> list[NDArray[np.uint8]]:
    """The pictures of the last round, the judge having seen `share` of the way across."""
    pictures: list[NDArray[np.uint8]] = []
    faces = [track for track in tracks if track is not None]

    def judge(rgb: NDArray[np.uint8]) -> FaceTrack | None:
        x = XS[len(pictures) % len(faces)]
        pictures.append(rgb)
        return face(left_x=share * x, right_x=share * x)

    found = replay([SIGHTING] * len(tracks), tracks, judge)
    assert [one is None for one in found] == [track is None for track in tracks]
    return pictures[len(faces) :]


def test_each_eye_looks_where_it_was_seen_to() -> None:
    pictures = replayed([face(left_x=x) for x in XS])
    left = np.array([pupil(rgb, "left")[0] for rgb in pictures])
    right = np.array([pupil(rgb, "right")[0] for rgb in pictures])
    # A palpebral fissure is 60 px wide at this size.
    np.testing.assert_allclose(left - left[2], 60.0 * np.array(XS), atol=1.0)
    np.testing.assert_allclose(right, right[2], atol=1.0)


def test_what_is_seen_in_part_is_drawn_the_farther() -> None:
    tracks: list[FaceTrack | None] = [face(left_x=x, right_x=x) for x in XS]
    ways = []
    for share in (1.0, 0.5):
        pictures = replayed([*tracks, None], share)
        ways.append(np.ptp([pupil(rgb, "right")[0] for rgb in pictures]))
    assert ways[1] == pytest.approx(2.0 * ways[0], rel=0.1)


def test_lids_open_as_far_as_they_were_seen_open() -> None:
    def white(rgb: NDArray[np.uint8]) -> int:
        return int((rgb[120:240, 320:480].min(axis=2) > 190).sum())

    half, wide = replayed(
        [face(left_opening=share * OPENING, right_opening=OPENING) for share in (0.5, 1.2)]
    )
    assert white(half) < 0.7 * white(wide)


def test_without_a_face_nothing_is_drawn() -> None:
    def judge(rgb: NDArray[np.uint8]) -> FaceTrack | None:
        raise AssertionError(f"{rgb.shape} was drawn")

    assert replay([replace(SIGHTING, state=None)], [face()], judge) == [None]
    assert replay([SIGHTING], [None], judge) == [None]
