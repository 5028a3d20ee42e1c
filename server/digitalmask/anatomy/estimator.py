"""From one observation after another to the state of the mask."""

from math import copysign, degrees, radians, sin

import numpy as np
from numpy.typing import NDArray

from digitalmask.anatomy.expression import (
    ExpressionBasis,
    expression_scores,
    mirror_places,
    score_of,
)
from digitalmask.anatomy.eye_corners import EyeCorners
from digitalmask.anatomy.eyes import (
    IRIS_DIAMETER_MM,
    LIMBUS_FROM_CENTRE_MM,
    EyeReading,
    iris_scale,
    read_eye,
)
from digitalmask.anatomy.fixation import Fixation
from digitalmask.anatomy.head_fit import HeadFit
from digitalmask.anatomy.hirschberg import Hirschberg
from digitalmask.anatomy.lid_contour import LidContour
from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.anatomy.pupils import Pupils
from digitalmask.anatomy.rest import RestReading
from digitalmask.anatomy.smoothing import Gate, GatedFilter, SlowMean
from digitalmask.anatomy.steady_pose import SteadyPose
from digitalmask.assets.head import Head
from digitalmask.assets.landmark_model import LandmarkModel, load_landmark_model
from digitalmask.compiled import compiled
from digitalmask.mask_state import EyeState, MaskState
from digitalmask.tracking.observation import (
    LEFT_EYE,
    RIGHT_EYE,
    EyeOutline,
    FaceObservation,
    points_outline,
)

Floats = NDArray[np.float64]

