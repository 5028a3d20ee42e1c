"""A network on a device: batches of fixed lengths, bound to memory that stays in place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitalmask.errors import TrackingError
from digitalmask.tracking.sessions import MakeSession, Provider

# A batch is filled up to the next of these. Each has a session, memory and a CUDA graph of its own.
BATCHES = (1, 2, 4, 8, 16, 32)
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


class DeviceNetwork:
    """Runs batches of any length. One thread at a time.

    All of it is made and run once at the start, so that no frame waits for it; with CUDA graphs
    where the provider takes them. Errors: TrackingError where it cannot be made, or fails.
    """

    def __init__(
        self,
        path: Path,
        provider: Provider,
        make_session: MakeSession,
        batches: Sequence[int] = BATCHES,
    ) -> None:
        self.graphs = bool(provider.graph_options)
        try:
            self._bound = self._all(path, provider, make_session, batches)
        except TrackingError:
            if not self.graphs:
                raise
            self.graphs = False
            self._bound = self._all(path, provider, make_session, batches)

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The outputs for a batch (n, ...), each (n, ...)."""
        longest = max(self._bound)
        parts = []
        for first in range(0, len(values), longest):
            part = values[first : first + longest]
            length = min(each for each in self._bound if each >= len(part))
            parts.append(self._bound[length].run(part))
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def _all(
        self, path: Path, provider: Provider, make_session: MakeSession, batches: Sequence[int]
    ) -> dict[int, "_Bound"]:
        made = {}
        for batch in batches:
            session = make_session(path, provider, self.graphs, batch)
            made[batch] = _Bound(session, provider.device, batch)
        return made


class _Bound:
    """One session for one length of a batch."""

    def __init__(self, session: Any, device: str, batch: int) -> None:
        self._session = session
        (given,) = session.get_inputs()
        self._staged = np.zeros((batch, *given.shape[1:]), _TYPES[given.type])
        try:
            self._input = onnxruntime.OrtValue.ortvalue_from_numpy(self._staged, device, 0)
            self._outputs = [
                onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                    [batch, *each.shape[1:]], _TYPES[each.type], device, 0
                )
                for each in session.get_outputs()
            ]
            self._binding = session.io_binding()
            self._binding.bind_ortvalue_input(given.name, self._input)
            for each, value in zip(session.get_outputs(), self._outputs, strict=True):
                self._binding.bind_ortvalue_output(each.name, value)
        except Exception as error:
            raise TrackingError(f"a face network found no memory on {device}: {error}") from error
        self.run(self._staged)

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        try:
            self._staged[: len(values)] = values
            # Waits until the device has it: the session's stream does not wait for copies.
            self._input.update_inplace(self._staged)
            self._session.run_with_iobinding(self._binding)
            return [each.numpy()[: len(values)].copy() for each in self._outputs]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
            # The cause could quote its input; only its kind is passed on.
            raise TrackingError(f"a face network failed ({type(error).__name__})") from None
