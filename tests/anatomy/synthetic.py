"""Observations of the canonical head with known truth: what a perfect network would report."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.assets.head import Head
from digitalmask.mask_state import EXPRESSIONS
from digitalmask.tracking.observation import (
    LEFT_EYE,
    RIGHT_EYE,
    FaceObservation,
    points_outline,
)

Floats = NDArray[np.float64]
_WIDTH, _HEIGHT = 640, 480
# From the head's eyeball centre to the eye's centre of rotation, and on to the limbus and across.
_FORWARD_MM, _LIMBUS_MM, _IRIS_RADIUS_MM = 1.5, 10.5, 5.85


@dataclass(frozen=True)
class Truth:
    """What the person does: degrees, millimetres, coefficients by name."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    right_gaze_deg: tuple[float, float] = (0.0, 0.0)
    left_gaze_deg: tuple[float, float] = (0.0, 0.0)
    place_mm: tuple[float, float, float] = (0.0, 0.0, -600.0)
    expression: dict[str, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def rotation(self) -> Floats:
        angles = [self.yaw_deg, -self.pitch_deg, self.roll_deg]
        return np.asarray(Rotation.from_euler("yxz", angles, degrees=True).as_matrix())


def observe(
    head: Head,
    truth: Truth,
    at_s: float = 0.0,
    noise_px: float = 0.0,
    random: np.random.Generator | None = None,
) -> FaceObservation:
    """Project the head's points, with eyes that have the anatomical sizes."""
    points = head.landmarks_mm.astype(np.float64)
    for name, value in truth.expression.items():
        points = points + value * head.landmark_expressions_mm[EXPRESSIONS.index(name)]
    for side, gaze in enumerate((truth.right_gaze_deg, truth.left_gaze_deg)):
        yaw, pitch = np.radians(gaze)
        direction = np.array(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        )
        across = np.cross([0.0, 1.0, 0.0], direction)
        across /= np.linalg.norm(across)
        up = np.cross(direction, across)
        pupil = head.eye_centres_mm[side] + [0, 0, _FORWARD_MM] + _LIMBUS_MM * direction
        first = 468 + 5 * side
        points[first] = pupil
        for step, way in enumerate((across, up, -across, -up)):
            points[first + 1 + step] = pupil + _IRIS_RADIUS_MM * way
    camera = points @ truth.rotation.T + truth.place_mm
    focal = float(max(_WIDTH, _HEIGHT))
    seen = np.stack(
        [
            _WIDTH / 2 + focal * camera[:, 0] / -camera[:, 2],
            _HEIGHT / 2 - focal * camera[:, 1] / -camera[:, 2],
            -camera[:, 2],
        ],
        axis=1,
    )
    if noise_px:
        seen[:, :2] += (random or np.random.default_rng(0)).normal(0, noise_px, (478, 2))
    scores = np.zeros(52, np.float32)
    for place, score in truth.scores.items():
        scores[place] = score
    found = seen.astype(np.float32)
    eyes = (points_outline(found, eye) for eye in (RIGHT_EYE, LEFT_EYE))
    return FaceObservation(at_s, _WIDTH, _HEIGHT, found, 1.0, scores, *eyes)
