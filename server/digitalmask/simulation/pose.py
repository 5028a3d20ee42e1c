"""What is set, and therefore known, of a simulated patient at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EyePose:
    """One eye, by itself, in the head frame (x to the patient's left, y up, z out; mm).

    gaze_yaw_deg: visual direction, positive towards the patient's left. gaze_pitch_deg: positive
    upwards. upper_lid_mm, lower_lid_mm: height of the lid's free edge above the pupil's centre, in
    the pupil's column (so MRD1 = upper_lid_mm, MRD2 = -lower_lid_mm). A lid that would cross the
    other stays on it. pupil_mm: diameter.
    """

    gaze_yaw_deg: float = 0.0
    gaze_pitch_deg: float = 0.0
    upper_lid_mm: float = 3.8
    lower_lid_mm: float = -5.2
    pupil_mm: float = 4.0


@dataclass(frozen=True, slots=True)
class Droop:
    """How far one side of the face hangs at rest, mm downwards (head frame), as in a palsy.

    brow_mm: of the brow. mouth_corner_mm: of the corner of the mouth. nasolabial_mm: of the cheek
    beside the nasolabial fold. Each is the mean over that place of the person's own mesh.
    """

    brow_mm: float = 0.0
    mouth_corner_mm: float = 0.0
    nasolabial_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class PatientPose:
    """The whole of it.

    yaw_deg: the head's turn, positive to the patient's left. pitch_deg: positive up. roll_deg:
    positive towards the patient's right shoulder. offset_mm: where the midpoint of the eyes is,
    beside its resting place before the camera (x right in the picture, y up, z to the camera).
    shapes: coefficients of ICT-FaceKit's expressions (`jawOpen`, `browInnerUpLeft`, ...), 0 to 1.
    right_droop, left_droop: what hangs at rest, whatever the expression.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    right: EyePose = EyePose()
    left: EyePose = EyePose()
    shapes: Mapping[str, float] = field(default_factory=dict)
    right_droop: Droop = Droop()
    left_droop: Droop = Droop()
