"""The limbus and the lid margins, found below a pixel in the frame itself.

The landmark network works on a face of 256 pixels: it places the iris within half a pixel, but
draws both eyes' lids alike (a lid that droops by 3 mm on one side is seen to droop by 1.5 there
and by 0.5 on the other side, measured), and 1 mm of error is 5 degrees of gaze. Its points say
where to look. There a network of our own sees the lids (`eye_network`), each eye's by itself, and
about where the iris is; the edges say where that is to a fiftieth of a pixel (`eye_edges`).
"""

from dataclasses import dataclass
from math import hypot, isnan, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.eye_edges import (
    HALF_FISSURE,
    HEIGHT,
    MIDDLE_X,
    MIDDLE_Y,
    WIDTH,
    Picture,
    fill_brightness,
    find_edges,
)
from digitalmask.tracking.eye_network import SeenEye, see_eyes
from digitalmask.tracking.networks import FaceNetwork
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE, EyeOutline, points_outline

Floats = NDArray[np.float64]

# The limbus is looked for in a picture so much out of focus, over the iris' radius: a sharp edge
# that moves by a quarter of a pixel is seen to move by .75 to 1.15 of that, one as soft as this
# by .95 to 1.0 (simulated patients).
_BLUR_SHARE = 0.17
# How far the landmark network's iris usually is off, over its radius.
_POINT_SPREAD = 0.15
# Where the eyes' network says that it may be off by more than this share of the radius, across, as
# where an eye looks farther aside than any that it learned from, its place counts less.
_SURE_SHARE = 0.1
_LEAST_FISSURE_PX, _LEAST_RADIUS_PX = 14.0, 2.0  # below them there is nothing to refine
_OUTER_CORNERS_FOREHEAD_CHIN = [33, 263, 10, 152]
_MIDDLE = np.array([MIDDLE_X, MIDDLE_Y])


def find_outlines(
    network: FaceNetwork, frame: PatientFrame, points: NDArray[np.float32]
) -> tuple[EyeOutline, EyeOutline]:
    """The outlines of the right and the left eye in a frame.

    network: the eyes'. points: (478, 3) the landmark network's.
    """
    rough = tuple(points_outline(points, eye) for eye in (RIGHT_EYE, LEFT_EYE))
    cuts = [
        EyeCut.of_eye(side, outline.upper_px[0], outline.upper_px[-1])
        for side, outline in enumerate(rough)
    ]
    pictures = [cut.picture(frame) for cut in cuts]
    seen = see_eyes(network, *pictures)
    head = points[_OUTER_CORNERS_FOREHEAD_CHIN].astype(np.float64)
    right, left = map(_refined, cuts, pictures, seen, rough, (head, head))
    return right, left


def _refined(
    cut: "EyeCut", picture: NDArray[np.uint8], seen: SeenEye, rough: EyeOutline, head: Floats
) -> EyeOutline:
    if cut.scale * 2 * HALF_FISSURE < _LEAST_FISSURE_PX or rough.iris_radius_px < _LEAST_RADIUS_PX:
        return rough
    head = head.copy()
    head[:, :2] = head[:, :2] @ cut.axes
    known, height_off = _known_iris(cut, seen, rough)
    trust = min(_SURE_SHARE * float(seen.iris[2] / seen.iris_off[0]), 1.0) ** 2
    x, y, radius, sure, pupil = find_edges(
        cut.brightness(picture, known[2]), seen.margins, known, height_off, trust, head
    )
    upper, lower = cut.back(seen.margins.reshape(-1, 2)).reshape(2, -1, 2)
    return EyeOutline(
        iris_px=cut.back(np.array([[x, y]]))[0],
        iris_radius_px=radius * cut.scale,
        upper_px=upper,
        lower_px=lower,
        lids_iris_px=cut.back(seen.iris[None, :2])[0],
        lids_radius_px=float(seen.iris[2]) * cut.scale,
        iris_sure=sure,
        lids_sure=1.0,
        pupil_share=None if isnan(pupil) else pupil,
    )


def _known_iris(cut: "EyeCut", seen: SeenEye, rough: EyeOutline) -> tuple[Floats, float]:
    """(3,) the iris' x, y and radius as both networks say, each as far as it can be trusted, and
    how far off its height usually is.
    """
    iris, variance = seen.iris.copy(), seen.iris_off[:2] ** 2
    points_off = _POINT_SPREAD * float(iris[2])
    share = variance / (variance + points_off**2)
    iris[:2] += share * (cut.into(rough.iris_px[None])[0] - iris[:2])
    return iris, points_off * sqrt(share[1])


@dataclass(frozen=True, slots=True)
class EyeCut:
    """How an eye is cut out of the frame with its corners on a level.

    scale: pixels of the frame a pixel of the cut. axes: (2, 2), columns: the cut's x and y axes in
    the frame. middle_px: (2,) the frame's place of its middle.
    """

    scale: float
    axes: Floats
    middle_px: Floats

    @classmethod
    def of_eye(cls, side: int, medial: Floats, lateral: Floats) -> "EyeCut":
        """With these corners (2,) of the patient's right (0) or left (1) eye on its level, and the
        upper lid up.
        """
        left, right = (medial, lateral) if side else (lateral, medial)
        x, y = (right - left).tolist()
        width = max(hypot(x, y), 1e-6)
        axes = np.array([[x, -y], [y, x]]) / width
        return cls(width / (2 * HALF_FISSURE), axes, (left + right) / 2)

    def into(self, places: Floats) -> Floats:
        """(n, 2) places of the frame into the cut, whose first pixel's centre is 0, 0."""
        return np.asarray((places - self.middle_px) @ (self.axes / self.scale) + _MIDDLE)

    def back(self, places: Floats) -> Floats:
        """(n, 2) places of the cut into the frame."""
        return np.asarray((places - _MIDDLE) @ (self.scale * self.axes.T) + self.middle_px)

    def picture(self, frame: PatientFrame) -> NDArray[np.uint8]:
        """(HEIGHT, WIDTH, 4) what the frame shows there."""
        turned = self.scale * self.axes
        start = self.middle_px - 0.5 - turned @ _MIDDLE
        matrix = np.concatenate([turned, start[:, None]], axis=1)
        return frame.cut(matrix, (WIDTH, HEIGHT), black_beyond=False)

    def brightness(self, picture: NDArray[np.uint8], iris: float) -> Picture:
        """What `find_edges` looks at, out of focus. iris: its radius in pixels of the cut."""
        bright = np.empty((HEIGHT, WIDTH), np.float32)
        fill_brightness(picture, bright)
        blur = min(max(_BLUR_SHARE * iris, 0.5 / self.scale), 1.3 / self.scale)
        return np.asarray(cv2.GaussianBlur(bright, (0, 0), blur), np.float32)
