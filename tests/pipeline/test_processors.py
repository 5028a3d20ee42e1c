"""What the processors have left, as the system counts it."""

import math
import os
from pathlib import Path

from digitalmask.pipeline.processors import idle_s


def test_the_idle_and_waiting_time_of_the_usable_processors_is_added_up(tmp_path: Path) -> None:
    usable = sorted(os.sched_getaffinity(0))
    lines = [f"cpu{number} 1 2 3 400 50 6 7 0 0 0" for number in (*usable, max(usable) + 1)]
    stat = tmp_path / "stat"
    stat.write_text("\n".join(["cpu 9 9 9 9 9 9 9 0 0 0", *lines, "intr 1"]))
    assert idle_s(stat) == len(usable) * 450 / os.sysconf("SC_CLK_TCK")


def test_it_is_no_number_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert math.isnan(idle_s(tmp_path / "missing"))
    (tmp_path / "stat").write_text("cpu0 1 x\n")
    assert math.isnan(idle_s(tmp_path / "stat"))
