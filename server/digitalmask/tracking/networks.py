"""The face networks, where they run, and what stands in for them where that fails."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.networks import Form, network_path
from digitalmask.compiled import compiled
from digitalmask.cuda import gpus
from digitalmask.errors import ConfigurationError, TrackingError
from digitalmask.media.patient_frame import whole_pixels
from digitalmask.tracking import sessions
from digitalmask.tracking.device_network import BATCHES, DeviceNetwork
from digitalmask.tracking.sessions import MakeSession, Provider, make_session

_log = logging.getLogger(__name__)

# With `-half`: in half precision, which moves points by less than 0.2 px of the crop.
Choice = Literal["auto", "cpu", "cuda", "cuda-half", "tensorrt", "tensorrt-half"]
PROVIDERS: tuple[str, ...] = get_args(Choice)
Kind = Literal["detector", "landmarks", "blendshapes", "eyes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# As they are named in the manifest, or in `models/`.
_NAMES: dict[Kind, str] = {
    "detector": "face_detector",
    "landmarks": "face_landmarks_detector",
    "blendshapes": "face_blendshapes",
    "eyes": "eyes",
}
# After a failure the device is tried again, at first soon, then ever less often.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class FaceNetwork(Protocol):
    """A network on some device."""

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The outputs for one face (1, ...); TrackingError where it fails.

        The detector takes planes (1, 3, 128, 128) float32 from -1 to 1, the landmark network a
        crop (1, 256, 256, 4) uint8 RGBA, the blendshape network points (1, 146, 2) float32, that of
        the eyes both eyes' cuts (1, 2, 56, 80, 3) uint8 RGB as `eye_network` makes them.
        """


@dataclass(frozen=True, slots=True)
class Networks:
    """The face networks.

    where: says on what they run now.
    """

    detector: FaceNetwork
    landmarks: FaceNetwork
    blendshapes: FaceNetwork
    eyes: FaceNetwork
    where: Callable[[], str]

    @classmethod
    def of(cls, network: Callable[[Kind], FaceNetwork], where: Callable[[], str]) -> "Networks":
        """All of one make."""
        detector, landmarks, blendshapes, eyes = map(network, KINDS)
        return cls(detector, landmarks, blendshapes, eyes, where)

    @property
    def provider(self) -> str:
        """On what they run now, as said to the user."""
        return self.where()


def load_networks(choice: str = "auto", make: MakeSession = make_session) -> Networks:
    """Load the networks for this process alone. On a GPU the CPU stands in where that fails.

    Errors: ConfigurationError where the provider that was asked for cannot be had, AssetError
    where a network was not fetched, TrackingError where one cannot be loaded.
    """
    on_cpu = cpu_networks()
    if not wants_gpu(choice):
        return on_cpu

    def load() -> Networks:
        return device_networks(choice, make, batches=(1,))

    try:
        device = load()
    except TrackingError as error:
        do_without_gpu(choice, error)
        return on_cpu
    return with_spare(load, on_cpu, device)


def wants_gpu(choice: str) -> bool:
    """Whether a choice asks for a GPU; `auto` does where there is one.

    Errors: ConfigurationError for a choice that is none.
    """
    if choice not in PROVIDERS:
        raise ConfigurationError(f"unknown provider {choice!r}: one of {', '.join(PROVIDERS)}")
    return choice != "cpu" and (choice != "auto" or bool(gpus()))


def do_without_gpu(choice: str, error: TrackingError) -> None:
    """Say in the log that `auto` found no GPU; ConfigurationError where one was asked for."""
    if choice != "auto":
        name, needed = "CUDA", "`pip install 'digitalmask[cuda]'`"
        if choice.startswith("tensorrt"):
            name, needed = "TensorRT", "TensorRT 10 (on LD_LIBRARY_PATH)"
        raise ConfigurationError(
            f"{name} cannot be used here ({error}): install an NVIDIA driver and {needed}, "
            "or choose --provider cpu (see `digitalmask check`)"
        ) from error
    _log.warning("the GPU cannot be used (%s); faces are tracked on the CPU", error)


def cpu_networks() -> Networks:
    """The networks on the CPU; several threads may use them."""

    def load(kind: Kind) -> FaceNetwork:
        session = make_session(network_path(_NAMES[kind], "cpu"), sessions.CPU, False, None)
        return _CpuNetwork(session, _planes if kind == "landmarks" else None)

    return Networks.of(load, lambda: "CPU")


