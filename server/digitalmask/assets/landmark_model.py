"""Where the landmark network sees its points on heads in general, from `models/landmarks.npz`.

Made by `models/fit_landmarks.py` from drawings of people who do not exist, whose pose and eyes are
known. It is what pose, eye centres and static asymmetry are read with; nothing is drawn from it.
Its frame is the head frame of `digitalmask.mask_state`, scaled so that everybody's head is as large
as the average: model millimetres.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.archive import read_archive
from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError

Floats = NDArray[np.float64]

POINTS = 468  # of the surface; the irises are no part of it
_LINEAR_TERMS = 3
_OUTPUTS = 10
# The eyes turn about centres that lie so far before those of the head's eyeballs, between which
# the head frame's origin is.
_PIVOTS_FORWARD_MM = 1.5


@dataclass(frozen=True, slots=True)
class Told:
    """What the rest of a fit of the average head says.

    turn_deg: (3,) rotation vector in the upright view frame by which the pose is still off.
    eye_centres_mm: (2, 3) centres of rotation beside the fitted pose's origin, along the axes of
    the corrected one, the patient's right eye first. log_scale: of model millimetres to a real one.
    """

    turn_deg: Floats
    eye_centres_mm: Floats
    log_scale: float


@dataclass(frozen=True, slots=True)
class LandmarkModel:
    """The average head, how the network errs on it, and what deviations from it mean.

    mean_mm: (468, 3), where on the average head the network sees its points.
    bias_mm: (6, 468, 2), what it adds across and up the upright picture, by the terms of
        `view_terms`. log_variance: (6, 468), of what else it is off by, mm², by the same terms.
    rigid: (P,) the points that tell the pose.
    usual_rest_mm: (468, 2), what a fit leaves over on average. constant: (10, 6) and told:
        (3, 10, 936): the linear reading of what it leaves over beyond that, by the terms of the
        view; see `read`.
    """

    mean_mm: Floats = field(repr=False)
    bias_mm: Floats = field(repr=False)
    log_variance: Floats = field(repr=False)
    rigid: NDArray[np.int64] = field(repr=False)
    usual_rest_mm: Floats = field(repr=False)
    constant: Floats = field(repr=False)
    told: Floats = field(repr=False)

    @property
    def eyes_middle_mm(self) -> Floats:
        """(3,) midway between the eyes' centres of rotation, in the head frame."""
        return np.array([0.0, 0.0, _PIVOTS_FORWARD_MM])

    def read(self, rest_mm: Floats, terms: Floats) -> Told:
        """What a rest (468, 2), across and up the upright picture, says in a view."""
        beyond = (rest_mm - self.usual_rest_mm).reshape(-1)
        values = self.constant @ terms + terms[:_LINEAR_TERMS] @ (self.told @ beyond)
        return Told(values[:3], values[3:9].reshape(2, 3), float(values[9]))


def view_terms(across: float, up: float) -> Floats:
    """(6,) the terms of a view: where the face's axis points in the upright picture, across (to its
    right) and up, as components of a unit vector.
    """
    return np.array([1.0, across, up, across * across, across * up, up * up])


def load_landmark_model(path: Path | None = None) -> LandmarkModel:
    """Read the model; raises AssetError where the file is missing, damaged or of another version.

    path: another file than the project's own.
    """
    path = path or models_dir() / "landmarks.npz"
    with read_archive(path, "models/fit_landmarks.py") as arrays:
        data = {name: array.astype(np.float64) for name, array in arrays.items()}
        model = LandmarkModel(
            mean_mm=data["mean_mm"],
            bias_mm=data["bias_mm"],
            log_variance=data["log_variance"],
            rigid=data["rigid"].astype(np.int64),
            usual_rest_mm=data["usual_rest_mm"],
            constant=data["constant"],
            told=data["told"] * data["told_step"],
        )
    expected = (_LINEAR_TERMS, _OUTPUTS, 2 * POINTS)
    if model.told.shape != expected or model.mean_mm.shape != (POINTS, 3):
        raise AssetError(f"{path} is of another version: get it again")
    return model
