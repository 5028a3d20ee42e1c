"""What needs a GPU is measured and judged; without one it runs all the same, and says so."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from digitalmask.bench import gpu_check
from digitalmask.bench.gpu import faults, measure
from digitalmask.bench.gpu_check import Check, run_all
from digitalmask.cuda import Gpu, gpus
from digitalmask.opengl import EglDevice
from digitalmask.simulation.scenarios import SCENARIOS

QUIET = {"gaze_error_deg_median": 4.19, "lid_jitter_mm": 0.044, "mrd1_error_mm_median": None}


def figures(**changed: Any) -> dict[str, Any]:
    """What `bench gpu` would say on an H200 that does what is aimed at."""
    found: dict[str, Any] = {
        "gpu": ["NVIDIA H200"],
        "device": "CUDA",
        "cuda": {"points_apart_px_max": 0.01, "agrees": True},
        "cuda-half": {"points_apart_px_max": 0.1, "agrees": True},
        "one_room": {"sum_ms_p50": 1.4},
        "rooms": {"frames_due": 100, "frames_done": 100, "frame_ms_p95": 9.0},
    }
    return found | changed


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As if there were one: what each command would print, by its first words."""
    said: dict[str, Any] = {
        "check": {"used": {}},
        "bench gpu": figures(),
        "bench rooms": {"rooms": 40},
        "cuda": QUIET,
        "cuda-half": QUIET,
        "cpu": QUIET,
    }

    def run(_check: Check, arguments: Sequence[str], _most_s: float) -> Any:
        if arguments[0] == "evaluate":
            return {"scenarios": {arguments[2]: {"state": said[arguments[4]]}}}
        return said[arguments[0] if arguments[0] == "check" else " ".join(arguments[:2])]

    monkeypatch.setattr(gpu_check, "gpus", lambda: [Gpu("NVIDIA H200", 143771)])
    device = EglDevice(0, "NVIDIA H200", software=False, nvidia=True)
    monkeypatch.setattr(gpu_check, "egl_devices", lambda: (device,))
    monkeypatch.setattr(Check, "run", run)
    return said


@pytest.mark.usefixtures("on_a_gpu")
def test_on_a_gpu_everything_is_checked_and_the_aims_are_told() -> None:
    found = run_all()
    assert found["ok"]
    assert found["not_checked"] == []
    assert set(found["gpu"]["aims"].values()) == {True}
    assert len(found["truth"]["cuda"]) == len(found["truth"]["cpu"]) == len(SCENARIOS)
    assert found["rooms"] == {"rooms": 40}


def test_a_speed_that_misses_its_aim_is_told_and_fails_nothing(on_a_gpu: dict[str, Any]) -> None:
    on_a_gpu["bench gpu"] = figures(one_room={"sum_ms_p50": 2.5})
    found = run_all()
    assert found["ok"]
    assert found["gpu"]["aims"]["one room under 1.5 ms"] is False


def test_a_figure_that_is_another_than_on_the_cpu_fails(on_a_gpu: dict[str, Any]) -> None:
    on_a_gpu["cuda-half"] = QUIET | {"gaze_error_deg_median": 4.9}
    found = run_all()
    assert not found["ok"]
    assert "cuda-half: quiet: gaze_error_deg_median is 4.9, on the CPU 4.19" in found["failed"]


def test_points_that_lie_elsewhere_are_a_fault_and_so_is_a_gpu_that_is_not_used() -> None:
    assert faults(figures()) == []
    apart = figures(cuda={"points_apart_px_max": 0.3, "agrees": False})
    assert faults(apart) == ["cuda: points are up to 0.3 px from the CPU's"]
    assert faults(figures(device="CPU")) == ["there is a GPU, but the networks run on the CPU"]


@pytest.mark.gl
@pytest.mark.models
def test_the_benchmark_runs_without_a_gpu() -> None:
    if gpus():
        pytest.skip("this machine has a GPU")
    found = measure(1, 1.0, lambda _line: None)
    assert found["device"] == "CPU"
    assert found["cpu"]["agrees"]
    assert found["one_room"]["sum_ms_p50"] > 0
    assert found["rooms"]["began"] == 1
    assert found["rooms"]["frames_done"] > 3
    assert faults(found) == []


def test_it_ends_in_time_and_says_what_it_did_not_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if gpus():
        pytest.skip("this machine has a GPU")
    started_s = time.monotonic()
    found = run_all(limit_s=1.5)
    assert time.monotonic() - started_s < 9.0
    assert json.loads(json.dumps(found))["seconds"] < 9.0
    said = " ".join(found["not_checked"])
    assert "there is no NVIDIA GPU here" in said
    assert "bench gpu --rooms 1 --seconds 1: it did not end in" in said
    assert capsys.readouterr().out == ""
