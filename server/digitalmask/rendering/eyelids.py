"""The lids of one eye, driven in millimetres on the eyeball that they slide on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import LidRig
from digitalmask.mask_state import EyeState

Floats = NDArray[np.floating]

# Distance from an eyeball's centre to the plane of the limbus' centre, in a real eye (12 mm ball,
# 11.7 mm iris): how far the pupil's centre travels in the picture when the eye turns. The head's
# ball is larger, so that it fills the lids; it is turned less, by this travel.
PUPIL_ARM_MM = 10.5

# Below this aperture the lids are drawn shut: the upper margin then lies on the lower one.
_SHUT_MM = 0.3
_SEAL_MM = 0.45


@dataclass(frozen=True, slots=True)
class LidDrives:
    """How far the rig is driven at the five columns of the fissure, medial to lateral."""

    upper: Floats
    lower: Floats


def pupil_offset_mm(eye: EyeState) -> tuple[float, float]:
    """Where the drawn pupil's centre stands beside the eyeball's, x and y in the head frame."""
    yaw, pitch = np.radians([eye.gaze_yaw_deg, eye.gaze_pitch_deg])
    return (
        float(PUPIL_ARM_MM * np.sin(yaw) * np.cos(pitch)),
        float(PUPIL_ARM_MM * np.sin(pitch)),
    )


def lid_drives(rig: LidRig, eye: EyeState) -> LidDrives:
    """The drives that put the margins where `eye` says, relative to the drawn pupil.

    The three inner columns obey the millimetres; the two at the canthi, where no one measures,
    keep the same share of their neutral aperture as their neighbours. Lids that would cross meet.
    """
    pupil = pupil_offset_mm(eye)[1]
    upper = np.array(eye.upper_lid_mm, np.float64) + pupil
    lower = np.array(eye.lower_lid_mm, np.float64) + pupil
    crossed = np.maximum(lower - upper, 0) / 2
    upper, lower = upper + crossed, lower - crossed
    steps = rig.steps
    upper_heights, lower_heights = rig.upper_heights_mm, rig.lower_heights_mm

    def lower_drive(column: int, height: float) -> float:
        return float(np.interp(height, lower_heights[column], steps))

    def upper_drive(column: int, height: float) -> float:
        return float(np.interp(-height, -upper_heights[column], steps))

    low = np.zeros(5)
    low[1:4] = [lower_drive(column, lower[column - 1]) for column in (1, 2, 3)]
    low[0], low[4] = low[1], low[3]
    lower_at = np.array([np.interp(low[c], steps, lower_heights[c]) for c in range(5)])
    rest_gap = np.array(
        [
            np.interp(0, steps, upper_heights[c]) - np.interp(0, steps, lower_heights[c])
            for c in range(5)
        ]
    )
    gap = np.zeros(5)
    gap[1:4] = np.maximum(upper - lower_at[1:4], 0)
    gap[0] = rest_gap[0] * np.clip(gap[1] / rest_gap[1], 0, 1.4)
    gap[4] = rest_gap[4] * np.clip(gap[3] / rest_gap[3], 0, 1.4)
    gap -= np.clip((2 * _SHUT_MM - gap) / _SHUT_MM, 0, 1) * _SEAL_MM
    high = np.array([upper_drive(column, lower_at[column] + gap[column]) for column in range(5)])
    return LidDrives(high.astype(np.float32), low.astype(np.float32))


def pose_lids(
    from_centre: Floats,
    close: Floats,
    widen: Floats,
    lower: Floats,
    upper_drive: Floats,
    lower_drive: Floats,
) -> Floats:
    """Where lid vertices stand, relative to the eyeball's centre; all arrays per vertex.

    The upper lid's displacement is linear, and its distance from the eyeball's centre is then set
    between that of its two ends, so that it slides over the ball; the lower lid turns about the
    ball's axis along x.
    """
    down = np.maximum(upper_drive, 0)[:, None]
    up = np.maximum(-upper_drive, 0)[:, None]
    moved = from_centre + down * close + up * widen
    radius = np.linalg.norm(from_centre, axis=1)[:, None]
    closed = np.linalg.norm(from_centre + close, axis=1)[:, None]
    wide = np.linalg.norm(from_centre + widen, axis=1)[:, None]
    wanted = radius + np.minimum(down, 1) * (closed - radius) + np.minimum(up, 1) * (wide - radius)
    moved = moved * (wanted / np.linalg.norm(moved, axis=1)[:, None])
    angle = lower_drive * lower
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: Floats = moved.copy()
    turned[:, 1] = cosine * moved[:, 1] + sine * moved[:, 2]
    turned[:, 2] = cosine * moved[:, 2] - sine * moved[:, 1]
    return turned


def move_lids(points: Floats, rig: LidRig, centre: Floats, drives: LidDrives) -> None:
    """Puts one eye's lids, in place, into the head's vertices `points` (V, 3)."""
    points[rig.vertices] = centre + pose_lids(
        points[rig.vertices] - centre,
        rig.close_mm,
        rig.widen_mm,
        rig.lower_rad,
        rig.columns @ drives.upper,
        rig.columns @ drives.lower,
    )