def device_networks(
    choice: str, make: MakeSession = make_session, batches: Sequence[int] = BATCHES
) -> Networks:
    """The networks on a GPU, warmed up. One thread at a time.

    Errors: AssetError where a network was not fetched, TrackingError where the GPU cannot be used.
    """
    half = choice.endswith("-half")
    provider = sessions.tensorrt(half) if choice.startswith("tensorrt") else sessions.CUDA
    return networks_on(provider, "half" if half else "gpu", make, batches)


def networks_on(
    provider: Provider, form: Form, make: MakeSession, batches: Sequence[int]
) -> Networks:
    """The networks in a form for a GPU, on any provider."""

    def load(kind: Kind) -> FaceNetwork:
        return DeviceNetwork(network_path(_NAMES[kind], form), provider, make, batches)

    said = {"CUDAExecutionProvider": "CUDA", "TensorrtExecutionProvider": "TensorRT"}
    name = said.get(provider.name, "CPU") + (", half precision" if form == "half" else "")
    return Networks.of(load, lambda: name)


def _planes(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A crop (1, h, w, 4) as the landmark network was trained: (1, 3, h, w) from 0 to 1."""
    planes = np.empty((1, 3, *crops.shape[1:3]), np.float32)
    _fill_planes(whole_pixels(np.ascontiguousarray(crops[0])), planes[0])
    return planes


@compiled("void(u4[:,::1], f4[:,:,::1])")
def _fill_planes(pixels: NDArray[np.uint32], planes: NDArray[np.float32]) -> None:
    share = np.float32(1.0 / 255.0)
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            pixel = pixels[row, column]
            for plane, shift in enumerate((np.uint32(0), np.uint32(8), np.uint32(16))):
                value = np.int32((pixel >> shift) & np.uint32(255))
                planes[plane, row, column] = np.float32(value) * share


class _CpuNetwork:
    """A session on the CPU, for one face at a time."""

    def __init__(
        self, session: Any, prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None
    ) -> None:
        self._session = session
        self._prepare = prepare

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        prepared = values if self._prepare is None else self._prepare(values)
        try:
            outputs = self._session.run(None, {"input_0": prepared})
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
            # The cause could quote its input; only its kind is passed on.
            raise TrackingError(f"a face network failed ({type(error).__name__})") from None
        return list(outputs)


def with_spare(
    load: Callable[[], Networks],
    spare: Networks,
    loaded: Networks | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Networks:
    """Networks of which `spare` answers whenever the ones that `load` makes cannot.

    A frame whose network fails is answered by the spare in the same call; `load` is tried again
    after 2 s, then less and less often. Several threads may use them. loaded: made already.
    """
    device = _Device(load, spare, loaded, now_s)
    return Networks.of(lambda kind: _WithSpare(device, kind), device.where)


class _Device:
    """The networks on a device that may fail and come back."""

    def __init__(
        self,
        load: Callable[[], Networks],
        spare: Networks,
        loaded: Networks | None,
        now_s: Callable[[], float],
    ) -> None:
        self._load, self._spare, self._loaded = load, spare, loaded
        self._now_s = now_s
        self._lock = threading.Lock()
        self._pause_s = _FIRST_PAUSE_S
        self._next_try_s = now_s()
        self._missed = False

    def where(self) -> str:
        loaded = self._loaded
        return self._spare.provider if loaded is None else loaded.provider

    def run(self, kind: Kind, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        with self._lock:
            if self._loaded is None and self._now_s() >= self._next_try_s:
                self._try()
            if self._loaded is not None:
                try:
                    outputs: list[NDArray[np.float32]] = getattr(self._loaded, kind).run(values)
                except TrackingError as error:
                    self._lose(error)
                else:
                    self._pause_s = _FIRST_PAUSE_S
                    return outputs
        spare: FaceNetwork = getattr(self._spare, kind)
        return spare.run(values)

    def _try(self) -> None:
        try:
            self._loaded = self._load()
        except TrackingError as error:
            self._lose(error)
            return
        if self._missed:
            _log.warning("faces are tracked on %s again", self._loaded.provider)
        self._missed = False

    def _lose(self, error: TrackingError) -> None:
        self._loaded = None
        self._next_try_s = self._now_s() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        if not self._missed:
            self._missed = True
            _log.warning("%s; faces are tracked on %s for now", error, self._spare.provider)


@dataclass(frozen=True, slots=True)
class _WithSpare:
    device: _Device
    kind: Kind

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        return self.device.run(self.kind, values)
