"""The limbus is found where it is drawn, also where the eyes' network is off; lids as it says."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest

from digitalmask.tracking.eye_outline import find_outlines
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE, EyeOutline, EyePoints
from tests.tracking.doubles import still

SIZE = (120, 90)
MIDDLE = np.array([60.0, 45.0])
IRIS_PX, IRIS_MM, ARM_MM = 8.0, 5.85, 10.5
_OVER = 8  # the drawing is so much larger, then averaged as a camera's pixels are

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def eye(
    pupil: tuple[float, float] = (60.0, 45.0),
    upper: float = 6.0,
    lower: float = 7.0,
    iris: tuple[int, int, int] = (70, 50, 40),
    skin: tuple[int, int, int] = (205, 155, 130),
) -> Picture:
    """An eye with corners at 40 and 80, its margins so far above and below their level."""
    picture = np.full((SIZE[1] * _OVER, SIZE[0] * _OVER, 3), skin, np.uint8)
    places = np.linspace(-1, 1, 200)
    edges = [
        np.stack([60 + 20 * places, 45 + height * (1 - places**2)], axis=1)
        for height in (-upper, lower)
    ]
    outline = np.round(np.concatenate([edges[0], edges[1][::-1]]) * _OVER).astype(np.int32)
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [outline], 1)
    ball = np.full_like(picture, (225, 222, 220))
    centre = (round(pupil[0] * _OVER), round(pupil[1] * _OVER))
    # A disc that faces where the eye looks is seen from aside.
    aside = (np.array(pupil) - MIDDLE) * IRIS_MM / IRIS_PX / ARM_MM
    narrow = float(np.sqrt(1 - aside @ aside))
    turn = float(np.degrees(np.arctan2(aside[1], aside[0])))
    axes = (round(IRIS_PX * narrow * _OVER), round(IRIS_PX * _OVER))
    cv2.ellipse(ball, centre, axes, turn, 0, 360, iris, -1)
    cv2.circle(ball, centre, round(3 * _OVER), (15, 12, 12), -1)
    picture = np.where(inside[..., None] > 0, ball, picture)
    lashes = np.round((edges[0] - [0, 0.8]) * _OVER).astype(np.int32)
    line = picture.copy()
    cv2.polylines(line, [lashes], False, (40, 30, 28), round(1.4 * _OVER))
    picture = np.asarray(cv2.addWeighted(line, 0.6, picture, 0.4, 0), np.uint8)
    soft = cv2.GaussianBlur(picture, (0, 0), 0.5 * _OVER)
    seen = cv2.resize(soft, SIZE, interpolation=cv2.INTER_AREA)
    noisy = seen + np.random.default_rng(0).normal(0, 1.5, seen.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def points(
    which: EyePoints = LEFT_EYE,
    pupil: tuple[float, float] = (60.0, 45.0),
    upper: float = 6.0,
    lower: float = 7.0,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the network would say of such an eye, on a face that looks into the camera."""
    found = np.zeros((478, 3), np.float32)
    sense = 1.0 if which is LEFT_EYE else -1.0  # the left eye's medial corner is on the left
    for numbers, height in ((which.upper, -upper), (which.lower, lower)):
        places = np.linspace(-1, 1, len(numbers) + 2)[1:-1]
        found[list(numbers), 0] = 60 + 20 * sense * places
        found[list(numbers), 1] = 45 + height * (1 - places**2)
    found[which.medial, :2] = 60 - 20 * sense, 45
    found[which.lateral, :2] = 60 + 20 * sense, 45
    found[which.iris : which.iris + 5, :2] = pupil
    found[which.ring, :2] += IRIS_PX * np.array([[1, 0], [0, -1], [-1, 0], [0, 1]], np.float32)
    found[10, :2], found[152, :2] = (60, -20), (60, 150)
    found[33, :2], found[263, :2] = (-10, 45), (130, 45)
    found[which.lateral, :2] = 60 + 20 * sense, 45
    return found


