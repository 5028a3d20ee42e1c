"""Where each eye is beside the head's pose, as its corners say.

The landmark network moves all its points with brows and irises, and the pose goes along: an eye
that stands still is then read to turn the other way, by 5.5 degrees a millimetre. The network that
sees the eyes was taught where their corners are whatever lids, irises and brows do. Neither is
right: where the corners of both eyes move in the head that the pose has, both eyes go half the way
after them. Where one eye's move up and down otherwise than the other's (a grimace, a head that is
turned and bowed) each goes its own way, but for small differences, which an iris at the corner
makes. Across, corners go with their irises more: how far the eyes are from each other, which a head
that is taken to be nearer or farther than it is gets wrong, is followed slowly, so that no part of
a nystagmus is lost, and at once only where it differs much from what it was (a grimace).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.anatomy.smoothing import SlowMean
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE, EyeOutline

Floats = NDArray[np.float64]

_POINTS = np.array([RIGHT_EYE.medial, RIGHT_EYE.lateral, LEFT_EYE.medial, LEFT_EYE.lateral])
_BOTH_SHARE = 0.5
# Of how one eye's corners move otherwise than the other's, at most this share; half of it where
# they differ by so much in height, or in distance from what that was of late.
_EACH_SHARE, _HIGHER_HALF_AT_MM, _APART_HALF_AT_MM = 0.8, 1.0, 2.0
_APART_TIME_CONSTANT_S = 0.33
_USUAL_TIME_CONSTANT_S = 20.0
_FARTHEST_MM = 8.0  # a corner behind the nose or a hand is seen anywhere


class EyeCorners:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._usual = SlowMean(_USUAL_TIME_CONSTANT_S)
        self._apart = SlowMean(_APART_TIME_CONSTANT_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient."""
        self._usual.reset()
        self._apart.reset()
        self._shifts_mm = np.zeros((2, 3))

    def __call__(
        self,
        pose: Pose,
        outlines: Sequence[EyeOutline],
        pinhole: Pinhole,
        shape_mm: Floats,
        at_s: float,
    ) -> Floats:
        """(2, 3) how far the right and the left eye's centre are in this frame from where they
        usually are, in the head frame, model millimetres.

        outlines: of both eyes; while the network of the eyes does not see one of them, the last
        shifts stand. shape_mm: (468, 3) where the points are on this head, whose depth alone
        counts.
        """
        if all(outline.lids_sure > 0.0 for outline in outlines):
            corners_px = np.stack([eye.upper_px[end] for eye in outlines for end in (0, -1)])
            places = pose.seen_at(pinhole.slopes(corners_px), shape_mm[_POINTS])
            middles = places.reshape(2, 2, 3).mean(axis=1)
            moved = (middles - self._usual(middles, at_s)).clip(-_FARTHEST_MM, _FARTHEST_MM)
            shifts = np.tile(_BOTH_SHARE * moved.mean(axis=0), (2, 1))
            apart, higher = (moved[1] - moved[0])[:2].tolist()
            lately = float(self._apart(np.array([apart]), at_s)[0])
            apart = _EACH_SHARE * (lately + _large(apart - lately, _APART_HALF_AT_MM, 4))
            higher = _EACH_SHARE * _large(higher, _HIGHER_HALF_AT_MM, 2)
            shifts[:, :2] += np.outer([-0.5, 0.5], [apart, higher])
            shifts[:, 2] = 0.0  # nothing is seen of it
            self._shifts_mm = shifts
        return self._shifts_mm


def _large(mm: float, half_at_mm: float, power: int) -> float:
    """A length without what an iris at a corner may make of it: half of it where it is so much,
    the less of a shorter one the higher the power (even).
    """
    grown = mm**power
    return mm * grown / (grown + half_at_mm**power)
