"""How the skin moved is told below a pixel, whatever the points say."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.observation import SkinFlow
from digitalmask.tracking.skin_motion import SkinMotion

FACE_PX = 285.0
Floats = NDArray[np.float64]


def picture(moved_px: tuple[float, float], scale: float = 1.0) -> NDArray[np.uint8]:
    """Skin with spots, moved; the camera's noise is another one each time."""
    random = np.random.default_rng(7)
    height, width = round(400 * scale), round(520 * scale)
    x = (np.arange(width) - moved_px[0]) / scale
    y = (np.arange(height)[:, None] - moved_px[1]) / scale
    moved = np.full((height, width), 130.0)
    for _ in range(40):
        across, down = random.normal(0, 2 * np.pi / 20, 2)
        moved += 6 * np.sin(across * x + down * y + random.uniform(0, 2 * np.pi))
    noise = np.random.default_rng(round(100 + 10 * sum(moved_px))).normal(0, 1.5, moved.shape)
    return np.repeat((moved + noise).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def frame(rgb: NDArray[np.uint8], at_s: float) -> PatientFrame:
    return PatientFrame.of_rgb(FrameClock(at_s, round(at_s * 90000), Fraction(1, 90000)), rgb)


def points(moved_px: tuple[float, float] = (0.0, 0.0), scale: float = 1.0) -> NDArray[np.float32]:
    """Somewhere amid the picture, the same each time."""
    places = np.random.default_rng(5).uniform((190, 140), (330, 260), (478, 2)) * scale + moved_px
    return np.concatenate([places, np.zeros((478, 1))], axis=1).astype(np.float32)


def moved(flow: SkinFlow | None) -> Floats:
    assert flow is not None
    return np.asarray(flow.now_px - flow.before_px)


@pytest.mark.parametrize("way", [(0.0, 0.0), (0.3, -0.15), (2.4, 1.1), (-9.0, 6.0)])
def test_the_skins_way_is_told_below_a_pixel(way: tuple[float, float]) -> None:
    motion = SkinMotion()
    assert motion(frame(picture((0.0, 0.0)), 0.0), points(), FACE_PX) is None
    flow = motion(frame(picture(way), 1 / 30), points(way), FACE_PX)
    np.testing.assert_allclose(moved(flow), np.tile(way, (len(moved(flow)), 1)), atol=0.06)
    np.testing.assert_allclose(np.median(moved(flow), axis=0), way, atol=0.02)


def test_points_that_slide_over_a_still_skin_do_not_move_it() -> None:
    motion = SkinMotion()
    motion(frame(picture((0.0, 0.0)), 0.0), points(), FACE_PX)
    flow = motion(frame(picture((0.0, 0.0)), 1 / 30), points((0.6, -0.4)), FACE_PX)
    assert flow is not None
    np.testing.assert_allclose(moved(flow), 0.0, atol=0.03)
    np.testing.assert_allclose(flow.before_px, points()[flow.points, :2], atol=1e-5)


def test_a_large_face_is_seen_in_its_own_pixels() -> None:
    motion = SkinMotion()
    motion(frame(picture((0.0, 0.0), 2.5), 0.0), points(scale=2.5), 2.5 * FACE_PX)
    flow = motion(frame(picture((1.5, 0.5), 2.5), 1 / 30), points(scale=2.5), 2.5 * FACE_PX)
    np.testing.assert_allclose(np.median(moved(flow), axis=0), (1.5, 0.5), atol=0.06)


def test_what_is_too_old_of_another_size_or_forgotten_says_nothing() -> None:
    first, motion = frame(picture((0.0, 0.0)), 0.0), SkinMotion()
    motion(first, points(), FACE_PX)
    assert motion(frame(picture((0.0, 0.0)), 1.0), points(), FACE_PX) is None
    smaller = np.ascontiguousarray(picture((0.0, 0.0))[:-2])
    assert motion(frame(smaller, 1.03), points(), FACE_PX) is None
    motion.reset()
    assert motion(frame(smaller, 1.06), points(), FACE_PX) is None
    assert motion(frame(smaller, 1.06), points(), FACE_PX) is None  # the same moment again
    assert motion(frame(smaller, 1.09), points(), FACE_PX) is not None


def test_a_face_that_is_mostly_outside_or_without_a_feature_says_nothing() -> None:
    motion = SkinMotion()
    for at_s in (0.0, 0.03):
        outside = points((-400.0, 0.0))
        assert motion(frame(picture((0.0, 0.0)), at_s), outside, FACE_PX) is None
    flat = np.full((400, 520, 3), 120, np.uint8)
    for at_s in (0.06, 0.09):
        assert motion(frame(flat, at_s), points(), FACE_PX) is None


def test_no_pixel_is_in_what_it_says_of_itself() -> None:
    motion = SkinMotion()
    motion(frame(picture((0.0, 0.0)), 0.0), points(), FACE_PX)
    assert "picture" not in repr(vars(motion))