@dataclass
class SayingEyes:
    """An eyes' network that says one thing of every eye that is drawn as `eye` draws it."""

    pupil: tuple[float, float] = (60.0, 45.0)
    upper: float = 6.0
    lower: float = 7.0
    off: float = 0.1  # of half a fissure: as far as it says that this may be off

    def run(self, values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        assert values.shape == (1, 2, 56, 80, 3)
        across = np.array([-1.0, 1.0, *(np.linspace(-1, 1, 7)[1:-1].tolist() * 2), 0.0])
        down = np.concatenate([np.zeros(2), np.full(5, -self.upper), np.full(5, self.lower), [0.0]])
        places = np.stack([across, down / 20 * (1 - across**2)], axis=1)
        # The left eye is shown mirrored: its medial corner is on the right, as a right one's.
        answer = np.zeros((1, 2, 54), np.float32)
        for side, sense in enumerate((1, -1)):
            said = places * (-1.0, 1.0)
            said[-1] = (np.array(self.pupil) - MIDDLE) / 20 * (sense, 1)
            answer[0, side, :26] = said.reshape(-1)
        answer[0, :, 26] = IRIS_PX / 20
        answer[0, :, 27:] = np.log(self.off)
        return [answer]


def find_outline(
    rgb: Picture,
    said: SayingEyes,
    which: EyePoints = LEFT_EYE,
    landmark: tuple[float, float] | None = None,
) -> EyeOutline:
    """One eye, the other being far outside. landmark: where the landmark network has the iris, as
    the eyes' has it where None.
    """
    right, left = find_outlines(said, still(rgb), points(which, landmark or said.pupil))
    return left if which is LEFT_EYE else right


@pytest.mark.parametrize("aside", [-7.0, -3.3, 0.0, 4.4, 6.0])
@pytest.mark.parametrize("error", [-1.5, 1.5])
def test_the_iris_is_found_where_the_network_is_off(aside: float, error: float) -> None:
    true = (60.0 + aside, 45.5)
    found = find_outline(eye(true), SayingEyes((true[0] + error, true[1] + 0.8)))
    assert found.iris_sure > 0.5
    assert found.iris_px[0] == pytest.approx(true[0], abs=0.25)
    # The lids hide its top and its foot.
    assert found.iris_px[1] == pytest.approx(true[1], abs=0.7)
    assert found.iris_radius_px == pytest.approx(IRIS_PX, rel=0.08)


def test_an_iris_that_the_eyes_network_doubts_is_looked_for_where_the_landmarks_are() -> None:
    def found(off: float) -> float:
        said = SayingEyes((75.0, 45.0), off=off)
        return float(find_outline(eye(), said, landmark=(60.0, 45.0)).iris_px[0])

    assert found(1.0) == pytest.approx(60.0, abs=0.3)
    assert found(0.03) > 62.0


@pytest.mark.parametrize("aside", [-9.0, 9.0])
def test_an_eye_far_aside_is_found_where_the_network_leaves_the_iris_behind(aside: float) -> None:
    true, said = (60.0 + aside, 46.0), (60.0 + 0.2 * aside, 46.0)
    found = find_outline(eye(true, upper=8, lower=8), SayingEyes(said, 8, 8))
    assert found.iris_px == pytest.approx(true, abs=0.8)


@pytest.mark.parametrize("aside", [-12.0, -9.0, 9.0, 12.0])
def test_a_blurred_iris_far_aside_is_found_where_the_network_says_that_it_cannot_tell(
    aside: float,
) -> None:
    """Its rim is too little to go against a network that is sure, and narrower than a circle's."""
    place, behind = (60 + aside, 45.5), (60 + 0.4 * aside, 45.5)
    faint = cv2.GaussianBlur(0.5 * eye(place) + 80, (0, 0), 1.5).astype(np.uint8)
    doubted, sure = (find_outline(faint, SayingEyes(behind, off=off)) for off in (0.5, 0.02))
    assert doubted.iris_px == pytest.approx(place, abs=1.2)
    assert doubted.iris_px[0] == pytest.approx(place[0], abs=0.4)
    assert abs(sure.iris_px[0] - place[0]) > 2.5


def test_a_small_movement_is_seen_whole() -> None:
    """A quarter of a pixel is a degree of gaze."""
    moves = np.linspace(-0.5, 0.5, 11)
    seen = [find_outline(eye((60 + m, 45)), SayingEyes()).iris_px[0] for m in moves]
    slope = np.polyfit(moves, seen, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("iris", [(70, 50, 40), (90, 130, 170), (95, 130, 100), (30, 22, 20)])
@pytest.mark.parametrize("skin", [(225, 180, 160), (150, 100, 75), (75, 48, 38)])
def test_colours_of_eyes_and_skin_change_nothing(
    iris: tuple[int, int, int], skin: tuple[int, int, int]
) -> None:
    found = find_outline(eye((62.0, 45.0), iris=iris, skin=skin), SayingEyes())
    assert found.iris_px[0] == pytest.approx(62.0, abs=0.25)
    assert found.iris_px[1] == pytest.approx(45.0, abs=0.5)


@pytest.mark.parametrize("which", [LEFT_EYE, RIGHT_EYE])
def test_margins_are_the_networks_from_the_medial_to_the_lateral_corner(which: EyePoints) -> None:
    found = find_outline(eye(), SayingEyes(upper=4.5, lower=3.0), which)
    medial = 40.0 if which is LEFT_EYE else 80.0
    assert found.lids_sure == 1.0
    for margin, height in ((found.upper_px, 40.5), (found.lower_px, 48.0)):
        assert margin[[0, -1], 0] == pytest.approx([medial, 120 - medial], abs=0.1)
        assert margin[3] == pytest.approx([60.0, height], abs=0.1)


def test_the_pupils_width_is_seen() -> None:
    found = find_outline(eye(iris=(110, 130, 150)), SayingEyes())
    assert found.pupil_share == pytest.approx(3 / IRIS_PX, abs=0.05)
    dark = find_outline(eye(iris=(18, 14, 14)), SayingEyes())
    assert dark.pupil_share is None


def test_an_eye_too_small_keeps_the_landmark_networks_points() -> None:
    picture = np.hstack([eye((57.0, 45.0)), eye((64.0, 46.0))])
    said = points(RIGHT_EYE)
    own = [LEFT_EYE.medial, LEFT_EYE.lateral, *LEFT_EYE.upper, *LEFT_EYE.lower]
    own += range(LEFT_EYE.iris, LEFT_EYE.iris + 5)
    said[own] = points(LEFT_EYE)[own] + np.array([SIZE[0], 0, 0], np.float32)
    both = find_outlines(SayingEyes(), still(picture), said)
    assert both[0].iris_px[0] == pytest.approx(57.0, abs=0.25)
    assert both[1].iris_px[0] == pytest.approx(SIZE[0] + 64.0, abs=0.25)
    said[own, :2] = said[LEFT_EYE.iris, :2] + 0.2 * (said[own, :2] - said[LEFT_EYE.iris, :2])
    right, left = find_outlines(SayingEyes(), still(picture), said)
    assert (left.iris_sure, left.lids_sure) == (0.0, 0.0)
    np.testing.assert_allclose(right.iris_px, both[0].iris_px)


def test_an_eye_at_the_frames_edge_is_read_all_the_same() -> None:
    outside = points()
    outside[:, 0] += 58
    _, left = find_outlines(SayingEyes(), still(eye()), outside)
    assert np.isfinite(left.iris_px).all()
