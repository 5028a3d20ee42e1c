"""Where the 478 points of the landmark network lie on ICT-FaceKit's mesh.

    python models/landmark_correspondence.py ICT_ARCHIVE IDENTITY_MODES OUT.npz

The network is asked itself: the neutral head is drawn with many identities, from several sides,
under soft light; the network finds its points in each picture, and every point is carried back
through the drawing's triangle and depth to the place on the mesh that was drawn there. All
identities share one topology, so the places are averaged on the average head, weighted by how
much the surface faced the camera, and snapped to the nearest place on the skin. The mouth is
drawn a little open, since the points of both lips lie in one place where it is closed. The result
therefore holds what this very network means by its points, and derives from no other model.

The ten iris points are placed on the eyeballs by geometry: the centre on the visual axis, the
four of the ring at half of the horizontal visible iris diameter of 11.7 mm.

OUT.npz: `triangles` (478, 3) int32, indices into the vertices of the full mesh, and `weights`
(478, 3) float32, barycentric, rows sum to 1.
"""

import argparse
import io
import sys
import tarfile
from fractions import Fraction
from pathlib import Path

import moderngl
import numpy as np
from numpy.typing import NDArray

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.tracking import FaceTracker, load_networks

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

# Vertex ranges of the full mesh, from ICT-FaceKit's README.
_SKIN = slice(0, 9409)
_LEFT_EYEBALL = slice(21451, 23021)
_RIGHT_EYEBALL = slice(23021, 24591)
_LASHES_AND_FLUIDS = 24591  # what begins here is left out: it would hide the lid margins
_SIZE_PX = 1024
_FIELD_OF_VIEW_DEG = 24.0
_DISTANCE_CM = 75.0
_IRIS_RADIUS_CM = 0.585
_JAW_OPEN = 0.35
# Views as (yaw, pitch) in degrees; the network was seen to follow this head to yaw 35.
_VIEWS = ((0, 0), (0, 8), (0, -8), (-16, 0), (16, 0), (-30, 0), (30, 0))


