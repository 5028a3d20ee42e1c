"""Gaze and lids of each eye by itself, in degrees and millimetres.

The iris gives the scale: the horizontal visible iris diameter is 11.7 mm in nearly everyone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.tracking.observation import EyeOutline

Floats = NDArray[np.float64]

IRIS_DIAMETER_MM = 11.7
# From the eye's centre of rotation to the plane of the limbus: 13.5 mm to the corneal apex less
# 3.0 mm of anterior chamber.
LIMBUS_FROM_CENTRE_MM = 10.5
# The lids' free edges slide on the eye: 12 mm, and as thick as they are.
_LIDS_FROM_CENTRE_MM = 13.0
# Where along the palpebral fissure the lids are read, from its medial to its lateral end.
_ALONG = np.array([1 / 3, 1 / 2, 2 / 3])


@dataclass(frozen=True, slots=True)
class EyeReading:
    """An eye in one frame, unsmoothed; units as in `digitalmask.mask_state.EyeState`."""

    gaze_deg: Floats
    upper_mm: Floats
    lower_mm: Floats


def iris_scale(pose: Pose, pinhole: Pinhole, outline: EyeOutline, centre_mm: Floats) -> float:
    """How many millimetres of this pose's scale the iris has, over its real ones."""
    depth = -float(pose.apply(centre_mm[None])[0, 2]) - LIMBUS_FROM_CENTRE_MM
    return 2.0 * outline.iris_radius_px / pinhole.focal_px * depth / IRIS_DIAMETER_MM


def read_eye(
    pose: Pose, pinhole: Pinhole, outline: EyeOutline, centre_mm: Floats, scale: float
) -> EyeReading:
    """Gaze as the ray through the iris meeting the eye's sphere, and the lids' heights.

    scale: of this pose over real millimetres.
    """
    pupil = _on_sphere(
        pose, pinhole, outline.iris_px[None], centre_mm, LIMBUS_FROM_CENTRE_MM * scale
    )[0]
    direction = (pupil - centre_mm) / np.linalg.norm(pupil - centre_mm)
    gaze = np.degrees([np.arctan2(direction[0], direction[2]), np.arcsin(direction[1])])
    heights = []
    for margin in (outline.upper_px, outline.lower_px):
        places = _on_sphere(pose, pinhole, margin, centre_mm, _LIDS_FROM_CENTRE_MM * scale)
        share = np.abs(places[:, 0] - places[0, 0])
        share = np.maximum.accumulate(share / max(float(share[-1]), 1e-6))
        heights.append(np.interp(_ALONG, share, places[:, 1] - pupil[1]) / scale)
    return EyeReading(gaze, heights[0], heights[1])


def _on_sphere(
    pose: Pose, pinhole: Pinhole, places_px: Floats, centre_mm: Floats, radius_mm: float
) -> Floats:
    """(n, 3) where the rays through places of the frame meet a sphere, in the head frame.

    A ray that misses it (an extreme gaze, the corners of the lids, noise) takes its nearest place.
    """
    camera = -pose.translation_mm @ pose.rotation
    slopes = pinhole.slopes(places_px)
    rays = slopes @ pose.rotation[:2] - pose.rotation[2]
    rays /= np.sqrt((slopes[:, :1] ** 2 + slopes[:, 1:] ** 2) + 1.0)
    towards = camera - centre_mm
    along = rays @ towards
    root = along * along - float(towards @ towards) + radius_mm * radius_mm
    return np.asarray(camera + rays * (-along - np.sqrt(np.maximum(root, 0.0)))[:, None])
