"""A state for a frame that was not read: the head goes on as it moved, all else stands.

What the eyes, lids and the mouth do between two frames is not known, and a sign of disease is
never made up; a head that stood still in every second frame would only judder.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from digitalmask.mask_state import MaskState

# Beyond these the head's motion is not trusted: two states too far apart to be neighbours, a frame
# too far ahead of the last one, a turn or a step too large for one frame.
_MOST_APART_S, _MOST_AHEAD_S = 0.20, 0.10
_MOST_TURN_DEG, _MOST_STEP_MM = 5.0, 6.0


def carried_on(earlier: MaskState, latest: MaskState, at_s: float) -> MaskState:
    """The latest state at the moment `at_s`, with the motion of the head since the earlier one."""
    apart_s = latest.captured_at_s - earlier.captured_at_s
    ahead_s = at_s - latest.captured_at_s
    if not (0 < apart_s <= _MOST_APART_S and 0 < ahead_s <= _MOST_AHEAD_S):
        return replace(latest, captured_at_s=at_s)
    share = ahead_s / apart_s
    turn = Rotation.from_matrix(latest.rotation @ earlier.rotation.T).as_rotvec() * share
    turn *= min(1.0, np.radians(_MOST_TURN_DEG) / max(float(np.linalg.norm(turn)), 1e-9))
    step = (np.array(latest.offset_mm) - earlier.offset_mm) * share
    step *= min(1.0, _MOST_STEP_MM / max(float(np.linalg.norm(step)), 1e-9))
    x, y = np.array(latest.offset_mm) + step
    return replace(
        latest,
        captured_at_s=at_s,
        rotation=Rotation.from_rotvec(turn).as_matrix() @ latest.rotation,
        offset_mm=(float(x), float(y)),
    )