# Eyes in the order of the head's data: the patient's right, then the left.
_EYES = (RIGHT_EYE, LEFT_EYE)
_BLINK_SCORES = (score_of("eyeBlinkRight"), score_of("eyeBlinkLeft"))
_FAR_MM = 1e4  # from where perspective does not matter
_SURFACE = 468  # the points of the surface; the irises follow
# The outline of the face is where the picture of the cheek ends, not a place on it: it slides
# over the skin as the head turns.
_OUTLINE = np.array(
    [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
    + [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
)
_JAWLINE = np.array([365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136])
# How far a mouth is open is seen between these; all around them lips and cheeks have more points.
_INNER_LIPS = np.array(
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
)
_INNER_LIPS_WEIGHT = 6.0
_NEUTRAL_TIME_CONSTANT_S = 20.0
_SCALE_TIME_CONSTANT_S = 10.0
_REST_TIME_CONSTANT_S = 20.0
# What is above the level counts so much less in it: talk and smiles come and go, rest stays.
_ABOVE_REST = 0.25
_OFFSET_TIME_CONSTANT_S = 4.0
_OFFSET_LIMIT_MM = 30.0

# Noise at rest, measured on quiet stretches of the test videos at 480 to 720 pixels.
_OFFSET_GATE = Gate(noise=0.6)  # mm
_GAZE_GATE = Gate(noise=0.2, hold=0.4)  # degrees; that of each frame is known better
_LID_GATE = Gate(noise=0.06)  # mm; the same
_EXPRESSION_GATE = Gate(noise=0.02)

# How far an edge that is found, and a point of the network, is off from frame to frame, in pixels
# (simulated patients with the noise of a webcam; quiet stretches of the test videos).
_EDGE_NOISE_PX, _POINT_NOISE_PX = 0.02, 0.25
# Eyes turn by 40 degrees at most, and rarely. Farther aside a part of the iris is hidden, and an
# error of the eye's centre weighs more and more.
_FREE_DEG, _FAR_SHARE, _FARTHEST_DEG = 25.0, 0.6, 50.0
# Between narrower lids the iris is not seen: the eye looks on where it looked.
_SEEING_MM = 2.0

# The lid points of the network stay apart on a closed eye; its blink score tells. Between these
# scores the aperture is drawn in to nothing.
_BLINK_BEGINS, _BLINK_ENDS = 0.35, 0.62
_RESIDUAL_LIMIT = 0.05  # of the face's width: beyond it the points are no face


class MaskEstimator:
    """Follows one patient. One thread at a time; forget with `reset` when the patient changes."""

    def __init__(self, head: Head, model: LandmarkModel | None = None) -> None:
        """model: another one than the project's own, which AssetError says is missing."""
        self._model = model or load_landmark_model()
        directions = head.landmark_expressions_mm.astype(np.float64)
        self._head_fit = HeadFit(self._model)
        self._rest_reading = RestReading(self._model)
        self._fixation = Fixation()
        self._hirschberg = Hirschberg()
        weights = np.ones(_SURFACE)
        weights[_OUTLINE] = 0.05
        weights[_JAWLINE] = 0.3
        weights[_INNER_LIPS] = _INNER_LIPS_WEIGHT
        # The lids are read in millimetres by themselves; squint and cheek are told by the skin.
        weights[[*RIGHT_EYE.upper, *RIGHT_EYE.lower, *LEFT_EYE.upper, *LEFT_EYE.lower]] = 0.0
        self._basis = ExpressionBasis.of(directions[:, :_SURFACE], weights)
        self._turning = _turning_part(self._model)
        self._mirror = mirror_places()
        self._lid_offsets = [_lid_offsets(head, side) for side in range(2)]
        self._lid_contours = (
            LidContour(_margins_at_rest(head, 0)),
            LidContour(_margins_at_rest(head, 1)),
        )
        self._neutral = SlowMean(_NEUTRAL_TIME_CONSTANT_S)
        self._rest = SlowMean(_REST_TIME_CONSTANT_S)
        self._calm = SlowMean(_REST_TIME_CONSTANT_S)
        self._scale = SlowMean(_SCALE_TIME_CONSTANT_S)
        self._place = SlowMean(_OFFSET_TIME_CONSTANT_S)
        self._steady_pose = SteadyPose()
        self._corners = EyeCorners()
        self._offset_filter = GatedFilter(_OFFSET_GATE)
        self._gaze_filters = (GatedFilter(_GAZE_GATE), GatedFilter(_GAZE_GATE))
        self._lid_filters = (GatedFilter(_LID_GATE), GatedFilter(_LID_GATE))
        self._pupils = Pupils()
        self._expression_filter = GatedFilter(_EXPRESSION_GATE)
        self.reset()

    def reset(self) -> None:
        """Forget the patient: neutral, scale, and all that was smoothed."""
        self._expression = np.zeros(len(self._basis.directions_mm))
        for memory in (
            self._head_fit,
            self._fixation,
            self._hirschberg,
            self._neutral,
            self._rest,
            self._calm,
            self._scale,
            self._place,
            self._steady_pose,
            self._corners,
            self._offset_filter,
            *self._gaze_filters,
            *self._lid_filters,
            *self._lid_contours,
            self._pupils,
            self._expression_filter,
        ):
            memory.reset()

    def estimate(self, observation: FaceObservation) -> MaskState:
        """The state of the mask for this frame; its confidence falls where the fit is poor."""
        at_s = observation.captured_at_s
        pinhole = Pinhole.of_frame(observation.width, observation.height)
        surface = pinhole.slopes(observation.points[:_SURFACE, :2].astype(np.float64))
        scores = self._scores(expression_scores(observation.blendshapes), at_s)
        expected = self._basis.displacement_mm(0.5 * (scores + self._expression))
        fitted = self._head_fit(surface, expected, at_s)
        pose = fitted.pose

        own = self._neutral.value
        shape = self._model.mean_mm if own is None else own
        shape = shape + self._basis.displacement_mm(self._expression)
        places = pose.seen_at(fitted.surface, shape)
        if own is None:
            own = self._learn_neutral(places, scores, at_s)
        moved = places - own
        # What moves the whole face is a trace of the pose, not an expression.
        fields, told = self._turning
        moved -= (fields @ (told @ moved.reshape(-1))).reshape(-1, 3)
        self._expression = self._basis.fit(moved, pose.toward_camera(), scores, self._expression)
        own = self._learn_neutral(places, scores, at_s)

        outlines = (observation.right_eye, observation.left_eye)
        still = self._steady_pose(pose, observation.skin_flow, pinhole, shape, at_s)
        centres = (
            fitted.eye_centres_mm
            + self._corners(still, outlines, pinhole, shape, at_s)
            + self._fixation.shift_mm
            + self._hirschberg.shifts_mm
        )
        measured = 0.5 * sum(
            iris_scale(still, pinhole, outline, centre)
            for outline, centre in zip(outlines, centres, strict=True)
        )
        scale = float(self._scale(np.array([min(max(measured, 0.6), 1.6)]), at_s)[0])
        readings = [
            read_eye(still, pinhole, outline, centre, scale)
            for outline, centre in zip(outlines, centres, strict=True)
        ]
        self._fixation(still, readings, scale, at_s)
        sure = min(outline.iris_sure for outline in outlines)
        self._hirschberg(still, centres, readings, observation.reflexes, sure, scale, at_s)
        pupils_mm = self._pupils([_pupil_mm(outline) for outline in outlines], at_s)
        right, left = (
            self._eye_state(side, *eye, float(observation.blendshapes[_BLINK_SCORES[side]]), at_s)
            for side, eye in enumerate(zip(outlines, readings, pupils_mm, strict=True))
        )
        self._steady_pose.learn_gaze(right, left, sure, at_s)
        expression = self._expression_filter(self._expression, at_s)
        return MaskState(
            captured_at_s=at_s,
            rotation=still.view_rotation(),
            offset_mm=self._offset(still, at_s),
            right=right,
            left=left,
            expression=expression.clip(0.0, 1.0).astype(np.float32),
            rest=self._rest_reading(own, scale),
            confidence=_confidence(observation.presence, fitted.residual, surface),
        )

    def _scores(self, scores: Floats, at_s: float) -> Floats:
        """The scores above the patient's level at rest.

        Much of that level is the shape of the face: drawn even in part, the mouth and brows at rest
        tell people apart. What is always stronger on one side is of the rest, and drawn as such.
        """
        before = self._calm.value
        rise = 0.0 if before is None else np.maximum(scores - before, 0.0)
        calm = self._calm(scores - (1.0 - _ABOVE_REST) * rise, at_s)
        mean = self._rest(scores, at_s)
        uneven = mean - np.minimum(mean, mean[self._mirror])
        level = np.minimum(calm, calm[self._mirror]) + uneven
        return np.asarray(((scores - level) / np.maximum(1.0 - level, 0.2)).clip(0.0, 1.0))

    def _learn_neutral(self, places: Floats, scores: Floats, at_s: float) -> Floats:
        """Average what remains of the shape when the expression is taken away."""
        expression = (
            0.5 * (scores + self._expression) if self._neutral.value is not None else scores
        )
        return self._neutral(places - self._basis.displacement_mm(expression), at_s)

    def _eye_state(
        self,
        side: int,
        outline: EyeOutline,
        reading: EyeReading,
        pupil_mm: float,
        blink: float,
        at_s: float,
    ) -> EyeState:
        mm_a_pixel = IRIS_DIAMETER_MM / 2 / outline.iris_radius_px
        # What edges say stands; the network's points are off, and stay apart on a closed eye.
        unsure = 1.0 - outline.lids_sure
        upper, lower = _close(
            reading.upper_mm, reading.lower_mm, self._lid_offsets[side], blink, unsure
        )
        gaze = self._gaze_filters[side].value
        if gaze is None or upper[1] - lower[1] > _SEEING_MM:
            gaze = self._gaze_filters[side](
                _within_reach(reading.gaze_deg),
                at_s,
                degrees(_noise_px(outline.iris_sure) * mm_a_pixel / LIMBUS_FROM_CENTRE_MM),
            )
        # The lids stand where they were seen, which was read beside another pupil than is drawn:
        # behind a closed lid the network makes it up.
        apart = sin(radians(reading.gaze_deg[1])) - sin(radians(gaze[1]))
        lids = self._lid_filters[side](
            np.concatenate([upper, lower]) + LIMBUS_FROM_CENTRE_MM * apart,
            at_s,
            _noise_px(outline.lids_sure) * mm_a_pixel,
        )
        high, low = self._lid_contours[side](lids.reshape(2, 3), at_s).tolist()
        return EyeState(
            gaze_yaw_deg=float(gaze[0]),
            gaze_pitch_deg=float(gaze[1]),
            upper_lid_mm=(high[0], high[1], high[2]),
            lower_lid_mm=(low[0], low[1], low[2]),
            pupil_mm=pupil_mm,
        )

    def _offset(self, pose: Pose, at_s: float) -> tuple[float, float]:
        """How far the head is from where it mostly is, in its own millimetres."""
        place = pose.translation_mm[:2]
        moved = place - self._place(place, at_s)
        x, y = self._offset_filter(
            _OFFSET_LIMIT_MM * np.tanh(moved / _OFFSET_LIMIT_MM), at_s
        ).tolist()
        return x, y


def _pupil_mm(outline: EyeOutline) -> float | None:
    share = outline.pupil_share
    return None if share is None else share * IRIS_DIAMETER_MM


def _within_reach(gaze_deg: Floats) -> Floats:
    """Gaze as it is up to _FREE_DEG, and drawn in beyond."""
    drawn = []
    for angle in gaze_deg.tolist():
        size = abs(angle)
        most = _FREE_DEG + _FAR_SHARE * (min(size, _FARTHEST_DEG) - _FREE_DEG)
        drawn.append(copysign(min(size, most), angle))
    return np.array(drawn)


def _noise_px(sure: float) -> float:
    """How far what is measured is off from frame to frame, as sure as its edges are."""
    return _EDGE_NOISE_PX + (1.0 - sure) * (_POINT_NOISE_PX - _EDGE_NOISE_PX)


def _lid_offsets(head: Head, side: int) -> Floats:
    """(2, 3): how far the network's lid points lie off the head's own margins, in mm.

    Read from the head at rest, whose margins are known from its mesh.
    """
    far = Pose(np.eye(3), np.array([0.0, 0.0, -_FAR_MM]))
    points = far.apply(head.landmarks_mm.astype(np.float64))
    seen = points[:, :2] / -points[:, 2:] * [1.0, -1.0]
    outline = points_outline(seen, _EYES[side])
    centre = head.eye_centres_mm[side].astype(np.float64)
    reading = read_eye(far, Pinhole(1.0, (0.0, 0.0)), outline, centre, 1.0)
    seen_mm = np.stack([reading.upper_mm, reading.lower_mm])
    return np.asarray(seen_mm - _margins_at_rest(head, side))


def _margins_at_rest(head: Head, side: int) -> Floats:
    """(2, 3): the upper and the lower margin of the head itself."""
    rig = head.lids[side]
    rest = int(np.argmin(np.abs(rig.steps)))
    margins = np.stack([rig.upper_heights_mm[1:4, rest], rig.lower_heights_mm[1:4, rest]])
    return np.asarray(margins, np.float64)


def _turning_part(model: LandmarkModel) -> tuple[Floats, Floats]:
    """(3n, 7) and (7, 3n), whose product is of displacements of the points the part that is a
    shift, a turn or a scaling of the whole, as the points say that tell the pose.
    """
    count = len(model.mean_mm)
    fields = np.zeros((count, 3, 7))
    for axis, unit in enumerate(np.eye(3)):
        fields[:, axis, axis] = 1.0
        fields[:, :, 3 + axis] = np.cross(unit, model.mean_mm)
    fields[:, :, 6] = model.mean_mm
    told = np.zeros(count)
    told[model.rigid] = np.exp(-model.log_variance[0, model.rigid])
    flat = fields.reshape(-1, 7)
    weighted = flat * np.repeat(told, 3)[:, None]
    return flat, np.asarray(np.linalg.solve(flat.T @ weighted, weighted.T))


@compiled("UniTuple(f8[::1], 2)(f8[::1], f8[::1], f8[:,::1], f8, f8)")
def _close(
    upper_mm: Floats, lower_mm: Floats, offsets_mm: Floats, blink: float, unsure: float
) -> tuple[Floats, Floats]:
    """Draw the margins together where the blink score says that the eye is closing.

    offsets_mm: (2, 3) by which the network's margins are off. unsure: 1 where no edge of a lid was
    seen, 0 where they are known.
    """
    share = (blink - _BLINK_BEGINS) / (_BLINK_ENDS - _BLINK_BEGINS)
    closed = unsure * min(max(share, 0.0), 1.0)
    lower = lower_mm - unsure * offsets_mm[1]
    # The margins meet near the lower lid, which hardly moves.
    upper = np.maximum(upper_mm - unsure * offsets_mm[0], lower)
    return upper + closed * (lower - upper), lower


@compiled("f8(f8[:,::1], f8[:,::1])")
def _spread(residual: Floats, surface: Floats) -> float:
    """The median length of residuals (n, 2) over the width of a surface (n, 2)."""
    width = surface[:, 0].max() - surface[:, 0].min() + 1e-9
    lengths = np.sqrt(residual[:, 0] ** 2 + residual[:, 1] ** 2)
    return float(np.median(lengths) / width)


def _confidence(presence: float, residual: Floats, surface: Floats) -> float:
    share = 2.0 - _spread(residual, surface) / (0.5 * _RESIDUAL_LIMIT)
    return presence * min(max(share, 0.0), 1.0)
