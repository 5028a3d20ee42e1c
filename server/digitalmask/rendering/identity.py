"""What is seen where in a drawn mask: for measuring what is drawn, never for showing it."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

# The values of `Identity.part`; SKIN holds the lids' margins and the lips, MOUTH what is inside.
GROUND: Final = 0
SKIN: Final = 1
MOUTH: Final = 2
# The patient's right eye, then the left.
SCLERA: Final = (3, 6)
IRIS: Final = (4, 7)
PUPIL: Final = (5, 8)


@dataclass(frozen=True, slots=True)
class Identity:
    """What each pixel's centre sees.

    part: (h, w) uint8, GROUND, SKIN, MOUTH, or for an eye SCLERA, IRIS or PUPIL.
    place_mm: (h, w, 3) float32, the place that is seen, in the head frame: with expression and
        lids as they are, without the head's turn. NaN where it is GROUND. What lies below the jaw
        bends with the neck, which takes a part of the head's turn only.
    """

    part: NDArray[np.uint8] = field(repr=False)
    place_mm: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MaskCamera:
    """The renderer's camera for a size.

    A view-frame point (X, Y, Z) mm, the head's origin being (0, 0, 0), is seen at the pixel
        column = centre_px[0] + focal_px X / (distance_mm - Z)
        row = centre_px[1] - focal_px Y / (distance_mm - Z)
    where whole numbers are the pixels' borders: the first pixel's centre is (0.5, 0.5).
    centre_px: where the head's origin is seen; the mask moves in the picture by moving it.
    """

    focal_px: float
    distance_mm: float
    centre_px: tuple[float, float]

    def project(self, view_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 3) view-frame points to (n, 2) columns and rows."""
        view = np.asarray(view_mm, np.float64)
        scale = self.focal_px / (self.distance_mm - view[:, 2])
        return np.stack(
            [
                self.centre_px[0] + scale * view[:, 0],
                self.centre_px[1] - scale * view[:, 1],
            ],
            axis=1,
        )

    def rotation_seen(
        self, pixels: NDArray[np.floating], places_mm: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """The head's rotation (3, 3) from where places (n, 3) of the head are seen (n, 2).

        Where in the picture the head stands is solved for too, not taken from `centre_px`.
        """

        def misfit(x: NDArray[np.float64]) -> NDArray[np.float64]:
            camera = MaskCamera(self.focal_px, self.distance_mm, (x[3], x[4]))
            turned = Rotation.from_rotvec(x[:3]).apply(places_mm)
            return np.asarray((camera.project(turned) - pixels).ravel())

        start = np.concatenate([np.zeros(3), np.mean(pixels, axis=0)])
        solved = least_squares(misfit, start, x_scale=[0.1, 0.1, 0.1, 10.0, 10.0])
        return np.asarray(Rotation.from_rotvec(solved.x[:3]).as_matrix())
