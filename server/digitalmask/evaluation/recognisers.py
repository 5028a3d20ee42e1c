"""Face recognisers that were trained by others, to attack with: what an attacker would download.

`models/recognisers.toml` lists them; they are fetched and verified like the project's own networks,
and a consultation never runs them. How a face is aligned and scaled for each was chosen so that
originals are recognised (rank-1 of 1.00, 1.00, 1.00, 0.98 and 0.92 of ORL's people, five
photographs against five).
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitalmask.assets.manifest import read_manifest
from digitalmask.assets.networks import Say, fetch_bundle
from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError, ConfigurationError

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

# Where eyes, tip of the nose and corners of the mouth belong in a picture of 112 x 112: the
# template of ArcFace and its kin, and the face landmarks that are those places.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
_EYES, _NOSE_MOUTH = ((33, 133), (263, 362)), (1, 61, 291)
# dlib's own five: both corners of both eyes and the base of the nose (`get_face_chip_details`).
_DLIB_TEMPLATE = np.array(
    [[0.8595674595992, 0.2134981538014], [0.6460604764104, 0.2289674387677],
     [0.1205750620789, 0.2137274526848], [0.3340850613712, 0.2290642403242],
     [0.4901123135679, 0.6277975316475]]
)  # fmt: skip
_DLIB_POINTS, _DLIB_PADDING, _DLIB_SIZE = (263, 362, 33, 133, 2), 0.25, 150
# Subtracted from blue, green and red, as from the pictures that its trunk was trained on.
_FACERES_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One recogniser.

    embed: what it says of the face whose 478 landmarks (478, 2) lie in a picture
        (height, width, 3); (d,) of length 1, the more alike the nearer two faces are.
    """

    name: str
    embed: Callable[[Picture, Floats], Floats] = field(repr=False)


def load_recognisers(say: Say) -> tuple[Recogniser, ...]:
    """All five, fetched where they are missing.

    Errors: AssetError where one cannot be had, ConfigurationError without the `evaluate` extra.
    """
    try:
        import dlib
    except ImportError:
        raise ConfigurationError(
            "the evaluation of privacy needs more packages: pip install 'digitalmask[evaluate]'"
        ) from None
    manifest = read_manifest(models_dir() / "recognisers.toml")
    names = (bundle.name for bundle in manifest.bundles)
    files = {name: fetch_bundle(name, say, manifest) for name in names}
    cv2.setNumThreads(1)
    dlib_net = dlib.face_recognition_model_v1(
        str(files["dlib_face_recognition_resnet_model_v1.dat"])
    )
    facenet = cv2.dnn.readNetFromTensorflow(str(files["graph_final.pb"]))
    mobile = _converted("tflite_to_onnx.py", files["MobileFaceNet.tflite"])
    faceres = _converted(
        "tfjs_to_onnx.py", files["faceres.json"], files["faceres.bin"], "global_pooling/Mean"
    )
    faceplugin = _session(files["fr_feature.onnx"].read_bytes())

    def with_mobile(rgb: Picture, points: Floats) -> Floats:
        face = (aligned(rgb, points, 112, 1.0) - np.float32(127.5)) / 128
        # The network takes two pictures: the face and its mirror image.
        return np.asarray(_run(mobile, np.stack([face, face[:, ::-1]])).sum(axis=0))

    def with_faceplugin(rgb: Picture, points: Floats) -> Floats:
        face = (aligned(rgb, points, 112, 1.0) - np.float32(127.5)) / 127.5
        return np.asarray(_run(faceplugin, face[None, ..., ::-1])[0])

    def with_faceres(rgb: Picture, points: Floats) -> Floats:
        face = aligned(rgb, points, 224, 1.0)[..., ::-1] - _FACERES_MEAN
        return np.asarray(_run(faceres, face[None])[0])

    def with_dlib(rgb: Picture, points: Floats) -> Floats:
        template = (_DLIB_PADDING + _DLIB_TEMPLATE) / (1 + 2 * _DLIB_PADDING) * _DLIB_SIZE
        face = _moved(rgb, points[list(_DLIB_POINTS)], template, _DLIB_SIZE)
        return np.array(dlib_net.compute_face_descriptor(face))

    def with_facenet(rgb: Picture, points: Floats) -> Floats:
        face = aligned(rgb, points, 160, 1.1).astype(np.float32)
        face = (face - face.mean()) / max(float(face.std()), 1.0)
        facenet.setInput(np.ascontiguousarray(face.transpose(2, 0, 1)[None]))
        return np.array(facenet.forward()[0])

    networks: dict[str, Callable[[Picture, Floats], Floats]] = {
        "mobilefacenet": with_mobile,
        "faceplugin": with_faceplugin,
        "faceres": with_faceres,
        "dlib": with_dlib,
        "facenet": with_facenet,
    }
    return tuple(Recogniser(name, _of_length_one(embed)) for name, embed in networks.items())


def aligned(rgb: Picture, points: Floats, size: int, margin: float) -> Picture:
    """The upright face, (size, size, 3); margin: so many times as much is seen as in ArcFace's."""
    eyes = [points[list(pair)].mean(axis=0) for pair in _EYES]
    places = np.array([*eyes, *points[list(_NOSE_MOUTH)]])
    template = ((_TEMPLATE - 56.0) / margin + 56.0) * size / 112
    return _moved(rgb, places, template, size)


def _moved(rgb: Picture, places: Floats, template: Floats, size: int) -> Picture:
    """Turn, scale and shift a picture so that `places` (n, 2) come to lie near `template`."""
    transform = _similarity(places, template)
    scale = float(np.hypot(*transform[0, :2]))
    if scale < 0.5:  # too many pixels fall on one
        smaller = cv2.resize(rgb, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        shrunk = np.array(smaller.shape[1::-1]) / np.array(rgb.shape[1::-1])
        rgb, transform = np.asarray(smaller, np.uint8), _similarity(places * shrunk, template)
    moved = cv2.warpAffine(
        rgb, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def _similarity(places: Floats, template: Floats) -> Floats:
    """(2, 3), the least squares turn, scaling and shift."""
    source, target = places - places.mean(axis=0), template - template.mean(axis=0)
    along = float((source * target).sum())
    across = float((source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum())
    turn = np.array([[along, -across], [across, along]]) / float((source**2).sum())
    return np.column_stack([turn, template.mean(axis=0) - turn @ places.mean(axis=0)])


def _of_length_one(
    embed: Callable[[Picture, Floats], Floats],
) -> Callable[[Picture, Floats], Floats]:
    def scaled(rgb: Picture, points: Floats) -> Floats:
        numbers = np.asarray(embed(rgb, points), np.float64)
        return numbers / max(float(np.linalg.norm(numbers)), 1e-9)

    return scaled


def _converted(script: str, *arguments: Path | str) -> Any:
    """A session of what one of the converters in `models/` makes of a network."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "network.onnx"
        command: Sequence[str] = [sys.executable, str(models_dir() / script)]
        command = [*command, *map(str, arguments), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise AssetError(f"{arguments[0]} could not be converted: {reason}")
        return _session(target.read_bytes())


def _session(network: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _run(session: Any, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) of (n, height, width, 3)."""
    values = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: values})[0], np.float32)
