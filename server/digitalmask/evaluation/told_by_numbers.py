"""What a stretch of mask states says of its patient, group by group, for an attack on the numbers.

The picture of the mask is drawn from these numbers alone: what they do not tell it cannot.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from digitalmask.mask_state import EXPRESSIONS, MaskState

Floats = NDArray[np.floating[Any]]

ALL: Final = "all"
_CLOSED_BELOW, _OPEN_QUANTILE = 0.5, 0.8


def _named(*beginnings: str) -> list[int]:
    return [place for place, name in enumerate(EXPRESSIONS) if name.startswith(beginnings)]


# Which of the expression's coefficients belong together.
_EXPRESSION_GROUPS = {
    "brows": _named("brow"),
    "mouth": _named("mouth", "jaw"),
    "cheeks": _named("cheek", "eyeSquint", "nose"),
}


def quantities(state: MaskState) -> dict[str, Floats]:
    """Every number of a state, by groups."""
    eyes = (state.right, state.left)
    rest = state.rest
    turn = Rotation.from_matrix(state.rotation).as_rotvec(degrees=True)
    return {
        "pose": np.array([*turn, *state.offset_mm]),
        "gaze": np.array([v for eye in eyes for v in (eye.gaze_yaw_deg, eye.gaze_pitch_deg)]),
        "lids": np.array([v for eye in eyes for v in (*eye.upper_lid_mm, *eye.lower_lid_mm)]),
        "pupils": np.array([eye.pupil_mm for eye in eyes]),
        "rest": np.array([rest.brow_mm, rest.mouth_corner_mm, rest.nasolabial_mm]),
        **{name: state.expression[places] for name, places in _EXPRESSION_GROUPS.items()},
    }


def told(states: Sequence[MaskState]) -> Mapping[str, Floats]:
    """(f,) features of a stretch of states for each group.

    Of every quantity its mean, its standard deviation, and how far it moves in a second; under
    `blinks` how the openings of the eyes move, in parts of their own open level; under `all`
    everything together.
    """
    rows = [quantities(state) for state in states]
    duration_s = max(states[-1].captured_at_s - states[0].captured_at_s, 1e-3)
    features: dict[str, Floats] = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows], np.float64)
        moved = np.abs(np.diff(values, axis=0)).sum(axis=0) / duration_s
        features[name] = np.concatenate([values.mean(axis=0), values.std(axis=0), moved])
    openings = np.array(
        [
            [eye.upper_lid_mm[1] - eye.lower_lid_mm[1] for eye in (state.right, state.left)]
            for state in states
        ]
    )
    features["blinks"] = _blinking(openings, duration_s)
    features[ALL] = np.concatenate(list(features.values()))
    return MappingProxyType(features)


def _blinking(openings_mm: Floats, duration_s: float) -> Floats:
    """Of each eye: share of the time closed, closings a second, least opening, fastest closing and
    opening, over its open level; (10,).
    """
    level = np.maximum(np.quantile(openings_mm, _OPEN_QUANTILE, axis=0), 1.0)
    share = openings_mm / level
    closed = share < _CLOSED_BELOW
    closings = (closed[1:] & ~closed[:-1]).sum(axis=0) / duration_s
    steps = np.diff(share, axis=0, prepend=share[:1])
    return np.concatenate(
        [closed.mean(axis=0), closings, share.min(axis=0), steps.min(axis=0), steps.max(axis=0)]
    )
