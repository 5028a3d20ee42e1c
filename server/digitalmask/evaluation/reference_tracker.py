"""A tracker that is not ours, to judge by: MediaPipe's FaceLandmarker in IMAGE mode.

MediaPipe lives in an environment of its own (assets/environments.py); a worker process there
answers picture by picture over pipes.

It is independent of this project's tracking and smoothing code, not of its networks: both run the
networks of one bundle. What the network itself cannot see, this judge cannot see either.
"""

import contextlib
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets import environments
from digitalmask.assets.networks import fetch_bundle
from digitalmask.errors import TrackingError

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


class ReferenceTracker:
    """The worker process; use as a context, from one thread.

    say: gets a line where the environment has to be made. Errors: AssetError where environment or
    networks cannot be had, TrackingError where the worker fails.
    """

    def __init__(self, say: Say) -> None:
        self.bundle = fetch_bundle(_BUNDLE, say)  # MediaPipe's networks and canonical face
        python = environments.python_with(_PACKAGE, "560 MB", say)
        # What it has to complain about goes to a file: a pipe that nobody reads would block it.
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close
        worker = Path(__file__).with_name("reference_worker.py")
        self._process = subprocess.Popen(  # noqa: S603
            [str(python), "-I", str(worker), str(self.bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        try:
            if self._read(1) != b"r":
                raise TrackingError("the reference tracker did not start")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "ReferenceTracker":
        """The tracker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the worker."""
        self.close()

    def track(self, rgb: NDArray[np.uint8]) -> ReferenceFace | None:
        """The face in one (height, width, 3) picture by itself; None where none is found."""
        height, width = rgb.shape[:2]
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - for the type
        try:
            stdin.write(struct.pack("<II", width, height))
            stdin.write(np.ascontiguousarray(rgb).data)
            stdin.flush()
        except OSError as error:
            raise self._failed() from error
        if self._read(1) == b"\0":
            return None
        numbers = np.frombuffer(self._read(_ANSWER_BYTES), "<f4").astype(np.float64)
        points, scores, matrix = np.split(numbers, [3 * _POINTS, 3 * _POINTS + _SCORES])
        return ReferenceFace(points.reshape(_POINTS, 3), scores, matrix.reshape(4, 4))

    def close(self) -> None:
        """End the worker; free to be called again."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def _read(self, count: int) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - for the type
        data = stdout.read(count)
        if len(data) < count:
            raise self._failed()
        return data

    def _failed(self) -> TrackingError:
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return TrackingError(
            f"the reference tracker ended with status {self._process.returncode}: {last}"
        )


def environment_dir() -> Path:
    """Where MediaPipe's environment is or will be, for this version of it and of Python."""
    return environments.environment_dir(_PACKAGE)
