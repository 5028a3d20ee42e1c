"""Reads a still picture of a patient: any kind that Pillow reads."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import LARGEST_PX, SMALLEST_PX


def read_picture(path: Path) -> PatientFrame:
    """The picture, upright as its EXIF orientation says, at the moment 0.

    Errors: MediaError where it is missing, no picture, or of a size that is not masked.
    """
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            rgb = np.asarray(upright.convert("RGB"), np.uint8)
    except FileNotFoundError as error:
        raise MediaError(f"there is no file {path}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # What Pillow says could quote the file.
        raise MediaError(f"{path} cannot be read as a picture") from None
    height, width = rgb.shape[:2]
    if not (min(width, height) >= SMALLEST_PX and max(width, height) <= LARGEST_PX):
        raise MediaError(f"{path} is a picture of {width}x{height} pixels")
    return PatientFrame.of_rgb(FrameClock(0.0, 0, Fraction(1, 90000)), rgb)
