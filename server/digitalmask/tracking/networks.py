"""The one place where ONNX Runtime is set up."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import onnxruntime

from digitalmask.assets.networks import Form, network_path
from digitalmask.errors import ConfigurationError, TrackingError

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
PROVIDERS: tuple[str, ...] = get_args(Provider)

_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_ORDER: dict[str, tuple[str, ...]] = {
    "auto": ("cuda", "cpu"),
    "cpu": ("cpu",),
    "cuda": ("cuda", "cpu"),
    "tensorrt": ("tensorrt", "cuda", "cpu"),
}
_SAYS = {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "TensorRT"}
_SILENT = 4  # fatal only: a missing CUDA library is said by us, once


@dataclass(frozen=True, slots=True)
class Networks:
    """The loaded face networks; sessions may be used by several threads.

    provider: where they run, as said to the user.
    """

    detector: Any
    landmarks: Any
    blendshapes: Any
    provider: str


def load_networks(provider: str = "auto") -> Networks:
    """Load the networks on the first provider that works, in the order of the choice.

    Errors: ConfigurationError where the provider that was asked for cannot be had, AssetError
    where a network was not fetched, TrackingError where one cannot be loaded.
    """
    if provider not in _ORDER:
        raise ConfigurationError(f"unknown provider {provider!r}: one of {', '.join(_ORDER)}")
    onnxruntime.set_default_logger_severity(_SILENT)
    available = set(onnxruntime.get_available_providers())
    names = [_NAMES[each] for each in _ORDER[provider] if _NAMES[each] in available]
    # A GPU's provider can be listed and still not work: what was got is known afterwards.
    used = _NAMES["cpu"]
    if names[0] != used:
        used = _session("face_blendshapes", "plain", names).get_providers()[0]
    if provider != "auto" and used != _NAMES[provider]:
        raise ConfigurationError(
            f"{_SAYS[provider]} cannot be used here: install an NVIDIA driver and "
            "`pip install 'digitalmask[cuda]'`, or choose --provider cpu"
        )
    form: Form = "plain"
    if used == _NAMES["cpu"]:
        form, names = "cpu", [used]
    return Networks(
        detector=_session("face_detector", form, names),
        landmarks=_session("face_landmarks_detector", form, names),
        blendshapes=_session("face_blendshapes", form, names),
        provider=next(_SAYS[short] for short, name in _NAMES.items() if name == used),
    )


def _session(network: str, form: Form, providers: list[str]) -> Any:
    options = onnxruntime.SessionOptions()
    # One thread inside an operator: two were measured to be slower (6 to 9 ms in place of 5.4).
    # Of the other options none gained more than the 2 % by which runs differ (memory patterns,
    # reuse, prepacking, spinning); without the arena it is 3 % slower, below the highest level of
    # optimisation, which chooses the blocked layout, 2.3 times.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    path = network_path(network, form)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise TrackingError(f"the network {network} cannot be loaded: {error}") from error


def run(session: Any, values: Any) -> list[Any]:
    """Run a network with one input."""
    try:
        outputs = session.run(None, {"input_0": values})
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common base
        # The cause could quote its input; only its kind is passed on.
        raise TrackingError(f"a face network failed ({type(error).__name__})") from None
    return list(outputs)
