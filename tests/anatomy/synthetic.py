"""Observations of the canonical head with known truth: what a perfect network would report."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.anatomy.head_fit import HeadFit, upright_view
from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.assets.head import Head
from digitalmask.assets.landmark_model import LandmarkModel, load_landmark_model
from digitalmask.mask_state import EXPRESSIONS
from digitalmask.tracking.observation import (
    LEFT_EYE,
    RIGHT_EYE,
    EyeOutline,
    FaceObservation,
    points_outline,
)

Floats = NDArray[np.float64]
_WIDTH, _HEIGHT = 640, 480
# From the eye's centre of rotation to the limbus, and across.
_LIMBUS_MM, _IRIS_RADIUS_MM = 10.5, 5.85
EYES = (RIGHT_EYE, LEFT_EYE)


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


def _as_seen(model: LandmarkModel, pose: Pose, moved_mm: Floats | float = 0.0) -> Floats:
    """(468, 3) the average head in the camera's frame, with what the network adds in this view."""
    surface = pose.apply(model.mean_mm + moved_mm)
    upright, terms = upright_view(pose)
    surface[:, :2] += np.tensordot(terms, model.bias_mm, 1) @ upright.T
    return surface


def _eyes_of_average(model: LandmarkModel) -> Floats:
    """(2, 3) where the model takes the average head's eyes to be, seen from straight ahead."""
    surface = _as_seen(model, Pose(np.eye(3), np.array([0.0, 0.0, -600.0])))
    slopes = surface[:, :2] / -surface[:, 2:]
    return HeadFit(model)(slopes, np.zeros_like(surface), 0.0).eye_centres_mm


def eyes_of(shape_mm: Floats, pinhole: Pinhole, pose: Pose, sure: float = 1.0) -> list[EyeOutline]:
    """The lids of a head with its points at `shape_mm` that stands so; no irises."""
    places = np.vstack([pose.apply(shape_mm), np.tile(pose.apply(shape_mm[:1]), (10, 1))])
    slopes = places[:, :2] / -places[:, 2:]
    points = pinhole.centre_px + pinhole.focal_px * slopes * [1.0, -1.0]
    return [replace(points_outline(points, eye), lids_sure=sure) for eye in EYES]


def observe(
    head: Head,
    truth: Truth,
    at_s: float = 0.0,
    noise_px: float = 0.0,
    random: np.random.Generator | None = None,
    model: LandmarkModel | None = None,
) -> FaceObservation:
    """Project the average head as the network sees it, with eyes that have the anatomical sizes.

    The lids are the mask's own head's.
    """
    model = model or load_landmark_model()
    pose = Pose(truth.rotation, np.array(truth.place_mm))
    expression = np.zeros((478, 3))
    for name, value in truth.expression.items():
        expression += value * head.landmark_expressions_mm[EXPRESSIONS.index(name)]
    surface = _as_seen(model, pose, expression[:468])
    eyes = _eyes_of_average(model)
    lids = head.landmarks_mm + expression
    points = np.zeros((478, 3))
    for side, gaze in enumerate((truth.right_gaze_deg, truth.left_gaze_deg)):
        lids_of = [*EYES[side].upper, *EYES[side].lower, EYES[side].medial, EYES[side].lateral]
        points[lids_of] = lids[lids_of] + eyes[side] - head.eye_centres_mm[side] - [0, 0, 1.5]
        yaw, pitch = np.radians(gaze)
        direction = np.array(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        )
        across = np.cross([0.0, 1.0, 0.0], direction)
        across /= np.linalg.norm(across)
        up = np.cross(direction, across)
        pupil = eyes[side] + _LIMBUS_MM * direction
        first = 468 + 5 * side
        points[first] = pupil
        for step, way in enumerate((across, up, -across, -up)):
            points[first + 1 + step] = pupil + _IRIS_RADIUS_MM * way
    focal = float(max(_WIDTH, _HEIGHT))

    def project(camera: Floats) -> Floats:
        depth = -camera[:, 2]
        return np.stack(
            [
                _WIDTH / 2 + focal * camera[:, 0] / depth,
                _HEIGHT / 2 - focal * camera[:, 1] / depth,
                (depth - depth.mean()) / depth.mean() * focal,
            ],
            axis=1,
        )

    seen = project(pose.apply(points))
    outlined = seen.copy()
    seen[:468] = project(surface)
    if noise_px:
        noise = (random or np.random.default_rng(0)).normal(0, noise_px, (478, 2))
        seen[:, :2] += noise
        outlined[:, :2] += noise
    scores = np.zeros(52, np.float32)
    for place, score in truth.scores.items():
        scores[place] = score
    right, left = (points_outline(outlined, eye) for eye in EYES)
    return FaceObservation(at_s, _WIDTH, _HEIGHT, seen.astype(np.float32), 1.0, scores, right, left)
