"""Everything that needs a GPU, within a time: `scripts/gpu_check` runs this.

Each step is a command of `digitalmask` in a process of its own with a share of the time; what it
could not check it says, in `not_checked`, and what did not hold, in `failed`. Where there is no GPU
the same steps run on the CPU, shortened, to show that they would run.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitalmask.cuda import gpus
from digitalmask.opengl import egl_devices
from digitalmask.simulation.scenarios import SCENARIOS

_LIMIT_S = 470.0  # below the 8 minutes that all of it may take
_ROOMS, _ONE_FRAME_MS, _ROOMS_FRAME_MS = 64, 1.5, 10.0  # what is aimed at on an H200 with 16 cores
_SHORT = ("quiet",)  # scenarios where there is no GPU
# A scenario's figure on the GPU may be worse than on the CPU by so much of its own unit: what
# rounding does to a smoothed value. Degrees, millimetres and shares alike.
_ALIKE = 0.05


@dataclass
class Check:
    """What came of the steps."""

    until_s: float
    results: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def left_s(self) -> float:
        """How long there still is."""
        return max(self.until_s - time.monotonic(), 1.0)

    def run(self, arguments: Sequence[str], most_s: float) -> dict[str, Any] | None:
        """The JSON object that a command prints; None where there is none."""
        said = " ".join(arguments)
        command = [sys.executable, "-m", "digitalmask", *arguments, "--json"]
        most_s = min(most_s, self.left_s())
        try:
            ended = subprocess.run(  # noqa: S603 - our own commands
                command, capture_output=True, text=True, timeout=most_s, check=False
            )
        except subprocess.TimeoutExpired:
            self.not_checked.append(f"{said}: it did not end in {most_s:.0f} s")
            return None
        if ended.returncode:
            reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
            self.failed.append(f"{said}: {reason}")
        try:
            found: dict[str, Any] = json.loads(ended.stdout)
        except ValueError:
            return None
        return found


def run_all(limit_s: float = _LIMIT_S) -> dict[str, Any]:
    """All steps; `ok` where nothing failed."""
    started_s = time.monotonic()
    check = Check(started_s + limit_s)
    there, nvidia = gpus(), any(each.nvidia for each in egl_devices())
    choices = ["cuda", "cuda-half"] if there else ["cpu"]
    if not there:
        check.not_checked.append("CUDA, half precision, CUDA graphs: there is no NVIDIA GPU here")
    if not nvidia:
        check.not_checked.append("drawing on a GPU: EGL offers no NVIDIA device here")
    _say("what the machine has")
    check.results["check"] = check.run(["check"], 60.0)
    _say("inference and drawing")
    rooms, seconds = (_ROOMS, 10) if there else (1, 1)
    bench = ["bench", "gpu", "--rooms", str(rooms), "--seconds", str(seconds)]
    check.results["gpu"] = check.run(bench, 150.0)
    _judge_speed(check, check.results["gpu"], bool(there) and nvidia)
    _say(f"{'all' if there else 'some'} scenarios on {', '.join(choices)}")
    check.results["truth"] = _truth(check, choices, tuple(SCENARIOS) if there else _SHORT)
    if there:
        _say("rooms with everything")
        check.results["rooms"] = check.run(["bench", "rooms"], check.left_s())
    else:
        check.not_checked.append("bench rooms on a GPU")
    return {
        "ok": not check.failed,
        "failed": check.failed,
        "not_checked": check.not_checked,
        "seconds": round(time.monotonic() - started_s, 1),
        **check.results,
    }


def _judge_speed(check: Check, found: dict[str, Any] | None, on_gpu: bool) -> None:
    """The aims, which are of an H200 with 16 cores: what misses them is said, and fails nothing."""
    if found is None or not on_gpu:
        check.not_checked.append("speed: it says nothing without a GPU")
        return
    one, many = found["one_room"]["sum_ms_p50"], found["rooms"].get("frame_ms_p95")
    found["aims"] = {
        f"one room under {_ONE_FRAME_MS} ms": one <= _ONE_FRAME_MS,
        f"{_ROOMS} rooms under {_ROOMS_FRAME_MS} ms": many is not None and many <= _ROOMS_FRAME_MS,
        "every frame done": found["rooms"]["frames_done"] >= 0.99 * found["rooms"]["frames_due"],
    }


def _truth(check: Check, choices: Sequence[str], scenarios: Sequence[str]) -> dict[str, Any]:
    """Each scenario's figures on each choice, and where they are worse than the CPU's."""
    kinds = [*choices, "cpu"] if "cpu" not in choices else list(choices)
    asked = [(choice, name) for name in scenarios for choice in kinds]

    def play(choice: str, name: str) -> dict[str, Any] | None:
        return check.run(["evaluate", "truth", name, "--provider", choice], 240.0)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        played = dict(zip(asked, pool.map(lambda each: play(*each), asked), strict=True))
    figures: dict[str, Any] = {choice: {} for choice in kinds}
    for (choice, name), found in played.items():
        if found is not None:
            figures[choice][name] = found["scenarios"][name]["state"]
    for choice in choices:
        for line in _worse(figures[choice], figures["cpu"]):
            check.failed.append(f"{choice}: {line}")
    return figures


def _worse(some: dict[str, Any], others: dict[str, Any]) -> Iterator[str]:
    """Figures that differ by more than rounding does."""
    for name, figures in some.items():
        for figure, value in figures.items():
            other = others.get(name, {}).get(figure)
            if isinstance(value, float) and isinstance(other, float):
                most = max(_ALIKE, 0.05 * abs(other))
                if abs(value - other) > most:
                    yield f"{name}: {figure} is {value}, on the CPU {other}"


def _say(line: str) -> None:
    print(f"gpu_check: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(prog="gpu_check", description="Check what needs a GPU.")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")
    options = parser.parse_args()
    found = run_all()
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    for line in found["not_checked"]:
        _say(f"not checked: {line}")
    for line in found["failed"]:
        _say(f"FAILED: {line}")
    print(json.dumps(found))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
