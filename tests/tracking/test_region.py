"""A turned part of the frame is cut out as from the whole frame, wherever it lies."""

import cv2
import numpy as np
import pytest

from digitalmask.tracking.region import Region, cut_out

SIZE = (40, 30)


@pytest.mark.parametrize("border", [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE])
@pytest.mark.parametrize(
    ("x", "y"), [(60, 40), (0, 0), (118, 3), (5, 79), (-30, 40), (300, 300), (60, -200)]
)
@pytest.mark.parametrize("turn", [0.0, 0.7, 3.0])
def test_only_the_box_that_is_cut_from_is_looked_at(
    x: float, y: float, turn: float, border: int
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 1.5), np.uint8)
    turned = 0.8 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    place = np.array([x, y]) - turned @ [SIZE[0] / 2, SIZE[1] / 2]
    matrix = np.hstack([turned, place[:, None]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(frame, matrix, SIZE, flags=flags, borderMode=border)
    part = cut_out(frame, matrix, SIZE, border)[..., :3]
    # One level of rounding.
    np.testing.assert_allclose(part.astype(int), whole.astype(int), atol=1)


def test_a_region_shows_black_beyond_the_frame() -> None:
    frame = np.full((80, 120, 3), 200, np.uint8)
    picture = Region(x_px=0.0, y_px=40.0, side_px=40.0, turn=0.0).cut(frame, 64)
    assert picture[:, :30, :3].max() == 0
    assert picture[:, 34:, :3].min() == 200
