"""Converts the face networks from TensorFlow Lite to ONNX.

    python models/tflite_to_onnx.py IN.tflite OUT.onnx

Only what these networks hold is known here; any other operator is refused by name. The rewrites:

Layout. TensorFlow Lite keeps pictures as (batch, height, width, channels), ONNX's convolutions
    want (batch, channels, height, width). A tensor is kept in the layout in which it was made, and
    transposed once where the other one is asked for. Exact.
Half-precision weights. DEQUANTIZE of constants is done here, once, to float32. Exact.
Padding. SAME padding becomes explicit numbers (TensorFlow's: the odd pixel goes to the end). Exact.
Convolutions of 1x1 on what is no picture (the blendshape network's tokens) are matrix products,
    for which nothing is transposed. Exact but for the rounding of float32.
Pictures come in as (batch, channels, height, width): a transposition that whoever cuts the picture
    out need not make. Exact.

What comes out is plain ONNX, as a GPU likes it; `onnx_for_cpu.py` rewrites that for a CPU.
"""

import argparse
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPERATORS = {
    value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
}
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
}
_BINARY = {
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
}
_UNARY = {
    "ABS": "Abs",
    "LOGISTIC": "Sigmoid",
    "NEG": "Neg",
    "RELU": "Relu",
    "SQRT": "Sqrt",
    "TANH": "Tanh",
}


