"""Runs MediaPipe's FaceLandmarker for `reference_tracker`, in an environment of its own.

    python reference_worker.py face_landmarker.task

One byte, "r", on standard output says that it is ready. Then for each picture on standard input
(width and height as two little-endian uint32, then the rows of RGB) one answer on standard output:
a byte, 1 where a face was found, and after it 478 points x, y, z in pixels, 52 blendshape scores
and the 4x4 facial transformation matrix by rows, all little-endian float32. It ends with its input.

IMAGE mode: each picture by itself. VIDEO mode smooths blinks and nystagmus away. Nothing here
imports digitalmask, whose packages this environment does not have.
"""

import os
import struct
import sys
from typing import Any

import numpy as np


def main(bundle: str) -> None:
    """Answer until the input ends."""
    # MediaPipe prints; what it prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=bundle),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=1,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        answers.write(b"r")
        answers.flush()
        while len(head := sys.stdin.buffer.read(8)) == 8:
            width, height = struct.unpack("<II", head)
            data = sys.stdin.buffer.read(width * height * 3)
            if len(data) < width * height * 3:
                break
            rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
            answers.write(_answer(landmarker.detect(image), width, height))
            answers.flush()


def _answer(result: Any, width: int, height: int) -> bytes:
    if not result.face_landmarks:
        return b"\0"
    # z is in the scale of x, which MediaPipe gives in widths of the picture.
    points = [(p.x * width, p.y * height, p.z * width) for p in result.face_landmarks[0]]
    scores = [each.score for each in result.face_blendshapes[0]]
    matrix = np.asarray(result.facial_transformation_matrixes[0])
    numbers = np.concatenate([np.ravel(points), scores, np.ravel(matrix)])
    return b"\1" + numbers.astype("<f4").tobytes()


if __name__ == "__main__":
    main(sys.argv[1])
