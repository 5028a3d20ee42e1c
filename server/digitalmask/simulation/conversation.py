"""What the simulated patient does in a consultation: talks, looks about, blinks, and says so."""

import math

import numpy as np
from numpy.typing import NDArray

from digitalmask.simulation.pose import EyePose, PatientPose

Floats = NDArray[np.floating]

PERIOD_S = 24.0  # after which all of it begins anew
_SYLLABLE_S = 0.21
# When the patient talks, and where they look: start in the period, yaw and pitch in degrees.
_TALKING = ((0.6, 5.2), (7.4, 11.6), (14.0, 18.8))
_LOOKS = (
    (0.0, 0, 0), (2.1, 9, 2), (3.0, -2, -3), (5.4, 0, 0), (6.2, 20, 0), (7.2, -20, 0), (8.2, 0, 0),
    (10.0, -8, -6), (11.2, 0, 0), (12.0, 0, 16), (12.9, 0, -16), (13.8, 0, 0), (16.0, 6, 4),
    (17.2, 0, 0), (20.5, -4, -2), (22.0, 0, 0),
)  # fmt: skip
_BLINKS_S = (1.4, 4.3, 6.9, 9.4, 11.7, 14.9, 16.9, 19.3, 19.7, 22.6)
_SACCADE_S, _BLINK_S = 0.045, 0.24


def _step(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _within(t_s: float, start_s: float, end_s: float, edge_s: float = 0.4) -> float:
    return _step((t_s - start_s) / edge_s) * _step((end_s - t_s) / edge_s)


def loudness(t_s: float) -> float:
    """How loud the patient speaks, 0 to 1; the jaw follows."""
    t_s %= PERIOD_S
    number = int(t_s / _SYLLABLE_S)
    talking = max(_within(t_s, start, end, 0.15) for start, end in _TALKING)
    stress = 0.45 + 0.55 * abs(math.sin(number * 2.4))
    return talking * stress * math.sin(math.pi * (t_s / _SYLLABLE_S - number)) ** 2


def _gaze(t_s: float) -> tuple[float, float]:
    yaw, pitch = 0.0, 0.0
    for start_s, to_yaw, to_pitch in _LOOKS:
        share = _step((t_s - start_s) / _SACCADE_S)
        yaw += share * (to_yaw - yaw)
        pitch += share * (to_pitch - pitch)
    return yaw, pitch


def _closed(t_s: float) -> float:
    """How far the lids are in a blink: quick down, slower up."""
    closed = 0.0
    for start_s in _BLINKS_S:
        share = (t_s - start_s) / _BLINK_S
        if 0.0 < share < 1.0:
            closed = _step(share / 0.3) if share < 0.4 else _step((1 - share) / 0.6)
    return closed


def pose_at(t_s: float) -> PatientPose:
    """The patient at a moment."""
    t_s %= PERIOD_S
    yaw, pitch = _gaze(t_s)
    closed = _closed(t_s)
    turn = 14 * _within(t_s, 3.2, 5.4, 0.8) - 16 * _within(t_s, 15.2, 17.6, 0.9)
    nod = 4 * math.sin(2 * math.pi * 1.1 * t_s) * _within(t_s, 18.9, 20.6, 0.3)
    sway = 2 * math.pi * t_s / PERIOD_S
    smile = _within(t_s, 19.6, 23.2, 0.6)
    raised = _within(t_s, 9.0, 10.6) + _within(t_s, 11.9, 12.8, 0.25)
    voice = loudness(t_s)
    # The lids go along with the eyes' height, as a healthy lid does.
    upper = 3.8 + 0.02 * pitch + 0.5 * raised - 0.3 * smile
    lower = -5.2 - 0.03 * pitch + 0.5 * smile
    eye = EyePose(
        gaze_yaw_deg=yaw,
        gaze_pitch_deg=pitch,
        upper_lid_mm=upper + closed * (lower + 0.6 - upper),
        lower_lid_mm=lower + 0.6 * closed,
        pupil_mm=3.8 + 0.3 * math.sin(3 * sway),
    )
    return PatientPose(
        yaw_deg=turn + 2.5 * math.sin(2 * sway) + 1.2 * math.sin(5 * sway + 1),
        pitch_deg=nod + 1.5 * math.sin(3 * sway + 0.5),
        roll_deg=2.0 * math.sin(sway + 0.3) - 5 * _within(t_s, 20.4, 23.0, 0.8),
        offset_mm=(7 * math.sin(2 * sway), 3 * math.sin(3 * sway), 6 * math.sin(sway)),
        right=eye,
        left=eye,
        shapes={
            "jawOpen": 0.45 * voice,
            "mouthFunnel": 0.25 * voice * abs(math.sin(t_s * 3.1)),
            "mouthSmileLeft": 0.75 * smile,
            "mouthSmileRight": 0.75 * smile,
            "cheekRaiserLeft": 0.4 * smile,
            "cheekRaiserRight": 0.4 * smile,
            "browInnerUpLeft": 0.5 * raised,
            "browInnerUpRight": 0.5 * raised,
            "browOuterUpLeft": 0.5 * raised,
            "browOuterUpRight": 0.5 * raised,
        },
    )


def voice(t0_s: float, seconds: float, rate: int) -> NDArray[np.int16]:
    """The patient's voice from t0 on, (seconds * rate,) samples: a hum with two formants."""
    at_s = t0_s + np.arange(round(seconds * rate)) / rate
    loud = np.interp(at_s, [t0_s, t0_s + seconds], [loudness(t0_s), loudness(t0_s + seconds)])
    pitch_hz = 118.0
    formants = 480 + 180 * math.sin(2.1 * t0_s), 1500 + 420 * math.sin(1.3 * t0_s)
    # Harmonics keep their phase from call to call; only their strength follows the vowel.
    harmonics = np.arange(1, 26) * pitch_hz
    strength = sum(np.exp(-(((harmonics - f) / 170) ** 2)) for f in formants) + 0.06
    wave = (strength / np.arange(1, 26) ** 0.5) @ np.sin(2 * np.pi * np.outer(harmonics, at_s))
    return np.asarray(np.clip(wave * loud * 5200, -32767, 32767), np.int16)
