"""The head's pose, and where the eyes turn in it.

A long nose looks like a head that is lowered. So the average head is fitted to the points first,
and then what the fit leaves over is read for what it usually means: how far the pose is off for a
face that leaves such a rest, where the centres of rotation of its eyes are, and how large it is.
Lids, mouth and brows move the rest too. What is known of them is taken off it; that what remains of
them says nothing of the pose was learned with it. What it is learned from says
`digitalmask.assets.landmark_model`.
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pose, start_pose, turn_vector
from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.assets.landmark_model import LandmarkModel, view_terms
from digitalmask.compiled import compiled

Floats = NDArray[np.float64]

_TIME_CONSTANT_S = 20.0
# How much of what one frame says of the turn beyond the patient's usual is believed. Simulated
# heads are turned best with all of it; a real face that grins or drops its jaw leaves rests that no
# drawing has, of which not all is known.
_FRAME_SHARE = 0.7
_FIRST_STEPS, _STEPS = 10, 3
_OUTLIER = 3.0  # standard deviations
# A hand before the face leaves rests that were never learned from.
_LARGEST_REST_MM = 8.0
_LARGEST_TURN_DEG, _LARGEST_SHIFT_MM = 12.0, 12.0
# A turn is read too small, being drawn to what heads mostly do: of 36 drawn people who were not
# learned from, by 5 % up and down and 3 % of 40 degrees across (where that is noise, by 3 and 1 %).
# So much of the turn is added, about the view's axes.
_SHORT = np.array([0.03, 0.02, 0.0])


@dataclass(frozen=True, slots=True)
class FittedHead:
    """One frame's result.

    pose: of the head in the camera's frame, as this frame says. surface: (468, 2) slopes of the
    points, freed from the network's usual bias in this view. residual: (P, 2) slopes of the points
    that tell the pose. eye_centres_mm: (2, 3) centres of rotation in the head frame, the patient's
    right eye first: as all frames say.
    """

    pose: Pose
    surface: Floats
    residual: Floats
    eye_centres_mm: Floats


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
        self._usual = SlowMean(_TIME_CONSTANT_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient."""
        self._pose: Pose | None = None
        self._usual.reset()

    def __call__(self, slopes: Floats, moved_mm: Floats, at_s: float) -> FittedHead:
        """Fit one frame's points, (468, 2) slopes.

        moved_mm: (468, 3) by how much the expression moves them in the head frame.
        """
        model = self._model
        pose = self._pose or start_pose(
            slopes[model.rigid],
            model.mean_mm[model.rigid],
            np.exp(-model.log_variance[0, model.rigid]),
        )
        fit = fit_average(model, pose, slopes, _STEPS if self._pose else _FIRST_STEPS)
        self._pose = fit.pose
        rest_mm = fit.rest_mm - moved_mm @ fit.pose.rotation[:2].T @ fit.upright
        told = model.read(_limited(rest_mm, _LARGEST_REST_MM), fit.terms)
        now = np.concatenate([told.turn_deg, told.eye_centres_mm.reshape(-1)])
        usual = self._usual(now, at_s)
        # What both eyes' middle and the turn do in this frame is partly believed; what is between
        # the eyes is the patient's.
        step = _FRAME_SHARE * (now - usual)
        step[3:6] = step[6:] = (step[3:6] + step[6:]) / 2
        known = usual + step
        centres = known[3:].reshape(2, 3)
        middle = (centres[0] + centres[1]) / 2
        corrected = _corrected(model, fit, known[:3], middle)
        upright, terms = upright_view(corrected)
        bias = (terms @ model.bias_mm.reshape(len(terms), -1)).reshape(-1, 2) @ upright.T
        return FittedHead(
            pose=corrected,
            surface=slopes + bias / corrected.translation_mm[2],
            residual=fit.residual,
            eye_centres_mm=centres - middle + model.eyes_middle_mm,
        )


def fit_average(model: LandmarkModel, pose: Pose, slopes: Floats, steps: int) -> PlainFit:
    """The fit from `pose`, on the points that tell it."""
    variance_mm2 = np.exp(upright_view(pose)[1] @ model.log_variance)
    pose = pose.refined(model.mean_mm, slopes, variance_mm2, model.rigid, _OUTLIER, steps)
    upright, terms = upright_view(pose)
    rest = pose.missed(slopes, model.mean_mm)
    rest_mm = rest @ upright * -pose.translation_mm[2]
    return PlainFit(pose, rest_mm, terms, upright, rest[model.rigid])


def upright_view(pose: Pose) -> tuple[Floats, Floats]:
    """(2, 2) from across and up the face to across and up the picture; the view's terms."""
    (x, _, ahead_x), (y, _, ahead_y), _ = pose.view_rotation().tolist()
    length = max(hypot(x, y), 1e-6)
    x, y = x / length, y / length
    terms = view_terms(ahead_x * x + ahead_y * y, ahead_y * x - ahead_x * y)
    return np.array([[x, -y], [y, x]]), terms


def _corrected(model: LandmarkModel, fit: PlainFit, turn_deg: Floats, middle_mm: Floats) -> Pose:
    """The pose turned by what the rest says that it is off, and shifted to the eyes' middle."""
    x, y = (fit.upright @ turn_deg[:2]).tolist()
    vector = np.radians([x, y, turn_deg[2]])
    vector *= min(1.0, _LARGEST_TURN_DEG / max(hypot(x, y, turn_deg[2]), 1e-9))
    turned = fit.pose.turned(vector)
    rotation = turned.turned(_SHORT * turn_vector(turned.view_rotation())).rotation
    shift = middle_mm - model.eyes_middle_mm
    shift *= min(1.0, _LARGEST_SHIFT_MM / max(hypot(*shift.tolist()), 1e-9))
    return Pose(rotation, fit.pose.translation_mm + rotation @ shift)


@compiled("f8[:,::1](f8[:,::1], f8)")
def _limited(vectors: Floats, longest: float) -> Floats:
    """(n, 2) vectors, none longer than that."""
    limited = np.empty_like(vectors)
    for i in range(len(vectors)):
        share = max(hypot(vectors[i, 0], vectors[i, 1]) / longest, 1.0)
        for axis in range(2):
            limited[i, axis] = vectors[i, axis] / share
    return limited
