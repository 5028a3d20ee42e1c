"""A region of the frame is cut out as it lies."""

import numpy as np

from digitalmask.tracking.region import Region
from tests.tracking.doubles import still


def test_a_region_shows_black_beyond_the_frame() -> None:
    frame = still(np.full((80, 120, 3), 200, np.uint8))
    picture = Region(x_px=0.0, y_px=40.0, side_px=40.0, turn=0.0).cut(frame, 64)
    assert picture[:, :30, :3].max() == 0
    assert picture[:, 34:, :3].min() >= 199
