"""Makes `patient.npz`, the people whom the simulation draws, from ICT-FaceKit.

    python -m models.fit_patient ICT_ARCHIVE IDENTITY_MODES OUT.npz

ICT_ARCHIVE is ICT-FaceKit (USC ICT, MIT licence, commit da5f95a) as a tar file, IDENTITY_MODES its
100 identity modes as `modes` (100, 26719, 3), cm. Six identities are drawn from the modes with
fixed seeds, three of either build, none of them anybody. The lids are not taken from the source's
shapes: each lid turns about its eyeball, with weights that are made here, so that what the
simulation knows of its lids does not rest on the rig of the mask's head.

OUT.npz is described in `digitalmask.simulation.people`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from models.fit_head import (
    _FACE,
    ambient_occlusion,
    boundary_loops,
    brow_depth,
    expression_shapes,
    icosphere_caps,
    lip_depth,
    part_of_vertices,
    quantise,
    read_source,
    reduce_mesh,
    smooth_over,
    smoothstep,
    vertex_normals,
)
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from digitalmask.mask_state import EXPRESSIONS

Floats = NDArray[Any]

_TARGET_VERTICES = 9500
_SCLERA_LEFT, _SCLERA_RIGHT = slice(21451, 22221), slice(23021, 23791)
_LASHES = (25351, 26719)
PEOPLE = 6
_MODES = 60
# Seeds whose faces differ plainly from each other, found by looking.
_SEEDS = (3, 11, 5, 8, 21, 34)
# Which expressions the simulation moves; the rest of the mask's directions are left out.
SHAPES = tuple(
    name for name in EXPRESSIONS if name.startswith(("brow", "cheek", "jaw", "mouth", "nose"))
)


def ball_centre(points: Floats) -> Floats:
    """Centre of the sphere through the front of an eyeball."""
    front = points[points[:, 2] > points[:, 2].mean()]
    system = np.c_[2 * front, np.ones(len(front))]
    return np.asarray(np.linalg.lstsq(system, (front**2).sum(1))[0][:3])


def lid_weights(points: Floats, rim: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """How much of the upper and of the lower lid's turn each point takes, 0 to 1."""
    lateral = np.sign(centre[0])
    x = (rim[:, 0] - centre[0]) * lateral
    ends = rim[[np.argmin(x), np.argmax(x)]]
    slope = (ends[1, 1] - ends[0, 1]) / (ends[1, 0] - ends[0, 0])
    above = rim[:, 1] > ends[0, 1] + (rim[:, 0] - ends[0, 0]) * slope
    far_upper = np.asarray(cKDTree(rim[above]).query(points)[0])
    far_lower = np.asarray(cKDTree(rim[~above]).query(points)[0])
    share = smoothstep(-0.5, 0.5, (far_lower - far_upper) / (far_lower + far_upper + 1e-6))
    along = ((points[:, 0] - centre[0]) * lateral - x.min()) / np.ptp(x)
    bump = np.clip(4 * along * (1 - along), 0, 1) ** 0.55
    front = points[:, 2] > centre[2] + 2
    upper = share * bump * (1 - smoothstep(2.5, 15, far_upper)) * front
    lower = (1 - share) * bump * (1 - smoothstep(2.5, 13, far_lower)) * front
    return upper, lower


