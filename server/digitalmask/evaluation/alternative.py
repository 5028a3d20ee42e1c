"""The obvious alternative to this project's mask, only to be compared with it.

MediaPipe's canonical mesh driven by the raw 478 points, smoothed by an exponential moving average,
and drawn plainly: flat-shaded triangles, eyes and mouth painted over them. It shows whose face it
is, since the points are the patient's own.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import AssetError
from digitalmask.evaluation.measures import EYES

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

# The weight of the newest frame, as is usual.
_WEIGHT = 0.7
_GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
_OUTER_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
_INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
_BROWS = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))
_NOSTRILS = (240, 460)
_GROUND: Colour = (196, 200, 206)
_SKIN = np.array([214, 172, 148])
_LIPS: Colour = (176, 96, 92)
_MOUTH: Colour = (60, 24, 26)
_SCLERA: Colour = (238, 236, 232)
_IRIS: Colour = (96, 70, 48)
_PUPIL: Colour = (18, 14, 12)
_BROW: Colour = (92, 66, 50)
_LASH: Colour = (70, 44, 38)
_LIGHT = np.array([-0.25, -0.45, -0.86])  # in the picture's axes, z away from the viewer
_SHIFT = 4  # bits of the sub-pixel places that OpenCV takes


class LandmarkMask:
    """A drawing that follows the points of one patient, from `canonical_triangles`. One thread."""

    def __init__(self, triangles: NDArray[np.int64]) -> None:
        self._triangles = triangles
        self.points: Floats | None = None

    def follow(self, points: NDArray[np.floating] | None) -> Floats | None:
        """The smoothed points, (478, 3) in pixels; None, and a new start, without a face."""
        if points is None:
            self.points = None
        elif self.points is None:
            self.points = points.astype(np.float64)
        else:
            self.points = self.points + _WEIGHT * (points - self.points)
        return self.points

    def draw(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The points as they are now, as a (height, width, 3) picture of `size` (width, height)."""
        picture = np.full((size[1], size[0], 3), _GROUND, np.uint8)
        points = self.points
        if points is None:
            return picture
        corners = points[self._triangles]
        normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 1] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        # With y down and z away from the viewer, what is to be seen has a normal of negative z.
        normals *= np.sign(normals[:, 2:].mean()) * -1.0
        shade = 0.45 + 0.55 * np.clip(normals @ _LIGHT / np.linalg.norm(_LIGHT), 0.0, 1.0)
        for index in np.argsort(-corners[:, :, 2].mean(axis=1)):
            if normals[index, 2] < 0:
                _fill(picture, corners[index], tuple(np.rint(_SKIN * shade[index]).tolist()))
        scale = float(np.linalg.norm(points[33] - points[263]))
        for nostril in _NOSTRILS:
            _disc(picture, points[nostril], 0.035 * scale, (110, 70, 62))
        for brow in _BROWS:
            _line(picture, points[list(brow)], 0.07 * scale, _BROW)
        _fill(picture, points[list(_OUTER_LIPS)], _LIPS)
        _fill(picture, points[list(_INNER_LIPS)], _MOUTH)
        for eye in EYES.values():
            outline = points[[eye.medial, *eye.upper, eye.lateral, *reversed(eye.lower)]]
            within = np.zeros(picture.shape[:2], np.uint8)
            _fill(within, outline, (255,))
            ball = np.full_like(picture, _SCLERA)
            iris = points[eye.iris]
            radius = float(np.linalg.norm(points[eye.ring, :2] - iris[:2], axis=1).mean())
            _disc(ball, iris, radius, _IRIS)
            _disc(ball, iris, 0.42 * radius, _PUPIL)
            picture[within > 0] = ball[within > 0]
            margin = points[[eye.medial, *eye.upper, eye.lateral]]
            _line(picture, margin, 0.022 * scale, _LASH)
        soft = cv2.GaussianBlur(picture, (0, 0), max(0.006 * scale, 0.4))
        return np.asarray(soft, np.uint8)


def canonical_triangles(bundle: Path) -> NDArray[np.int64]:
    """(898, 3) indices of points: the triangles of MediaPipe's canonical face, out of its bundle.

    In protobuf's wire format the mesh is field 1 of the metadata, its indices are field 4, a plain
    number each. Errors: AssetError where they are not there.
    """
    try:
        with zipfile.ZipFile(bundle) as content:
            metadata = content.read(_GEOMETRY)
        mesh = next(bytes(value) for field, value in _fields(metadata) if field == 1)
        indices = [value for field, value in _fields(mesh) if field == 4]
        return np.array(indices, np.int64).reshape(-1, 3)
    except (OSError, zipfile.BadZipFile, KeyError, StopIteration, IndexError, ValueError) as error:
        raise AssetError(f"there is no canonical face in {bundle.name}") from error


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number and value (bytes where it has a length)."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while place < len(message):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
            continue
        length = {1: 8, 5: 4}.get(key & 7) or number()
        yield key >> 3, message[place : place + length]
        place += length


def _fixed(points: Floats) -> NDArray[np.int32]:
    return np.rint((points[..., :2] - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _fill(picture: NDArray[np.uint8], outline: Floats, colour: tuple[int, ...]) -> None:
    cv2.fillPoly(picture, [_fixed(outline)], colour, cv2.LINE_8, _SHIFT)


def _line(picture: NDArray[np.uint8], places: Floats, width_px: float, colour: Colour) -> None:
    width = max(round(width_px), 1)
    cv2.polylines(picture, [_fixed(places)], False, colour, width, cv2.LINE_AA, _SHIFT)


def _disc(picture: NDArray[np.uint8], place: Floats, radius_px: float, colour: Colour) -> None:
    x, y = _fixed(place).tolist()
    radius = round(radius_px * (1 << _SHIFT))
    cv2.circle(picture, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
