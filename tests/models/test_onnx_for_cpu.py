"""A network rewritten for the CPU says what it said, whatever its slopes are."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import load_script

Slopes = np.ndarray[Any, np.dtype[np.float32]]


class Drawing:
    """A network in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.random = np.random.default_rng(0)

    def weight(self, values: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        out = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def conv(self, name: str, shape: tuple[int, ...], **attributes: Any) -> str:
        share = 1.0 / np.sqrt(np.prod(shape[1:]))
        weights = self.random.normal(0, share, shape).astype(np.float32)
        bias = self.random.normal(0, 0.1, shape[0]).astype(np.float32)
        kernel = list(shape[2:])
        inputs = [name, self.weight(weights), self.weight(bias)]
        return self.add("Conv", inputs, kernel_shape=kernel, **attributes)

    def prelu(self, name: str, slopes: Slopes) -> str:
        return self.add("PRelu", [name, self.weight(slopes.reshape(-1, 1, 1))])

    def bytes(self, out: str, shape: tuple[int, ...]) -> bytes:
        self.nodes.append(helper.make_node("Identity", [out], ["output_0"]))
        graph = helper.make_graph(
            self.nodes,
            "drawn",
            [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, ["n", "c", "h", "w"])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        return bytes(model.SerializeToString())


def face_network(slopes: Slopes) -> bytes:
    """Like the landmark network: bottlenecks with sums, then half the size and twice as wide."""
    few, many = len(slopes) // 2, len(slopes)
    drawn = Drawing()
    name = drawn.prelu(drawn.conv("input_0", (many, 3, 3, 3), pads=[1, 1, 1, 1]), slopes)
    for turn in range(3):
        inner = drawn.prelu(drawn.conv(name, (few, many, 1, 1)), np.roll(slopes, turn)[:few])
        spread = drawn.conv(inner, (few, 1, 3, 3), group=few, pads=[1, 1, 1, 1])
        total = drawn.add("Add", [name, drawn.conv(spread, (many, few, 1, 1))])
        name = drawn.prelu(total, np.roll(slopes, 3 + turn))
    pooled = drawn.add("MaxPool", [name], kernel_shape=[2, 2], strides=[2, 2])
    added = drawn.weight(np.array([0, 0, 0, 0, 0, many, 0, 0], np.int64))
    wide = drawn.add("Pad", [pooled, added])
    down = drawn.prelu(drawn.conv(name, (many, many, 2, 2), strides=[2, 2]), slopes)
    total = drawn.add("Add", [wide, drawn.conv(down, (2 * many, many, 1, 1))])
    last = drawn.prelu(total, np.concatenate([slopes, -slopes]))
    return drawn.bytes(last, (1, 3, 16, 16))


def said(network: bytes, value: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input_0": value})[0])


def kinds(network: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(network).graph.node]


@pytest.mark.parametrize("channels", [16, 32])
@pytest.mark.parametrize("steepest", [0.9, 3.0])
def test_a_prelu_is_written_in_what_stays_in_the_layout(channels: int, steepest: float) -> None:
    slopes = np.linspace(-2.0, steepest, channels, dtype=np.float32)
    slopes[1], slopes[2] = 0.0, 1.0
    network = face_network(slopes)
    rewritten = load_script("onnx_for_cpu").rewrite(network)
    assert "PRelu" in kinds(network)
    assert set(kinds(rewritten)) <= {"Conv", "Relu", "Add", "MaxPool", "Concat", "Identity"}
    value = np.random.default_rng(1).normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    true = said(network, value)
    np.testing.assert_allclose(said(rewritten, value), true, atol=2e-5 * np.abs(true).max())


def test_a_prelu_whose_outcome_goes_elsewhere_keeps_its_scale() -> None:
    slopes = np.linspace(-2.0, 3.0, 16, dtype=np.float32)
    drawn = Drawing()
    name = drawn.prelu(drawn.conv("input_0", (16, 3, 3, 3)), slopes)
    network = drawn.bytes(drawn.add("Sigmoid", [name]), (1, 3, 8, 8))
    rewritten = load_script("onnx_for_cpu").rewrite(network)
    assert "PRelu" not in kinds(rewritten)
    value = np.random.default_rng(1).normal(0, 1, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(said(rewritten, value), said(network, value), atol=1e-6)


def test_layer_normalisation_is_one_operator() -> None:
    drawn = Drawing()
    random = np.random.default_rng(2)
    name = "input_0"
    mean = drawn.add("ReduceMean", [name], axes=[3], keepdims=1)
    negated = drawn.add("Neg", [mean])
    centred = drawn.add("Sub", [name, mean])
    variance = drawn.add("ReduceMean", [drawn.add("Mul", [centred, centred])], axes=[3], keepdims=1)
    least = drawn.add("Add", [variance, drawn.weight(np.array([1e-3], np.float32))])
    inverse = drawn.add("Reciprocal", [drawn.add("Sqrt", [least])])
    gain = drawn.weight(random.normal(1, 0.2, 8).astype(np.float32))
    scale = drawn.add("Mul", [inverse, gain])
    both = [drawn.add("Mul", [name, scale]), drawn.add("Mul", [negated, scale])]
    network = drawn.bytes(drawn.add("Add", both), (1, 1, 5, 8))
    rewritten = load_script("onnx_for_cpu").rewrite(network)
    assert kinds(rewritten) == ["LayerNormalization", "Identity"]
    value = random.normal(3, 2, (1, 1, 5, 8)).astype(np.float32)
    np.testing.assert_allclose(said(rewritten, value), said(network, value), atol=1e-5)
