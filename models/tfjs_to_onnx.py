"""Converts a network of convolutions from TensorFlow.js to ONNX.

    python models/tfjs_to_onnx.py GRAPH.json WEIGHTS.bin OUTPUT_NODE OUT.onnx

For HSE-FaceRes, one of the recognisers that the evaluation of privacy attacks with. Only what that
graph holds up to OUTPUT_NODE is known here; any other operator is refused by name. Pictures come in
as (batch, channels, height, width), and that layout is kept; half-precision weights become float32.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_TYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}
_CHANNELWISE = {"Add": "Add", "Mul": "Mul", "Minimum": "Min", "Maximum": "Max"}


def read_weights(graph: dict[str, Any], data: bytes) -> dict[str, NDArray[Any]]:
    """The weights by name, as their makers packed them one after the other."""
    weights: dict[str, NDArray[Any]] = {}
    start = 0
    for entry in graph["weightsManifest"][0]["weights"]:
        kind = _TYPES[entry.get("quantization", entry)["dtype"]]
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, kind, count, start).reshape(entry["shape"])
        start += values.nbytes
        weights[entry["name"]] = values.astype(_TYPES[entry["dtype"]])
    if start != len(data):
        raise SystemExit("tfjs_to_onnx: these are not the weights of this graph")
    return weights


def convert(graph: dict[str, Any], data: bytes, output: str) -> Any:
    """The ONNX model that gives OUTPUT_NODE."""
    weights = read_weights(graph, data)
    nodes: list[Any] = []
    initializers: list[Any] = []
    size: list[int] = []

    def constant(name: str, values: NDArray[Any]) -> str:
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    for node in graph["modelTopology"]["node"]:
        name, kind, inputs = node["name"], node["op"], node.get("input", [])
        if kind == "Const":
            continue
        if kind == "Placeholder":
            _, height, width, channels = node["attr"]["shape"]["shape"]["dim"]
            size = [int(each["size"]) for each in (channels, height, width)]
            nodes.append(helper.make_node("Identity", ["input_0"], [name]))
        elif kind in ("Conv2D", "DepthwiseConv2dNative"):
            kernel = weights[inputs[1]]
            depthwise = kind != "Conv2D"
            turned = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
            strides = [int(each) for each in node["attr"]["strides"]["list"]["i"][1:3]]
            nodes.append(
                helper.make_node(
                    "Conv",
                    [inputs[0], constant(f"{name}/kernel", turned)],
                    [name],
                    strides=strides,
                    group=len(turned) if depthwise else 1,
                    auto_pad="SAME_UPPER",  # TensorFlow's: the odd pixel goes to the end
                )
            )
        elif kind in _CHANNELWISE:
            names = [
                constant(f"{name}/{place}", weights[each].reshape(-1, 1, 1))
                if each in weights
                else each
                for place, each in enumerate(inputs)
            ]
            nodes.append(helper.make_node(_CHANNELWISE[kind], names, [name]))
        elif kind == "Relu":
            nodes.append(helper.make_node("Relu", [inputs[0]], [name]))
        elif kind == "Mean":
            nodes.append(
                helper.make_node("ReduceMean", [inputs[0]], [name], axes=[2, 3], keepdims=0)
            )
        else:
            raise SystemExit(f"tfjs_to_onnx: the operator {kind} is not known here")
        if name == output:
            break
    else:
        raise SystemExit(f"tfjs_to_onnx: there is no node {output} in this graph")
    nodes.append(helper.make_node("Identity", [output], ["output_0"]))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "face",
            [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, ["batch", *size])],
            [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, ["batch", None])],
            initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Convert a network from TensorFlow.js to ONNX.")
    parser.add_argument("graph", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output")
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    graph = json.loads(options.graph.read_text("utf-8"))
    model = convert(graph, options.weights.read_bytes(), options.output)
    options.target.write_bytes(model.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
