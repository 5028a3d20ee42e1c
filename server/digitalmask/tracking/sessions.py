"""The one place where ONNX Runtime is set up."""

import contextlib
import ctypes
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

from digitalmask.assets.paths import make_cache_dir
from digitalmask.errors import TrackingError

BATCH_AXIS = "batch"  # of networks in the form for a GPU
_SILENT = 4  # fatal only: a missing CUDA library is said by us, once


@dataclass(frozen=True, slots=True)
class Provider:
    """What a network runs on.

    name: ONNX Runtime's. device: where what comes in and goes out lies ("cpu" or "cuda").
    options: the provider's. graph_options: those that add CUDA graphs; none where it has none.
    library: without which it cannot be had, as far as ONNX Runtime does not say so itself.
    """

    name: str
    device: str = "cpu"
    options: tuple[tuple[str, str], ...] = ()
    graph_options: tuple[tuple[str, str], ...] = ()
    library: str = ""


TENSORRT_LIBRARY = "libnvinfer.so.10"
CPU = Provider("CPUExecutionProvider")
# Without TF32, whose ten bits of mantissa move points; by heuristics, since a search for the
# quickest algorithm differs from start to start and takes long over six lengths of a batch.
CUDA = Provider(
    "CUDAExecutionProvider",
    "cuda",
    (
        ("use_tf32", "0"),
        ("cudnn_conv_algo_search", "HEURISTIC"),
        ("arena_extend_strategy", "kSameAsRequested"),
    ),
    (("enable_cuda_graph", "1"),),
)


def tensorrt(half: bool) -> Provider:
    """TensorRT, with its engines kept in the cache: building one takes minutes."""
    folder = make_cache_dir() / "tensorrt"
    return Provider(
        "TensorrtExecutionProvider",
        "cuda",
        (
            ("trt_engine_cache_enable", "1"),
            ("trt_engine_cache_path", str(folder)),
            ("trt_fp16_enable", "1" if half else "0"),
        ),
        (("trt_cuda_graph_enable", "1"),),
        TENSORRT_LIBRARY,
    )


# Makes a session: the network's file, its provider, whether with CUDA graphs, and how long its
# batch is (None where it has none). A test gives one that fails.
MakeSession = Callable[[Path, Provider, bool, int | None], Any]


def make_session(path: Path, provider: Provider, graphs: bool, batch: int | None) -> Any:
    """A session on this provider and no other; TrackingError where it cannot be had."""
    onnxruntime.set_default_logger_severity(_SILENT)
    options = onnxruntime.SessionOptions()
    # One thread inside an operator: two were measured to be slower (6 to 9 ms in place of 5.4).
    # Of the other options none gained more than the 2 % by which runs differ (memory patterns,
    # reuse, prepacking, spinning); without the arena it is 3 % slower, below the highest level of
    # optimisation, which chooses the blocked layout, 2.3 times.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH_AXIS, batch)
    if provider.device != "cpu":
        _load_libraries()
        if provider.library and not _found(provider.library):
            raise TrackingError(f"the library {provider.library} is missing")
    chosen = provider.options + (provider.graph_options if graphs else ())
    try:
        # What stands in for a provider that fails is chosen by us, not by ONNX Runtime.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[(provider.name, dict(chosen))], enable_fallback=0
        )
    except Exception as error:
        reason = " ".join(str(error).split())
        raise TrackingError(f"the network {path.name} cannot be loaded: {reason}") from error
    # A GPU's provider can be listed and still not work: what was got is known afterwards.
    if session.get_providers()[0] != provider.name:
        raise TrackingError(f"ONNX Runtime's {provider.name} cannot be used here")
    return session


def _found(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@cache
def _load_libraries() -> None:
    """Load CUDA's and cuDNN's libraries from their wheels, where ONNX Runtime does not look."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        onnxruntime.preload_dlls()
