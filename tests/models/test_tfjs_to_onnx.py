"""A network of TensorFlow.js says the same as ONNX."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.conftest import load_script

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(size=(3, 3, 2, 4)).astype(np.float16)
DEPTHWISE = RANDOM.normal(size=(3, 3, 4, 1)).astype(np.float16)
BIAS = RANDOM.normal(size=4).astype(np.float32)


def graph(*more: dict[str, Any]) -> dict[str, Any]:
    weights = []
    for name, values in (("kernel", KERNEL), ("depthwise", DEPTHWISE), ("bias", BIAS)):
        entry: dict[str, Any] = {"name": name, "shape": values.shape, "dtype": "float32"}
        if values.dtype == np.float16:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        weights.append(entry)
    strides = {"list": {"i": ["1", "2", "2", "1"]}}
    size = [{"size": str(each)} for each in (-1, 6, 6, 2)]
    nodes = [
        {"name": "in", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": size}}}},
        {"name": "kernel", "op": "Const"},
        {"name": "a", "op": "Conv2D", "input": ["in", "kernel"], "attr": {"strides": strides}},
        {"name": "b", "op": "Add", "input": ["a", "bias"]},
        {"name": "c", "op": "Relu", "input": ["b"]},
        {"name": "d", "op": "DepthwiseConv2dNative", "input": ["c", "depthwise"],
         "attr": {"strides": {"list": {"i": ["1"] * 4}}}},
        *more,
        {"name": "mean", "op": "Mean", "input": ["d", "axes"]},
    ]  # fmt: skip
    return {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": weights}]}


def write(folder: Path, content: dict[str, Any]) -> tuple[Path, Path]:
    described, weights = folder / "net.json", folder / "net.bin"
    described.write_text(json.dumps(content), "utf-8")
    weights.write_bytes(KERNEL.tobytes() + DEPTHWISE.tobytes() + BIAS.tobytes())
    return described, weights


def padded(picture: NDArray[Any], stride: int) -> NDArray[Any]:
    """As TensorFlow does for SAME: for even sizes and a stride of 2 at the end alone."""
    before = 0 if stride == 2 else 1
    return np.pad(picture, ((before, 1), (before, 1), (0, 0)))


def test_a_small_network_gives_what_its_sums_are(tmp_path: Path) -> None:
    script = load_script("tfjs_to_onnx")
    described, weights = write(tmp_path, graph())
    model = script.convert(json.loads(described.read_text()), weights.read_bytes(), "mean")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    picture = RANDOM.normal(size=(6, 6, 2)).astype(np.float32)
    given = session.run(None, {"input_0": picture.transpose(2, 0, 1)[None]})[0][0]
    wide = padded(picture, 2)
    first = np.array(
        [
            [
                np.tensordot(wide[y : y + 3, x : x + 3], KERNEL.astype(np.float32), 3)
                for x in (0, 2, 4)
            ]
            for y in (0, 2, 4)
        ]
    )
    wide = padded(np.maximum(first + BIAS, 0), 1)
    second = np.array(
        [
            [
                (wide[y : y + 3, x : x + 3] * DEPTHWISE[..., 0].astype(np.float32)).sum((0, 1))
                for x in range(3)
            ]
            for y in range(3)
        ]
    )
    assert np.allclose(given, second.mean(axis=(0, 1)), atol=1e-4)


def test_what_it_does_not_know_it_names(tmp_path: Path) -> None:
    script = load_script("tfjs_to_onnx")
    described, weights = write(tmp_path, graph({"name": "x", "op": "Erf", "input": ["d"]}))
    content, data = json.loads(described.read_text()), weights.read_bytes()
    with pytest.raises(SystemExit, match="the operator Erf is not known"):
        script.convert(content, data, "mean")
    with pytest.raises(SystemExit, match="there is no node nowhere"):
        script.convert(graph(), data, "nowhere")
    with pytest.raises(SystemExit, match="not the weights"):
        script.convert(graph(), data + b"more", "mean")
