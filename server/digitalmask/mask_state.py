"""The privacy boundary: the few numbers from which a mask is drawn.

Nothing downstream of a `MaskState` can reach the camera's picture, and nothing in it
describes the shape, colour or texture of the patient's face.

Frames of reference
    Head frame: millimetres, right-handed, origin midway between the two eyeball centres,
    x towards the patient's left, y up, z out of the face. A face that looks into the camera
    without tilt has the identity rotation; its x axis points to the right of the picture
    (a picture is never mirrored).
    View frame: the camera's frame turned so that its z axis passes through the head's origin;
    same axes as the head frame (x to the right of the picture, y up, z towards the viewer).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# The expression directions of the head, in the order of `MaskState.expression`. The names are
# ARKit-like with the patient's own left and right. What the eyes do (gaze, lids, pupil) is not
# among them: it is kept in millimetres and degrees in `EyeState`.
EXPRESSIONS: tuple[str, ...] = (
    "browDownLeft", "browDownRight",
    "browInnerUpLeft", "browInnerUpRight",
    "browOuterUpLeft", "browOuterUpRight",
    "cheekPuffLeft", "cheekPuffRight",
    "cheekRaiserLeft", "cheekRaiserRight",
    "cheekSquintLeft", "cheekSquintRight",
    "eyeSquintLeft", "eyeSquintRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip


class Card(StrEnum):
    """What is shown instead of a mask; the value is the sentence that a doctor reads."""

    WAITING = "Waiting for the patient's camera"
    NO_FACE = "Waiting for the patient's face"
    LOST = "The patient's face is out of view"
    FAULT = "The mask is paused for a moment"


@dataclass(frozen=True, slots=True)
class EyeState:
    """One eye, by itself, in absolute terms.

    gaze_yaw_deg: visual direction in the head frame, positive towards the patient's left.
    gaze_pitch_deg: the same, positive upwards.
    upper_lid_mm, lower_lid_mm: height of the lid margin above the pupil centre, measured in the
        head frame's y direction, at a third, half and two thirds of the palpebral fissure from
        its medial (nasal) to its lateral end; so MRD1 = upper_lid_mm[1], MRD2 = -lower_lid_mm[1].
    pupil_mm: diameter of the pupil.
    """

    gaze_yaw_deg: float = 0.0
    gaze_pitch_deg: float = 0.0
    upper_lid_mm: tuple[float, float, float] = (3.5, 4.0, 3.5)
    lower_lid_mm: tuple[float, float, float] = (-4.5, -5.0, -4.5)
    pupil_mm: float = 4.0


@dataclass(frozen=True, slots=True)
class RestAsymmetry:
    """What differs between the two sides of the face at rest, as in a facial palsy.

    The patient's left minus the right, millimetres in the head frame's y direction, positive where
    the left stands higher. Expression comes on top of it.

    brow_mm: of the brows. mouth_corner_mm: of the corners of the mouth. nasolabial_mm: of the skin
    on the cheek's side of the nasolabial folds; a flattened fold hangs lower.
    """

    brow_mm: float = 0.0
    mouth_corner_mm: float = 0.0
    nasolabial_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class MaskState:
    """All that is known of the patient's face at one moment, after smoothing.

    captured_at_s: the frame's capture clock, seconds on `time.monotonic`'s scale.
    rotation: (3, 3) float64, turns head-frame vectors into the view frame.
    offset_mm: where the head stands in the view, relative to its resting place, millimetres in
        the picture's plane (x right, y up); bounded.
    left, right: the patient's own left and right eye.
    expression: (len(EXPRESSIONS),) float32, each from 0 to 1, on the patient's own neutral.
    rest: what differs between the sides of that neutral.
    confidence: from 0 to 1; below 0.5 the state is not drawn.
    """

    captured_at_s: float
    rotation: NDArray[np.float64]
    offset_mm: tuple[float, float]
    left: EyeState
    right: EyeState
    expression: NDArray[np.float32]
    rest: RestAsymmetry = RestAsymmetry()
    confidence: float = 1.0


def neutral_state(captured_at_s: float = 0.0) -> MaskState:
    """A calm face that looks straight ahead."""
    return MaskState(
        captured_at_s=captured_at_s,
        rotation=np.eye(3),
        offset_mm=(0.0, 0.0),
        left=EyeState(),
        right=EyeState(),
        expression=np.zeros(len(EXPRESSIONS), np.float32),
    )
