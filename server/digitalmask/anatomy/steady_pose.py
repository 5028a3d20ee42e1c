"""The head's pose, as still as the picture of its skin is.

What the points of the face say of the pose shakes, and moves with the irises (`tracking.
skin_motion`): an eye's turn is read from where its iris lies beside the head, and a part of it
would be lost. So across the picture the pose goes where the skin went, and what the points say
draws it to itself the slower the less the skin moved: shading is seen to move less than the skin
does, and how the head turned is known from the points alone.
"""

from math import hypot

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose, turn, turn_vector
from digitalmask.anatomy.smoothing import Gate, GatedFilter
from digitalmask.compiled import compiled
from digitalmask.tracking.observation import SkinFlow

Floats = NDArray[np.float64]

# The noise of what one frame's points say, and how fast what is held goes wrong beside it: a frame
# of a still head, and for each millimetre that the skin moved. What is farther off than that by so
# much is followed at once. Measured on simulated patients.
_TURN_NOISE_DEG, _TURN_DRIFT_DEG, _TURN_DEG_A_MM, _TURN_KNEE_DEG = 0.2, 0.006, 2.5, 0.7
_PLACE_NOISE_MM, _PLACE_DRIFT_MM, _PLACE_SHARE, _PLACE_KNEE_MM = 0.1, 0.003, 0.3, 0.7
# A skin that moves by so much in a frame is wholly believed to move; what is less may be noise.
_MOVING_MM = 0.4
# Where nothing is known of the skin, as if it had moved by so much.
_UNKNOWN_MM = 0.15
# A place of the skin that goes another way by more than this (a brow that is raised) has less say.
_OUTLIER_MM = 0.45
_ROUNDS = 3
_DEPTH_GATE = Gate(noise=10.0, hold=0.15)  # mm


class _Held:
    """How much of an innovation is followed: a scalar Kalman filter's gain that opens with it."""

    def __init__(self, noise: float, drift: float, knee: float) -> None:
        self._noise, self._drift, self._knee = noise**2, drift**2, knee
        self.reset()

    def reset(self) -> None:
        self._variance = self._noise

    def shares(self, innovation: Floats, moved: float, frames: float) -> Floats:
        """moved: the standard deviation of what is held by what has moved."""
        self._variance += self._drift * frames + moved**2
        gain = self._variance / (self._variance + self._noise)
        self._variance *= 1.0 - gain
        opened = np.minimum(np.abs(innovation) / self._knee, 1.0) ** 2
        return np.asarray(gain + (1.0 - gain) * opened)


class SteadyPose:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._turn = _Held(_TURN_NOISE_DEG, _TURN_DRIFT_DEG, _TURN_KNEE_DEG)
        self._place = _Held(_PLACE_NOISE_MM, _PLACE_DRIFT_MM, _PLACE_KNEE_MM)
        self._depth = GatedFilter(_DEPTH_GATE)
        self.reset()

    def reset(self) -> None:
        """Forget the patient; the next pose passes as it is."""
        self._pose: Pose | None = None
        self._at_s = 0.0
        self._turn.reset()
        self._place.reset()
        self._depth.reset()

    def __call__(
        self, pose: Pose, flow: SkinFlow | None, pinhole: Pinhole, shape_mm: Floats, at_s: float
    ) -> Pose:
        """The pose in this frame.

        pose: as its points say. flow: how the skin moved since the frame before. shape_mm:
        (468, 3) where the points are on this head.
        """
        before, frames = self._pose, min(max((at_s - self._at_s) * 30.0, 0.1), 30.0)
        depth = self._depth(pose.translation_mm[2:], at_s)
        self._at_s = at_s
        if before is None:
            self._pose = pose
            return pose
        moved_mm = _UNKNOWN_MM
        if flow is not None:
            before_slopes, slopes = pinhole.slopes(flow.before_px), pinhole.slopes(flow.now_px)
            x, y = np.median(slopes - before_slopes, axis=0).tolist()
            moved_mm = -float(depth[0]) * hypot(x, y)
        moved_mm *= min(moved_mm / _MOVING_MM, 1.0)

        off_deg = np.degrees(turn_vector(pose.rotation @ before.rotation.T))
        off_deg *= self._turn.shares(off_deg, _TURN_DEG_A_MM * moved_mm, frames)
        rotation = turn(np.radians(off_deg)) @ before.rotation

        held = before.translation_mm * (depth[0] / before.translation_mm[2])
        if flow is not None:
            places = before.seen_at(before_slopes, shape_mm[flow.points])
            held = _gone_with(rotation, held, places, slopes)
        off_mm = pose.translation_mm[:2] - held[:2]
        off_mm *= self._place.shares(off_mm, _PLACE_SHARE * moved_mm, frames)
        self._pose = Pose(rotation, np.append(held[:2] + off_mm, depth))
        return self._pose


@compiled("f8[::1](f8[:,::1], f8[::1], f8[:,::1], f8[:,::1])")
def _gone_with(rotation: Floats, translation: Floats, places_mm: Floats, slopes: Floats) -> Floats:
    """The translation moved across the picture to where places (n, 3) of the head are seen at
    slopes (n, 2), the most of them.
    """
    turned = places_mm @ rotation.T
    moved = translation.copy()
    for _ in range(_ROUNDS):
        total, step_x, step_y = 0.0, 0.0, 0.0
        for i in range(len(turned)):
            depth = max(-(turned[i, 2] + moved[2]), 1.0)
            x = slopes[i, 0] * depth - turned[i, 0] - moved[0]
            y = slopes[i, 1] * depth - turned[i, 1] - moved[1]
            weight = 1.0 / (1.0 + (x * x + y * y) / _OUTLIER_MM**2) ** 2
            total += weight
            step_x += weight * x
            step_y += weight * y
        moved[0] += step_x / total
        moved[1] += step_y / total
    return moved