def read_obj(archive: Path, name: str) -> tuple[Floats, Ints]:
    """Vertices in cm and triangles (quads split) of one OBJ file inside the archive."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"FaceXModel/{name}.obj")
        assert member is not None
        text = io.TextIOWrapper(member, "ascii").read()
    vertices, triangles = [], []
    for line in text.splitlines():
        if line.startswith("v "):
            vertices.append([float(number) for number in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
            triangles += [
                (corners[0], corners[i], corners[i + 1]) for i in range(1, len(corners) - 1)
            ]
    return np.array(vertices), np.array(triangles, np.int32)


def rotation(yaw_deg: float, pitch_deg: float) -> Floats:
    """Turns the head: positive yaw to the right of the picture, positive pitch up."""
    yaw, pitch = np.radians([yaw_deg, -pitch_deg])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    return np.asarray(turn @ nod)


class PlainDrawing:
    """Draws a mesh with soft light, and the triangle at every pixel."""

    _VERTEX = """
        #version 330
        in vec3 place; in vec3 colour; in float number;
        uniform mat4 projection;
        out vec3 tint; out vec3 eye; flat out int triangle;
        void main() {
            tint = colour; eye = place; triangle = int(number);
            gl_Position = projection * vec4(place, 1.0);
        }"""
    _FRAGMENT = """
        #version 330
        in vec3 tint; in vec3 eye; flat in int triangle;
        layout(location = 0) out vec4 picture; layout(location = 1) out int index;
        void main() { picture = vec4(tint, 1.0); index = triangle + 1; }"""

    def __init__(self) -> None:
        self._context = moderngl.create_context(standalone=True, backend="egl")
        self._program = self._context.program(self._VERTEX, self._FRAGMENT)
        size = (_SIZE_PX, _SIZE_PX)
        self._picture = self._context.texture(size, 4)
        self._index = self._context.texture(size, 1, dtype="i4")
        self._target = self._context.framebuffer(
            [self._picture, self._index], self._context.depth_renderbuffer(size)
        )
        self._focal = 1 / np.tan(np.radians(_FIELD_OF_VIEW_DEG / 2))
        near, far = 10.0, 200.0
        projection = np.zeros((4, 4))
        projection[0, 0] = projection[1, 1] = self._focal
        projection[2] = 0, 0, (far + near) / (near - far), 2 * far * near / (near - far)
        projection[3, 2] = -1
        self._program["projection"].write(projection.T.astype("f4").tobytes())

    def draw(
        self, places: Floats, triangles: Ints, colours: Floats
    ) -> tuple[NDArray[np.uint8], Ints]:
        """The picture (rgb, top row first) and the triangle at each pixel, -1 for none."""
        corners = places[triangles]
        numbers = np.repeat(np.arange(len(triangles)), 3)[:, None]
        data = np.hstack([corners.reshape(-1, 3), colours[triangles].reshape(-1, 3), numbers])
        buffer = self._context.buffer(data.astype("f4").tobytes())
        array = self._context.vertex_array(
            self._program, [(buffer, "3f 3f 1f", "place", "colour", "number")]
        )
        self._target.use()
        self._context.enable(moderngl.DEPTH_TEST)
        self._context.clear(0.55, 0.58, 0.6)
        array.render()
        shape = (_SIZE_PX, _SIZE_PX)
        picture = np.frombuffer(self._picture.read(), np.uint8).reshape(*shape, 4)[::-1, :, :3]
        index = np.frombuffer(self._index.read(), np.int32).reshape(shape)[::-1] - 1
        array.release()
        buffer.release()
        # Clearing writes the ground's colour into the index too: bits that are no triangle.
        return np.ascontiguousarray(picture), np.where(index < len(triangles), index, -1)

    def ray(self, x_px: float, y_px: float) -> Floats:
        """The direction in which a pixel looks."""
        half = _SIZE_PX / 2
        return np.array(
            [(x_px - half) / half / self._focal, (half - y_px) / half / self._focal, -1.0]
        )


def vertex_normals(places: Floats, triangles: Ints) -> Floats:
    """Area-weighted unit normals."""
    corners = places[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(places)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9))


def albedo(places: Floats) -> Floats:
    """Skin for the head, white eyes with a dark iris: enough for the network to find a person."""
    colours = np.tile([0.80, 0.62, 0.53], (len(places), 1))
    colours[11248:13294] = 0.30, 0.13, 0.12  # mouth socket
    colours[14062:17039] = 0.60, 0.30, 0.30  # gums and tongue
    colours[17039:21451] = 0.85, 0.83, 0.78  # teeth
    for ball in (_LEFT_EYEBALL, _RIGHT_EYEBALL):
        colours[ball] = 0.88, 0.87, 0.85
        offset = places[ball] - eyeball_axis(places[ball])[0]
        front = offset[:, 2] > 0
        across = np.hypot(offset[:, 0], offset[:, 1])
        colours[ball][front & (across < _IRIS_RADIUS_CM)] = 0.25, 0.18, 0.13
        colours[ball][front & (across < 0.2)] = 0.03, 0.03, 0.03
    return colours


def eyeball_axis(ball: Floats) -> tuple[Floats, float]:
    """Centre and radius of the sphere through an eyeball's vertices, by least squares."""
    system = np.hstack([2 * ball, np.ones((len(ball), 1))])
    solution = np.linalg.lstsq(system, (ball**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def nearest_on_triangles(point: Floats, corners: Floats) -> tuple[int, Floats]:
    """The triangle nearest to a point and the barycentric weights of the nearest place on it."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    best_distance = np.full(len(corners), np.inf)
    best = np.zeros((len(corners), 3))

    def consider(weights: Floats, valid: NDArray[np.bool_]) -> None:
        places = np.einsum("nk,nkd->nd", weights, corners)
        distance = np.where(valid, ((places - point) ** 2).sum(1), np.inf)
        closer = distance < best_distance
        best_distance[closer] = distance[closer]
        best[closer] = weights[closer]

    normal = np.cross(b - a, c - a)
    area = np.maximum((normal**2).sum(1), 1e-18)
    w_c = (np.cross(b - a, point - a) * normal).sum(1) / area
    w_b = (np.cross(point - a, c - a) * normal).sum(1) / area
    inside = np.stack([1 - w_b - w_c, w_b, w_c], 1)
    consider(inside, np.asarray((inside >= 0).all(1)))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = corners[:, j] - corners[:, i]
        along = ((point - corners[:, i]) * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-18)
        weights = np.zeros((len(corners), 3))
        weights[:, j] = np.clip(along, 0, 1)
        weights[:, i] = 1 - weights[:, j]
        consider(weights, np.ones(len(corners), bool))
    chosen = int(np.argmin(best_distance))
    return chosen, best[chosen]


def correspondence(archive: Path, modes_file: Path, identities: int) -> tuple[Ints, Floats]:
    """Triangles and weights of the 478 points (see the module's docstring)."""
    neutral, triangles = read_obj(archive, "generic_neutral_mesh")
    neutral = neutral + _JAW_OPEN * (read_obj(archive, "jawOpen")[0] - neutral)
    modes = np.load(modes_file)["modes"].astype(np.float64)
    drawn = triangles[(triangles < _LASHES_AND_FLUIDS).all(1)]
    drawing = PlainDrawing()
    tracker = FaceTracker(load_networks("cpu"))
    random = np.random.default_rng(2022)
    sums, totals = np.zeros((468, 3)), np.zeros(468)
    centre = neutral[_SKIN].mean(0)
    base = albedo(neutral)
    key = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])
    seen = 0
    for number in range(identities):
        strength = 0.0 if number == 0 else 0.7
        places = neutral + strength * np.tensordot(random.normal(size=20), modes[:20], 1)
        for yaw, pitch in _VIEWS:
            turn = rotation(yaw, pitch)
            placed = (places - centre) @ turn.T + [0, 0, -_DISTANCE_CM]
            normals = vertex_normals(placed, drawn)
            light = 0.35 + 0.65 * np.clip(0.4 + 0.6 * (normals @ key), 0, 1)
            picture, index = drawing.draw(placed, drawn, base * light[:, None])
            tracker.reset()
            clock = FrameClock(0.0, 0, Fraction(1, 1000))
            found = tracker.track(PatientFrame.of_rgb(clock, picture))
            if found is None or found.presence < 0.9:
                continue
            seen += 1
            for landmark in range(468):
                x, y = found.points[landmark, :2]
                row, column = int(y), int(x)
                if not (0 <= row < _SIZE_PX and 0 <= column < _SIZE_PX):
                    continue
                triangle = index[row, column]
                if triangle < 0:
                    continue
                corners = placed[drawn[triangle]]
                normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
                normal /= np.linalg.norm(normal)
                ray = drawing.ray(x, y)
                hit = ray * (corners[0] @ normal) / (ray @ normal)
                w_b, w_c = np.linalg.lstsq(
                    np.stack([corners[1] - corners[0], corners[2] - corners[0]], 1),
                    hit - corners[0],
                    rcond=None,
                )[0]
                average = neutral[drawn[triangle]]
                facing = max(float(-ray @ normal / np.linalg.norm(ray)), 0.0) ** 4
                sums[landmark] += facing * np.clip([1 - w_b - w_c, w_b, w_c], 0, 1) @ average
                totals[landmark] += facing
    print(f"{seen} of {identities * len(_VIEWS)} drawings were taken for a person")
    skin = triangles[(triangles < _SKIN.stop).all(1)]
    chosen, weights = np.zeros((478, 3), np.int32), np.zeros((478, 3))
    for landmark in range(468):
        at, weights[landmark] = nearest_on_triangles(
            sums[landmark] / totals[landmark], neutral[skin]
        )
        chosen[landmark] = skin[at]
    for first, ball in ((468, _RIGHT_EYEBALL), (473, _LEFT_EYEBALL)):
        surface = triangles[(triangles >= ball.start).all(1) & (triangles < ball.stop).all(1)]
        axis, _ = eyeball_axis(neutral[ball])
        front = axis + [0, 0, neutral[ball][:, 2].max() - axis[2]]
        # MediaPipe's order of the ring: picture right, top, picture left, bottom.
        for step, (x, y) in enumerate(((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))):
            point = front + _IRIS_RADIUS_CM * np.array([x, y, 0])
            at, weights[first + step] = nearest_on_triangles(point, neutral[surface])
            chosen[first + step] = surface[at]
    return chosen, weights


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Find the landmark network's points on a mesh.")
    parser.add_argument("archive", type=Path, help="ict_facekit_*.tar.xz")
    parser.add_argument("modes", type=Path, help="ict_identity_modes.npz")
    parser.add_argument("out", type=Path)
    parser.add_argument("--identities", type=int, default=24)
    options = parser.parse_args()
    triangles, weights = correspondence(options.archive, options.modes, options.identities)
    np.savez_compressed(options.out, triangles=triangles, weights=weights.astype(np.float32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
