"""Where the landmark network sees its points on heads in general, from `models/landmarks.npz`.

Made by `models/fit_landmarks.py` from drawings of people who do not exist, whose pose and eyes are
known. It is what pose, eye centres and static asymmetry are read with; nothing is drawn from it.
Its frame is the head frame of `digitalmask.mask_state`, scaled so that everybody's head is as large
as the average: model millimetres, which `scale` turns into real ones.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError

Floats = NDArray[np.float64]

POINTS = 468  # of the surface; the irises are no part of it
VIEW_TERMS = 6


@dataclass(frozen=True, slots=True)
class LandmarkModel:
    """The average, how people differ, and how the network errs.

    mean_mm: (468, 3). modes_mm: (K, 468, 3), directions in which faces at rest differ, each with a
        standard deviation of 1.
    bias_mm: (6, 468, 2), what the network adds across and up the upright picture, by the terms of
        `view_terms`. log_variance: (6, 468), of what else it errs by, mm², by the same terms.
    errors_mm: (M, 468, 2), what it errs by at many points together (expressions among it), across
        and up, each with a standard deviation of 1.
    rigid: (P,) the points that tell the pose.
    eye_centres_mm: (2, 3), centres of rotation, the patient's right eye first, and eye_modes_mm:
        (K, 2, 3), how they go with the modes.
    log_scale, log_scale_modes: () and (K,), of model millimetres to a real one.
    """

    mean_mm: Floats = field(repr=False)
    modes_mm: Floats = field(repr=False)
    bias_mm: Floats = field(repr=False)
    log_variance: Floats = field(repr=False)
    errors_mm: Floats = field(repr=False)
    rigid: NDArray[np.int64] = field(repr=False)
    eye_centres_mm: Floats
    eye_modes_mm: Floats = field(repr=False)
    log_scale: float
    log_scale_modes: Floats = field(repr=False)

    def shape(self, identity: Floats) -> Floats:
        """(468, 3) points of the face with these (K,) coefficients at rest."""
        return np.asarray(self.mean_mm + np.tensordot(identity, self.modes_mm, 1))

    def centres(self, identity: Floats) -> Floats:
        """(2, 3) centres of rotation of that person's eyes."""
        return np.asarray(self.eye_centres_mm + np.tensordot(identity, self.eye_modes_mm, 1))

    def scale(self, identity: Floats) -> float:
        """Model millimetres to one of that person's."""
        return float(np.exp(self.log_scale + identity @ self.log_scale_modes))


def view_terms(across: float, up: float) -> Floats:
    """(6,) in which bias and variance are given: where the face's axis points in the upright
    picture, across (to its right) and up, as components of a unit vector.
    """
    return np.array([1.0, across, up, across * across, across * up, up * up])


def load_landmark_model(path: Path | None = None) -> LandmarkModel:
    """Read the model; raises AssetError where the file is missing, damaged or of another version.

    path: another file than the project's own.
    """
    path = path or models_dir() / "landmarks.npz"
    try:
        with np.load(path) as archive:
            data = {name: archive[name].astype(np.float64) for name in archive.files}
        model = LandmarkModel(
            mean_mm=data["mean_mm"],
            modes_mm=data["modes"] * data["modes_step_mm"][:, None, None],
            bias_mm=data["bias_mm"],
            log_variance=data["log_variance"],
            errors_mm=data["errors"] * data["errors_step_mm"][:, None, None],
            rigid=data["rigid"].astype(np.int64),
            eye_centres_mm=data["eye_centres_mm"],
            eye_modes_mm=data["eye_modes_mm"],
            log_scale=float(data["log_scale"]),
            log_scale_modes=data["log_scale_modes"],
        )
    except FileNotFoundError:
        raise AssetError(
            f"{path} is missing: get it again with the project, "
            "or make it with models/fit_landmarks.py"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} is damaged or of another version: {error}") from None
    shapes = (model.mean_mm.shape, model.bias_mm.shape)
    if shapes != ((POINTS, 3), (VIEW_TERMS, POINTS, 2)):
        raise AssetError(f"{path} is of another version: get it again")
    return model
