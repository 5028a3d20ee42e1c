"""How soon latency is back after the pipeline was slow."""

from collections.abc import Sequence

import numpy as np

# The pipeline is taken for slow where frames come less than half as often as the camera's 30.
_SLOW_INTERVAL_S = 1.0 / 15.0


def recovery(latencies_ms: Sequence[tuple[float, float]]) -> dict[str, object]:
    """Latencies before, during and after the longest stretch of slow frames.

    latencies_ms: (seconds, latency) of each frame, in order. `back_after_s` is the time from the
    last slow frame to the first of ten in a row whose median is within 20 ms of the median before.
    """
    at_s = np.array([at for at, _ in latencies_ms])
    late_ms = np.array([late for _, late in latencies_ms])
    slow = np.flatnonzero(np.diff(at_s) > _SLOW_INTERVAL_S)
    if len(slow) < 5:
        return {"slow_frames": len(slow)}
    # Single late frames before and after are noise: the stretch holds the middle 90 %.
    first, last = (int(np.quantile(slow, share)) for share in (0.05, 0.95))
    last = int(slow[slow <= last + 15].max()) + 1
    before_ms = float(np.median(late_ms[:first]))
    back = next(
        (
            round(float(at_s[number] - at_s[last]), 3)
            for number in range(last, len(at_s) - 10)
            if np.median(late_ms[number : number + 10]) < before_ms + 20.0
        ),
        None,
    )
    return {
        "slow_frames": len(slow),
        "slow_s": round(float(at_s[last] - at_s[first]), 2),
        "before_latency_ms_p50": round(before_ms, 1),
        "slow_latency_ms_p50": round(float(np.median(late_ms[first:last])), 1),
        "slow_latency_ms_max": round(float(late_ms[first:last].max()), 1),
        "back_after_s": back,
    }
