"""Identity pictures of a stepped face with two round eyes, cast ray by ray."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.evaluation.drawn import IRIS_DEPTH_MM
from digitalmask.rendering.identity import IRIS, PUPIL, SCLERA, SKIN, Identity, MaskCamera

CENTRES_MM = np.array([[-31.0, 0.0, 0.0], [31.0, 0.0, 0.0]])
_DISTANCE_MM, _PX_PER_MM, _SIZE = 650.0, 2.0, (640, 480)
_BALL_MM, _IRIS_MM, _FACE_MM, _HALF_FISSURE_MM = 12.0, 5.85, 12.6, 13.0


@dataclass(frozen=True)
class FlatEye:
    """Gaze in degrees, lids in mm above the pupil's centre in its column; they slope a little."""

    yaw: float = 0.0
    pitch: float = 0.0
    upper: float = 4.0
    lower: float = -5.0

    @property
    def axis(self) -> NDArray[np.float64]:
        yaw, pitch = np.radians([self.yaw, self.pitch])
        return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def flat_picture(
    right: FlatEye,
    left: FlatEye,
    rotation: NDArray[np.float64] | None = None,
    place_mm: tuple[float, float] = (0.0, 0.0),
) -> tuple[Identity, MaskCamera]:
    """What the camera of the view frame sees of it."""
    turn = np.eye(3) if rotation is None else rotation
    width, height = _SIZE
    x = (np.arange(width) + 0.5 - width / 2) / _PX_PER_MM - place_mm[0]
    y = (height / 2 - np.arange(height) - 0.5) / _PX_PER_MM - place_mm[1]
    at_origin = np.stack([*np.meshgrid(x, y), np.zeros((height, width))], axis=-1)
    camera = np.array([0.0, 0.0, _DISTANCE_MM])
    ray = (at_origin - camera) @ turn
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    camera = camera @ turn
    place, chin = (
        camera + ray * ((depth - camera[2]) / ray[..., 2])[..., None] for depth in (_FACE_MM, 30.0)
    )
    place = np.where(chin[..., 1:2] < -30, chin, place)
    part = np.where((np.abs(place[..., 0]) < 75) & (np.abs(place[..., 1]) < 100), SKIN, 0)
    hits = []
    for side, eye in enumerate((right, left)):
        centre = CENTRES_MM[side]
        beside = place - centre
        pupil_y = IRIS_DEPTH_MM * eye.axis[1]
        pupil_y = pupil_y + 0.13 * (beside[..., 0] - IRIS_DEPTH_MM * eye.axis[0])
        is_open = (np.abs(beside[..., 0]) < _HALF_FISSURE_MM) & (
            (beside[..., 1] < eye.upper + pupil_y) & (beside[..., 1] > eye.lower + pupil_y)
        )
        start = camera - centre
        along = ray @ start
        root = np.sqrt(np.maximum(along**2 - start @ start + _BALL_MM**2, 0))
        ball = start + ray * (-along - root)[..., None]
        disc = start + ray * ((IRIS_DEPTH_MM - start @ eye.axis) / (ray @ eye.axis))[..., None]
        radius = np.linalg.norm(disc - IRIS_DEPTH_MM * eye.axis, axis=-1)
        numbered = np.select([radius < 2.0, radius < _IRIS_MM], [PUPIL[side], IRIS[side]])
        numbered = np.where(radius < _IRIS_MM, numbered, SCLERA[side])
        hits.append((is_open, numbered, np.where((radius < _IRIS_MM)[..., None], disc, ball)))
    for (is_open, numbered, beside), centre in zip(hits, CENTRES_MM, strict=True):
        part = np.where(is_open, numbered, part)
        place = np.where(is_open[..., None], beside + centre, place)
    middle = (width / 2 + _PX_PER_MM * place_mm[0], height / 2 - _PX_PER_MM * place_mm[1])
    camera_of_size = MaskCamera(_DISTANCE_MM * _PX_PER_MM, _DISTANCE_MM, middle)
    return Identity(part.astype(np.uint8), place.astype(np.float32)), camera_of_size
