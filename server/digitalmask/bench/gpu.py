"""Inference and drawing on a GPU: agreement with the CPU, one room, many rooms.

All inference and drawing goes through the processes that work for every room
(`tracking/inference_process.py`, `pipeline/drawing_process.py`), as in the relay. Where there is no
GPU the same is run on the CPU, the networks in the form for a GPU, and `device` and `draws_on` say
so: it shows that the benchmark works, not what a GPU does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.bench.gpu_room import PATIENCE_S, draw_frames, read_frames
from digitalmask.cuda import gpus
from digitalmask.errors import MediaError, TrackingError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.drawing_process import DrawingProcess, RemoteRenderer, make_contexts
from digitalmask.rendering import Complexion, Inset
from digitalmask.simulation import SimulatedPatient
from digitalmask.tracking import sessions
from digitalmask.tracking.detector import detect_faces
from digitalmask.tracking.device_network import BATCHES
from digitalmask.tracking.inference_process import InferenceProcess, connect
from digitalmask.tracking.networks import Networks, cpu_networks, device_networks, networks_on
from digitalmask.tracking.sessions import make_session

SIZE = (640, 480)
_FRAMES, _RATE = 24, 30
_SETTLE = 20
_CPU_BATCHES = (1, 2, 4)
# Points may differ from the CPU's by so many pixels of the crop.
MOST_PX = {"cuda": 0.05, "cuda-half": 0.2, "tensorrt": 0.05, "tensorrt-half": 0.2, "cpu": 0.05}

Say = Callable[[str], None]


def networks_for(choice: str) -> Networks:
    """The networks in batches; `cpu` is the form for a GPU on the CPU."""
    if choice == "cpu":
        return networks_on(sessions.CPU, "gpu", make_session, _CPU_BATCHES)
    return device_networks(choice)


def measure(rooms: int, seconds: float, say: Say) -> dict[str, Any]:
    """All figures. Errors: those of the stages; MediaError where no face is seen."""
    there = gpus()
    choices = ["cuda", "cuda-half"] if there else ["cpu"]
    crops = _crops()
    figures: dict[str, Any] = {
        "gpu": [each.name for each in there],
        "cores": len(os.sched_getaffinity(0)),
        "size": "{}x{}".format(*SIZE),
    }
    for choice in choices:
        say(f"{choice}: agreement with the CPU, and what a batch takes")
        figures[choice] = _on(choice, crops)
    with (
        closing(InferenceProcess(networks_for, choices[0])) as inference,
        closing(DrawingProcess(make_contexts, "anywhere")) as drawing,
    ):
        figures["device"], figures["draws_on"] = inference.provider, drawing.provider
        say("one room")
        figures["one_room"] = _one_room(inference, drawing, crops)
        say(f"{rooms} rooms at {_RATE} fps for {seconds:.0f} s")
        figures["rooms"] = _many_rooms(inference, drawing, crops, rooms, seconds)
    return figures


def _crops() -> NDArray[np.uint8]:
    """(_FRAMES, 256, 256, 4): what the tracker cuts out of a simulated patient's frames."""
    patient, networks = SimulatedPatient(), cpu_networks()
    cut = []
    for number in range(_FRAMES):
        clock = FrameClock(number / 3, number, Fraction(1, 3))
        frame = PatientFrame.of_rgb(clock, patient.frame(number / 3, SIZE))
        faces = detect_faces(networks.detector, frame)
        if faces:
            cut.append(faces[0].region.cut(frame, 256))
    patient.close()
    if not cut:
        raise MediaError("no face was seen in the simulated patient's picture")
    return np.stack(cut)


