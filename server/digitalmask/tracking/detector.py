"""BlazeFace, short range: finds every face in a frame.

Input (1, 3, 128, 128), letterboxed, RGB from -1 to 1. Output: for 896 anchors a box (centre, size)
and six keypoints in pixels relative to the anchor (the patient's right eye, left eye, nose, mouth,
ears), and a logit. Source: Bazarevsky et al., "BlazeFace" (2019), and the network's own shapes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking.networks import FaceNetwork
from digitalmask.tracking.region import Region

Floats = NDArray[np.float64]

_SIZE = 128
_LEAST_SCORE = 0.5
_SAME_FACE = 0.3  # boxes that share more than this are one face
# From the detector's tight box to the square that the landmark network wants.
_REGION_SCALE = 2.0


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face's region and how sure the network is."""

    region: Region
    score: float


def _anchors() -> Floats:
    """(896, 2) centres in pixels: two at each place of a 16x16 grid, six of an 8x8 grid."""
    centres = []
    for cells, count in ((16, 2), (8, 6)):
        step = _SIZE / cells
        ys, xs = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
        grid = np.stack([xs, ys], axis=-1).reshape(-1, 2)
        centres.append(np.repeat((grid + 0.5) * step, count, axis=0))
    return np.concatenate(centres)


_ANCHORS = _anchors()


def detect_faces(network: FaceNetwork, frame: PatientFrame) -> list[DetectedFace]:
    """All faces, the surest first."""
    scale = _SIZE / max(frame.width, frame.height)
    small = frame.sized((max(1, round(frame.width * scale)), max(1, round(frame.height * scale))))
    left, top = (_SIZE - small.shape[1]) // 2, (_SIZE - small.shape[0]) // 2
    picture = np.zeros((1, 3, _SIZE, _SIZE), np.float32)
    picture[0, :, top : top + small.shape[0], left : left + small.shape[1]] = (
        small[..., :3].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1.0
    )
    boxes, logits = network.run(picture)
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -50.0, 50.0)))
    chosen = np.flatnonzero(scores >= _LEAST_SCORE)
    raw = boxes[0, chosen].astype(np.float64)
    centres = raw[:, :2] + _ANCHORS[chosen]
    corners = np.hstack([centres - raw[:, 2:4] / 2, centres + raw[:, 2:4] / 2])
    eyes = raw[:, 4:8].reshape(-1, 2, 2) + _ANCHORS[chosen][:, None]
    faces = []
    for group in _groups(corners, scores[chosen]):
        weights = scores[chosen][group]
        box = weights @ corners[group] / weights.sum()
        pair = np.tensordot(weights, eyes[group], 1) / weights.sum()
        box = (box - [left, top, left, top]) / scale
        pair = (pair - [left, top]) / scale
        across = pair[1] - pair[0]
        region = Region(
            x_px=float(box[0] + box[2]) / 2,
            y_px=float(box[1] + box[3]) / 2,
            side_px=_REGION_SCALE * float(max(box[2] - box[0], box[3] - box[1])),
            turn=float(np.arctan2(across[1], across[0])),
        )
        faces.append(DetectedFace(region, float(weights.max())))
    return faces


def _groups(corners: Floats, scores: Floats) -> list[NDArray[np.int64]]:
    """Boxes that are one face together, the surest face first."""
    left = np.argsort(-scores)
    groups = []
    while len(left):
        first = corners[left[0]]
        low = np.maximum(first[:2], corners[left][:, :2])
        high = np.minimum(first[2:], corners[left][:, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        areas = np.prod(corners[left][:, 2:] - corners[left][:, :2], axis=1)
        same = shared / np.maximum(areas[0] + areas - shared, 1e-9) > _SAME_FACE
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups
