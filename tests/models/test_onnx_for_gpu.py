"""A network rewritten for a GPU takes any batch, and crops as they are cut."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import load_script


def picture_network(side: int) -> bytes:
    """A convolution, a slope, a head, on a picture of this size."""
    random = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name)

    out = 4 * ((side - 3) // 2 + 1) ** 2
    shape = numpy_helper.from_array(np.array([1, out], np.int64), "shape")
    nodes = [
        helper.make_node("Conv", ["input_0", "w", "b"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("PRelu", ["c", "slopes"], ["p"]),
        helper.make_node("Conv", ["p", "head", "bias"], ["h"], kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["h", "shape"], ["flat"]),
        helper.make_node("Identity", ["flat"], ["output_0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "picture",
        [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, [1, out])],
        [
            weights("w", 8, 3, 3, 3),
            weights("b", 8),
            weights("slopes", 8, 1, 1),
            weights("head", 4, 8, 1, 1),
            weights("bias", 4),
            shape,
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def said_by(network: bytes, values: np.ndarray, batch: int | None = None) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if batch is not None:
        options.add_free_dimension_override_by_name("batch", batch)
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input_0": values})[0])


@pytest.mark.parametrize("half", [False, True])
def test_crops_of_a_batch_are_what_planes_were_one_by_one(half: bool) -> None:
    source = picture_network(256)
    rewritten = load_script("onnx_for_gpu").rewrite(source, half)
    crops = np.random.default_rng(2).integers(0, 256, (3, 256, 256, 4), np.uint8)
    said = said_by(rewritten, crops, 3)
    planes = crops[..., :3].transpose(0, 3, 1, 2).astype(np.float32) / 255.0
    for number in range(3):
        alone = said_by(source, np.ascontiguousarray(planes[number : number + 1]))[0]
        np.testing.assert_allclose(said[number], alone, atol=5e-3 if half else 1e-5)


def test_other_pictures_come_as_planes() -> None:
    source = picture_network(128)
    rewritten = load_script("onnx_for_gpu").rewrite(source)
    planes = np.random.default_rng(3).normal(0, 1, (2, 3, 128, 128)).astype(np.float32)
    said = said_by(rewritten, planes, 2)
    for number in range(2):
        alone = said_by(source, planes[number : number + 1])[0]
        np.testing.assert_allclose(said[number], alone, atol=1e-5)


def test_half_precision_stops_before_the_head() -> None:
    model = onnx.load_from_string(load_script("onnx_for_gpu").rewrite(picture_network(256), True))
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert kinds["w"] == kinds["slopes"] == TensorProto.FLOAT16
    assert kinds["head"] == kinds["bias"] == TensorProto.FLOAT