def _on(choice: str, crops: NDArray[np.uint8]) -> dict[str, Any]:
    """How far points are from the CPU's, and milliseconds of the landmark network by batch."""
    networks, on_cpu = networks_for(choice), cpu_networks()
    here = np.stack([on_cpu.landmarks.run(crop[None])[0].reshape(478, 3) for crop in crops])
    there = networks.landmarks.run(crops)[0].reshape(-1, 478, 3)
    apart = np.linalg.norm(here[:, :, :2] - there[:, :, :2], axis=2)
    points = np.ascontiguousarray(here[:, :146, :2])
    scores = np.stack([on_cpu.blendshapes.run(each[None])[0].reshape(52) for each in points])
    scores_apart = np.abs(networks.blendshapes.run(points)[0] - scores)
    found: dict[str, Any] = {
        "points_apart_px_max": round(float(apart.max()), 4),
        "points_apart_px_p50": round(float(np.median(apart)), 4),
        "scores_apart_max": round(float(scores_apart.max()), 5),
        "agrees": bool(apart.max() <= MOST_PX[choice]),
        "cuda_graphs": getattr(networks.landmarks, "graphs", False),
    }
    for batch in _CPU_BATCHES if choice == "cpu" else BATCHES:
        some = np.resize(crops, (batch, *crops.shape[1:]))
        times = [_timed(partial(networks.landmarks.run, some)) for _ in range(12)]
        found[f"batch_{batch}_ms"] = round(float(np.median(times[2:])), 3)
    return found


def _timed(run: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    run()
    return (time.perf_counter() - started_s) * 1e3


def _one_room(
    inference: InferenceProcess, drawing: DrawingProcess, crops: NDArray[np.uint8]
) -> dict[str, Any]:
    networks = connect(inference.address, PATIENCE_S)
    renderer = RemoteRenderer(drawing.address, Inset.NONE, Complexion(), PATIENCE_S)
    try:
        read = [_timed(step) for step in read_frames(networks, crops, 100)]
        drawn = [_timed(step) for step in draw_frames(renderer, SIZE, 100)]
    finally:
        renderer.close()
    return {
        **_quantiles("inference", read[_SETTLE:]),
        **_quantiles("draw", drawn[_SETTLE:]),
        "sum_ms_p50": round(float(np.median(read[_SETTLE:]) + np.median(drawn[_SETTLE:])), 3),
    }


def _quantiles(name: str, taken_ms: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}_ms_p50": round(float(np.median(taken_ms)), 3),
        f"{name}_ms_p95": round(float(np.quantile(taken_ms, 0.95)), 3),
    }


def _many_rooms(
    inference: InferenceProcess,
    drawing: DrawingProcess,
    crops: NDArray[np.uint8],
    rooms: int,
    seconds: float,
) -> dict[str, Any]:
    """Rooms that each read and draw at the camera's rate, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "crops.npy"
        np.save(file, crops)
        command = [sys.executable, "-m", "digitalmask.bench.gpu_room"]
        command += [inference.address, drawing.address, str(file)]
        running = [
            subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(seconds), str(number / rooms / _RATE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(rooms)
        ]
        try:
            # All begin together, when the slowest of them is ready.
            ready = [_line(room) == "ready\n" for room in running]
            start_s = time.monotonic() + 0.5
            for room in running:
                assert room.stdin is not None  # noqa: S101 - for the type
                room.stdin.write(f"{start_s}\n")
                room.stdin.flush()
            said = [json.loads(_line(room) or "[]") for room in running]
        except OSError as error:
            raise TrackingError("a room's process ended before it was measured") from error
        finally:
            for room in running:
                room.kill()
                room.communicate()
    late_ms = [each for room in said for each in room]
    due = int(seconds * _RATE) * rooms
    return {
        "rooms": rooms,
        "began": sum(ready),
        "frames_due": due,
        "frames_done": len(late_ms),
        **(_quantiles("frame", late_ms) if late_ms else {}),
        "fps": round(len(late_ms) / seconds / rooms, 2),
    }


def _line(room: "subprocess.Popen[str]") -> str:
    assert room.stdout is not None  # noqa: S101 - for the type
    return room.stdout.readline()


def faults(figures: dict[str, Any]) -> list[str]:
    """Which of the figures are not what they must be; speed is judged on a GPU alone."""
    found = [
        f"{choice}: points are up to {figures[choice]['points_apart_px_max']} px from the CPU's"
        for choice in MOST_PX
        if choice in figures and not figures[choice]["agrees"]
    ]
    if figures["gpu"] and figures["device"] == "CPU":
        found.append("there is a GPU, but the networks run on the CPU")
    return found
