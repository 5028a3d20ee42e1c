"""The limbus and the lid margins, found below a pixel in the frame itself.

The landmark network works on a face of 256 pixels: it places the iris within half a pixel, but
draws both eyes' lids alike (a lid that droops by 3 mm on one side is seen to droop by 1.5 there
and by 0.5 on the other side, measured), and 1 mm of error is 5 degrees of gaze. Its points say
where to look; the edges say what is there (`eye_edges`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isnan

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.eye_edges import (
    HALF_FISSURE,
    HEIGHT,
    MIDDLE_X,
    MIDDLE_Y,
    PLACES_X,
    WIDTH,
    Picture,
    find_edges,
    split_colours,
)
from digitalmask.tracking.observation import (
    LEFT_EYE,
    RIGHT_EYE,
    EyeOutline,
    EyePoints,
    points_outline,
)

Floats = NDArray[np.float64]

# The limbus is looked for in a picture so much out of focus, over the iris' radius: a sharp edge
# that moves by a quarter of a pixel is seen to move by .75 to 1.15 of that, one as soft as this
# by .95 to 1.0 (simulated patients). Lids are nearer to each other.
_BLUR_SHARE = 0.17
_LID_BLUR_PX = 0.6
_LEAST_FISSURE_PX, _LEAST_RADIUS_PX = 14.0, 2.0  # below them there is nothing to refine
_OUTER_CORNERS_FOREHEAD_CHIN = [33, 263, 10, 152]
_MIDDLE = np.array([MIDDLE_X, MIDDLE_Y])


def find_outlines(
    frame: PatientFrame,
    points: NDArray[np.float32],
    eyes: Sequence[EyePoints] = (RIGHT_EYE, LEFT_EYE),
) -> list[EyeOutline]:
    """The outlines of the eyes in a frame, from the network's points (478, 3)."""
    return [_find_outline(frame, points, eye) for eye in eyes]


def _find_outline(frame: PatientFrame, points: NDArray[np.float32], eye: EyePoints) -> EyeOutline:
    rough = points_outline(points, eye)
    medial, lateral = rough.upper_px[0], rough.upper_px[-1]
    if hypot(*(medial - lateral)) < _LEAST_FISSURE_PX or rough.iris_radius_px < _LEAST_RADIUS_PX:
        return rough
    is_turned = medial[0] >= lateral[0]
    cut = _Cut.between(lateral, medial) if is_turned else _Cut.between(medial, lateral)
    places = cut.into(np.concatenate([rough.upper_px, rough.lower_px, rough.iris_px[None]]))
    x, y = places[-1].tolist()
    head = points[_OUTER_CORNERS_FOREHEAD_CHIN].astype(np.float64)
    head[:, :2] = head[:, :2] @ cut.axes
    heights, (x, y, radius, sure, lids_sure, pupil, whiteness) = find_edges(
        *cut.layers(frame, rough.iris_radius_px),
        places[:-1].reshape(2, -1, 2),
        (x, y, rough.iris_radius_px / cut.scale),
        head,
    )
    places = np.empty((2 * len(PLACES_X) + 1, 2))
    places[:-1, 0], places[:-1, 1], places[-1] = np.tile(PLACES_X, 2), heights.reshape(-1), (x, y)
    places = cut.back(places)
    upper, lower = places[:-1].reshape(2, -1, 2)[:, :: -1 if is_turned else 1]
    return EyeOutline(
        iris_px=places[-1],
        iris_radius_px=radius * cut.scale,
        upper_px=upper,
        lower_px=lower,
        iris_sure=sure,
        lids_sure=lids_sure,
        pupil_share=None if isnan(pupil) else pupil,
        whiteness=None if isnan(whiteness) else whiteness,
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """How an eye is cut out of the frame with its corners on a level.

    scale: pixels of the frame a pixel of the cut. axes: (2, 2), columns: the cut's x and y axes in
    the frame. middle_px: (2,) the frame's place of its middle.
    """

    scale: float
    axes: Floats
    middle_px: Floats

    @classmethod
    def between(cls, left: Floats, right: Floats) -> "_Cut":
        x, y = (right - left).tolist()
        width = hypot(x, y)
        axes = np.array([[x, -y], [y, x]]) / width
        return cls(width / (2 * HALF_FISSURE), axes, (left + right) / 2)

    def into(self, places: Floats) -> Floats:
        """(n, 2) places of the frame into the cut, whose first pixel's centre is 0, 0."""
        return np.asarray((places - self.middle_px) @ (self.axes / self.scale) + _MIDDLE)

    def back(self, places: Floats) -> Floats:
        """(n, 2) places of the cut into the frame."""
        return np.asarray((places - _MIDDLE) @ (self.scale * self.axes.T) + self.middle_px)

    def layers(
        self, frame: PatientFrame, iris_px: float
    ) -> tuple[Picture, Picture, Picture, float]:
        """What `find_edges` looks at: the eye's layers out of focus, and the skin's brightness."""
        turned = self.scale * self.axes
        start = self.middle_px - 0.5 - turned @ _MIDDLE
        matrix = np.concatenate([turned, start[:, None]], axis=1)
        picture = frame.cut(matrix, (WIDTH, HEIGHT), black_beyond=False)
        bright, colours, bluer = layers = np.empty((3, HEIGHT, WIDTH), np.float32)
        level = split_colours(picture, *layers)
        blur_px = min(max(_BLUR_SHARE * iris_px, 0.5), 1.3) / self.scale
        cv2.GaussianBlur(bright, (0, 0), blur_px, dst=bright)
        lid_blur_px = max(_LID_BLUR_PX / self.scale, 0.8)
        # For a kernel of a few pixels this takes half of GaussianBlur's time.
        kernel = cv2.getGaussianKernel(round(8 * lid_blur_px + 1) | 1, lid_blur_px, cv2.CV_32F)
        for layer in (colours, bluer):
            cv2.sepFilter2D(layer, -1, kernel, kernel, dst=layer)
        return bright, colours, bluer, level
