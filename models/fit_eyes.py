"""Makes `eyes.onnx`: the network that sees lid margins, corners and iris in an eye's cut.

    python -m models.fit_eyes DRAWINGS OUT.onnx [--epochs 20]

DRAWINGS is the folder that `draw_eyes` fills. Needs PyTorch (tried with 2.14) and onnx, in any
environment: nothing of them is needed to run the network. On two cores it takes half an hour.

A network of ten convolutions says of each place where it is and how far that is usually off: the
likelihood of the truth under a Laplace distribution is what it learns by, so that what a lid or a
lamp hides weighs little. Every tenth part of the drawings is kept apart; how far off the network is
on those people is printed at the end, as one JSON object in millimetres.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Floats = NDArray[np.float32]

_ROWS, _COLUMNS = 56, 80
_NUMBERS = 27  # what a network says of an eye: see `digitalmask.tracking.eye_network`
_WIDTHS = (16, 24, 32, 32, 32, 48, 48, 48, 64, 64)
_STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 2, 1)
_HIDDEN = 128
_BATCH = 256
_LEAST_SPREAD = 4.0  # of 255, added to the spread of a cut's values: a black one says nothing
_FARTHEST = 2.0  # half fissures: beyond it a cut has not hit its eye
_IRIS_MM = 5.85
_LAST = 64 * 4 * 5  # values behind the last convolution


class EyeNetwork(nn.Module):  # type: ignore[misc]
    """(n, 3, 56, 80) values from 0 to 255 in, (n, 2 * _NUMBERS) places and log spreads out."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given = 3
        for width, stride in zip(_WIDTHS, _STRIDES, strict=True):
            convolution = nn.Conv2d(given, width, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            given = width
        self.layers = nn.Sequential(*layers)
        self.hidden = nn.Linear(_LAST, _HIDDEN)
        self.last = nn.Linear(_HIDDEN, 2 * _NUMBERS)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """What the network says, places in spreads of the drawings from their mean."""
        mean = pictures.mean((1, 2, 3), keepdim=True)
        spread = pictures.std((1, 2, 3), unbiased=False, keepdim=True) + _LEAST_SPREAD
        values = self.layers((pictures - mean) / spread).flatten(1)
        answer: torch.Tensor = self.last(torch.relu(self.hidden(values)))
        return answer


def read(paths: list[Path]) -> tuple[Floats, NDArray[np.uint8], Floats]:
    """Pixels of the frame a mm (n,), cuts (n, 56, 80, 3) and what is true of them (n, _NUMBERS)."""
    parts: list[list[Any]] = [[], [], []]
    for path in paths:
        with np.load(path) as part:
            good = np.abs(part["values"]).max(1) < _FARTHEST
            for kept, name in zip(parts, ("px_a_mm", "cuts", "values"), strict=True):
                kept.append(part[name][good])
    px_a_mm, cuts, values = (np.concatenate(kept) for kept in parts)
    return px_a_mm, cuts, values


def planes(cuts: torch.Tensor) -> torch.Tensor:
    """Cuts (n, 56, 80, 3) of bytes as the network takes them."""
    pictures = cuts.permute(0, 3, 1, 2).float()
    return pictures.contiguous(memory_format=torch.channels_last)


def as_other_cameras(pictures: torch.Tensor) -> torch.Tensor:
    """Brighter or darker, in other colours or none, noisier."""
    count = len(pictures)
    pictures = pictures * (1 + 0.12 * torch.randn(count, 3, 1, 1)) + 8 * torch.randn(count, 1, 1, 1)
    grey = (torch.rand(count, 1, 1, 1) < 0.05).float()
    pictures = pictures + grey * (pictures.mean(1, keepdim=True) - pictures)
    noisy = (torch.rand(count, 1, 1, 1) < 0.3).float()
    return pictures + noisy * 4 * torch.rand(count, 1, 1, 1) * torch.randn_like(pictures)


def learn(cuts: NDArray[np.uint8], values: Floats, epochs: int) -> EyeNetwork:
    """A network; the mean of its weights over the last steps, which is steadier than the last."""
    torch.manual_seed(1)
    mean, spread = values.mean(0), values.std(0)
    pictures, truth = torch.from_numpy(cuts), torch.from_numpy((values - mean) / spread)
    network = EyeNetwork().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.02)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    steps_an_epoch = len(cuts) // _BATCH
    steps = epochs * steps_an_epoch
    for step in range(steps):
        if step % steps_an_epoch == 0:
            order = torch.randperm(len(cuts))
        rate = 3e-3 * min(1.0, step / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate + 1e-6
        chosen = order[step % steps_an_epoch * _BATCH :][:_BATCH]
        with torch.autocast("cpu", torch.bfloat16):
            answer = network(as_other_cameras(planes(pictures[chosen])))
        places, spreads = answer.float().split(_NUMBERS, 1)
        spreads = spreads.clamp(-6, 3)
        loss = ((places - truth[chosen]).abs() * torch.exp(-spreads) + spreads).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        averaged.update_parameters(network)
        if step % 100 == 99:
            print(f"step {step + 1} of {steps}: {loss.item():.3f}", file=sys.stderr, flush=True)
    learned: EyeNetwork = averaged.module.eval()
    with torch.no_grad():
        # Places in half fissures, as they are wanted.
        scale = torch.from_numpy(np.concatenate([spread, np.ones(_NUMBERS, np.float32)]))
        shift = torch.from_numpy(np.concatenate([mean, np.log(spread)]))
        learned.last.weight.mul_(scale[:, None])
        learned.last.bias.mul_(scale).add_(shift)
    return learned


def as_onnx(network: EyeNetwork) -> onnx.ModelProto:
    """The network for both eyes' cuts (n, 2, 56, 80, 3) of bytes, weights in half precision."""
    nodes: list[onnx.NodeProto] = []
    kept: list[onnx.TensorProto] = []

    def constant(value: NDArray[Any]) -> str:
        name = f"constant_{len(kept)}"
        kept.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind: str, *given: str, **options: Any) -> str:
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(given), [name], **options))
        return name

    def weights(value: torch.Tensor) -> str:
        half = constant(value.detach().numpy().astype(np.float16))
        return node("Cast", half, to=TensorProto.FLOAT)

    value = node("Cast", "input_0", to=TensorProto.FLOAT)
    value = node("Reshape", value, constant(np.array([-1, _ROWS, _COLUMNS, 3])))
    value = node("Transpose", value, perm=[0, 3, 1, 2])
    axes = constant(np.array([1, 2, 3]))
    value = node("Sub", value, node("ReduceMean", value, axes, keepdims=1))
    spread = node("Sqrt", node("ReduceMean", node("Mul", value, value), axes, keepdims=1))
    spread = node("Add", spread, constant(np.array(_LEAST_SPREAD, np.float32)))
    value = node("Div", value, spread)
    modules = list(network.layers)
    for convolution, norm, stride in zip(modules[::3], modules[1::3], _STRIDES, strict=True):
        share = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        value = node(
            "Conv", value, weights(convolution.weight * share[:, None, None, None]),
            weights(norm.bias - norm.running_mean * share),
            kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride],
        )  # fmt: skip
        value = node("Relu", value)
    value = node("Flatten", value, axis=1)
    for place, layer in enumerate((network.hidden, network.last)):
        value = node("Gemm", value, weights(layer.weight), weights(layer.bias), transB=1)
        if place == 0:
            value = node("Relu", value)
    nodes.append(
        helper.make_node(
            "Reshape", [value, constant(np.array([-1, 2, 2 * _NUMBERS]))], ["output_0"]
        )
    )
    graph = helper.make_graph(
        nodes, "eyes",
        [helper.make_tensor_value_info("input_0", TensorProto.UINT8,
                                       ["batch", 2, _ROWS, _COLUMNS, 3])],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, ["batch", 2, 2 * _NUMBERS])],
        kept,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def errors(
    network: EyeNetwork, px_a_mm: Floats, cuts: NDArray[np.uint8], values: Floats
) -> dict[str, float]:
    """Medians in mm over eyes at 0.8 pixels a mm or more (a face of 110 pixels)."""
    near = px_a_mm > 0.8
    with torch.no_grad():
        parts = torch.from_numpy(cuts[near]).split(1024)
        said = torch.cat([network(planes(part)) for part in parts]).numpy()[:, :_NUMBERS]
    truth = values[near]
    off = np.abs(said - truth) * _IRIS_MM / truth[:, 26:27]
    middle = {"upper_lid_mm": 9, "lower_lid_mm": 19, "iris_x_mm": 24, "iris_y_mm": 25}
    return {name: round(float(np.median(off[:, place])), 3) for name, place in middle.items()}


def main() -> int:
    """Learn, save, say how far off it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("drawings", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    paths = sorted(options.drawings.glob("*.npz"))
    _, cuts, values = read([path for place, path in enumerate(paths) if place % 10])
    network = learn(cuts, values, options.epochs)
    onnx.save(as_onnx(network), options.out)
    print(json.dumps(errors(network, *read(paths[::10]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
