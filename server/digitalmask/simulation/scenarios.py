"""What a simulated patient does for a measurement, and which figures it is for.

Every scenario begins with a few seconds of talk, looks and blinks, in which an estimate of the
patient's neutral and scale can settle; what is always there (a squint, a ptosis, a palsy) is there
from the first frame. That part is not scored. Prism dioptres are 100 tan(angle). Lids go along with
the eyes' height as healthy ones do (they keep their distance from the pupil) unless a scenario says
otherwise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from digitalmask.errors import ConfigurationError
from digitalmask.simulation.conversation import loudness
from digitalmask.simulation.pose import Droop, EyePose, PatientPose
from digitalmask.simulation.posing import DISTANCE_MM, EYES_UP_MM

PRELUDE_S = 3.2  # not scored
# Faces are held upright, and eyes that rest look straight ahead: so far above the camera.
RESTING_ABOVE_CAMERA_DEG = math.degrees(math.atan2(EYES_UP_MM, DISTANCE_MM))
UPPER_LID_MM, LOWER_LID_MM, PUPIL_MM = 3.8, -5.2, 3.6
# The lower lid rises by so much in a full blink.
_LOWER_LID_RISE_MM = 0.6
_CLOSING_S, _SHUT_S, _OPENING_S = 0.09, 0.05, 0.15

# What a scenario's figures may be about.
GAZE, SQUINT, LIDS, BLINKS, NYSTAGMUS, TREMOR, SACCADES, POSE, JITTER, PALSY = FIGURES = (
    "gaze", "squint", "lids", "blinks", "nystagmus", "tremor", "saccades", "pose", "jitter",
    "palsy",
)  # fmt: skip

# (start_s, yaw_deg, pitch_deg): where an eye looks from a moment on.
Looks = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Blink:
    """One closing of the lids: quick down, slower up.

    depth: how much of the opening closes at most, 1 for all of it. right_leaves_mm, left_leaves_mm:
    what stays open where the lid would have closed; None for an eye that does not take part.
    shut_s: how long the lid stays where it came to.
    """

    start_s: float
    depth: float = 1.0
    right_leaves_mm: float | None = 0.0
    left_leaves_mm: float | None = 0.0
    shut_s: float = _SHUT_S

    @property
    def end_s(self) -> float:
        """When the lids are open again."""
        return self.start_s + _CLOSING_S + self.shut_s + _OPENING_S

    def closed(self, t_s: float) -> float:
        """How far the lids are closed at a moment, 0 to `depth`."""
        down = _step((t_s - self.start_s) / _CLOSING_S)
        return self.depth * down * _step((self.end_s - t_s) / _OPENING_S)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One patient's half minute at most.

    name. summary: one line. duration_s: prelude and all. figures: what is measured with it, of
    `FIGURES`. act: makes of a natural pose at a moment what this patient does. blinks: those after
    the prelude. nystagmus_hz: of the eyes' oscillation in the head, where there is one.
    """

    name: str
    summary: str
    duration_s: float
    figures: frozenset[str]
    act: Callable[[float, PatientPose], PatientPose] = field(repr=False)
    blinks: tuple[Blink, ...] = ()
    nystagmus_hz: float | None = None
    sways: bool = True
    closing_leaves_mm: tuple[float, float] = (0.0, 0.0)

    def pose_at(self, t_s: float) -> PatientPose:
        """The patient at a moment, 0 to duration_s."""
        pose = self.act(t_s, _natural(t_s, self.sways))
        for blink in self._all_blinks():
            closed = blink.closed(t_s)
            if closed > 0:
                right, left = blink.right_leaves_mm, blink.left_leaves_mm
                pose = replace(
                    pose,
                    right=pose.right if right is None else _closing(pose.right, closed, right),
                    left=pose.left if left is None else _closing(pose.left, closed, left),
                )
        return pose

    def blinking(self, t_s: float) -> tuple[int, int]:
        """The number of the blink that the right and the left eye are in, from 1; 0 for none."""
        right = left = 0
        for number, blink in enumerate(self._all_blinks(), 1):
            if blink.start_s < t_s < blink.end_s:
                right = number if blink.right_leaves_mm is not None else right
                left = number if blink.left_leaves_mm is not None else left
        return right, left

    def scored(self, t_s: float) -> bool:
        """Whether what is measured at this moment counts."""
        return t_s >= PRELUDE_S

    def _all_blinks(self) -> tuple[Blink, ...]:
        right, left = self.closing_leaves_mm
        first = (Blink(at_s, 1.0, right, left) for at_s in _PRELUDE_BLINKS_S)
        return *first, *self.blinks


