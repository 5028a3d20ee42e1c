"""Networks that do what a test tells them to, and frames of pictures that it draws."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import TrackingError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.networks import Networks


def still(rgb: NDArray[np.uint8]) -> PatientFrame:
    """A frame of this picture, of some moment."""
    return PatientFrame.of_rgb(FrameClock(0.0, 0, Fraction(1, 90000)), rgb)


@dataclass
class ChosenNetwork:
    """Answers with one number, or fails."""

    number: float
    fails: bool = False

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        if self.fails:
            raise TrackingError("a face network failed (CUDA)")
        return [np.full((len(values), 52), self.number, np.float32)]


def chosen_networks(network: ChosenNetwork, name: str) -> Networks:
    return Networks.of(lambda _kind: network, lambda: name)