class Conversion:
    """One network on its way; `convert` is the whole public face."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAs(data, 0)
        self._graph = self._model.Subgraphs(0)
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._constants: dict[int, NDArray[Any]] = {}
        self._names: dict[tuple[int, bool], str] = {}  # (tensor, is NCHW) to the ONNX name
        self._count = 0

    def convert(self) -> Any:
        """The ONNX model; all but incoming pictures keep TensorFlow Lite's shape and layout."""
        inputs = [int(i) for i in self._graph.InputsAsNumpy()]
        outputs = [int(i) for i in self._graph.OutputsAsNumpy()]
        for place, tensor in enumerate(inputs):
            self._names[tensor, self._is_picture(tensor)] = f"input_{place}"
        for place in range(self._graph.OperatorsLength()):
            self._operator(self._graph.Operators(place))
        for place, tensor in enumerate(outputs):
            self._nodes.append(
                helper.make_node("Identity", [self._name(tensor)], [f"output_{place}"])
            )

        def value(name: str, tensor: int) -> Any:
            shape = self._shape(tensor)
            if self._names.get((tensor, True)) == name:
                shape = [shape[axis] for axis in _TO_NCHW]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        graph = helper.make_graph(
            self._nodes,
            "face",
            [value(f"input_{place}", tensor) for place, tensor in enumerate(inputs)],
            [value(f"output_{place}", tensor) for place, tensor in enumerate(outputs)],
            self._initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model

    # Tensors.

    def _shape(self, tensor: int) -> list[int]:
        found = self._graph.Tensors(tensor)
        return [found.Shape(axis) for axis in range(found.ShapeLength())]

    def _constant(self, tensor: int) -> NDArray[Any] | None:
        if tensor in self._constants:
            return self._constants[tensor]
        found = self._graph.Tensors(tensor)
        buffer = self._model.Buffers(found.Buffer())
        if buffer.DataLength() == 0:
            return None
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[found.Type()])
        self._constants[tensor] = values.reshape(self._shape(tensor))
        return self._constants[tensor]

    def _needed_constant(self, tensor: int) -> NDArray[Any]:
        values = self._constant(tensor)
        if values is None:
            raise SystemExit("tflite_to_onnx: weights that are computed are not known here")
        return values

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        out = self._fresh()
        self._nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def _weights(self, values: NDArray[Any]) -> str:
        name = self._fresh()
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _name(self, tensor: int, nchw: bool = False) -> str:
        """The tensor's ONNX name in the layout that is asked for."""
        if (tensor, nchw) in self._names:
            return self._names[tensor, nchw]
        values = self._constant(tensor)
        if values is not None:
            values = values.astype(np.float32) if values.dtype == np.float16 else values
            name = self._weights(values.transpose(_TO_NCHW) if nchw else values)
        else:
            name = self._add(
                "Transpose",
                [self._names[tensor, not nchw]],
                perm=_TO_NCHW if nchw else _TO_NHWC,
            )
        self._names[tensor, nchw] = name
        return name

    def _is_picture(self, tensor: int) -> bool:
        shape = self._shape(tensor)
        return len(shape) == 4 and shape[3] == 3

    def _is_nchw(self, tensor: int) -> bool:
        return (tensor, True) in self._names

    # Operators.

    def _operator(self, operator: Any) -> None:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        kind = _OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [int(i) for i in operator.InputsAsNumpy()]
        out = int(operator.OutputsAsNumpy()[0])
        known: dict[str, Callable[[Any, list[int], int], None]] = {
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._convolution,
            "PRELU": self._prelu,
            "MAX_POOL_2D": self._max_pool,
            "PAD": self._pad,
            "RESHAPE": self._reshape,
            "CONCATENATION": self._concatenation,
            "DEQUANTIZE": self._dequantize,
            "TRANSPOSE": self._transpose,
            "STRIDED_SLICE": self._strided_slice,
            "FULLY_CONNECTED": self._fully_connected,
            "BATCH_MATMUL": self._matrix_product,
        }
        if kind in _BINARY or kind == "SQUARED_DIFFERENCE":
            self._binary(kind, operator, inputs, out)
        elif kind in _UNARY:
            nchw = self._is_nchw(inputs[0])
            self._names[out, nchw] = self._add(_UNARY[kind], [self._name(inputs[0], nchw)])
        elif kind in ("MEAN", "SUM"):
            self._reduction(kind, operator, inputs, out)
        elif kind in ("RSQRT", "SOFTMAX"):
            name = self._name(inputs[0])
            if kind == "SOFTMAX":
                self._names[out, False] = self._add("Softmax", [name], axis=-1)
            else:
                self._names[out, False] = self._add("Reciprocal", [self._add("Sqrt", [name])])
        elif kind in known:
            known[kind](operator, inputs, out)
        else:
            raise SystemExit(f"tflite_to_onnx: the operator {kind} is not known here")

    def _options(self, operator: Any, kind: Any) -> Any:
        options = kind()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _activated(self, name: str, activation: int) -> str:
        if activation == tflite.ActivationFunctionType.NONE:
            return name
        if activation == tflite.ActivationFunctionType.RELU:
            return self._add("Relu", [name])
        if activation == tflite.ActivationFunctionType.RELU6:
            low = self._weights(np.array(0, np.float32))
            high = self._weights(np.array(6, np.float32))
            return self._add("Clip", [name, low, high])
        raise SystemExit(f"tflite_to_onnx: the activation {activation} is not known here")

    def _padding(
        self, same: bool, size: list[int], kernel: list[int], strides: list[int]
    ) -> list[int]:
        if not same:
            return [0, 0, 0, 0]
        totals = [
            max((-(-length // stride) - 1) * stride + extent - length, 0)
            for length, extent, stride in zip(size, kernel, strides, strict=True)
        ]
        return [totals[0] // 2, totals[1] // 2, (totals[0] + 1) // 2, (totals[1] + 1) // 2]

    def _convolution(self, operator: Any, inputs: list[int], out: int) -> None:
        if self._is_product(operator, inputs):
            self._product(operator, inputs, out)
            return
        weights = self._needed_constant(inputs[1]).astype(np.float32)
        depthwise = operator.BuiltinOptionsType() == tflite.BuiltinOptions.DepthwiseConv2DOptions
        if depthwise:
            options = self._options(operator, tflite.DepthwiseConv2DOptions)
            weights = weights.transpose(3, 0, 1, 2)
            groups = weights.shape[0] // options.DepthMultiplier()
        else:
            options = self._options(operator, tflite.Conv2DOptions)
            weights = weights.transpose(0, 3, 1, 2)
            groups = 1
        kernel = list(weights.shape[2:])
        strides = [options.StrideH(), options.StrideW()]
        size = self._shape(inputs[0])[1:3]
        names = [self._name(inputs[0], True), self._weights(weights)]
        if len(inputs) > 2:
            names.append(self._weights(self._needed_constant(inputs[2]).astype(np.float32)))
        name = self._add(
            "Conv",
            names,
            group=groups,
            kernel_shape=kernel,
            strides=strides,
            pads=self._padding(options.Padding() == tflite.Padding.SAME, size, kernel, strides),
        )
        self._names[out, True] = self._activated(name, options.FusedActivationFunction())

    def _is_product(self, operator: Any, inputs: list[int]) -> bool:
        """Whether a convolution only mixes the channels of what never was a picture."""
        if operator.BuiltinOptionsType() != tflite.BuiltinOptions.Conv2DOptions:
            return False
        options = self._options(operator, tflite.Conv2DOptions)
        steps = (*self._shape(inputs[1])[1:3], options.StrideH(), options.StrideW())
        return steps == (1, 1, 1, 1) and len(inputs) == 3 and not self._is_nchw(inputs[0])

    def _product(self, operator: Any, inputs: list[int], out: int) -> None:
        weights, bias = (self._needed_constant(each).astype(np.float32) for each in inputs[1:])
        rows = weights.reshape(len(weights), -1)
        flat = self._weights(np.array([-1, rows.shape[1]], np.int64))
        name = self._add("Reshape", [self._name(inputs[0]), flat])
        name = self._add("Gemm", [name, self._weights(rows), self._weights(bias)], transB=1)
        options = self._options(operator, tflite.Conv2DOptions)
        name = self._activated(name, options.FusedActivationFunction())
        shape = self._weights(np.array(self._shape(out), np.int64))
        self._names[out, False] = self._add("Reshape", [name, shape])

    def _prelu(self, _operator: Any, inputs: list[int], out: int) -> None:
        slope = self._needed_constant(inputs[1]).astype(np.float32).reshape(-1)
        name = self._name(inputs[0], True)
        self._names[out, True] = self._add("PRelu", [name, self._weights(slope.reshape(-1, 1, 1))])

    def _max_pool(self, operator: Any, inputs: list[int], out: int) -> None:
        options = self._options(operator, tflite.Pool2DOptions)
        kernel = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        same = options.Padding() == tflite.Padding.SAME
        pads = self._padding(same, self._shape(inputs[0])[1:3], kernel, strides)
        name = self._add(
            "MaxPool",
            [self._name(inputs[0], True)],
            kernel_shape=kernel,
            strides=strides,
            pads=pads,
        )
        self._names[out, True] = self._activated(name, options.FusedActivationFunction())

    def _pad(self, _operator: Any, inputs: list[int], out: int) -> None:
        pads = self._needed_constant(inputs[1])
        nchw = self._is_nchw(inputs[0])
        if nchw:
            pads = pads[_TO_NCHW]
        amounts = self._weights(np.concatenate([pads[:, 0], pads[:, 1]]).astype(np.int64))
        self._names[out, nchw] = self._add("Pad", [self._name(inputs[0], nchw), amounts])

    def _reshape(self, _operator: Any, inputs: list[int], out: int) -> None:
        shape = self._weights(np.array(self._shape(out), np.int64))
        self._names[out, False] = self._add("Reshape", [self._name(inputs[0]), shape])

    def _concatenation(self, operator: Any, inputs: list[int], out: int) -> None:
        axis = self._options(operator, tflite.ConcatenationOptions).Axis()
        self._names[out, False] = self._add(
            "Concat", [self._name(each) for each in inputs], axis=axis
        )

    def _dequantize(self, _operator: Any, inputs: list[int], out: int) -> None:
        self._constants[out] = self._needed_constant(inputs[0]).astype(np.float32)

    def _transpose(self, _operator: Any, inputs: list[int], out: int) -> None:
        order = [int(axis) for axis in self._needed_constant(inputs[1])]
        self._names[out, False] = self._add("Transpose", [self._name(inputs[0])], perm=order)

    def _strided_slice(self, operator: Any, inputs: list[int], out: int) -> None:
        options = self._options(operator, tflite.StridedSliceOptions)
        shape = self._shape(inputs[0])
        begin, end, step = (self._needed_constant(each).tolist() for each in inputs[1:4])
        axes = range(len(shape))
        starts = [0 if options.BeginMask() >> axis & 1 else begin[axis] for axis in axes]
        ends = [shape[axis] if options.EndMask() >> axis & 1 else end[axis] for axis in axes]
        dropped = [axis for axis in axes if options.ShrinkAxisMask() >> axis & 1]
        for axis in dropped:
            ends[axis] = starts[axis] + 1 if starts[axis] != -1 else shape[axis]
        lists = [starts, ends, list(axes), step]
        names = [self._weights(np.array(each, np.int64)) for each in lists]
        name = self._add("Slice", [self._name(inputs[0]), *names])
        if dropped:
            name = self._add("Squeeze", [name, self._weights(np.array(dropped, np.int64))])
        self._names[out, False] = name

    def _binary(self, kind: str, operator: Any, inputs: list[int], out: int) -> None:
        a, b = inputs
        nchw = (
            self._shape(a) == self._shape(b)
            and len(self._shape(a)) == 4
            and (self._is_nchw(a) or self._is_nchw(b))
        )
        names = [self._name(a, nchw), self._name(b, nchw)]
        if kind == "SQUARED_DIFFERENCE":
            difference = self._add("Sub", names)
            name = self._add("Mul", [difference, difference])
        else:
            options = self._options(operator, getattr(tflite, f"{kind.capitalize()}Options"))
            name = self._add(_BINARY[kind], names)
            name = self._activated(name, options.FusedActivationFunction())
        self._names[out, nchw] = name

    def _reduction(self, kind: str, operator: Any, inputs: list[int], out: int) -> None:
        keep = int(self._options(operator, tflite.ReducerOptions).KeepDims())
        axes = [int(axis) for axis in np.atleast_1d(self._needed_constant(inputs[1]))]
        name = self._name(inputs[0])
        if kind == "MEAN":
            out_name = self._add("ReduceMean", [name], axes=axes, keepdims=keep)
        else:
            given = self._weights(np.array(axes, np.int64))
            out_name = self._add("ReduceSum", [name, given], keepdims=keep)
        self._names[out, False] = out_name

    def _fully_connected(self, operator: Any, inputs: list[int], out: int) -> None:
        options = self._options(operator, tflite.FullyConnectedOptions)
        weights = self._needed_constant(inputs[1]).astype(np.float32)
        name = self._add("MatMul", [self._name(inputs[0]), self._weights(weights.T)])
        if len(inputs) > 2 and inputs[2] >= 0:
            bias = self._weights(self._needed_constant(inputs[2]).astype(np.float32))
            name = self._add("Add", [name, bias])
        self._names[out, False] = self._activated(name, options.FusedActivationFunction())

    def _matrix_product(self, operator: Any, inputs: list[int], out: int) -> None:
        options = self._options(operator, tflite.BatchMatMulOptions)
        names = []
        for each, turned in zip(inputs, (options.AdjX(), options.AdjY()), strict=True):
            name = self._name(each)
            if turned:
                order = list(range(len(self._shape(each))))
                order[-2:] = order[-1], order[-2]
                name = self._add("Transpose", [name], perm=order)
            names.append(name)
        self._names[out, False] = self._add("MatMul", names)


def convert(source: Path) -> bytes:
    """The network of a .tflite file as a serialised ONNX model."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise SystemExit(f"tflite_to_onnx: cannot read {source}: {error.strerror}") from error
    if data[4:8] != b"TFL3":
        raise SystemExit(f"tflite_to_onnx: {source} is no TensorFlow Lite network")
    try:
        model = Conversion(data).convert()
    except struct.error as error:
        raise SystemExit(f"tflite_to_onnx: {source} is damaged") from error
    return bytes(model.SerializeToString())


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Convert a face network to ONNX.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    options.target.write_bytes(convert(options.source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