_PRELUDE_BLINKS_S = (0.7, 2.3)
_PRELUDE_LOOKS: Looks = ((0.0, 0, 0), (0.9, 9, 2), (1.5, -8, -4), (2.1, 0, 6), (2.6, 0, 0))


def _step(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _during(t_s: float, start_s: float, end_s: float, edge_s: float = 0.3) -> float:
    return _step((t_s - start_s) / edge_s) * _step((end_s - t_s) / edge_s)


def look_at(looks: Looks, t_s: float) -> tuple[float, float]:
    """Gaze yaw and pitch at a moment; a saccade lasts 21 ms and 2.2 ms a degree (main sequence)."""
    yaw, pitch = looks[0][1:]
    for start_s, to_yaw, to_pitch in looks[1:]:
        size = math.hypot(to_yaw - yaw, to_pitch - pitch)
        share = _step((t_s - start_s) / (0.021 + 0.0022 * size))
        yaw += share * (to_yaw - yaw)
        pitch += share * (to_pitch - pitch)
    return yaw, pitch


def _eye(yaw: float, pitch: float) -> EyePose:
    """A healthy eye that looks there."""
    return EyePose(
        gaze_yaw_deg=yaw,
        gaze_pitch_deg=pitch,
        upper_lid_mm=UPPER_LID_MM + 0.02 * pitch,
        lower_lid_mm=LOWER_LID_MM - 0.03 * pitch,
        pupil_mm=PUPIL_MM,
    )


def _natural(t_s: float, sways: bool) -> PatientPose:
    """A calm person; in the prelude they talk and look about."""
    first = 1 - _step((t_s - PRELUDE_S + 0.5) / 0.3)
    voice = first * loudness(t_s + 0.6)
    raised = first * _during(t_s, 1.4, 2.4)
    sway = 1.0 if sways else first
    eye = _eye(*look_at(_PRELUDE_LOOKS, t_s))
    turn = 6 * _during(t_s, 0.8, 1.9, 0.5) - 5 * _during(t_s, 1.7, 2.8, 0.5)
    around = 2 * math.pi * t_s
    return PatientPose(
        yaw_deg=sway * 1.2 * math.sin(around / 7 + 0.4) + turn,
        pitch_deg=sway * 0.8 * math.sin(around / 5 + 1) - 0.4 * turn,
        roll_deg=sway * 0.6 * math.sin(around / 9),
        offset_mm=(sway * 2.0 * math.sin(around / 6), sway * 1.0 * math.sin(around / 4), 0.0),
        right=eye,
        left=eye,
        shapes={
            "jawOpen": 0.4 * voice,
            "mouthFunnel": 0.2 * voice * abs(math.sin(t_s * 3.1)),
            **_brow_raise(0.5 * raised),
        },
    )


def _brow_raise(amount: float) -> dict[str, float]:
    return {
        f"brow{part}Up{side}": amount for part in ("Inner", "Outer") for side in ("Left", "Right")
    }


def _smile(amount: float) -> dict[str, float]:
    return {f"mouthSmile{side}": amount for side in ("Left", "Right")}


def _closing(eye: EyePose, closed: float, leaves_mm: float) -> EyePose:
    lower = eye.lower_lid_mm + _LOWER_LID_RISE_MM * closed
    shut = min(eye.lower_lid_mm + _LOWER_LID_RISE_MM + leaves_mm, eye.upper_lid_mm)
    upper = eye.upper_lid_mm + closed * (shut - eye.upper_lid_mm)
    return replace(eye, upper_lid_mm=upper, lower_lid_mm=lower)


def _turned(eye: EyePose, yaw: float = 0.0, pitch: float = 0.0) -> EyePose:
    return replace(
        eye, gaze_yaw_deg=eye.gaze_yaw_deg + yaw, gaze_pitch_deg=eye.gaze_pitch_deg + pitch
    )


def prism_dioptres(angle_deg: float) -> float:
    """100 tan(angle)."""
    return 100 * math.tan(math.radians(angle_deg))


def _degrees(dioptres: float) -> float:
    return math.degrees(math.atan(dioptres / 100))


def _looking(looks: Looks) -> Callable[[float, PatientPose], PatientPose]:
    """Both eyes look here and there after the prelude."""

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        if t_s < looks[0][0]:
            return pose
        eye = _eye(*look_at(((0.0, 0, 0), *looks), t_s))
        return replace(pose, right=eye, left=eye)

    return act


def _nine_positions() -> Scenario:
    order = ((0, 0), (-1, 0), (1, 0), (0, 1), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1), (0, 0))
    looks = tuple(
        (PRELUDE_S + 0.7 * place, 20.0 * yaw, 15.0 * pitch)
        for place, (yaw, pitch) in enumerate(order)
    )
    return Scenario(
        "nine_positions",
        "both eyes look 20 degrees to either side and 15 up and down, and into the corners",
        PRELUDE_S + 0.7 * len(order),
        frozenset((GAZE, SQUINT, LIDS, POSE)),
        _looking(looks),
    )


