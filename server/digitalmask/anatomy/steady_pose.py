"""The head's pose, as still as the picture of its skin is.

What the points of the face say of the pose shakes, and moves with the irises (`tracking.
skin_motion`): an eye's turn is read from where its iris lies beside the head, and a part of it
would be lost. So across the picture the pose goes where the skin went, and what the points say
draws it to itself the slower the less the skin moved: shading is seen to move less than the skin
does, and how the head turned is known from the points alone.

A gaze that is held draws the points along all the same, up and down by more than half of the
irises' way: eyes that look up by 20 degrees would be drawn to look up by 12. Much of that is taken
off what the points say, for a gaze beside the usual one: what the usual one does is in the head's
shape. The rest is seen by the corners of the eyes (`anatomy.eye_corners`).
"""

from math import hypot

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.pose import Pinhole, Pose, turn, turn_vector
from digitalmask.anatomy.smoothing import Gate, GatedFilter, SlowMean, frames_between
from digitalmask.compiled import compiled
from digitalmask.mask_state import EyeState
from digitalmask.tracking.observation import SkinFlow

Floats = NDArray[np.float64]

# The noise of what one frame's points say, and how fast what is held goes wrong beside it: a frame
# of a still head, and for each millimetre that the skin moved. What is farther off than that by so
# much is followed soon. Measured on simulated patients.
_TURN_NOISE_DEG, _TURN_DRIFT_DEG, _TURN_DEG_A_MM, _TURN_KNEE_DEG = 0.2, 0.006, 2.5, 1.0
_PLACE_NOISE_MM, _PLACE_DRIFT_MM, _PLACE_SHARE, _PLACE_KNEE_MM = 0.1, 0.003, 0.3, 1.0
# As much as that is followed in a frame of a head whose skin is seen: what the eyes do to the
# points when they jump is known a frame later.
_MOST_OF_STILL = 0.3
# A skin that moves by so much in a frame is wholly believed to move; what is less may be noise.
_MOVING_MM = 0.4
# Where nothing is known of the skin, as if it had moved by so much.
_UNKNOWN_MM = 0.15
# A place of the skin that goes another way by more than this (a brow that is raised) has less say.
_OUTLIER_MM = 0.45
_ROUNDS = 3
_DEPTH_GATE = Gate(noise=3.0, hold=0.15)  # mm
# How far the points go with the eyes, in millimetres a degree across and up (ten simulated
# patients: -.00 to .03 and .09 to .11, of which bowing, as they do too, takes back a part), less a
# quarter that the corners of the eyes tell.
_CARRIED_MM_A_DEG = np.array([0.012, 0.053])
_USUAL_TIME_CONSTANT_S = 15.0
# Between lids that close irises are not seen well. Lids close that are open by less than this share
# of what they were just now; those that follow a gaze down are believed soon after.
_CLOSING_SHARE, _JUST_NOW_S = 0.85, 0.4


class _Held:
    """How much of an innovation is followed: a scalar Kalman filter's gain that opens with it."""

    def __init__(self, noise: float, drift: float, knee: float) -> None:
        self._noise, self._drift, self._knee = noise**2, drift**2, knee
        self.reset()

    def reset(self) -> None:
        self._variance = self._noise

    def shares(self, innovation: Floats, moved: float, most: float, frames: float) -> Floats:
        """moved: the standard deviation of what is held by what has moved. most: as far as the
        gain is opened by the innovation.
        """
        self._variance += self._drift * frames + moved**2
        gain = self._variance / (self._variance + self._noise)
        self._variance *= 1.0 - gain
        opened = most * np.minimum(np.abs(innovation) / self._knee, 1.0) ** 2
        return np.asarray(gain + (1.0 - gain) * opened)


class SteadyPose:
    """Follows one head. One thread at a time; `reset` when the patient changes."""

    def __init__(self) -> None:
        self._turn = _Held(_TURN_NOISE_DEG, _TURN_DRIFT_DEG, _TURN_KNEE_DEG)
        self._place = _Held(_PLACE_NOISE_MM, _PLACE_DRIFT_MM, _PLACE_KNEE_MM)
        self._depth = GatedFilter(_DEPTH_GATE)
        self._usual_gaze = SlowMean(_USUAL_TIME_CONSTANT_S)
        self._opening = SlowMean(_JUST_NOW_S)
        self.reset()

    def reset(self) -> None:
        """Forget the patient; the next pose passes as it is."""
        self._pose: Pose | None = None
        self._at_s = 0.0
        self._aside_deg = np.zeros(2)
        self._usual_gaze.reset()
        self._opening.reset()
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
        carried = np.append(_CARRIED_MM_A_DEG * self._aside_deg, 0.0)
        pose = Pose(pose.rotation, pose.translation_mm - pose.rotation @ carried)
        before, frames = self._pose, frames_between(self._at_s, at_s)
        depth = self._depth(pose.translation_mm[2:], at_s)
        self._at_s = at_s
        if before is None:
            self._pose = pose
            return pose
        moved_mm, most = _UNKNOWN_MM, 1.0
        if flow is not None:
            most = _MOST_OF_STILL
            before_slopes, slopes = pinhole.slopes(flow.before_px), pinhole.slopes(flow.now_px)
            x, y = np.median(slopes - before_slopes, axis=0).tolist()
            moved_mm = -float(depth[0]) * hypot(x, y)
        moved_mm *= min(moved_mm / _MOVING_MM, 1.0)

        off_deg = np.degrees(turn_vector(pose.rotation @ before.rotation.T))
        off_deg *= self._turn.shares(off_deg, _TURN_DEG_A_MM * moved_mm, most, frames)
        rotation = turn(np.radians(off_deg)) @ before.rotation

        held = before.translation_mm * (depth[0] / before.translation_mm[2])
        if flow is not None:
            places = before.seen_at(before_slopes, shape_mm[flow.points])
            held = _gone_with(rotation, held, places, slopes)
        off_mm = pose.translation_mm[:2] - held[:2]
        off_mm *= self._place.shares(off_mm, _PLACE_SHARE * moved_mm, most, frames)
        self._pose = Pose(rotation, np.append(held[:2] + off_mm, depth))
        return self._pose

    def learn_gaze(self, right: EyeState, left: EyeState, sure: float, at_s: float) -> None:
        """How both eyes are in this frame, for the pose of the next one. sure: from 0 to 1, that
        the irises are where they were found.
        """
        eyes = (right, left)
        opening = np.array([sum(eye.upper_lid_mm[1] - eye.lower_lid_mm[1] for eye in eyes)])
        if opening < _CLOSING_SHARE * self._opening(opening, at_s):
            return
        gaze_deg = np.array([(eye.gaze_yaw_deg, eye.gaze_pitch_deg) for eye in eyes]).mean(axis=0)
        aside_deg = gaze_deg - self._usual_gaze(gaze_deg, at_s)
        self._aside_deg = self._aside_deg + sure * (aside_deg - self._aside_deg)


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
