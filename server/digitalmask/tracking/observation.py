"""What the tracker says of one frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    """

    captured_at_s: float
    width: int
    height: int
    points: NDArray[np.float32]
    presence: float
    blendshapes: NDArray[np.float32]
