"""Networks that do what a test tells them to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import TrackingError
from digitalmask.tracking.networks import Networks


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
    return Networks(network, network, network, lambda: name)
