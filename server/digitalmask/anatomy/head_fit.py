"""The head's pose, and where the eyes turn in it.

A long nose looks like a head that is lowered. So the average head is fitted to the points first,
and then what the fit leaves over is read for what it usually means: how far the pose is off for a
face that leaves such a rest, where the centres of rotation of its eyes are, and how large it is.
Lids, mouth and brows move the rest too; that they say nothing of the pose was learned with it. What
it is learned from says `digitalmask.assets.landmark_model`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pose, pose_jacobian, start_pose, turn
from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.assets.landmark_model import LandmarkModel, Told, view_terms

Floats = NDArray[np.float64]

_TIME_CONSTANT_S = 20.0
_FIRST_STEPS, _STEPS = 10, 3
_OUTLIER = 3.0  # standard deviations at which a point begins to lose its say
# A hand before the face leaves rests that were never learned from.
_LARGEST_REST_MM = 8.0
_LARGEST_TURN_DEG, _LARGEST_SHIFT_MM = 12.0, 12.0


@dataclass(frozen=True, slots=True)
class FittedHead:
    """One frame's result.

    pose: of the head in the camera's frame, as this frame says. surface: (468, 2) slopes of the
    points, freed from the network's usual bias in this view. residual: (P, 2) slopes of the points
    that tell the pose. eye_centres_mm: (2, 3) centres of rotation in the head frame, the patient's
    right eye first, and scale, model millimetres to a real one: as all frames say.
    """

    pose: Pose
    surface: Floats
    residual: Floats
    eye_centres_mm: Floats
    scale: float


@dataclass(frozen=True, slots=True)
class PlainFit:
    """The average head fitted to the points.

    rest_mm: (468, 2) what it leaves over, across and up the upright picture. terms: of the view.
    upright: (2, 2) from across and up the face to the picture. The rest as in `FittedHead`.
    """

    pose: Pose
    rest_mm: Floats
    terms: Floats
    upright: Floats
    residual: Floats


class HeadFit:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self, model: LandmarkModel) -> None:
        self._model = model
        self._apart_and_scale = SlowMean(_TIME_CONSTANT_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient."""
        self._pose: Pose | None = None
        self._apart_and_scale.reset()

    def __call__(self, slopes: Floats, at_s: float) -> FittedHead:
        """Fit one frame's points, (468, 2) slopes."""
        model = self._model
        pose = self._pose or start_pose(
            slopes[model.rigid],
            model.mean_mm[model.rigid],
            np.exp(-model.log_variance[0, model.rigid]),
        )
        fit = fit_average(model, pose, slopes, _STEPS if self._pose else _FIRST_STEPS)
        self._pose = fit.pose
        size = np.linalg.norm(fit.rest_mm, axis=1, keepdims=True)
        told = model.read(fit.rest_mm / np.maximum(size / _LARGEST_REST_MM, 1.0), fit.terms)
        corrected = _corrected(model, fit, told)
        # Where both eyes are together goes with this frame, and what is between them is slow.
        middle = told.eye_centres_mm.mean(axis=0)
        known = self._apart_and_scale(np.append(told.eye_centres_mm - middle, told.log_scale), at_s)
        upright, terms = upright_view(corrected)
        bias = (terms @ model.bias_mm.reshape(len(terms), -1)).reshape(-1, 2) @ upright.T
        return FittedHead(
            pose=corrected,
            surface=slopes + bias / corrected.translation_mm[2],
            residual=fit.residual,
            eye_centres_mm=known[:6].reshape(2, 3) + model.eyes_middle_mm,
            scale=float(np.exp(known[6])),
        )


def fit_average(model: LandmarkModel, pose: Pose, slopes: Floats, steps: int) -> PlainFit:
    """Gauss-Newton from `pose` on the points that tell it, reweighted against outliers
    (Geman-McClure).
    """
    rigid = model.rigid
    terms = upright_view(pose)[1]
    variance = np.exp(terms @ model.log_variance[:, rigid])
    shape = model.mean_mm[rigid]
    for _ in range(steps):
        depth = -float(pose.translation_mm[2])
        residual = (slopes[rigid] - _seen(pose, shape)) * depth
        weight = 1.0 / (variance * (1.0 + (residual**2).sum(1) / variance / _OUTLIER**2) ** 2)
        jacobian = pose_jacobian(pose, shape) * depth
        weighted = (jacobian * weight[:, None, None]).reshape(-1, 6)
        normal = weighted.T @ jacobian.reshape(-1, 6)
        normal[np.diag_indices(6)] *= 1.0 + 1e-9
        step = np.linalg.solve(normal, weighted.T @ residual.reshape(-1))
        pose = Pose(turn(step[:3]) @ pose.rotation, pose.translation_mm + step[3:])
    upright, terms = upright_view(pose)
    depth = -float(pose.translation_mm[2])
    rest = slopes - _seen(pose, model.mean_mm)
    rest_mm = rest @ upright * depth
    return PlainFit(pose, rest_mm, terms, upright, rest[rigid])


def upright_view(pose: Pose) -> tuple[Floats, Floats]:
    """(2, 2) from across and up the face to across and up the picture; the view's terms."""
    view = pose.view_rotation()
    across = view[:2, 0] / max(float(np.linalg.norm(view[:2, 0])), 1e-6)
    upright = np.array([[across[0], -across[1]], [across[1], across[0]]])
    axis = view[:2, 2] @ upright
    return upright, view_terms(float(axis[0]), float(axis[1]))


def _seen(pose: Pose, places_mm: Floats) -> Floats:
    camera = pose.apply(places_mm)
    return np.asarray(camera[:, :2] / np.maximum(-camera[:, 2:], 1.0))


def _corrected(model: LandmarkModel, fit: PlainFit, told: Told) -> Pose:
    """The pose turned and shifted by what the rest says that it is off."""
    vector = np.append(fit.upright @ told.turn_deg[:2], told.turn_deg[2])
    vector *= min(1.0, _LARGEST_TURN_DEG / max(float(np.linalg.norm(vector)), 1e-9))
    to_view = fit.pose.to_view()
    rotation = to_view.T @ turn(np.radians(vector)) @ to_view @ fit.pose.rotation
    shift = told.eye_centres_mm.mean(axis=0) - model.eyes_middle_mm
    shift *= min(1.0, _LARGEST_SHIFT_MM / max(float(np.linalg.norm(shift)), 1e-9))
    return Pose(rotation, fit.pose.translation_mm + rotation @ shift)
