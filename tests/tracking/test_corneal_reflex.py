"""Reflections are found below a pixel where both corneas show the same ones."""

import cv2
import numpy as np
import pytest

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.corneal_reflex import find_reflexes
from digitalmask.tracking.observation import EyeOutline
from tests.tracking.doubles import still

RIGHT, LEFT, RADIUS = (100.3, 60.8), (180.6, 61.2), 7.0


def outline(centre: tuple[float, float], sure: float = 1.0, radius: float = RADIUS) -> EyeOutline:
    lids = np.zeros((2, 2))
    at = np.array(centre)
    return EyeOutline(at, radius, lids, lids, at, radius, iris_sure=sure, lids_sure=1.0)


BRIGHT, FAINT = (250, 250, 250), (120, 120, 120)


def draw(
    spots: dict[tuple[float, float], list[tuple[float, float]]],
    lights: tuple[tuple[int, int, int], ...] = (BRIGHT, BRIGHT),
) -> PatientFrame:
    """Brown irises with pupils; spots by the middle of the iris, pixels beside it. lights: of an
    eye's spots, from the left in the right eye, from the right in the left.
    """
    fine = 8
    picture = np.full((120 * fine, 280 * fine, 3), (190, 150, 130), np.uint8)

    def disc(x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
        cv2.circle(picture, (round(x * fine), round(y * fine)), round(radius * fine), colour, -1)

    for x, y in (RIGHT, LEFT):
        disc(x, y, RADIUS, (90, 60, 40))
        disc(x, y, 2.4, (15, 12, 10))
        seen = spots.get((x, y), [])
        turned = lights if (x, y) == RIGHT else lights[::-1]
        for (across, down), light in zip(seen, turned, strict=False):
            disc(x + across, y + down, 1.0, light)
    small = cv2.resize(picture, (280, 120), interpolation=cv2.INTER_AREA)
    return still(np.asarray(small, np.uint8))


@pytest.mark.parametrize("moved", [(0.0, 0.0), (0.9, 0.0), (-1.6, 0.3), (0.4, -0.5)])
def test_how_far_the_reflections_lie_apart(moved: tuple[float, float]) -> None:
    spots = [(-2.0, -2.2), (1.0, -2.6)]
    there = [(x + moved[0], y + moved[1]) for x, y in spots]
    seen = find_reflexes(draw({RIGHT: spots, LEFT: there}), outline(RIGHT), outline(LEFT))
    assert seen is not None
    np.testing.assert_allclose(seen.apart * RADIUS, moved, atol=0.15)
    np.testing.assert_allclose(seen.middle * RADIUS, np.mean(spots + there, axis=0), atol=0.5)


def test_two_windows_of_which_each_eye_shows_another_one_brighter_say_nothing() -> None:
    spots = [(-2.0, -2.2), (1.6, -2.2)]
    seen = draw({RIGHT: spots, LEFT: spots}, (BRIGHT, FAINT))
    assert find_reflexes(seen, outline(RIGHT), outline(LEFT)) is None
    alike = find_reflexes(draw({RIGHT: spots, LEFT: spots}), outline(RIGHT), outline(LEFT))
    assert alike is not None
    np.testing.assert_allclose(alike.apart * RADIUS, 0.0, atol=0.15)


def test_eyes_without_reflections_say_nothing() -> None:
    assert find_reflexes(draw({}), outline(RIGHT), outline(LEFT)) is None


def test_a_reflection_in_one_eye_says_nothing() -> None:
    assert find_reflexes(draw({RIGHT: [(-2.0, -2.0)]}), outline(RIGHT), outline(LEFT)) is None


def test_an_iris_that_is_not_surely_seen_or_too_small_says_nothing() -> None:
    picture = draw({RIGHT: [(-2.0, -2.0)], LEFT: [(-2.0, -2.0)]})
    assert find_reflexes(picture, outline(RIGHT, sure=0.2), outline(LEFT)) is None
    assert find_reflexes(picture, outline(RIGHT, radius=3.0), outline(LEFT)) is None


def test_an_eye_at_the_edge_of_the_frame_does_no_harm() -> None:
    picture = draw({RIGHT: [(-2.0, -2.0)], LEFT: [(-2.0, -2.0)]})
    assert find_reflexes(picture, outline((2.0, 3.0)), outline((300.0, 130.0))) is None
