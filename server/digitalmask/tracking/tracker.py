"""Follows one patient from frame to frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.corneal_reflex import find_reflexes
from digitalmask.tracking.detector import DetectedFace, detect_faces
from digitalmask.tracking.eye_outline import find_outlines
from digitalmask.tracking.landmarks import find_points, score_blendshapes
from digitalmask.tracking.networks import Networks
from digitalmask.tracking.observation import FaceObservation
from digitalmask.tracking.region import Region, overlap
from digitalmask.tracking.skin_motion import SkinMotion

_LEAST_PRESENCE = 0.5
_SURFACE = 468  # the points of the surface; the irises follow
# The outer corners of the patient's right and left eye, which say how the head is tilted.
_RIGHT_CORNER, _LEFT_CORNER = 33, 263
# A face moves by less than this share of its region from one frame to the next (a head that
# crosses the picture in half a second moves by a tenth); more is another face.
_LEAST_OVERLAP = 0.4
_LARGEST_GROWTH = 1.5
# After a loss the patient is looked for where they were for so long; then the search is open.
_REMEMBER_S = 3.0
_REMEMBERED_REACH = 1.5  # in sides of the last region
# While following, the region's content is compared with what the detector says so often, to leave
# a region that has slid onto something that is no face.
_LOOK_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class FoundFace:
    """The landmark network's answer: points (478, 3) in the frame, presence from 0 to 1, and the
    region around them.
    """

    points: NDArray[np.float32]
    presence: float
    region: Region


class FaceTracker:
    """Carries the patient's region from frame to frame. One thread at a time."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._skin_motion = SkinMotion()
        self.reset()

    @property
    def provider(self) -> str:
        """Where the networks run."""
        return self._networks.provider

    def reset(self) -> None:
        """Forget the patient."""
        self._region: Region | None = None
        self._last: Region | None = None
        self._last_at_s = -np.inf
        self._looked_at_s = -np.inf
        self._skin_motion.reset()

    def track(self, frame: PatientFrame) -> FaceObservation | None:
        """The patient's face in this frame; None where there is none.

        Errors: TrackingError where a network fails.
        """
        found = self.find(frame)
        if found is None:
            return None
        right_eye, left_eye = find_outlines(self._networks.eyes, frame, found.points)
        return FaceObservation(
            captured_at_s=frame.clock.captured_at_s,
            width=frame.width,
            height=frame.height,
            points=found.points,
            presence=found.presence,
            blendshapes=score_blendshapes(self._networks.blendshapes, found.points),
            right_eye=right_eye,
            left_eye=left_eye,
            reflexes=find_reflexes(frame, right_eye, left_eye),
            skin_flow=self._skin_motion(frame, found.points, found.region.side_px),
        )

    def find(self, frame: PatientFrame) -> FoundFace | None:
        """Where the patient's face is in this frame: what `track` begins with."""
        at_s = frame.clock.captured_at_s
        if self._region is not None and at_s - self._looked_at_s > _LOOK_AGAIN_S:
            self._looked_at_s = at_s
            faces = detect_faces(self._networks.detector, frame)
            if faces and not any(overlap(face.region, self._region) > 0.1 for face in faces):
                self._region = None
        if self._region is not None:
            found = self._look(frame, self._region)
            if found is not None:
                return found
            self._region = None
        self._skin_motion.reset()
        faces = detect_faces(self._networks.detector, frame)
        self._looked_at_s = at_s
        for face in self._in_order(faces, frame):
            found = self._look(frame, face.region)
            if found is not None:
                return found
        return None

    def _look(self, frame: PatientFrame, region: Region) -> FoundFace | None:
        points, presence = find_points(self._networks.landmarks, frame, region)
        if presence < _LEAST_PRESENCE or not np.isfinite(points).all():
            return None
        found = Region.around(points[:_SURFACE], _RIGHT_CORNER, _LEFT_CORNER)
        following = region is self._region
        if following and (
            overlap(found, region) < _LEAST_OVERLAP
            or found.side_px > _LARGEST_GROWTH * region.side_px
        ):
            return None
        outside = not (0 <= found.x_px < frame.width and 0 <= found.y_px < frame.height)
        if outside or found.side_px < 24:
            return None
        self._region = self._last = found
        self._last_at_s = frame.clock.captured_at_s
        return FoundFace(points, presence, found)

    def _in_order(self, faces: list[DetectedFace], frame: PatientFrame) -> list[DetectedFace]:
        """The faces that may be the patient's, the likeliest first.

        A patient who was just here is looked for near their place only: somebody else in the room
        is not drawn in their stead. With nobody to remember, the largest, most central face is
        the patient.
        """
        last = self._last
        if last is not None and frame.clock.captured_at_s - self._last_at_s < _REMEMBER_S:
            near = [
                face
                for face in faces
                if np.hypot(face.region.x_px - last.x_px, face.region.y_px - last.y_px)
                < _REMEMBERED_REACH / 2 * last.side_px
                and 0.5 < face.region.side_px / last.side_px < 2.0
            ]
            return sorted(near, key=lambda face: -overlap(face.region, last))
        middle = frame.width / 2

        def prominence(face: DetectedFace) -> float:
            aside = abs(face.region.x_px - middle) / middle
            return face.region.side_px * (1.0 - 0.5 * aside)

        return sorted(faces, key=prominence, reverse=True)
