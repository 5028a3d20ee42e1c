"""What is true of a simulated patient's picture, measured on the mesh that is drawn."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from digitalmask.simulation.people import Person
from digitalmask.simulation.pose import EyePose
from digitalmask.simulation.posing import (
    IRIS_DEPTH_MM,
    gaze_direction,
    head_place_mm,
    head_rotation,
    places_mm,
    pose_person,
)
from digitalmask.simulation.scenarios import Scenario

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class EyeTruth:
    """One eye as it is drawn; head frame.

    gaze_yaw_deg: positive towards the patient's left. gaze_pitch_deg: positive upwards.
    upper_lid_mm, lower_lid_mm: height of the free edge above the pupil's centre in the pupil's
    column (MRD1, and MRD2 with its sign turned). upper_margin_mm, lower_margin_mm: the same at a
    third, half and two thirds of the fissure from its medial to its lateral end. Where the lids
    meet, the upper has the lower's height. pupil_mm: diameter. blink: the number of the blink that
    it is in, 0 for none.
    """

    gaze_yaw_deg: float
    gaze_pitch_deg: float
    upper_lid_mm: float
    lower_lid_mm: float
    upper_margin_mm: tuple[float, float, float]
    lower_margin_mm: tuple[float, float, float]
    pupil_mm: float
    blink: int


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """A frame.

    rotation, place_mm: the head in the camera's frame (x right in the picture, y up, z to the
    viewer); yaw_deg, pitch_deg, roll_deg say the rotation as `PatientPose` does. brow_mm,
    mouth_corner_mm, nasolabial_mm: by how much the patient's left stands higher than the right at
    rest. scored: whether what is measured here counts.
    """

    t_s: float
    scored: bool
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    rotation: Floats
    place_mm: Floats
    right: EyeTruth
    left: EyeTruth
    brow_mm: float
    mouth_corner_mm: float
    nasolabial_mm: float


class TruthTeller:
    """Says what is true of one person in one scenario. The rest of the face is measured once."""

    def __init__(self, person: Person, scenario: Scenario) -> None:
        self._person = person
        self._scenario = scenario
        still = replace(scenario.pose_at(0.0), shapes={})
        right, left = places_mm(person, pose_person(person, still)[0])
        self._asymmetry = [float(difference) for difference in left - right]

    def at(self, t_s: float) -> FrameTruth:
        """The truth at a moment."""
        pose = self._scenario.pose_at(t_s)
        points, _ = pose_person(self._person, pose)
        blinks = self._scenario.blinking(t_s)
        right, left = (
            _eye_truth(self._person, points, eye, seen, blinks[eye])
            for eye, seen in enumerate((pose.right, pose.left))
        )
        brow, corner, fold = self._asymmetry
        return FrameTruth(
            t_s=t_s,
            scored=self._scenario.scored(t_s),
            yaw_deg=pose.yaw_deg,
            pitch_deg=pose.pitch_deg,
            roll_deg=pose.roll_deg,
            rotation=head_rotation(pose),
            place_mm=head_place_mm(pose),
            right=right,
            left=left,
            brow_mm=brow,
            mouth_corner_mm=corner,
            nasolabial_mm=fold,
        )


def _eye_truth(person: Person, points: Floats, eye: int, seen: EyePose, blink: int) -> EyeTruth:
    centre, fissure = person.eye_centres_mm[eye], person.fissures[eye]
    beside = points - centre
    pupil = gaze_direction(seen) * IRIS_DEPTH_MM
    medial, lateral = beside[fissure.medial, 0], beside[fissure.lateral, 0]
    columns = [pupil[0], *(medial + share * (lateral - medial) for share in (1 / 3, 1 / 2, 2 / 3))]
    upper, lower = fissure.margins_mm(beside, np.array(columns))[..., 1] - pupil[1]
    return EyeTruth(
        gaze_yaw_deg=seen.gaze_yaw_deg,
        gaze_pitch_deg=seen.gaze_pitch_deg,
        upper_lid_mm=float(upper[0]),
        lower_lid_mm=float(lower[0]),
        upper_margin_mm=(float(upper[1]), float(upper[2]), float(upper[3])),
        lower_margin_mm=(float(lower[1]), float(lower[2]), float(lower[3])),
        pupil_mm=seen.pupil_mm,
        blink=blink,
    )


def write_csv(rows: Iterable[FrameTruth], file: TextIO) -> None:
    """One line a frame, with a header."""
    writer: csv.DictWriter[str] | None = None
    for number, row in enumerate(rows):
        values = {"frame": number, **dict(_columns(row))}
        if writer is None:
            writer = csv.DictWriter(file, list(values), lineterminator="\n")
            writer.writeheader()
        writer.writerow(values)


def _columns(row: FrameTruth) -> Iterator[tuple[str, object]]:
    yield "time_s", f"{row.t_s:.4f}"
    yield "scored", int(row.scored)
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        yield name, f"{getattr(row, name):.4f}"
    for axis, value in zip("xyz", row.place_mm, strict=True):
        yield f"place_{axis}_mm", f"{value:.3f}"
    for side, eye in (("right", row.right), ("left", row.left)):
        yield f"{side}_gaze_yaw_deg", f"{eye.gaze_yaw_deg:.4f}"
        yield f"{side}_gaze_pitch_deg", f"{eye.gaze_pitch_deg:.4f}"
        for lid in ("upper", "lower"):
            yield f"{side}_{lid}_lid_mm", f"{getattr(eye, f'{lid}_lid_mm'):.3f}"
            margin = getattr(eye, f"{lid}_margin_mm")
            for place, height in zip(("medial", "central", "lateral"), margin, strict=True):
                yield f"{side}_{lid}_{place}_mm", f"{height:.3f}"
        yield f"{side}_pupil_mm", f"{eye.pupil_mm:.2f}"
        yield f"{side}_blink", eye.blink
    yield "brow_asymmetry_mm", f"{row.brow_mm:.3f}"
    yield "mouth_corner_asymmetry_mm", f"{row.mouth_corner_mm:.3f}"
    yield "nasolabial_asymmetry_mm", f"{row.nasolabial_mm:.3f}"
