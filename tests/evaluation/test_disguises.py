"""The ways of today do what their names say."""

import numpy as np
import pytest

from digitalmask.evaluation.disguises import DISGUISES, blurred, eyes_barred, eyes_only, pixelated

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (200, 240, 3), np.uint8)


@pytest.fixture
def points() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A face of 120 pixels whose eyes' outer corners lie at (80, 90) and (160, 90)."""
    found = np.tile([120.0, 110.0], (478, 1))
    found[33], found[263] = (80, 90), (160, 90)
    found[234], found[454] = (60, 110), (180, 110)
    return found


def test_nothing_finer_than_the_blur_is_left(points: np.ndarray) -> None:
    assert blurred(PICTURE, points).std() < 0.1 * PICTURE.std()


def test_squares_are_a_twelfth_of_the_face(points: np.ndarray) -> None:
    squares = pixelated(PICTURE, points)
    assert (squares == squares[::10, ::10].repeat(10, 0).repeat(10, 1)).all()
    assert (squares[::10, ::10].std(axis=(0, 1)) > 3).all()


def test_a_bar_covers_the_eyes_and_a_strip_shows_nothing_else(points: np.ndarray) -> None:
    bar, strip = eyes_barred(PICTURE, points), eyes_only(PICTURE, points)
    assert (bar[85:95, 70:170] == 0).all()
    assert (strip[85:95, 70:170] == PICTURE[85:95, 70:170]).all()
    for away in (np.s_[:40], np.s_[140:]):
        assert (bar[away] == PICTURE[away]).all()
        assert (strip[away] == 128).all()


def test_the_strip_turns_with_the_face(points: np.ndarray) -> None:
    points[33], points[263] = (120, 50), (120, 130)
    assert (eyes_barred(PICTURE, points)[50:130, 115:125] == 0).all()


@pytest.mark.parametrize("name", list(DISGUISES))
def test_a_picture_is_not_changed_in_place(name: str, points: np.ndarray) -> None:
    before = PICTURE.copy()
    DISGUISES[name](PICTURE, points)
    assert (before == PICTURE).all()
