"""The calm ground behind the mask and under the cards."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# sRGB, a soft grey with a little blue: what is in the face's warm tones stands out from it.
_MIDDLE = (214, 220, 223)
_EDGE = (160, 171, 179)


@lru_cache(maxsize=8)
def backdrop(size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, top row first; a soft light behind the head. Do not write to it."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    reach = np.hypot(
        (x - width / 2) / (0.62 * max(width, height)), (y - 0.44 * height) / (0.75 * height)
    )
    share = np.clip(1 - reach, 0, 1)
    share = (share * share * (3 - 2 * share))[..., None]
    colour = np.array(_EDGE) + share * (np.array(_MIDDLE) - np.array(_EDGE))
    # Ordered noise of less than one step keeps the gradient free of bands.
    noise = np.random.default_rng(1).random((height, width, 1), np.float32)
    picture: NDArray[np.uint8] = np.floor(colour + noise).astype(np.uint8)
    picture.setflags(write=False)
    return picture
