"""Both eyes enlarged, in the lower corners of a mask's picture."""

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# What a panel shows about the eye's centre, mm, and how much of the picture it may take.
_WIDTH_MM, _HEIGHT_MM = 37.0, 22.0
_LARGEST_SHARE, _LARGEST_SHARE_UPRIGHT = 0.30, 0.44
_GROUND = (196, 204, 208)
_FRAME = (245, 247, 248)
_INK = (52, 62, 70)


class Inset(StrEnum):
    """What a mask's picture shows beside the mask."""

    NONE = "none"
    EYES = "eyes"


def lay_eyes(
    rgb: Picture,
    samples: Picture,
    first: tuple[int, int],
    eyes_px: NDArray[np.float64],
    px_per_mm: float,
) -> None:
    """Lay both eyes twice as large, in place, on the picture `rgb` (h, w, 3).

    The patient's right eye comes into the left corner: the panels stand as the eyes do.
    samples: (2 h', 2 w', 4), the drawn box with two samples a pixel across and down, colour times
        cover, and cover. first: the picture's column and row where the box begins. eyes_px: (2, 2)
        where the eyes' centres are seen, the patient's right eye first.
    """
    height, width = rgb.shape[:2]
    largest = _LARGEST_SHARE if width > height else _LARGEST_SHARE_UPRIGHT
    across = int(min(2 * px_per_mm * _WIDTH_MM, largest * width)) & ~1
    down = int(across * _HEIGHT_MM / _WIDTH_MM) & ~1
    gap = max(2, round(0.012 * width))
    for eye, letter in ((0, "R"), (1, "L")):
        panel = _panel(samples, 2 * (eyes_px[eye] - first), (across, down))
        size = down / 190
        cv2.putText(
            panel, letter, (6, down - 7), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA
        )
        cv2.rectangle(panel, (0, 0), (across - 1, down - 1), _FRAME, 2)
        left = gap if eye == 0 else width - gap - across
        top = height - gap - down
        rgb[top : top + down, left : left + across] = panel


def _panel(samples: Picture, centre: NDArray[np.float64], size: tuple[int, int]) -> Picture:
    """The samples about a place, one each pixel, on plain ground."""
    across, down = size
    left, top = (round(float(c)) - s // 2 for c, s in zip(centre, size, strict=True))
    cut = np.zeros((down, across, 4), np.uint8)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + across, samples.shape[1]), min(top + down, samples.shape[0])
    if x1 > x0 and y1 > y0:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = samples[y0:y1, x0:x1]
    # Softens the samples' edges, which are not smoothed among themselves here.
    cut = np.asarray(cv2.GaussianBlur(cut, (3, 3), 0.6))
    cover = cut[..., 3:].astype(np.uint16)
    ground = np.array(_GROUND, np.uint16) * (255 - cover) // 255
    return np.minimum(cut[..., :3] + ground, 255).astype(np.uint8)
