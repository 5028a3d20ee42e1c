"""A number in a mask's picture, so that who sees the picture knows which frame it is of.

A row of bars at the picture's upper left edge, light for 1: the number's 32 bits, the highest
first, and 8 to check them by. For the benchmark's process alone: the product draws none.
"""

import numpy as np
from numpy.typing import NDArray

CELL_PX = 8  # a bar's width; the bars are twice as high
CELLS = 40
_DARK, _LIGHT = 30, 225


def draw_number(rgb: NDArray[np.uint8], number: int) -> None:
    """Draw a number, modulo 2^32, in place; rgb: (h, w, 3), 320 px wide or more."""
    bits = np.unpackbits(np.frombuffer(_checked(number), np.uint8)).astype(np.uint8)
    bars = np.repeat(_DARK + bits * np.uint8(_LIGHT - _DARK), CELL_PX)
    rgb[: 2 * CELL_PX, : CELLS * CELL_PX] = bars[None, :, None]


def read_number(rgb: NDArray[np.uint8]) -> int | None:
    """The number that is drawn, None where there is none."""
    middles = rgb[CELL_PX, CELL_PX // 2 : CELLS * CELL_PX : CELL_PX].mean(axis=-1)
    data = np.packbits(middles > (_DARK + _LIGHT) / 2).tobytes()
    number = int.from_bytes(data[:4])
    return number if data == _checked(number) else None


def _checked(number: int) -> bytes:
    data = (number & 0xFFFFFFFF).to_bytes(4)
    return data + bytes([sum(data) & 0xFF ^ 0xA5])
