"""Makes `head.npz`, the one head that every mask is drawn with, from ICT-FaceKit.

    python models/fit_head.py ICT_ARCHIVE OUT.npz

ICT_ARCHIVE is ICT-FaceKit (USC ICT, MIT licence, commit da5f95a) as a tar file. Taken from it are
the average head and its expression shapes; no identity mode is. The steps:

1. The head frame of `digitalmask.mask_state`: millimetres, origin midway between the eyeballs.
2. Edge collapses by quadric error (Garland and Heckbert, SIGGRAPH 1997), summed over the neutral
   and four wide expressions, each vertex kept where it was, so that every expression stays exact
   on what is left. Lids (7.5 mm around) and lips (3.5 mm around) are left whole.
3. The lids get a rig in millimetres: what the blink shape does to the upper lid (downwards) and
   the wide-eye shape (upwards), and for the lower lid a rotation about the eyeball. How high the
   margin then stands is measured on the mesh itself, at a third, half and two thirds of the
   fissure. Expressions are faded out towards the margins: the margins obey the rig alone.
4. Ambient occlusion by drawing the head's depth from many sides; the mouth with the jaw open.
5. The 478 landmarks through `landmark_correspondence.npz`, on the full mesh.

OUT.npz is described in `digitalmask.assets.head`.
"""

import argparse
import heapq
import itertools
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import splev, splprep
from scipy.spatial import cKDTree

from digitalmask.mask_state import EXPRESSIONS
from digitalmask.rendering.eyelids import pose_lids

Floats = NDArray[Any]
Ints = NDArray[np.int64]

# Vertex ranges of the full mesh, from ICT-FaceKit's README.
_FACE = (0, 9409)
_SKIN = (0, 11248)
_MOUTH = (11248, 13294)
_GUMS = (14062, 17039)
_TEETH = (17039, 21451)
_SCLERA_LEFT = (21451, 22221)
# Second and third molars: never seen.
_MOLARS = ((17039, 17416), (18870, 19602), (21096, 21451))
# Multi-PIE's 68 points on this mesh, from the same README.
_BROW_RIGHT = (268, 493, 1914, 2044, 1401)
_BROW_LEFT = (2509, 2734, 4114, 4240, 3615)
_OUTER_LIPS = (5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841)

_INNER_LIPS = (5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966)
_LIPS_FRONT_MM = 22.0  # what of the lips lies further back is inside the mouth
# Inner lips, upper and lower, where they touch at rest.
_LIP_PAIRS = ((5711, 5966), (5533, 5517), (6216, 6470))

PARTS = ("skin", "mouth", "gums", "teeth")
_TARGET_VERTICES = 6000
# How much a quadric error counts, by part; the back of the head is hardly seen.
_PART_WEIGHT = (1.0, 0.02, 0.05, 0.8)

# The drawn ball: inside the lids' free edges (14.4 to 15.0 mm from its centre on this mesh) and
# outside their inner rims (12.8 to 13.6), so that it neither pokes through nor leaves a gap.
_EYEBALL_MM = 13.7
_LID_GAP_MM = 0.4
_LID_STEPS = np.linspace(-1.6, 1.8, 35)
# Shares of the fissure from its medial end: the three given in mm, and one at each canthus.
_COLUMNS = np.array([0.1, 1 / 3, 1 / 2, 2 / 3, 0.9])
_LOWER_LID_DEG = 20.0  # what one unit of the lower lid's rig turns it by, upwards


@dataclass(frozen=True)
class Source:
    """ICT-FaceKit in the head frame.

    neutral: (26719, 3) mm. shapes: displacement from it by name. faces: its polygons.
    """

    neutral: Floats
    shapes: dict[str, Floats]
    triangles: Ints
    eye_centres: Floats


@dataclass(frozen=True)
class LidRig:
    """Both eyes' lids on the reduced mesh; arrays as in `digitalmask.assets.head`."""

    vertices: list[Ints]
    close: list[Floats]
    widen: list[Floats]
    lower: list[Floats]
    columns: list[Floats]
    margins: list[list[Ints]]
    heights: Floats
    columns_x: Floats