def _squint(name: str, summary: str, yaw: float = 0.0, pitch: float = 0.0) -> Scenario:
    """One eye fixes, ahead and to both sides; the other, which the name says, deviates."""
    looks = ((PRELUDE_S, 0, 0), (PRELUDE_S + 1.3, -10, 0), (PRELUDE_S + 2.6, 10, 0))
    natural = _looking(looks)

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        pose = natural(t_s, pose)
        if "_left_" in name:
            return replace(pose, left=_turned(pose.left, yaw, pitch))
        return replace(pose, right=_turned(pose.right, yaw, pitch))

    figures = frozenset((GAZE, SQUINT, LIDS))
    return Scenario(name, summary, PRELUDE_S + 3.9, figures, act)


def _lids(
    name: str, summary: str, right_mm: float = UPPER_LID_MM, left_mm: float = UPPER_LID_MM
) -> Scenario:
    """Upper lids that stand elsewhere all the time; two blinks."""

    def act(_: float, pose: PatientPose) -> PatientPose:
        right, left = (
            replace(eye, upper_lid_mm=eye.upper_lid_mm + height - UPPER_LID_MM)
            for eye, height in ((pose.right, right_mm), (pose.left, left_mm))
        )
        return replace(pose, right=right, left=left)

    blinks = tuple(Blink(PRELUDE_S + at_s) for at_s in (1.0, 3.0))
    figures = frozenset((GAZE, LIDS, BLINKS))
    return Scenario(name, summary, PRELUDE_S + 4.2, figures, act, blinks)


def _lid_lag() -> Scenario:
    """The eyes follow something downwards, and the upper lids stay behind."""
    top, bottom, start_s, end_s = 10.0, -15.0, PRELUDE_S + 0.8, PRELUDE_S + 3.4

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        if t_s < PRELUDE_S:
            return pose
        pitch = top * _step((t_s - PRELUDE_S) / 0.06)
        pitch += (bottom - top) * min(max((t_s - start_s) / (end_s - start_s), 0.0), 1.0)
        eye = _eye(0.0, pitch)
        fallen_mm = 10.48 * (math.sin(math.radians(top)) - math.sin(math.radians(pitch)))
        behind = replace(eye, upper_lid_mm=UPPER_LID_MM + 0.2 + 0.6 * max(fallen_mm, 0.0))
        eye = behind if t_s > start_s else eye
        return replace(pose, right=eye, left=eye)

    figures = frozenset((GAZE, LIDS))
    return Scenario(
        "lid_lag", "slow downward gaze with upper lids that lag", PRELUDE_S + 4.4, figures, act
    )


def _as_it_is(_: float, pose: PatientPose) -> PatientPose:
    return pose


def _lagophthalmos() -> Scenario:
    return Scenario(
        "lagophthalmos",
        "the left eye's closure leaves 2 mm; the right one closes",
        PRELUDE_S + 5.0,
        frozenset((LIDS, BLINKS)),
        _as_it_is,
        tuple(
            Blink(PRELUDE_S + at_s, 1.0, 0.0, 2.0, shut_s)
            for at_s, shut_s in ((0.7, 0.7), (2.4, _SHUT_S), (3.4, 0.7))
        ),
        closing_leaves_mm=(0.0, 2.0),
    )


