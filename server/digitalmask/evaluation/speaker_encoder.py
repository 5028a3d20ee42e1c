"""A speaker recogniser that knows nothing of the mask: Resemblyzer's, run with NumPy alone.

It is the GE2E encoder (Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP
2018): three LSTM layers over mel energies, trained on thousands of speakers. Voices in, 256 numbers
out; the cosine of two says how alike the speakers are.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.networks import fetch_bundle
from digitalmask.errors import AssetError

Floats = NDArray[np.float32]

RATE = 16000
_BUNDLE = "pretrained.pt"
_WINDOW, _HOP, _MELS = 400, 160, 40
_STEPS = 160  # of 10 ms, that the network sees at once
_LAYERS, _UNITS = 3, 256
_LEVEL_DB = -30.0


class SpeakerEncoder:
    """Tells voices apart. Errors: AssetError where it cannot be fetched or is damaged."""

    def __init__(self, say: Callable[[str], None]) -> None:
        path = fetch_bundle(_BUNDLE, say)
        try:
            self._weights = _read_checkpoint(path)
        except (OSError, pickle.UnpicklingError, KeyError, struct.error, ValueError) as error:
            raise AssetError(f"{path} cannot be read: remove it, and it is fetched anew") from error

    def embed(self, voice: NDArray[np.floating]) -> Floats:
        """(256,) of unit length, of (n,) samples at 16 kHz, silence left out."""
        level = 10 * np.log10(np.mean(voice**2) + 1e-12)
        mels = _mels(voice * 10 ** ((_LEVEL_DB - level) / 20))
        starts = range(0, max(1, len(mels) - _STEPS + 1), _STEPS // 2)
        seen = np.zeros((len(starts), _STEPS, _MELS), np.float32)
        for place, start in zip(seen, starts, strict=True):
            piece = mels[start : start + _STEPS]
            place[: len(piece)] = piece
        for layer in range(_LAYERS):
            seen = self._lstm(seen, layer)
        weights = self._weights
        told = np.maximum(seen[:, -1] @ weights["linear.weight"].T + weights["linear.bias"], 0)
        told /= np.linalg.norm(told, axis=1, keepdims=True) + 1e-9
        mean = told.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _lstm(self, seen: Floats, layer: int) -> Floats:
        weights = self._weights
        biases = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
        entering = seen @ weights[f"lstm.weight_ih_l{layer}"].T + biases
        recurrent = weights[f"lstm.weight_hh_l{layer}"].T
        hidden = np.zeros((len(seen), _UNITS), np.float32)
        cell = np.zeros_like(hidden)
        out = np.empty((*seen.shape[:2], _UNITS), np.float32)
        for step in range(seen.shape[1]):
            gates = np.split(entering[:, step] + hidden @ recurrent, 4, axis=1)
            take, keep, show = (1 / (1 + np.exp(-gates[each])) for each in (0, 1, 3))
            cell = keep * cell + take * np.tanh(gates[2])
            hidden = show * np.tanh(cell)
            out[:, step] = hidden
        return out


def _mels(voice: NDArray[np.floating]) -> Floats:
    """(steps, 40) energies of Slaney's mel bands."""
    padded = np.pad(voice, _WINDOW // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * window
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    # Slaney's mel: linear up to 1 kHz (15 mel), then logarithmic.
    top = 15 + np.log(RATE / 2 / 1000) / (np.log(6.4) / 27)
    mel = np.linspace(0, top, _MELS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    bins = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(power @ bands.T, np.float32)


def _read_checkpoint(path: Path) -> dict[str, Floats]:
    """The weights in a file of PyTorch's old format: pickles, then the numbers one after another.

    Nothing but plain containers is unpickled.
    """
    with path.open("rb") as file:
        for _ in range(3):  # a magic number, the format's version, the writer's byte order
            _Unpickler(file).load()
        saved = _Unpickler(file).load()
        storages: dict[str, Floats] = {}
        for name in _Unpickler(file).load():
            (count,) = struct.unpack("<q", file.read(8))
            storages[name] = np.frombuffer(file.read(4 * count), "<f4")
    weights = {}
    for name, (storage, first, shape) in saved["model_state"].items():
        count = int(np.prod(shape))
        weights[name] = storages[storage[2]][first : first + count].reshape(shape)
    return weights


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        """What a tensor is rebuilt by; anything else is refused."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, first, shape, *_: (storage, first, shape)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not expected")

    def persistent_load(self, reference: Any) -> Any:
        """A storage, by its description."""
        return reference
