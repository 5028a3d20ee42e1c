"""The patient's head in a frame, and what kind of head it is, estimated together.

A long nose looks like a head that is lowered. Which of both it is, the rest of the face and other
views tell: the pose of every frame is fitted to what is known of the patient's own head so far,
with the network's usual errors beside it as unknowns of their own (an open mouth, a brow, lids that
follow the gaze: what it does to many points together), and what the frame says of the head, when
pose and errors have explained all that they can, is averaged over time. Nothing is calibrated: with
the first frame the head is the likeliest one for it, and it moves from there without a step.

The head is that of `digitalmask.assets.landmark_model`, where the numbers come from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pose, pose_jacobian, start_pose, turn
from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.assets.landmark_model import LandmarkModel, view_terms

Floats = NDArray[np.float64]

_TIME_CONSTANT_S = 20.0
# The errors of neighbouring frames are the same ones: all frames together count as so many that
# err independently.
_INDEPENDENT_FRAMES = 2.0
_OUTLIER = 4.0  # standard deviations at which a point begins to lose its say
_FIRST_STEPS, _STEPS = 8, 2


@dataclass(frozen=True, slots=True)
class FittedHead:
    """One frame's result.

    pose: of the head in the camera's frame. identity: (K,) coefficients. surface: (468, 2) slopes
    of the points, freed from the network's usual bias in this view. residual: (P, 2) slopes.
    """

    pose: Pose
    identity: Floats
    surface: Floats
    residual: Floats


class HeadFit:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self, model: LandmarkModel) -> None:
        self._model = model
        rigid = model.rigid
        self._modes = model.modes_mm[:, rigid]
        self._errors = model.errors_mm[:, rigid]
        self._bias = model.bias_mm.reshape(len(model.bias_mm), -1)
        self._log_variance = model.log_variance[:, rigid]
        self._known = SlowMean(_TIME_CONSTANT_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient."""
        self._pose: Pose | None = None
        self._identity = np.zeros(len(self._modes))
        self._known.reset()

    def __call__(self, slopes: Floats, at_s: float) -> FittedHead:
        """Fit one frame's points, (468, 2) slopes."""
        model, rigid = self._model, self._model.rigid
        first = self._pose is None
        shape = model.shape(self._identity)[rigid]
        pose = self._pose or start_pose(slopes[rigid], shape, np.exp(-self._log_variance[0]))
        # From nothing the shape moves too, and the pose with it.
        for _ in range(3 if first else 1):
            pose, surface, residual, known = self._fit_frame(
                pose, slopes, model.shape(self._identity)[rigid], _FIRST_STEPS if first else _STEPS
            )
            if first:
                self._learn(known)
        mean = self._known(np.column_stack(known), at_s)
        self._learn((mean[:, :-1], mean[:, -1]))
        self._pose = pose
        return FittedHead(pose, self._identity, surface, residual)

    def _learn(self, known: tuple[Floats, Floats]) -> None:
        """Take the likeliest coefficients, given information and its product with them."""
        information, pull = known
        normal = _INDEPENDENT_FRAMES * information
        normal[np.diag_indices(len(normal))] += 1.0
        self._identity = np.linalg.solve(normal, _INDEPENDENT_FRAMES * pull)

    def _fit_frame(
        self, pose: Pose, slopes: Floats, shape: Floats, steps: int
    ) -> tuple[Pose, Floats, Floats, tuple[Floats, Floats]]:
        """Pose and errors for a shape (P, 3) by Gauss-Newton steps.

        Returns the pose, the surface and the residual of `FittedHead`, and what the frame says of
        the coefficients: the information (K, K), and its product with the likeliest ones.
        """
        rigid = self._model.rigid
        depth = -float(pose.translation_mm[2])
        upright, terms = upright_view(pose)
        bias = (terms @ self._bias).reshape(-1, 2) @ upright.T
        surface = slopes - bias / depth
        variance = np.exp(terms @ self._log_variance)
        errors = np.moveaxis(self._errors @ upright.T, 0, 2)  # (P, 2, M)
        count = errors.shape[2]
        erred = np.zeros(count)
        for _ in range(steps):
            camera = pose.apply(shape)
            inverse_depth = 1.0 / np.maximum(-camera[:, 2], 1.0)
            residual = (surface[rigid] - camera[:, :2] * inverse_depth[:, None]) * depth
            residual = residual - errors @ erred
            weight = 1.0 / (variance * (1.0 + (residual**2).sum(1) / variance / _OUTLIER**2) ** 2)
            jacobian = np.concatenate([pose_jacobian(pose, shape) * depth, errors], axis=2)
            flat = jacobian.reshape(-1, 6 + count)
            weighted = (jacobian * weight[:, None, None]).reshape(-1, 6 + count)
            normal = weighted.T @ flat
            right = weighted.T @ residual.reshape(-1)
            normal[np.diag_indices(6)] += 1e-9 * np.diagonal(normal)[:6]
            normal[range(6, 6 + count), range(6, 6 + count)] += 1.0
            right[6:] -= erred
            step = np.linalg.solve(normal, right)
            residual = residual - (flat @ step).reshape(-1, 2)
            pose = Pose(turn(step[:3]) @ pose.rotation, pose.translation_mm + step[3:6])
            erred = erred + step[6:]
        places = jacobian[:, :, 3:6]
        own = np.einsum("paj,kpj->pak", places, self._modes @ pose.rotation.T, optimize=True)
        own = own.reshape(-1, len(self._modes))
        scaled = own * np.repeat(weight, 2)[:, None]
        shared = scaled.T @ flat
        information = scaled.T @ own - shared @ np.linalg.solve(normal, shared.T)
        # What pose and errors leave; at the solution they have no pull of their own.
        pull = scaled.T @ residual.reshape(-1) + information @ self._identity
        return pose, surface, residual / depth, (information, pull)


def upright_view(pose: Pose) -> tuple[Floats, Floats]:
    """(2, 2) from across and up the face to across and up the picture; the view's terms."""
    view = pose.view_rotation()
    across = view[:2, 0] / max(float(np.linalg.norm(view[:2, 0])), 1e-6)
    upright = np.array([[across[0], -across[1]], [across[1], across[0]]])
    axis = view[:2, 2] @ upright
    return upright, view_terms(float(axis[0]), float(axis[1]))
