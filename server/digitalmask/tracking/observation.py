"""What the tracker says of one frame."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray


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


# The patient's own right and left.
RIGHT_EYE = EyePoints(
    medial=133,
    lateral=33,
    upper=(173, 157, 158, 159, 160, 161, 246),
    lower=(155, 154, 153, 145, 144, 163, 7),
    iris=468,
)
LEFT_EYE = EyePoints(
    medial=362,
    lateral=263,
    upper=(398, 384, 385, 386, 387, 388, 466),
    lower=(382, 381, 380, 374, 373, 390, 249),
    iris=473,
)


# An iris that is at least so sure is where it was found: its cornea's reflections are looked for.
IRIS_SEEN = 0.5


@dataclass(frozen=True, slots=True)
class EyeOutline:
    """What is seen of one eye, in pixels of the frame.

    iris_px: (2,) the centre of the limbus. iris_radius_px: its larger half axis.
    upper_px, lower_px: (n, 2) the lid margins from the medial to the lateral corner.
    lids_iris_px, lids_radius_px: the iris as the network has it that sees the lids. Edges follow
        the least movement, but light changes most not quite at the limbus; how high a lid stands
        over the pupil, and the scale, are told by this one.
    iris_sure: from 0 (networks alone) to 1 (edges were found on both sides).
    lids_sure: 1 where the eyes' network sees the lids, 0 where the landmark network alone does.
    pupil_share: the pupil's diameter over the iris'; None where it cannot be seen.
    """

    iris_px: NDArray[np.float64]
    iris_radius_px: float
    upper_px: NDArray[np.float64]
    lower_px: NDArray[np.float64]
    lids_iris_px: NDArray[np.float64]
    lids_radius_px: float
    iris_sure: float = 0.0
    lids_sure: float = 0.0
    pupil_share: float | None = None


def points_outline(points: NDArray[np.floating], eye: EyePoints) -> EyeOutline:
    """The outline that the network's points (478, 2 or more) alone give."""
    iris = points[eye.iris : eye.iris + 5, :2].astype(np.float64)
    across = [hypot(*(iris[end] - iris[start])) for start, end in ((1, 3), (2, 4))]
    upper, lower = (
        points[[eye.medial, *margin, eye.lateral], :2].astype(np.float64)
        for margin in (eye.upper, eye.lower)
    )
    centre, radius = iris.sum(axis=0) / 5, max(across) / 2
    return EyeOutline(centre, radius, upper, lower, centre, radius)


@dataclass(frozen=True, slots=True)
class CornealReflexes:
    """How what both corneas reflect lies beside the irises, in iris radii (x right, y down).

    apart: (2,) how much farther the left eye's reflections lie from the middle of its iris than the
        right eye's do. middle: (2,) where they are, over both eyes.
    """

    apart: NDArray[np.float64]
    middle: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SkinFlow:
    """How the skin at some of the points moved, as its picture says.

    points: (n,) which. before_px, now_px: (n, 2) places in the frame followed before and in this
        one, at which the same skin is seen.
    """

    points: NDArray[np.int64]
    before_px: NDArray[np.float64]
    now_px: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FaceObservation:
    """The patient's face in one frame.

    captured_at_s: the frame's capture clock.
    width, height: of the frame, pixels.
    points: (478, 3) float32. x, y in pixels of the frame (right, down; sub-pixel, the centre of
        the top left pixel is 0.5, 0.5); z in the same scale, smaller is nearer the camera.
        Indices are those of MediaPipe's face mesh: 468 of the surface, 468..472 the iris of the
        patient's right eye (centre first), 473..477 that of the left.
    presence: from 0 to 1, that there is a face in the region.
    blendshapes: (52,) float32 scores from 0 to 1 in MediaPipe's order.
    right_eye, left_eye: the patient's own.
    reflexes: those of the corneas; None where they cannot be seen.
    skin_flow: since the frame observed before; None where that is not known.
    """

    captured_at_s: float
    width: int
    height: int
    points: NDArray[np.float32]
    presence: float
    blendshapes: NDArray[np.float32]
    right_eye: EyeOutline
    left_eye: EyeOutline
    reflexes: CornealReflexes | None = None
    skin_flow: SkinFlow | None = None
