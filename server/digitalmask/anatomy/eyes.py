"""Gaze and lids of each eye by itself, in degrees and millimetres.

The iris gives the scale: the horizontal visible iris diameter is 11.7 mm in nearly everyone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.compiled import compiled
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
    depth = -float(pose.rotation[2] @ centre_mm + pose.translation_mm[2]) - LIMBUS_FROM_CENTRE_MM
    return 2.0 * outline.lids_radius_px / pinhole.focal_px * depth / IRIS_DIAMETER_MM


def read_eye(
    pose: Pose, pinhole: Pinhole, outline: EyeOutline, centre_mm: Floats, scale: float
) -> EyeReading:
    """Gaze as the ray through the iris meeting the eye's sphere, and the lids' heights.

    scale: of this pose over real millimetres.
    """
    read = _read(
        pose.rotation,
        pose.translation_mm,
        pinhole.slopes(np.stack([outline.iris_px, outline.lids_iris_px])),
        pinhole.slopes(outline.upper_px),
        pinhole.slopes(outline.lower_px),
        centre_mm,
        scale,
    )
    return EyeReading(read[:2], read[2:5], read[5:])


@compiled("f8[:,::1](f8[:,::1], f8[::1], f8[:,::1], f8[::1], f8)")
def _on_sphere(
    rotation: Floats, translation: Floats, slopes: Floats, centre_mm: Floats, radius_mm: float
) -> Floats:
    """(n, 3) where the rays of slopes (n, 2) meet a sphere, in the head frame.

    A ray that misses it (an extreme gaze, the corners of the lids, noise) takes its nearest place.
    """
    camera = -(translation @ rotation)
    towards = camera - centre_mm
    far = towards @ towards - radius_mm**2
    places = np.empty((len(slopes), 3))
    for i in range(len(slopes)):
        x, y = slopes[i]
        ray = (x * rotation[0] + y * rotation[1] - rotation[2]) / np.sqrt(x * x + y * y + 1.0)
        along = ray @ towards
        places[i] = camera - (along + np.sqrt(max(along**2 - far, 0.0))) * ray
    return places


@compiled("f8[::1](f8[:,::1], f8[::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8)")
def _read(
    rotation: Floats,
    translation: Floats,
    iris: Floats,
    upper: Floats,
    lower: Floats,
    centre_mm: Floats,
    scale: float,
) -> Floats:
    """`read_eye` on slopes: gaze, the upper margin's and the lower margin's heights.

    iris: (2, 2) the one that moves as the eye does, and the one over which lids are read.
    """
    read = np.empty(8)
    limbus_mm, lids_mm = LIMBUS_FROM_CENTRE_MM * scale, _LIDS_FROM_CENTRE_MM * scale
    pupils = _on_sphere(rotation, translation, iris, centre_mm, limbus_mm)
    direction = pupils[0] - centre_mm
    direction /= np.sqrt(direction @ direction)
    read[0] = np.degrees(np.arctan2(direction[0], direction[2]))
    read[1] = np.degrees(np.arcsin(direction[1]))
    for lid, margin in enumerate((upper, lower)):
        places = _on_sphere(rotation, translation, margin, centre_mm, lids_mm)
        share = np.abs(places[:, 0] - places[0, 0]) / max(abs(places[-1, 0] - places[0, 0]), 1e-6)
        for i in range(1, len(share)):
            share[i] = max(share[i], share[i - 1])
        heights = np.interp(_ALONG, share, places[:, 1] - pupils[1, 1])
        read[2 + 3 * lid : 5 + 3 * lid] = heights / scale
    return read