def _blinks() -> Scenario:
    at = PRELUDE_S
    return Scenario(
        "blinks",
        "full and incomplete blinks (60 and 45 % of the opening), and one of each eye alone",
        PRELUDE_S + 6.6,
        frozenset((LIDS, BLINKS)),
        _as_it_is,
        (
            Blink(at + 0.5), Blink(at + 1.2, 0.6), Blink(at + 1.9), Blink(at + 2.3),
            Blink(at + 3.0, 0.45), Blink(at + 3.7, left_leaves_mm=None),
            Blink(at + 4.4, right_leaves_mm=None), Blink(at + 5.1, 0.6), Blink(at + 5.8),
        ),
    )  # fmt: skip


def _pendular(frequency_hz: int, amplitude_deg: int, vertical: bool = False) -> Scenario:
    """Both eyes together, across or up and down; the amplitude is from the middle to one side."""

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        angle = amplitude_deg * math.sin(2 * math.pi * frequency_hz * t_s)
        by = (0.0, angle) if vertical else (angle, 0.0)
        return replace(pose, right=_turned(pose.right, *by), left=_turned(pose.left, *by))

    way, sides = ("vertical_", "up and down") if vertical else ("", "to either side")
    return Scenario(
        f"nystagmus_{way}{frequency_hz}hz_{amplitude_deg}deg",
        f"pendular nystagmus, {frequency_hz} Hz, {amplitude_deg} degrees {sides}",
        PRELUDE_S + 3.0,
        frozenset((NYSTAGMUS,)),
        act,
        nystagmus_hz=float(frequency_hz),
    )


def _jerk() -> Scenario:
    frequency_hz, size_deg, quick_s = 3.0, 5.0, 0.04

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        share = (t_s * frequency_hz) % 1.0
        slow = 1 - quick_s * frequency_hz
        # Slow towards the patient's right, a quick phase back to the left.
        yaw = -size_deg * (share / slow - 0.5)
        if share > slow:
            yaw = size_deg * (_step((share - slow) / (1 - slow)) - 0.5)
        return replace(pose, right=_turned(pose.right, yaw), left=_turned(pose.left, yaw))

    return Scenario(
        "jerk_nystagmus_3hz",
        "jerk nystagmus, 3 Hz, 5 degrees, quick phase to the left",
        PRELUDE_S + 3.0,
        frozenset((NYSTAGMUS,)),
        act,
        nystagmus_hz=frequency_hz,
    )


def _tremor() -> Scenario:
    frequency_hz, amplitude_deg = 3.0, 1.5

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        yaw = amplitude_deg * math.sin(2 * math.pi * frequency_hz * t_s)
        right, left = _turned(pose.right, -yaw), _turned(pose.left, -yaw)
        return replace(pose, yaw_deg=pose.yaw_deg + yaw, right=right, left=left)

    return Scenario(
        "head_tremor_3hz",
        "the head trembles, 3 Hz, 1.5 degrees to either side, and the eyes stay where they look",
        PRELUDE_S + 3.0,
        frozenset((TREMOR,)),
        act,
        nystagmus_hz=frequency_hz,
    )


def _saccades() -> Scenario:
    yaws = (0.0, 5.0, 0.0, -5.0, 5.0, -5.0, 0.0, 10.0, -10.0, 0.0, -10.0, 10.0, -10.0)
    looks = tuple(
        # Not in step with the camera's frames.
        (PRELUDE_S + 0.517 * place, yaw, 0.0)
        for place, yaw in enumerate(yaws)
    )
    return Scenario(
        "saccades",
        "horizontal saccades of 5, 10 and 20 degrees",
        PRELUDE_S + 0.517 * len(yaws),
        frozenset((GAZE, SACCADES)),
        _looking(looks),
    )


def _palsy() -> Scenario:
    droop = Droop(brow_mm=4.0, mouth_corner_mm=5.0, nasolabial_mm=3.5)

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        at_s = t_s - PRELUDE_S
        shapes: Mapping[str, float] = pose.shapes
        if at_s > 0:
            shapes = {
                **_smile(0.7 * _during(at_s, 1.5, 2.9)),
                **_brow_raise(0.7 * _during(at_s, 3.1, 4.3)),
            }
        weak = {
            name: amount * (0.1 if name.endswith("Right") else 1.0)
            for name, amount in shapes.items()
        }
        right = replace(pose.right, lower_lid_mm=pose.right.lower_lid_mm - 0.6)
        return replace(pose, shapes=weak, right=right, right_droop=droop)

    return Scenario(
        "palsy_right",
        "palsy of the right side: it droops at rest, hardly moves, its eye does not close",
        PRELUDE_S + 5.6,
        frozenset((PALSY, LIDS, BLINKS)),
        act,
        (Blink(PRELUDE_S + 0.6, 1.0, 3.0, 0.0), Blink(PRELUDE_S + 4.7, 1.0, 3.0, 0.0, 0.4)),
        closing_leaves_mm=(3.0, 0.0),
    )


