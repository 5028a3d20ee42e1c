"""A tracker that is not ours, to judge by: MediaPipe's FaceLandmarker in IMAGE mode.

MediaPipe lives in an environment of its own (assets/environments.py); a worker process there
answers picture by picture over pipes.

It is independent of this project's tracking and smoothing code, not of its networks: both run the
networks of one bundle. What the network itself cannot see, this judge cannot see either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets import environments
from digitalmask.assets.networks import fetch_bundle
from digitalmask.assets.picture_worker import PictureWorker

# The last version of the 0.10 line; it runs with numpy 2 and needs no protobuf. 1.2.3 gives the
# same points and takes 90 MB more.
_PACKAGE = "mediapipe==0.10.35"
_BUNDLE = "face_landmarker.task"
_POINTS, _SCORES = 478, 52
_ANSWER_BYTES = 4 * (3 * _POINTS + _SCORES + 16)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReferenceFace:
    """A face as MediaPipe reports it.

    points: (478, 3) float64; x, y in pixels of the picture (right, down), z in the same scale.
    blendshapes: (52,) float64 scores from 0 to 1.
    matrix: (4, 4) float64, the canonical face (cm; x to the right of the picture, y up, z towards
        the viewer) in the frame of MediaPipe's assumed camera, same axes.
    """

    points: NDArray[np.float64]
    blendshapes: NDArray[np.float64]
    matrix: NDArray[np.float64]


class ReferenceTracker(PictureWorker):
    """The worker process; use as a context, from one thread.

    say: gets a line where the environment has to be made. Errors: AssetError where environment or
    networks cannot be had, TrackingError where the worker fails.
    """

    def __init__(self, say: Say) -> None:
        self.bundle = fetch_bundle(_BUNDLE, say)  # MediaPipe's networks and canonical face
        python = environments.python_with(_PACKAGE, "560 MB", say)
        worker = Path(__file__).with_name("reference_worker.py")
        super().__init__("the reference tracker", python, worker, str(self.bundle))

    def track(self, rgb: NDArray[np.uint8]) -> ReferenceFace | None:
        """The face in one (height, width, 3) picture by itself; None where none is found."""
        self.send(rgb)
        if self.read(1) == b"\0":
            return None
        numbers = np.frombuffer(self.read(_ANSWER_BYTES), "<f4").astype(np.float64)
        points, scores, matrix = np.split(numbers, [3 * _POINTS, 3 * _POINTS + _SCORES])
        return ReferenceFace(points.reshape(_POINTS, 3), scores, matrix.reshape(4, 4))

    def _ended(self, status: int) -> str:
        return f"{super()._ended(status)} with status {status}"


def environment_dir() -> Path:
    """Where MediaPipe's environment is or will be, for this version of it and of Python."""
    return environments.environment_dir(_PACKAGE)
