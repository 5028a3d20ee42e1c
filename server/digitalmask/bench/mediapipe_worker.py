"""Times MediaPipe's face trackers for `bench.track`, in an environment of MediaPipe's own.

    python mediapipe_worker.py landmarker|blendshapes|facemesh face_landmarker.task

One byte, "r", on standard output says that it is ready. Then for each picture on standard input
(width and height as two little-endian uint32, then the rows of RGB) one answer on standard output:
a little-endian float64, the milliseconds of MediaPipe's call, negative where no face was found. It
ends with its input. The pictures are taken for a video of 30 a second, as both trackers then follow
the face from frame to frame. Nothing here imports digitalmask.
"""

import os
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def _landmarker(bundle: str, blendshapes: bool) -> Callable[[Any, int], bool]:
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    landmarker = vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=bundle),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=1,
            output_face_blendshapes=blendshapes,
        )
    )

    def found(rgb: Any, number: int) -> bool:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
        return bool(landmarker.detect_for_video(image, number * 33).face_landmarks)

    return found


def _face_mesh() -> Callable[[Any, int], bool]:
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=False, max_num_faces=1, refine_landmarks=True
    )
    return lambda rgb, _number: bool(mesh.process(rgb).multi_face_landmarks)


def main(kind: str, bundle: str) -> None:
    """Answer until the input ends."""
    # MediaPipe prints; what it prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    found = _face_mesh() if kind == "facemesh" else _landmarker(bundle, kind == "blendshapes")
    answers.write(b"r")
    answers.flush()
    number = 0
    while len(head := sys.stdin.buffer.read(8)) == 8:
        width, height = struct.unpack("<II", head)
        data = sys.stdin.buffer.read(width * height * 3)
        if len(data) < width * height * 3:
            break
        rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        number += 1
        started = time.perf_counter()
        seen = found(rgb, number)
        taken_ms = (time.perf_counter() - started) * 1e3
        answers.write(struct.pack("<d", taken_ms if seen else -taken_ms))
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