def fit_patient(archive: Path, modes_file: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of the patient file."""
    source = read_source(archive)
    full = source.neutral
    with np.load(modes_file) as data:
        modes = data["modes"][:_MODES].astype(np.float64) * 10
    offsets = np.array([
        np.tensordot(np.random.default_rng(seed).normal(0, 0.85, _MODES), modes, 1)
        for seed in _SEEDS
    ])  # fmt: skip
    part = part_of_vertices(len(full))
    part[slice(*_LASHES)] = 4
    triangles = source.triangles[(part[source.triangles] >= 0).all(1)]
    face = triangles[(triangles < _FACE[1]).all(1)]
    loops = sorted(boundary_loops(face), key=lambda loop: np.ptp(full[loop, 0]))
    rims = sorted(loops[:2], key=lambda loop: full[loop, 0].mean())
    to_lids = np.asarray(cKDTree(full[np.concatenate(rims)]).query(full)[0])
    lips = lip_depth(full, full)
    locked = (part == 0) & ((to_lids < 7.0) | ((np.abs(lips) < 2.0) & (full[:, 2] > 22)))
    locked |= (part == 0) & (np.abs(brow_depth(full, full)) < 4.0)
    locked |= part == 4
    locked[np.concatenate(boundary_loops(triangles))] = True
    weight = np.take((1.0, 0.02, 0.05, 30.0, 1.0), np.maximum(part, 0))
    weight = weight * (1 - 0.9 * smoothstep(-20.0, 60.0, -full[:, 2]))
    shapes = expression_shapes(source)
    wide = [shapes[EXPRESSIONS.index(name)] for name in ("jawOpen", "mouthSmileLeft")]
    poses = np.stack([full, *(full + shape for shape in wide)])
    kept, triangles = reduce_mesh(poses, triangles, part, weight, locked, _TARGET_VERTICES)
    index_of = np.full(len(full), -1)
    index_of[kept] = np.arange(len(kept))
    points, part = full[kept], part[kept]

    upper = np.zeros((2, len(points)))
    lower = np.zeros((2, len(points)))
    for eye, rim in enumerate(rims):
        upper[eye], lower[eye] = lid_weights(points, full[rim], source.eye_centres[eye])
        # A lash turns with its root.
        lashes = np.flatnonzero((part == 4) & (points[:, 0] * source.eye_centres[eye, 0] > 0))
        roots = index_of[rim]
        nearest = roots[cKDTree(points[roots]).query(points[lashes])[1]]
        upper[eye, lashes], lower[eye, lashes] = upper[eye, nearest], lower[eye, nearest]
    centres = np.array([
        [ball_centre((full + offset)[part_of]) for part_of in (_SCLERA_RIGHT, _SCLERA_LEFT)]
        for offset in offsets
    ])  # fmt: skip
    drawn = (part < 4)[triangles].all(1)
    balls, ball_triangles = icosphere_caps(source.eye_centres)
    scene = np.vstack([triangles[drawn], ball_triangles + len(points)])
    opened = points + 0.5 * shapes[EXPRESSIONS.index("jawOpen")][kept]

    def light(place: Floats) -> Floats:
        facing = np.vstack([vertex_normals(place, triangles[drawn]), np.zeros_like(balls)])
        return ambient_occlusion(np.vstack([place, balls]), scene, facing)[: len(points)]

    occlusion = np.where(part == 0, light(points), light(opened))
    occlusion = smooth_over(occlusion, triangles, part == 0, 1)
    moving = np.stack([shapes[EXPRESSIONS.index(name)][kept] for name in SHAPES])
    arrays: dict[str, NDArray[np.generic]] = {
        "vertices_mm": points.astype(np.float32),
        "triangles": triangles.astype(np.uint16),
        "part": part.astype(np.uint8),
        "occlusion": np.round(occlusion * 255).astype(np.uint8),
        "brow_mm": np.clip(brow_depth(points, full), -8, 8).astype(np.float16),
        "lip_mm": np.clip(lips[kept], -8, 8).astype(np.float16),
        "eye_centres_mm": centres.astype(np.float32),
        "upper_lid": upper.astype(np.float16),
        "lower_lid": lower.astype(np.float16),
        "shape_names": np.array(SHAPES),
    }
    arrays["shapes"], arrays["shapes_step_mm"] = quantise(moving)
    arrays["identities"], arrays["identities_step_mm"] = quantise(offsets[:, kept])
    return arrays


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("archive", type=Path, help="ICT-FaceKit as a tar file")
    parser.add_argument("modes", type=Path, help="its identity modes")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    arrays = fit_patient(options.archive, options.modes)
    np.savez_compressed(options.out, **arrays)  # type: ignore[arg-type]
    count = len(arrays["vertices_mm"])
    print(f"{options.out}: {count} vertices, {options.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
