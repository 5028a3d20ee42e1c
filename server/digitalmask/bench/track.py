"""How long a frame takes to track on one core, beside MediaPipe's FaceLandmarker and FaceMesh.

To be run within `one_core`, which holds for MediaPipe's processes too. Each has a stretch of frames
in turn, so that a machine that is slower for a while is slower for all. Decoding, and the pipes to
MediaPipe's processes, are not counted.
"""

import struct
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from digitalmask.assets.environments import Say, python_with
from digitalmask.assets.networks import fetch_bundle
from digitalmask.assets.picture_worker import PictureWorker
from digitalmask.errors import MediaError
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.tracking import FaceTracker, load_networks

_BUNDLE = "face_landmarker.task"
# Of each kind of worker: the package that has it, and what its environment takes. FaceMesh left
# MediaPipe after 0.10.21.
_MEDIAPIPE, _MEDIAPIPE_SIZE = "mediapipe==0.10.35", "560 MB"
_FACE_MESH, _FACE_MESH_SIZE = "mediapipe==0.10.21", "990 MB"
_STRETCH = 20  # frames that each runs in turn
# Of the first frames each tracker still takes memory and looks for the face.
_SETTLE = 10

# One frame's milliseconds; negative where no face was found.
Timer = Callable[[PatientFrame], float]


def measure(path: Path, say: Say, most_frames: int) -> dict[str, object]:
    """Milliseconds a frame over the first `most_frames` of a video.

    `ms`: detection and landmarks. `track_ms`: with blendshapes and both eyes' outlines, all that
    `FaceTracker.track` does. `facelandmarker_ms`, `facelandmarker_blendshapes_ms`: MediaPipe's in
    VIDEO mode. `facemesh_ms`: its legacy FaceMesh with refined landmarks. Errors: MediaError,
    AssetError, TrackingError.
    """
    frames = _read(path, most_frames)
    bundle = fetch_bundle(_BUNDLE, say)
    newest = python_with(_MEDIAPIPE, _MEDIAPIPE_SIZE, say)
    legacy = python_with(_FACE_MESH, _FACE_MESH_SIZE, say)
    networks = load_networks("cpu")
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        timers: dict[str, Timer] = {
            "": _timer(FaceTracker(networks).find),
            "track_": _timer(FaceTracker(networks).track),
        }
        for name, python, kind in (
            ("facelandmarker_", newest, "landmarker"),
            ("facelandmarker_blendshapes_", newest, "blendshapes"),
            ("facemesh_", legacy, "facemesh"),
        ):
            timers[name] = stack.enter_context(_Worker(python, kind, bundle)).time
        taken_ms = _in_turn(frames, timers)
    figures: dict[str, object] = {
        "size": f"{frames[0].width}x{frames[0].height}",
        "frames": len(frames),
    }
    for name, values in taken_ms.items():
        figures |= summary(name, values)
    return figures


def summary(name: str, taken_ms: list[float]) -> dict[str, object]:
    """The figures of one tracker, settled; `missed` are frames in which it found no face."""
    settled = np.array(taken_ms[_SETTLE:] or taken_ms)
    return {
        f"{name}ms_p50": round(float(np.median(np.abs(settled))), 2),
        f"{name}ms_p95": round(float(np.percentile(np.abs(settled), 95)), 2),
        f"{name}missed": int((settled < 0).sum()),
    }


def _read(path: Path, most_frames: int) -> list[PatientFrame]:
    frames: list[PatientFrame] = []
    with VideoReader(path) as reader:
        for item in reader:
            if isinstance(item, PatientFrame):
                frames.append(item)
                if len(frames) == most_frames:
                    break
    if not frames:
        raise MediaError(f"there is no frame in {path}")
    return frames


def _in_turn(frames: list[PatientFrame], timers: dict[str, Timer]) -> dict[str, list[float]]:
    taken_ms: dict[str, list[float]] = defaultdict(list)
    for first in range(0, len(frames), _STRETCH):
        for name, timer in timers.items():
            taken_ms[name] += [timer(frame) for frame in frames[first : first + _STRETCH]]
    return taken_ms


def _timer(run: Callable[[PatientFrame], object]) -> Timer:
    def time_of(frame: PatientFrame) -> float:
        started = time.perf_counter()
        found = run(frame)
        taken_ms = (time.perf_counter() - started) * 1e3
        return -taken_ms if found is None else taken_ms

    return time_of


class _Worker(PictureWorker):
    """A process that times one of MediaPipe's trackers; use as a context."""

    def __init__(self, python: Path, kind: str, bundle: Path) -> None:
        worker = Path(__file__).with_name("mediapipe_worker.py")
        super().__init__(f"MediaPipe's {kind}", python, worker, kind, str(bundle))

    def time(self, frame: PatientFrame) -> float:
        """The milliseconds of its call for this frame, negative where it found no face."""
        self.send(frame.rgb)
        return float(struct.unpack("<d", self.read(8))[0])
