"""The 478-point network and the blendshape network on a region of the frame.

Landmarks: a crop (1, 256, 256, 4) in; 478 points in pixels of it and a presence logit out.
Blendshapes: 146 of the points, in pixels of the frame, in; 52 scores out.
"""

from math import exp

import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.networks import FaceNetwork
from digitalmask.tracking.region import Region

_SIZE = 256
# The points that the blendshape network was trained on, in its order.
_BLENDSHAPE_POINTS = np.array(
    [0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65]
    + [66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136]
    + [144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168]
    + [172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276]
    + [282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318]
    + [321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380]
    + [381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454]
    + [466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477]
)


def find_points(
    network: FaceNetwork, frame: PatientFrame, region: Region
) -> tuple[NDArray[np.float32], float]:
    """(478, 3) points in the frame, and the presence of a face from 0 to 1."""
    points, presence, _ = network.run(region.cut(frame, _SIZE)[None])
    logit = min(max(float(presence.flat[0]), -50.0), 50.0)
    return region.to_frame(points.reshape(478, 3), _SIZE), 1.0 / (1.0 + exp(-logit))


def score_blendshapes(network: FaceNetwork, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(52,) scores from 0 to 1."""
    scores = network.run(np.ascontiguousarray(points[None, _BLENDSHAPE_POINTS, :2]))[0]
    return np.asarray(scores, np.float32).reshape(52)
