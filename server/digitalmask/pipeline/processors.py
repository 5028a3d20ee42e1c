"""What the processors that this process may use have left."""

import os
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE, _WAITING = 3, 4  # places in a processor's line, proc(5): ticks without work


def idle_s(stat: Path = _STAT) -> float:
    """For how long these processors had nothing to do, in sum, since the machine was started.

    Not a number where the system does not say.
    """
    try:
        lines = stat.read_text("ascii").splitlines()
        usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        ticks_a_second = os.sysconf("SC_CLK_TCK")
        ticks = [
            int(times[_IDLE]) + int(times[_WAITING])
            for name, *times in (line.split() for line in lines if line.startswith("cpu"))
            if name in usable
        ]
    except (OSError, AttributeError, ValueError, IndexError):
        return float("nan")
    return sum(ticks) / ticks_a_second if ticks else float("nan")
