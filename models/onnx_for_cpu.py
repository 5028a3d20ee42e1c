"""Rewrites a converted face network into what ONNX Runtime's CPU provider computes quickest.

    python models/onnx_for_cpu.py IN.onnx OUT.onnx

The provider keeps pictures in a layout of its own (blocks of 16 channels where the processor has
AVX-512, of 8 with AVX2), in which it has convolutions, Relu, sums and pooling, and nothing else:
around any other operator the whole picture is reordered. All rewrites are exact but for the
rounding of float32 (below 1e-3 px in the landmarks).

PRelu, which has no place in the layout, is f(x) = b x + r Relu(x), with b its slope below 0 and r
    how much steeper it is above. It becomes a Relu and a depthwise 1x1 convolution whose sum is
    free (the provider adds while it convolves). The factor r costs nothing: the outcome is kept
    divided by it, channel by channel, and whatever takes the outcome makes up for it in its own
    weights: a convolution directly, a sum by its other addend's convolution. Pooling takes no
    negative factor; where it would have to, r is multiplied by after all.
PRelu of few channels. Blocks of 16 are computed whole, so a convolution to 8 channels costs as
    much as one to 16. It is made to say x and -x, of which Relu keeps both halves, and
    f(x) = Relu(x) - a Relu(-x) is put together by the next convolutions' weights.
Channels added by padding are added by joining a picture of zeros that is computed in the layout.
Layer normalisation, which TensorFlow Lite writes as ten operators, is one again.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Floats = NDArray[Any]

_BLOCK = 16
# A PRelu whose slopes differ by less, over the one above, is taken to differ by so much.
_LEAST_RISE = 1e-6


class Rewriting:
    """One network on its way; `rewrite` is the whole public face."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._given = list(model.graph.node)
        self._weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._users: dict[str, list[Any]] = defaultdict(list)
        for node in self._given:
            for name in node.input:
                self._users[name].append(node)
        self._makers = {node.output[0]: node for node in self._given}
        self._nodes: list[Any] = []
        # What a tensor's channels are multiplied with; absent where by 1.
        self._factors: dict[str, Floats] = {}
        self._count = 0

    def rewrite(self) -> Any:
        """The network with the same inputs and outputs."""
        for node in self._given:
            if node.op_type == "PRelu":
                self._prelu(node)
            elif node.op_type == "Pad" and self._added_channels(node):
                self._pad(node)
            elif node.op_type == "Add" and self._normalised(node):
                continue
            else:
                self._carry_factors(node)
                self._nodes.append(node)
        self._drop_unused()
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
        onnx.checker.check_model(self._model)
        return self._model

    # The graph.

    def _constant(self, values: Floats) -> str:
        self._count += 1
        name = f"cpu{self._count}"
        self._weights[name] = values.astype(np.float32)
        return name

    def _add(self, kind: str, inputs: list[str], out: str = "", **attributes: Any) -> str:
        self._count += 1
        out = out or f"cpu{self._count}"
        self._nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def _scaled(self, name: str, factors: Floats) -> str:
        """Each channel times its factor, as a convolution."""
        weights = self._constant(factors.reshape(-1, 1, 1, 1))
        return self._add("Conv", [name, weights], group=len(factors), kernel_shape=[1, 1])

    def _groups(self, node: Any) -> int:
        """Of a convolution; 0 of another operator, or where there is none."""
        if node is None or node.op_type != "Conv":
            return 0
        return next((each.i for each in node.attribute if each.name == "group"), 1)

    def _maker(self, name: str) -> Any:
        """What makes a tensor; None of an input or a constant."""
        return self._makers.get(name)

    def _only_user(self, name: str) -> Any:
        users = self._users[name]
        return users[0] if len(users) == 1 else None

    def _other_addend(self, node: Any, name: str) -> Any:
        """What makes the other input of an Add, where it may be changed for this sum alone."""
        other = next(each for each in node.input if each != name)
        maker = self._maker(other)
        full = self._groups(maker) == 1 and len(maker.input) == 3
        return maker if full and self._only_user(other) is node else None

    def _drop_unused(self) -> None:
        needed = {each.name for each in self._model.graph.output}
        kept = []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        self._nodes = kept[::-1]

    # Factors.

    def _takes(self, name: str) -> tuple[bool, bool]:
        """Whether all that takes a tensor makes up for factors, and for negative ones."""
        positive, negative = True, True
        for user in self._users[name]:
            if user.op_type in ("MaxPool", "Pad"):
                past, negative_past = self._takes(user.output[0])
                positive &= past
                negative &= negative_past and user.op_type == "Pad"
            elif user.op_type == "Add":
                follower = self._only_user(user.output[0])
                positive &= (
                    self._other_addend(user, name) is not None
                    and follower is not None
                    and follower.op_type == "PRelu"
                )
            else:
                positive &= self._groups(user) > 0
        return positive, positive and negative

    def _carry_factors(self, node: Any) -> None:
        """Make up for the factors of a node's input, or hand them on."""
        name = next((each for each in node.input if each in self._factors), None)
        if name is None:
            return
        factors = self._factors[name]
        if node.op_type == "Conv":
            shape = (1, -1, 1, 1) if self._groups(node) == 1 else (-1, 1, 1, 1)
            weights = self._weights[node.input[1]]
            node.input[1] = self._constant(weights / factors.reshape(shape))
            return
        if node.op_type == "Add":
            maker = self._other_addend(node, name)
            weights, bias = (self._weights[each] for each in maker.input[1:3])
            maker.input[1] = self._constant(weights * factors.reshape(-1, 1, 1, 1))
            maker.input[2] = self._constant(bias * factors)
        self._factors[node.output[0]] = factors

    # The rewrites.

    def _prelu(self, node: Any) -> None:
        name, out = node.input[0], node.output[0]
        slopes = self._weights[node.input[1]].reshape(-1).astype(np.float64)
        if len(slopes) <= _BLOCK // 2 and self._doubled(node, slopes):
            return
        factors = self._factors.get(name, np.ones(len(slopes)))
        # Slopes in what is kept of x, for what is kept above and below 0.
        above = np.where(factors > 0, 1.0, slopes) / factors
        below = np.where(factors > 0, slopes, 1.0) / factors
        rise = above - below
        least = _LEAST_RISE * np.abs(above)
        rise = np.where(np.abs(rise) < least, least, rise)
        positive, negative = self._takes(out)
        half = self._add("Relu", [name])
        if negative or (positive and (rise > 0).all()):
            self._factors[out] = 1.0 / rise
            rest = self._scaled(name, below / rise)
        else:
            half = self._scaled(half, rise)
            rest = self._scaled(name, below)
        self._add("Add", [rest, half], out)

    def _doubled(self, node: Any, slopes: Floats) -> bool:
        """Write a PRelu of few channels into the convolutions around it, where they allow it."""
        name, out = node.input[0], node.output[0]
        before, after = self._maker(name), self._only_user(out)
        last: Any = None if after is None else self._only_user(after.output[0])
        fits = (
            self._groups(before) == 1
            and self._only_user(name) is node
            and self._groups(after) == len(slopes)
            and self._groups(last) == 1
            and len(before.input) == len(after.input) == 3
        )
        if not fits:
            return False
        weights, bias = (self._weights[each] for each in before.input[1:3])
        before.input[1] = self._constant(np.concatenate([weights, -weights]))
        before.input[2] = self._constant(np.concatenate([bias, -bias]))
        weights, bias = (self._weights[each] for each in after.input[1:3])
        negated = -slopes.reshape(-1, 1, 1, 1) * weights
        after.input[1] = self._constant(np.concatenate([weights, negated]))
        after.input[2] = self._constant(np.concatenate([bias, np.zeros_like(bias)]))
        for attribute in after.attribute:
            if attribute.name == "group":
                attribute.i = 2 * len(slopes)
        weights = self._weights[last.input[1]]
        last.input[1] = self._constant(np.concatenate([weights, weights], axis=1))
        self._add("Relu", [name], out)
        return True

    def _normalised(self, node: Any) -> bool:
        """Write x w - mean(x) w, w = gain / sqrt(variance(x) + least), as one operator."""

        def made_of(name: str, *kinds: str) -> list[str]:
            """The constants that come in along a chain of operators, then what comes in before."""
            constants = []
            for kind in kinds:
                maker = self._maker(name)
                if maker is None or maker.op_type != kind:
                    return []
                if kind == "ReduceMean" and not self._over_last_axis(maker):
                    return []
                name = next((each for each in maker.input if each not in self._weights), "")
                constants += [each for each in maker.input if each in self._weights]
            return [*constants, name]

        def factors(name: str) -> set[str]:
            maker = self._maker(name)
            return set(maker.input) if maker is not None and maker.op_type == "Mul" else set()

        left, right = (factors(each) for each in node.input)
        shared = left & right
        if len(left) != 2 or len(right) != 2 or len(shared) != 1:
            return False
        (scale,) = shared
        found = made_of(scale, "Mul", "Reciprocal", "Sqrt", "Add", "ReduceMean")
        if len(found) != 3:
            return False
        gain, least, squared = found
        (centred,) = factors(squared) or ("",)
        difference = self._maker(centred)
        if difference is None or difference.op_type != "Sub":
            return False
        name, mean = difference.input
        negated = {each for each in (left | right) - shared if made_of(each, "Neg") == [mean]}
        if len(negated) != 1 or (left | right) - shared - negated != {name}:
            return False
        if made_of(mean, "ReduceMean") != [name] or self._weights[gain].ndim != 1:
            return False
        self._add(
            "LayerNormalization",
            [name, gain],
            node.output[0],
            axis=-1,
            epsilon=float(self._weights[least].reshape(-1)[0]),
        )
        return True

    def _over_last_axis(self, node: Any) -> bool:
        return any(each.name == "axes" and list(each.ints) == [3] for each in node.attribute)

    def _added_channels(self, node: Any) -> int:
        """How many channels a Pad adds behind, where it adds nothing else and as many again."""
        pads = self._weights[node.input[1]]
        pooled = self._maker(node.input[0])
        if len(pads) != 8 or pads[5] == 0 or np.delete(pads, 5).any() or pooled is None:
            return 0
        convolved = self._maker(pooled.input[0])
        found = self._channels(convolved)
        return int(pads[5]) if found == pads[5] else 0

    def _channels(self, node: Any) -> int:
        """Of what a node makes, as far as it can be told; 0 elsewhere."""
        if node is None:
            return 0
        if node.op_type in ("Conv", "PRelu"):
            return int(self._weights[node.input[1]].shape[0])
        return self._channels(self._maker(node.input[0])) if node.op_type == "Relu" else 0

    def _pad(self, node: Any) -> None:
        name, out, count = node.input[0], node.output[0], self._added_channels(node)
        if name in self._factors:
            self._factors[out] = np.concatenate([self._factors[name], np.ones(count)])
        self._add("Concat", [name, self._scaled(name, np.zeros(count))], out, axis=1)


def rewrite(source: bytes) -> bytes:
    """The network of a serialised ONNX model, rewritten."""
    return bytes(Rewriting(onnx.load_from_string(source)).rewrite().SerializeToString())


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Rewrite a face network for a CPU.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    try:
        options.target.write_bytes(rewrite(options.source.read_bytes()))
    except OSError as error:
        raise SystemExit(f"onnx_for_cpu: {error.filename}: {error.strerror}") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
