"""Gaze and lids of each eye by itself, in degrees and millimetres.

The iris gives the scale: the horizontal visible iris diameter is 11.7 mm in nearly everyone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pose

Floats = NDArray[np.float64]

IRIS_DIAMETER_MM = 11.7
# From the eye's centre of rotation to the plane of the limbus: 13.5 mm to the corneal apex less
# 3.0 mm of anterior chamber.
_LIMBUS_FROM_CENTRE_MM = 10.5
# The head's eyeballs have a front radius of 15.0 mm; the corneal apex of a real eye is 13.5 mm in
# front of its centre of rotation, so the patient's centre lies 1.5 mm nearer the surface.
_CENTRE_FORWARD_MM = 1.5
# Where along the palpebral fissure the lids are read, from its medial to its lateral end.
_ALONG = np.array([1 / 3, 1 / 2, 2 / 3])


@dataclass(frozen=True, slots=True)
class EyePoints:
    """Which of the 478 points belong to an eye; lids run from the medial to the lateral end."""

    medial: int
    lateral: int
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: int  # its centre; the four points of the ring follow

    @property
    def ring(self) -> NDArray[np.int64]:
        """The four points on the limbus."""
        return np.arange(self.iris + 1, self.iris + 5)


RIGHT = EyePoints(
    medial=133,
    lateral=33,
    upper=(173, 157, 158, 159, 160, 161, 246),
    lower=(155, 154, 153, 145, 144, 163, 7),
    iris=468,
)
LEFT = EyePoints(
    medial=362,
    lateral=263,
    upper=(398, 384, 385, 386, 387, 388, 466),
    lower=(382, 381, 380, 374, 373, 390, 249),
    iris=473,
)


@dataclass(frozen=True, slots=True)
class EyeReading:
    """An eye in one frame, unsmoothed; units as in `digitalmask.mask_state.EyeState`."""

    gaze_deg: Floats
    upper_mm: Floats
    lower_mm: Floats


def iris_scale(pose: Pose, slopes: Floats, eye: EyePoints, centre_mm: Floats) -> float:
    """How many millimetres of this pose's scale the iris has, over its real ones."""
    depth = -float(pose.apply(centre_mm[None])[0, 2])
    ring = slopes[eye.ring]
    # The widest of the two diameters: a lid hides the top or the bottom, turning narrows one.
    across = max(np.linalg.norm(ring[0] - ring[2]), np.linalg.norm(ring[1] - ring[3]))
    return float(across * depth / IRIS_DIAMETER_MM)


def eye_centre(eye: EyePoints, canonical_mm: Floats, centre_mm: Floats, own_mm: Floats) -> Floats:
    """The patient's centre of rotation, carried over from the head by the corners of the eye.

    canonical_mm, own_mm: (478, 3) points of the head and of the patient's neutral.
    """
    corners = [eye.medial, eye.lateral]
    moved = own_mm[corners].mean(axis=0) - canonical_mm[corners].mean(axis=0)
    return np.asarray(centre_mm + moved + [0.0, 0.0, _CENTRE_FORWARD_MM])


def read_eye(
    pose: Pose, slopes: Floats, eye: EyePoints, centre_mm: Floats, scale: float
) -> EyeReading:
    """Gaze as the ray through the iris meeting the eye's sphere, and the lids' heights.

    slopes: (478, 2) of the observed points. scale: of this pose over real millimetres.
    """
    radius = _LIMBUS_FROM_CENTRE_MM * scale
    camera = -pose.translation_mm @ pose.rotation  # the camera's place in the head frame
    iris = slopes[[eye.iris, *eye.ring]].mean(axis=0)
    ray = np.array([iris[0], iris[1], -1.0]) @ pose.rotation
    ray /= np.linalg.norm(ray)
    towards = camera - centre_mm
    along = float(ray @ towards)
    root = along * along - float(towards @ towards) + radius * radius
    # An iris drawn off the sphere (an extreme gaze, or noise) takes the sphere's nearest place.
    pupil = camera + ray * (-along - np.sqrt(max(root, 0.0)))
    direction = (pupil - centre_mm) / np.linalg.norm(pupil - centre_mm)
    gaze = np.degrees([np.arctan2(direction[0], direction[2]), np.arcsin(direction[1])])

    lids = np.array([eye.medial, *eye.upper, eye.lateral, eye.medial, *eye.lower, eye.lateral])
    places = pose.seen_at(slopes[lids], np.tile(pupil, (len(lids), 1)))
    count = len(lids) // 2
    heights = []
    for half in (places[:count], places[count:]):
        share = np.abs(half[:, 0] - half[0, 0])
        share = np.maximum.accumulate(share / max(float(share[-1]), 1e-6))
        heights.append(np.interp(_ALONG, share, half[:, 1] - pupil[1]) / scale)
    return EyeReading(gaze, heights[0], heights[1])