def _head_tilt() -> Scenario:
    def act(_: float, pose: PatientPose) -> PatientPose:
        return replace(pose, roll_deg=pose.roll_deg + 20.0)

    figures = frozenset((POSE, GAZE, SQUINT, LIDS))
    summary = "the head is tilted by 20 degrees to the right shoulder"
    return Scenario("head_tilt", summary, PRELUDE_S + 3.5, figures, act)


def _head_turns() -> Scenario:
    """To yaw 40 and pitch 25 either way; the eyes make up for half of the smaller turns."""
    times_s = (0.0, 1.0, 2.2, 3.4, 4.4, 5.4, 6.4)
    turns = ((0, 0), (40, 0), (-40, 0), (0, 0), (0, 25), (0, -25), (0, 0))

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        at_s = t_s - PRELUDE_S
        if at_s < 0:
            return pose
        yaw = pitch = 0.0
        for start_s, to in zip(times_s[1:], turns[1:], strict=True):
            share = _step((at_s - start_s + 0.7) / 0.7)
            yaw += share * (to[0] - yaw)
            pitch += share * (to[1] - pitch)
        eye = _eye(-0.5 * yaw, -0.5 * pitch)
        return replace(
            pose,
            yaw_deg=pose.yaw_deg + yaw,
            pitch_deg=pose.pitch_deg + pitch,
            right=eye,
            left=eye,
        )

    figures = frozenset((POSE,))
    summary = "the head turns 40 degrees to either side and 25 up and down"
    return Scenario("head_turns", summary, PRELUDE_S + 6.8, figures, act)


def _make() -> dict[str, Scenario]:
    quiet = Scenario(
        "quiet",
        "nothing moves: what is left is the camera's noise",
        PRELUDE_S + 4.0,
        frozenset((JITTER, GAZE, LIDS, POSE)),
        _as_it_is,
        sways=False,
    )
    scenarios = [
        quiet,
        _nine_positions(),
        _squint(
            "esotropia_right_20pd", "the right eye turns in by 20 prism dioptres", _degrees(20)
        ),
        _squint("exotropia_left_30pd", "the left eye turns out by 30 prism dioptres", _degrees(30)),
        _squint(
            "hypertropia_right_10pd",
            "the right eye stands 10 prism dioptres higher",
            pitch=_degrees(10),
        ),
        _lids("ptosis_left", "the left upper lid hangs: MRD1 1.0 mm", left_mm=1.0),
        _lids("lid_retraction", "both upper lids stand high: MRD1 6.5 mm", 6.5, 6.5),
        _lid_lag(),
        _lagophthalmos(),
        _blinks(),
        *(_pendular(hertz, degrees) for hertz in (2, 4, 6) for degrees in (1, 3, 5)),
        _pendular(8, 3),
        _jerk(),
        _saccades(),
        _palsy(),
        _head_tilt(),
        _head_turns(),
        _tremor(),
        _pendular(3, 3, vertical=True),
    ]
    return {scenario.name: scenario for scenario in scenarios}


SCENARIOS: Mapping[str, Scenario] = _make()


def find_scenario(name: str) -> Scenario:
    """The scenario of that name. Raises ConfigurationError where there is none."""
    if name not in SCENARIOS:
        raise ConfigurationError(f"there is no scenario {name!r}: see digitalmask simulate --list")
    return SCENARIOS[name]


def resting_above(scenario: Scenario, above_camera_deg: float) -> Scenario:
    """The same patient, the face raised or lowered so that at rest it looks so far above the
    camera: 0 at the camera, as a doctor asks for, -8 at a face on the screen.
    """
    raised_deg = above_camera_deg - RESTING_ABOVE_CAMERA_DEG

    def act(t_s: float, pose: PatientPose) -> PatientPose:
        acted = scenario.act(t_s, pose)
        return replace(acted, pitch_deg=acted.pitch_deg + raised_deg)

    return replace(scenario, act=act)
