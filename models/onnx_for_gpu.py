"""Rewrites a converted face network for a GPU: several faces at once, and crops as they are cut.

    python models/onnx_for_gpu.py IN.onnx OUT.onnx [--half]

Batch. The first axis of what comes in and goes out is `batch`, a length that is fixed when the
    network is loaded. Reshapes, slices and constants that said 1 there are told so. The last
    Squeeze of the blendshape network, which takes that axis away, is left out. Exact.
Crops. The landmark network (the one whose picture is 256 pixels wide) takes (batch, 256, 256, 4)
    uint8 RGBA in place of planes from 0 to 1: a quarter of the bytes travel to the device, and
    what becomes of them stays there. Exact.
Half (--half). The landmark network's weights, and what lies between them, in half precision, but
    for the heads: a coordinate of 200 pixels in half precision is known to an eighth of a pixel
    only. Moves points by 0.02 px of the crop (0.1 at most, irises 0.07; every result rounded to
    half precision, 19 photographs). The other networks take pixels of the frame, or are so small
    that nothing is gained: they stay as they are.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

BATCH = "batch"
_CROP_PX = 256
_TO_THE_END = np.iinfo(np.int64).max
# What lies between a head's convolution and the network's output.
_AFTER_HEADS = ("Transpose", "Reshape", "Identity", "Sigmoid")


class Rewriting:
    """One network on its way; `rewrite` is the whole public face."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._nodes = list(model.graph.node)
        self._weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._count = 0

    def rewrite(self, half: bool) -> Any:
        """The network with a batch, and in half precision where asked for."""
        for node in list(self._nodes):
            self._widen(node)
        self._keep_batch()
        if self._shape(self._model.graph.input[0])[1:] == [3, _CROP_PX, _CROP_PX]:
            if half:
                self._halve()
            self._take_crops()
        return self._finished()

    def _shape(self, value: Any) -> list[int]:
        return [each.dim_value for each in value.type.tensor_type.shape.dim]

    def _constant(self, values: NDArray[Any]) -> str:
        self._count += 1
        name = f"gpu{self._count}"
        self._weights[name] = values
        return name

    # A batch.

    def _widen(self, node: Any) -> None:
        """Let a node that holds the first axis to 1 take any length."""
        if node.op_type == "Reshape":
            shape = self._weights[node.input[1]].copy()
            if shape[0] == 1:
                shape[0] = -1
                node.input[1] = self._constant(shape)
        elif node.op_type == "Slice":
            starts, ends, axes = (self._weights[each] for each in node.input[1:4])
            if (axes == 0).any():
                assert (starts[axes == 0] == 0).all()
                assert (ends[axes == 0] == 1).all()
                node.input[2] = self._constant(np.where(axes == 0, _TO_THE_END, ends))
        elif node.op_type == "Concat":
            for place, name in enumerate(node.input):
                if name in self._weights:
                    other = next(each for each in node.input if each not in self._weights)
                    node.input[place] = self._repeated(node, name, other)

    def _repeated(self, before: Any, name: str, like: str) -> str:
        """A constant, once for each of a batch."""
        assert self._weights[name].shape[0] == 1
        length, rest = f"{name}_length", f"{name}_shape"
        first = self._constant(np.array([0], np.int64))
        tail = self._constant(np.array(self._weights[name].shape[1:], np.int64))
        made = [
            helper.make_node("Shape", [like], [f"{name}_like"]),
            helper.make_node("Gather", [f"{name}_like", first], [length]),
            helper.make_node("Concat", [length, tail], [rest], axis=0),
            helper.make_node("Expand", [name, rest], [f"{name}_each"]),
        ]
        place = self._nodes.index(before)
        self._nodes[place:place] = made
        return f"{name}_each"

    def _keep_batch(self) -> None:
        """Say in inputs and outputs that there is a batch."""
        graph = self._model.graph
        makers = {node.output[0]: node for node in self._nodes}
        for value in graph.output:
            shape = self._shape(value)
            squeezed = makers.get(makers[value.name].input[0])
            if squeezed is not None and squeezed.op_type == "Squeeze":
                makers[value.name].input[0] = squeezed.input[0]
                self._nodes.remove(squeezed)
                shape = [1, *shape]
            assert shape[0] == 1
            value.CopyFrom(_value(value.name, TensorProto.FLOAT, [BATCH, *shape[1:]]))
        for value in graph.input:
            shape = self._shape(value)
            value.CopyFrom(_value(value.name, TensorProto.FLOAT, [BATCH, *shape[1:]]))

    # Crops.

    def _take_crops(self) -> None:
        """Take what was cut out of the frame in place of the planes made of it."""
        (value,) = self._model.graph.input
        for node in self._nodes:
            for place, name in enumerate(node.input):
                if name == value.name:
                    node.input[place] = "planes"
        first, colours, channel = (
            self._constant(np.array([each], np.int64)) for each in (0, 3, -1)
        )
        share = self._constant(np.array(1.0 / 255.0, np.float32))
        self._nodes[:0] = [
            helper.make_node("Slice", [value.name, first, colours, channel], ["rgb"]),
            helper.make_node("Cast", ["rgb"], ["levels"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["levels"], ["level_planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Mul", ["level_planes", share], ["planes"]),
        ]
        value.CopyFrom(_value(value.name, TensorProto.UINT8, [BATCH, _CROP_PX, _CROP_PX, 4]))

    # Half precision.

    def _halve(self) -> None:
        (value,) = self._model.graph.input
        heads = self._heads()
        kept = {name for node in heads for name in node.input if name in self._weights}
        for name, values in self._weights.items():
            if values.dtype == np.float32 and name not in kept:
                self._weights[name] = values.astype(np.float16)
        for node in self._nodes:
            if id(node) in {id(each) for each in heads}:
                continue
            for place, name in enumerate(node.input):
                if name == value.name:
                    node.input[place] = "input_half"
        for name in {node.input[0] for node in heads}:
            users = [node for node in heads if node.input[0] == name]
            cast = helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT)
            self._nodes.insert(min(map(self._nodes.index, users)), cast)
            for node in users:
                node.input[0] = f"{name}_float"
        cast = helper.make_node("Cast", [value.name], ["input_half"], to=TensorProto.FLOAT16)
        self._nodes.insert(0, cast)

    def _heads(self) -> list[Any]:
        """The convolutions that the outputs come from."""
        makers = {node.output[0]: node for node in self._nodes}
        heads = []
        for value in self._model.graph.output:
            node = makers[value.name]
            while node.op_type in _AFTER_HEADS:
                node = makers[node.input[0]]
            if node.op_type != "Conv":
                raise SystemExit(f"onnx_for_gpu: no head is known that ends in {node.op_type}")
            heads.append(node)
        return heads

    def _finished(self) -> Any:
        graph = self._model.graph
        needed = {name for node in self._nodes for name in node.input}
        del graph.node[:]
        graph.node.extend(self._nodes)
        del graph.initializer[:]
        graph.initializer.extend(
            numpy_helper.from_array(np.ascontiguousarray(values), name)
            for name, values in self._weights.items()
            if name in needed
        )
        onnx.checker.check_model(self._model, full_check=True)
        return self._model


def _value(name: str, kind: int, shape: list[int | str]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def rewrite(source: bytes, half: bool = False) -> bytes:
    """The network of a serialised ONNX model, rewritten."""
    return bytes(Rewriting(onnx.load_from_string(source)).rewrite(half).SerializeToString())


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Rewrite a face network for a GPU.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--half", action="store_true", help="in half precision")
    options = parser.parse_args()
    try:
        options.target.write_bytes(rewrite(options.source.read_bytes(), options.half))
    except OSError as error:
        raise SystemExit(f"onnx_for_gpu: {error.filename}: {error.strerror}") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
