"""The converted networks say what the originals say, in both forms."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest

from digitalmask.assets.manifest import read_manifest
from digitalmask.assets.networks import fetch_networks
from digitalmask.assets.paths import cache_dir, models_dir
from digitalmask.errors import AssetError
from digitalmask.tracking.detector import detect_faces
from digitalmask.tracking.landmarks import _BLENDSHAPE_POINTS, find_points
from digitalmask.tracking.networks import load_networks
from tests.conftest import data_folder, load_script
from tests.tracking.doubles import still

pytestmark = pytest.mark.models

interpreter = pytest.importorskip("ai_edge_litert.interpreter")


@pytest.fixture(scope="module")
def bundle() -> zipfile.ZipFile:
    try:
        fetch_networks(lambda _line: None)
    except AssetError as error:
        pytest.skip(str(error))
    return zipfile.ZipFile(next(cache_dir().glob("*-face_landmarker.task")))


def face() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A real face where one is at hand, a simulated one elsewhere."""
    data = data_folder()
    if data is not None:
        picture = cv2.imread(str(data / "faces" / "id04" / "0.jpg"))
        assert picture is not None
        return np.asarray(picture[:, :, ::-1], np.uint8)
    from digitalmask.simulation import SimulatedPatient

    return SimulatedPatient().frame(0.0, (640, 480))


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    """For each network what it is given for that face."""
    rgb, networks = face(), load_networks("cpu")
    frame = still(rgb)
    found = detect_faces(networks.detector, frame)
    assert found, "the detector finds the face"
    points, presence = find_points(networks.landmarks, frame, found[0].region)
    assert presence > 0.9
    small = cv2.resize(rgb, (128, 128), interpolation=cv2.INTER_AREA)
    return {
        "face_detector": small[None].astype(np.float32) / 127.5 - 1.0,
        "face_landmarks_detector": found[0]
        .region.cut(frame, 256)[None, :, :, :3]
        .astype(np.float32)
        / 255.0,
        "face_blendshapes": points[None, _BLENDSHAPE_POINTS, :2],
    }


def original(data: bytes, value: np.ndarray) -> Iterator[np.ndarray]:
    network = interpreter.Interpreter(model_content=data)
    network.allocate_tensors()
    network.set_tensor(network.get_input_details()[0]["index"], value)
    network.invoke()
    for output in network.get_output_details():
        yield network.get_tensor(output["index"])


def as_planes(value: np.ndarray) -> np.ndarray:
    """A picture (1, height, width, 3) as our networks take it, (1, 3, height, width)."""
    return np.ascontiguousarray(value.transpose(0, 3, 1, 2)) if value.ndim == 4 else value


def said_by(network: bytes, value: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: value}))


@pytest.mark.parametrize("form", ["plain", "cpu"])
@pytest.mark.parametrize(
    ("name", "most"),
    # Pixels of the input for boxes and points, shares for scores, logits.
    [("face_detector", 1e-3), ("face_landmarks_detector", 1e-3), ("face_blendshapes", 1e-5)],
)
def test_a_network_agrees_with_its_original(
    name: str,
    most: float,
    form: str,
    bundle: zipfile.ZipFile,
    inputs: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    data = bundle.read(read_manifest().network(name).member)
    source = tmp_path / "network.tflite"
    source.write_bytes(data)
    converted = load_script("tflite_to_onnx").convert(source)
    if form == "cpu":
        converted = load_script("onnx_for_cpu").rewrite(converted)
    ours = said_by(converted, as_planes(inputs[name]))
    theirs = list(original(data, inputs[name]))
    assert len(ours) == len(theirs)
    for own, true in zip(ours, theirs, strict=True):
        assert own.size == true.size
        np.testing.assert_allclose(own.reshape(-1), true.reshape(-1), atol=most, rtol=1e-5)


def test_what_is_no_network_is_refused_in_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(b"not a network at all")
    with pytest.raises(SystemExit, match="is no TensorFlow Lite network"):
        load_script("tflite_to_onnx").convert(wrong)
    assert (models_dir() / "tflite_to_onnx.py").is_file()