def read_source(archive: Path) -> Source:
    """Reads the OBJ files out of the archive and turns them to the head frame."""
    vertices: dict[str, Floats] = {}
    polygons: list[list[int]] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name)
            if name.suffix != ".obj":
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            lines = stream.read().decode("ascii").splitlines()
            numbers = " ".join(line[2:] for line in lines if line.startswith("v "))
            vertices[name.stem] = np.array(numbers.split(), float).reshape(-1, 3)
            if name.stem == "generic_neutral_mesh":
                polygons = [
                    [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
                    for line in lines
                    if line.startswith("f ")
                ]
    neutral = vertices.pop("generic_neutral_mesh")
    front = neutral[slice(*_SCLERA_LEFT)]
    front = front[front[:, 2] > front[:, 2].mean()]
    system = np.c_[2 * front, np.ones(len(front))]
    left = np.linalg.lstsq(system, (front**2).sum(1))[0][:3]
    right = left * [-1, 1, 1]
    origin = (left + right) / 2
    triangles = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return Source(
        neutral=(neutral - origin) * 10,
        shapes={name: (shape - neutral) * 10 for name, shape in vertices.items()},
        triangles=np.array(triangles),
        eye_centres=(np.array([right, left]) - origin) * 10,
    )


def expression_shapes(source: Source) -> Floats:
    """(43, 26719, 3) in the order of EXPRESSIONS."""

    def name(expression: str) -> str:
        for side in ("Left", "Right"):
            if expression.endswith(side) and expression not in ("jawLeft", "jawRight"):
                stem = expression.removesuffix(side)
                if f"{stem}_{side[0]}" in source.shapes:
                    return f"{stem}_{side[0]}"
        return expression

    return np.stack([source.shapes[name(expression)] for expression in EXPRESSIONS])


def part_of_vertices(count: int) -> Ints:
    """Index into PARTS for every vertex of the full mesh, -1 where it is not taken."""
    part = np.full(count, -1)
    for index, span in enumerate((_SKIN, _MOUTH, _GUMS, _TEETH)):
        part[slice(*span)] = index
    for span in _MOLARS:
        part[slice(*span)] = -1
    return part


def boundary_loops(triangles: Ints) -> list[Ints]:
    """The closed edges of a mesh, each as its vertices in no particular order."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    open_edges = unique[count == 1]
    neighbours: dict[int, list[int]] = {}
    for a, b in open_edges.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    loops, seen = [], set()
    for start in neighbours:
        stack, loop = [start], []
        while stack:
            vertex = stack.pop()
            if vertex not in seen:
                seen.add(vertex)
                loop.append(vertex)
                stack += neighbours[vertex]
        if loop:
            loops.append(np.array(loop))
    return loops


def reduce_mesh(
    poses: Floats, triangles: Ints, part: Ints, weight: Floats, locked: NDArray[np.bool_], goal: int
) -> tuple[Ints, Ints]:
    """Collapses edges until `goal` vertices are left; returns (kept vertices, triangles).

    poses: (P, V, 3), the positions whose quadric errors are summed. A collapse moves one end of
    an edge onto the other, within one part, never a locked vertex, never turning a triangle over.
    """
    count = poses.shape[1]
    quadrics = np.zeros((count, len(poses), 4, 4))
    for pose, points in enumerate(poses):
        a, b, c = points[triangles].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal, axis=1, keepdims=True)
        normal = normal / np.maximum(area, 1e-12)
        plane = np.c_[normal, -(normal * a).sum(1)]
        outer = plane[:, :, None] * plane[:, None, :] * area[:, :, None]
        for corner in range(3):
            np.add.at(quadrics[:, pose], triangles[:, corner], outer)
    homogeneous = np.concatenate([poses, np.ones((*poses.shape[:2], 1))], axis=2).transpose(1, 0, 2)
    corners = {index: list(triangle) for index, triangle in enumerate(triangles.tolist())}
    around: list[set[int]] = [set() for _ in range(count)]
    for index, triangle in corners.items():
        for vertex in triangle:
            around[vertex].add(index)
    used = {vertex for vertex in range(count) if around[vertex]}
    version = [0] * count
    heap: list[tuple[float, int, int, int]] = []

    def neighbours(vertex: int) -> set[int]:
        return {v for index in around[vertex] for v in corners[index]} - {vertex}

    def push(vertex: int) -> None:
        """Puts the vertex's cheapest collapse on the heap."""
        version[vertex] += 1
        if locked[vertex]:
            return
        targets = [v for v in neighbours(vertex) if part[v] == part[vertex]]
        if not targets:
            return
        points = homogeneous[targets]
        joint = quadrics[vertex] + quadrics[targets]
        cost = np.einsum("npi,npij,npj->n", points, joint, points) * weight[vertex]
        length = np.linalg.norm(poses[0][targets] - poses[0][vertex], axis=1)
        # A little of the edge's length keeps the triangles even where the surface is flat.
        cost = cost + 3e-4 * weight[vertex] * length**4
        for target, price in zip(targets, cost.tolist(), strict=True):
            heapq.heappush(heap, (price, vertex, target, version[vertex]))

    def turns_over(vertex: int, target: int) -> bool:
        for index in around[vertex]:
            triangle = corners[index]
            if target in triangle:
                continue
            moved = [target if v == vertex else v for v in triangle]
            before, after = poses[0][triangle], poses[0][moved]
            old = np.cross(before[1] - before[0], before[2] - before[0])
            new = np.cross(after[1] - after[0], after[2] - after[0])
            if old @ new < 0.3 * np.linalg.norm(old) * np.linalg.norm(new):
                return True
        return False

    for vertex in used:
        push(vertex)
    while len(used) > goal and heap:
        _, vertex, target, stamp = heapq.heappop(heap)
        if stamp != version[vertex] or vertex not in used:
            continue
        if target not in used or len(neighbours(vertex) & neighbours(target)) != 2:
            continue
        if turns_over(vertex, target):
            continue
        for index in list(around[vertex]):
            triangle = corners[index]
            if target in triangle:
                for v in triangle:
                    around[v].discard(index)
                del corners[index]
            else:
                triangle[triangle.index(vertex)] = target
                around[target].add(index)
        around[vertex] = set()
        used.discard(vertex)
        quadrics[target] += quadrics[vertex]
        for touched in neighbours(target) | {target}:
            push(touched)
    kept = np.array(sorted(used))
    index_of = np.full(count, -1)
    index_of[kept] = np.arange(len(kept))
    return kept, index_of[np.array(list(corners.values()))]


def smoothstep(low: float, high: float, x: Any) -> Floats:
    """Hermite's step from 0 to 1."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def fissure_columns(x: Floats, medial: float, lateral: float) -> Floats:
    """(N, 5) weights of the rig's columns at the places x."""
    share = (x - medial) / (lateral - medial)
    return np.stack([np.interp(share, _COLUMNS, row) for row in np.eye(5)], axis=1)


def lid_margin(points: Floats, candidates: Ints, upper: bool, edges: Floats) -> Ints:
    """The vertices of a free lid edge from the medial to the lateral end.

    The crest in every bin of x; bins that hold none of its vertices show as dents and are left out.
    """
    chosen = []
    side = np.sign(edges[-1] - edges[0])
    height = -points[:, 1] if upper else points[:, 1]
    for low, high in itertools.pairwise(edges):
        x = points[candidates, 0] * side
        inside = candidates[(x >= low * side) & (x < high * side)]
        if len(inside):
            chosen.append(int(inside[np.argmax(height[inside])]))
    while len(chosen) > 5:
        y = height[chosen]
        x = points[chosen, 0]
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        dent = y[:-2] + share * (y[2:] - y[:-2]) - y[1:-1]
        if dent.max() < 0.3:
            break
        del chosen[int(np.argmax(dent)) + 1]
    return np.array(chosen)


def seat_lids(points: Floats, rims: list[Ints], skin: Ints, centres: Floats) -> Floats:
    """Moves the lids towards or away from the eyeball, so that their free edges lie on it."""
    seated = points.copy()
    for eye, centre in enumerate(centres):
        upper, lower, share_upper, _ = lid_halves(points, rims[eye], skin, centre)
        for margin, share in ((upper, share_upper), (lower, 1 - share_upper)):
            from_centre = points - centre
            radius = np.linalg.norm(from_centre, axis=1)
            order = np.argsort(points[margin, 0])
            knots = points[margin[order], 0]
            excess = radius[margin[order]] - (_EYEBALL_MM + _LID_GAP_MM)
            excess = np.convolve(np.pad(excess, 2, "edge"), np.ones(5) / 5, "valid")
            distance = np.asarray(cKDTree(points[margin]).query(points)[0])
            pull = (
                np.interp(points[:, 0], knots, excess) * (1 - smoothstep(1.5, 11, distance)) * share
            )
            mask = np.zeros(len(points))
            mask[skin] = 1
            seated -= from_centre / radius[:, None] * (pull * mask)[:, None]
    return seated


def lid_halves(
    points: Floats, rim: Ints, skin: Ints, centre: Floats
) -> tuple[Ints, Ints, Floats, tuple[float, float]]:
    """Upper and lower margin, each vertex's share in the upper lid, x of both ends of the fissure.

    The ends are distances from the eyeball's centre, lateral positive.
    """
    ring = points[rim]
    distance = np.asarray(cKDTree(ring).query(points)[0])
    lateral = np.sign(centre[0])
    from_centre = points - centre
    near = skin[(distance[skin] < 6) & (from_centre[skin, 2] > 5)]
    x = (ring[:, 0] - centre[0]) * lateral
    ends = ring[[np.argmin(x), np.argmax(x)]]
    slope = (ends[1, 1] - ends[0, 1]) / (ends[1, 0] - ends[0, 0])
    chord = ends[0, 1] + (ring[:, 0] - ends[0, 0]) * slope
    above = np.asarray(cKDTree(ring[ring[:, 1] > chord]).query(points)[0])
    below = np.asarray(cKDTree(ring[ring[:, 1] <= chord]).query(points)[0])
    share_upper = smoothstep(-0.35, 0.35, (below - above) / (below + above + 1e-6))
    fissure = (float(x.min()) + 1.2, float(x.max()) - 0.4)
    edges = np.linspace(*fissure, 25) * lateral + centre[0]
    upper = lid_margin(points, near[above[near] < below[near]], True, edges)
    lower = lid_margin(points, near[above[near] >= below[near]], False, edges)
    return upper, lower, share_upper, fissure


def kept_outside(from_centre: Floats, moved: Floats) -> Floats:
    """Displacements that take no vertex from outside the eyeball's reach into it."""
    least = np.minimum(np.linalg.norm(from_centre, axis=1), _EYEBALL_MM + _LID_GAP_MM)
    end = from_centre + moved
    radius = np.linalg.norm(end, axis=1)
    return np.asarray(end * (np.maximum(radius, least) / radius)[:, None] - from_centre)


def rig_lids(
    points: Floats, shapes: dict[str, Floats], rims: list[Ints], skin: Ints, centres: Floats
) -> LidRig:
    """The lids' rig on the reduced mesh.

    shapes: ICT-FaceKit's shapes on it. rims: per eye, the inner rim of both lids. skin: the
    vertices that may move.
    """
    rig = LidRig([], [], [], [], [], [], np.zeros((2, 2, 5, len(_LID_STEPS))), np.zeros((2, 5)))
    for eye, (centre, side) in enumerate(zip(centres, "RL", strict=True)):
        distance = np.asarray(cKDTree(points[rims[eye]]).query(points)[0])
        reach = skin[distance[skin] < 22]
        lateral_sign = np.sign(centre[0])
        from_centre = points - centre
        upper, lower, share_upper, fissure = lid_halves(points, rims[eye], skin, centre)
        medial_x, lateral_x = fissure
        # The lower lid turns whole at its margin and not at all 13 mm below it; nor at the canthi.
        margin_distance = np.asarray(cKDTree(points[lower]).query(points)[0])
        share = (from_centre[:, 0] * lateral_sign - medial_x) / (lateral_x - medial_x)
        bump = np.clip(4 * share * (1 - share), 0, 1) ** 0.6
        turn = np.radians(_LOWER_LID_DEG) * (1 - share_upper) * bump
        turn *= 1 - smoothstep(1.5, 13, margin_distance)
        moving = reach
        columns = fissure_columns(from_centre[moving, 0] * lateral_sign, medial_x, lateral_x)
        close = shapes[f"eyeBlink_{side}"][moving] * share_upper[moving, None]
        widen = shapes[f"eyeWide_{side}"][moving] * share_upper[moving, None]
        close = kept_outside(from_centre[moving], close)
        widen = kept_outside(from_centre[moving], widen)
        rig.vertices.append(moving)
        rig.close.append(close)
        rig.widen.append(widen)
        rig.lower.append(turn[moving])
        rig.columns.append(columns)
        rig.margins.append([upper, lower])
        index_of = np.full(len(points), -1)
        index_of[moving] = np.arange(len(moving))
        rig.columns_x[eye] = centre[0] + lateral_sign * (
            medial_x + _COLUMNS * (lateral_x - medial_x)
        )
        for lid, margin in enumerate((upper, lower)):
            on = index_of[margin]
            for step, drive in enumerate(_LID_STEPS):
                amount = np.full(len(on), drive)
                none = np.zeros(len(on))
                posed = pose_lids(
                    points[margin] - centre, close[on], widen[on], turn[moving][on],
                    amount if lid == 0 else none, amount if lid == 1 else none,
                )  # fmt: skip
                order = np.argsort(posed[:, 0])
                rig.heights[eye, lid, :, step] = np.interp(
                    rig.columns_x[eye] - centre[0], posed[order, 0], posed[order, 1]
                )
    return rig


def distance_to_curve(points: Floats, curve: Floats) -> tuple[Floats, Floats]:
    """Distance of each point to a dense curve and where on it (0 to 1) the nearest place is."""
    distance, nearest = cKDTree(curve).query(points)
    return np.asarray(distance), np.asarray(nearest) / (len(curve) - 1)


def smooth_curve(points: Floats, closed: bool) -> Floats:
    """A spline through the points, densely sampled."""
    ring = np.vstack([points, points[:1]]) if closed else points
    spline, _ = splprep(ring.T, s=0, per=closed, k=3)
    return np.stack(splev(np.linspace(0, 1, 600), spline), axis=1)  # type: ignore[call-overload]


def brow_depth(points: Floats, full: Floats) -> Floats:
    """How many millimetres each vertex lies inside a brow; negative outside."""
    inside = np.full(len(points), -8.0)
    for brow in (_BROW_RIGHT, _BROW_LEFT):
        curve = smooth_curve(full[list(brow)], closed=False)
        if abs(curve[0, 0]) < abs(curve[-1, 0]):
            curve = curve[::-1]
        distance, along = distance_to_curve(points, curve)  # from the tail to the head of the brow
        half = np.interp(along, [0, 0.3, 0.75, 1], [1.2, 2.9, 3.8, 3.0])
        inside = np.maximum(inside, half - distance)
    return inside


def lip_depth(points: Floats, full: Floats) -> Floats:
    """How many millimetres each vertex lies inside the vermilion border; negative outside."""
    curve = smooth_curve(full[list(_OUTER_LIPS)], closed=True)[:-1]
    distance, _ = distance_to_curve(points, curve)
    x, y = points[:, 0], points[:, 1]
    a, b = curve[:, :2], np.roll(curve[:, :2], -1, axis=0)
    crosses = (a[:, 1] > y[:, None]) != (b[:, 1] > y[:, None])
    dy = b[:, 1] - a[:, 1]
    at = a[:, 0] + (y[:, None] - a[:, 1]) / np.where(dy == 0, 1e-9, dy) * (b[:, 0] - a[:, 0])
    within = (crosses & (x[:, None] < at)).sum(1) % 2 == 1
    within &= points[:, 2] > full[list(_OUTER_LIPS), 2].min() - 14
    return np.where(within, distance, -distance)


def ambient_occlusion(points: Floats, triangles: Ints, normals: Floats, views: int = 160) -> Floats:
    """Share of the sky each vertex sees, weighted by the cosine to its normal; 0 to 1."""
    size = 640
    extent = float(np.abs(points - points.mean(0)).max()) * 1.8
    context = moderngl.create_standalone_context(backend="egl")
    try:
        program = context.program(
            vertex_shader="""#version 330
            uniform mat3 turn; uniform vec3 middle; uniform float extent; in vec3 place;
            void main() {
                gl_Position = vec4(turn * (place - middle) / extent * vec3(1, 1, -1), 1);
            }""",
            fragment_shader="#version 330\nout vec4 colour; void main() { colour = vec4(1); }",
        )
        buffer = context.buffer(points.astype("f4").tobytes())
        order = context.buffer(triangles.astype("i4").tobytes())
        mesh = context.vertex_array(program, [(buffer, "3f", "place")], order)
        depth = context.depth_texture((size, size))
        target = context.framebuffer([context.renderbuffer((size, size))], depth)
        target.use()
        context.enable(moderngl.DEPTH_TEST)
        seen, total = np.zeros(len(points)), np.zeros(len(points))
        middle = points.mean(0)
        for view in range(views):  # a Fibonacci sphere
            z = 1 - (2 * view + 1) / views
            angle = view * np.pi * (3 - np.sqrt(5))
            direction = np.array(
                [np.sqrt(1 - z * z) * np.cos(angle), z, np.sqrt(1 - z * z) * np.sin(angle)]
            )
            helper = np.array([0.0, 0, 1]) if abs(direction[2]) < 0.9 else np.array([1.0, 0, 0])
            right = np.cross(helper, direction)
            right /= np.linalg.norm(right)
            turn = np.stack([right, np.cross(direction, right), direction])
            target.clear()
            program["turn"].write(turn.T.astype("f4").tobytes())
            program["middle"].value = tuple(middle)
            program["extent"].value = extent
            mesh.render()
            drawn = np.frombuffer(depth.read(), "f4").reshape(size, size)
            place = (points + normals * 0.8 - middle) @ turn.T / extent
            column = np.clip(((place[:, 0] + 1) / 2 * size).astype(int), 0, size - 1)
            row = np.clip(((place[:, 1] + 1) / 2 * size).astype(int), 0, size - 1)
            nearest = drawn[row, column] * 2 - 1
            visible = -place[:, 2] <= nearest + 0.8 / extent
            cosine = np.maximum(normals @ direction, 0)
            # A soft room: more light from above than from below.
            cosine = cosine * (0.75 + 0.25 * direction[1])
            seen += cosine * visible
            total += cosine
        return np.asarray(seen / np.maximum(total, 1e-6))
    finally:
        context.release()


def vertex_normals(points: Floats, triangles: Ints) -> Floats:
    """Unit normals, weighted by area."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], face)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9))


def smooth_over(
    values: Floats, triangles: Ints, where: NDArray[np.bool_], rounds: int = 3
) -> Floats:
    """Mixes each vertex's value with its neighbours', as often as said."""
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)), axis=0)
    both = np.vstack([edges, edges[:, ::-1]])
    count = np.bincount(both[:, 0], minlength=len(values))
    for _ in range(rounds):
        mean = np.bincount(both[:, 0], values[both[:, 1]], len(values)) / np.maximum(count, 1)
        values = np.where(where & (count > 0), 0.4 * values + 0.6 * mean, values)
    return values


def icosphere_caps(centres: Floats) -> tuple[Floats, Ints]:
    """Two plain balls that stand for the eyes when the head is drawn for occlusion."""
    rows, columns = 12, 24
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns))
    ball = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    ball = ball.reshape(-1, 3) * _EYEBALL_MM
    index = np.arange(rows * columns).reshape(columns, rows)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    quads = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    return np.vstack([ball + centre for centre in centres]), np.vstack([quads, quads + len(ball)])


def quantise(values: Floats) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """int16 steps and the size of one step, per first index."""
    flat = np.abs(values).reshape(len(values), -1).max(1)
    step = np.maximum(flat, 1e-6) / 32767
    shape = (-1,) + (1,) * (values.ndim - 1)
    # Steps of 0.02 mm are finer than can be seen and let the file compress.
    step = np.maximum(step, 0.02)
    return np.round(values / step.reshape(shape)).astype(np.int16), step.astype(np.float32)


def fit_head(archive: Path, correspondence: Path | None) -> dict[str, NDArray[np.generic]]:
    """All arrays of the head file."""
    source = read_source(archive)
    full = source.neutral
    part = part_of_vertices(len(full))
    triangles = source.triangles[(part[source.triangles] >= 0).all(1)]
    expressions = expression_shapes(source)

    face = triangles[(triangles < _FACE[1]).all(1)]
    # The face's open edges are the two eyes, the mouth and the outline.
    loops = sorted(boundary_loops(face), key=lambda loop: np.ptp(full[loop, 0]))
    rims = sorted(loops[:2], key=lambda loop: full[loop, 0].mean())
    to_lids = np.asarray(cKDTree(full[np.concatenate(rims)]).query(full)[0])
    to_lips = cKDTree(smooth_curve(full[list(_INNER_LIPS)], closed=True)).query(full)[0]
    locked = (part == 0) & ((to_lids < 7.5) | (to_lips < 3.5))
    # So is the skin about the edges of brows and lips, which would be ragged otherwise.
    locked |= (part == 0) & (np.abs(brow_depth(full, full)) < 5.0)
    locked |= (part == 0) & (np.abs(lip_depth(full, full)) < 2.5) & (full[:, 2] > _LIPS_FRONT_MM)
    locked[np.concatenate(boundary_loops(triangles))] = True
    weight = np.take(_PART_WEIGHT, np.maximum(part, 0))
    behind = smoothstep(-20.0, 40.0, -full[:, 2])
    weight = weight * (1 - 0.98 * behind) * (1 - 0.9 * smoothstep(95.0, 115.0, -full[:, 1]))
    wide = (
        source.shapes["jawOpen"],
        source.shapes["mouthSmile_L"] + source.shapes["mouthSmile_R"],
        source.shapes["browInnerUp_L"] + source.shapes["browInnerUp_R"],
        source.shapes["mouthPucker"],
    )
    # The skin between lids and brows bends with both.
    weight = weight * (1 + 14 * (1 - smoothstep(8.0, 28.0, to_lids)) * (full[:, 2] > -10))
    poses = np.stack([full, *(full + shape for shape in wide)])
    kept, triangles = reduce_mesh(poses, triangles, part, weight, locked, _TARGET_VERTICES)
    points, part = full[kept], part[kept]
    index_of = np.full(len(full), -1)
    index_of[kept] = np.arange(len(kept))
    rims = [index_of[rim] for rim in rims]
    assert all((rim >= 0).all() for rim in rims)

    shapes = {name: shape[kept] for name, shape in source.shapes.items()}
    skin = np.flatnonzero(part == 0)
    points = seat_lids(points, rims, skin, source.eye_centres)
    rig = rig_lids(points, shapes, rims, skin, source.eye_centres)
    reduced = expressions[:, kept]
    margins = np.concatenate([*rims, *(m for pair in rig.margins for m in pair)])
    to_margin = np.asarray(cKDTree(points[margins]).query(points)[0])
    reduced = reduced * smoothstep(0.8, 8.0, np.where(part == 0, to_margin, 99.0))[None, :, None]

    normals = vertex_normals(points, triangles)
    balls, ball_triangles = icosphere_caps(source.eye_centres)
    scene = np.vstack([triangles, ball_triangles + len(points)])
    around = np.zeros((len(balls), 3))

    def occlusion(place: Floats) -> Floats:
        facing = np.vstack([vertex_normals(place, triangles), around])
        return ambient_occlusion(np.vstack([place, balls]), scene, facing)[: len(points)]

    closed = occlusion(points)
    jaw = points + 0.8 * reduced[EXPRESSIONS.index("jawOpen")]
    opened = occlusion(jaw)
    light = np.where(
        part == 0, np.where(lip_depth(points, full) > 0, np.maximum(closed, opened), closed), opened
    )

    light = smooth_over(light, triangles, (part == 0) & (lip_depth(points, full) < -1))
    arrays: dict[str, NDArray[np.generic]] = {
        "vertices_mm": points.astype(np.float32),
        "triangles": triangles.astype(np.uint16),
        "part": part.astype(np.uint8),
        "occlusion": np.round(light * 255).astype(np.uint8),
        "brow_mm": np.clip(brow_depth(points, full), -8, 8).astype(np.float16),
        "lip_mm": np.clip(lip_depth(points, full), -8, 8).astype(np.float16),
        "eye_centres_mm": source.eye_centres.astype(np.float32),
        "eyeball_mm": np.array(_EYEBALL_MM, np.float32),
        "lip_pairs": index_of[np.array(_LIP_PAIRS)].astype(np.uint16),
        "lid_steps": _LID_STEPS.astype(np.float32),
        "lid_heights_mm": rig.heights.astype(np.float32),
        "lid_columns_x_mm": rig.columns_x.astype(np.float32),
    }
    del normals
    arrays["expressions"], arrays["expressions_step_mm"] = quantise(reduced)
    for eye, side in enumerate(("right", "left")):
        arrays[f"lid_vertices_{side}"] = rig.vertices[eye].astype(np.uint16)
        arrays[f"lid_close_mm_{side}"] = rig.close[eye].astype(np.float32)
        arrays[f"lid_widen_mm_{side}"] = rig.widen[eye].astype(np.float32)
        arrays[f"lid_lower_rad_{side}"] = rig.lower[eye].astype(np.float32)
        arrays[f"lid_columns_{side}"] = rig.columns[eye].astype(np.float32)
        arrays[f"upper_margin_{side}"] = rig.margins[eye][0].astype(np.uint16)
        arrays[f"lower_margin_{side}"] = rig.margins[eye][1].astype(np.uint16)
    if correspondence is not None:
        with np.load(correspondence) as places:
            corners, share = places["triangles"], places["weights"].astype(float)
        arrays["landmarks_mm"] = np.einsum("nk,nkd->nd", share, full[corners]).astype(np.float32)
        moved = np.einsum("nk,enkd->end", share, expressions[:, corners])
        arrays["landmark_expressions"], arrays["landmark_expressions_step_mm"] = quantise(moved)
    return arrays


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("archive", type=Path, help="ICT-FaceKit as a tar file")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    beside = Path(__file__).parent / "landmark_correspondence.npz"
    arrays = fit_head(options.archive, beside if beside.is_file() else None)
    np.savez_compressed(options.out, **arrays)  # type: ignore[arg-type]
    count, triangles = len(arrays["vertices_mm"]), len(arrays["triangles"])
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {count} vertices, {triangles} triangles, {size:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
