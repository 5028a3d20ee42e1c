"""The head's place as the corners of its eyes say.

The landmark network moves all its points with brows and irises, and the pose goes along: an eye
that stands still is then read to turn the other way, by 5.5 degrees a millimetre. The network that
sees the eyes was taught where their corners are whatever lids, irises and brows do. Neither is
right: where the corners move in the head that the pose has, the head goes half the way after them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE, EyeOutline

Floats = NDArray[np.float64]

_POINTS = np.array([RIGHT_EYE.medial, RIGHT_EYE.lateral, LEFT_EYE.medial, LEFT_EYE.lateral])
_SHARE = 0.5
_USUAL_TIME_CONSTANT_S = 20.0


class EyeCorners:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._usual = SlowMean(_USUAL_TIME_CONSTANT_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient; the next pose passes as it is."""
        self._usual.reset()
        self._moved_mm = np.zeros(3)

    def __call__(
        self,
        pose: Pose,
        outlines: Sequence[EyeOutline],
        pinhole: Pinhole,
        shape_mm: Floats,
        at_s: float,
    ) -> Pose:
        """The pose in this frame.

        outlines: of the right and the left eye; while one is not seen by the network of the eyes
        it stays with how the corners had moved. shape_mm: (468, 3) where the points are on this
        head, whose depth alone counts.
        """
        if all(outline.lids_sure > 0.0 for outline in outlines):
            corners_px = np.stack([eye.upper_px[end] for eye in outlines for end in (0, -1)])
            places = pose.seen_at(pinhole.slopes(corners_px), shape_mm[_POINTS])
            middle = places.mean(axis=0)
            self._moved_mm = middle - self._usual(middle, at_s)
        # Along its depth nothing is seen of the head.
        across = pose.rotation @ (_SHARE * self._moved_mm)
        across[2] = 0.0
        return Pose(pose.rotation, pose.translation_mm + across)
