"""The one head that every mask is drawn with, read from `models/head.npz`.

Everything is in the head frame of `digitalmask.mask_state`: millimetres, origin midway between
the two eyeball centres, x towards the patient's left, y up, z out of the face. Made by
`models/fit_head.py` from ICT-FaceKit (USC ICT, MIT licence); no person's shape is in it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.archive import read_archive
from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError
from digitalmask.mask_state import EXPRESSIONS

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

RIGHT: Final = 0
LEFT: Final = 1

# The values of `Head.part`.
SKIN: Final = 0
MOUTH: Final = 1
GUMS: Final = 2
TEETH: Final = 3


@dataclass(frozen=True, slots=True)
class LidRig:
    """How the two lids of one eye move. N vertices, as indices into the head's.

    vertices: (N,). The lids slide on the eyeball: the upper lid's vertices are displaced by
        `close_mm` (N, 3) times a drive from 0 (neutral) to about 1 (closed), or by `widen_mm`
        (N, 3) times a drive upwards, their distance from the eyeball's centre running between
        that of both ends; the lower lid's turn by `lower_rad` (N,) times a drive about the axis
        through the eyeball's centre along x, positive upwards.
    columns: (N, 5), each vertex's share in the drives at five places along the fissure, from its
        medial end: near the canthus, a third, half, two thirds, near the other canthus.
    upper_margin, lower_margin: the free edges from the medial to the lateral end, indices into
        the head's vertices.
    columns_x_mm: (5,), x of the columns.
    steps: (S,) drives, and upper_heights_mm, lower_heights_mm: (5, S), how high above the
        eyeball's centre the margin stands at each column for each of them, measured on this mesh.
    """

    vertices: Ints
    close_mm: Floats
    widen_mm: Floats
    lower_rad: Floats
    columns: Floats
    upper_margin: Ints
    lower_margin: Ints
    columns_x_mm: Floats
    steps: Floats
    upper_heights_mm: Floats
    lower_heights_mm: Floats


@dataclass(frozen=True, slots=True)
class Head:
    """The head's mesh, its expressions and its eyes.

    vertices_mm: (V, 3). triangles: (T, 3). expressions_mm: (43, V, 3), displacements in the order
        of `EXPRESSIONS`.
    part: (V,) one of SKIN, MOUTH, GUMS, TEETH. occlusion: (V,) share of the light of a soft room
        that arrives. brow_mm, lip_mm: (V,) depth inside a brow or the lips' red, negative outside.
    eye_centres_mm: (2, 3), the patient's right eye first. eyeball_mm: the balls' radius; they are
        not part of the mesh.
    lids: the patient's right eye first.
    lip_pairs: (3, 2), vertices of the upper and the lower lip that touch at rest.
    landmarks_mm: (478, 3), landmark_expressions_mm: (43, 478, 3): where the landmark network's
        points lie on this head.
    """

    vertices_mm: Floats = field(repr=False)
    triangles: Ints = field(repr=False)
    expressions_mm: Floats = field(repr=False)
    part: NDArray[np.uint8] = field(repr=False)
    occlusion: Floats = field(repr=False)
    brow_mm: Floats = field(repr=False)
    lip_mm: Floats = field(repr=False)
    eye_centres_mm: Floats
    eyeball_mm: float
    lids: tuple[LidRig, LidRig] = field(repr=False)
    lip_pairs: Ints = field(repr=False)
    landmarks_mm: Floats = field(repr=False)
    landmark_expressions_mm: Floats = field(repr=False)


def _lid_rig(data: dict[str, NDArray[np.generic]], eye: int) -> LidRig:
    side = ("right", "left")[eye]
    heights = data["lid_heights_mm"].astype(np.float32)
    return LidRig(
        vertices=data[f"lid_vertices_{side}"].astype(np.int32),
        close_mm=data[f"lid_close_mm_{side}"].astype(np.float32),
        widen_mm=data[f"lid_widen_mm_{side}"].astype(np.float32),
        lower_rad=data[f"lid_lower_rad_{side}"].astype(np.float32),
        columns=data[f"lid_columns_{side}"].astype(np.float32),
        upper_margin=data[f"upper_margin_{side}"].astype(np.int32),
        lower_margin=data[f"lower_margin_{side}"].astype(np.int32),
        columns_x_mm=data["lid_columns_x_mm"][eye].astype(np.float32),
        steps=data["lid_steps"].astype(np.float32),
        upper_heights_mm=heights[eye, 0],
        lower_heights_mm=heights[eye, 1],
    )


def _expanded(steps: NDArray[np.generic], step_mm: NDArray[np.generic]) -> Floats:
    return steps.astype(np.float32) * step_mm.astype(np.float32)[:, None, None]


def load_head(path: Path | None = None) -> Head:
    """Read the head; raises AssetError where the file is missing, damaged or from another version.

    path: another file than the project's own.
    """
    path = path or models_dir() / "head.npz"
    with read_archive(path, "models/fit_head.py") as data:
        head = Head(
            vertices_mm=data["vertices_mm"].astype(np.float32),
            triangles=data["triangles"].astype(np.int32),
            expressions_mm=_expanded(data["expressions"], data["expressions_step_mm"]),
            part=data["part"].astype(np.uint8),
            occlusion=data["occlusion"].astype(np.float32) / np.float32(255),
            brow_mm=data["brow_mm"].astype(np.float32),
            lip_mm=data["lip_mm"].astype(np.float32),
            eye_centres_mm=data["eye_centres_mm"].astype(np.float32),
            eyeball_mm=float(data["eyeball_mm"]),
            lids=(_lid_rig(data, RIGHT), _lid_rig(data, LEFT)),
            lip_pairs=data["lip_pairs"].astype(np.int32),
            landmarks_mm=data["landmarks_mm"].astype(np.float32),
            landmark_expressions_mm=_expanded(
                data["landmark_expressions"], data["landmark_expressions_step_mm"]
            ),
        )
    if len(head.expressions_mm) != len(EXPRESSIONS):
        raise AssetError(f"{path} has other expressions than this version: get it again")
    return head
