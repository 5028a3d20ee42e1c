"""Draws a simulated patient as a camera would see them."""

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation

from digitalmask.opengl import finisher, offscreen_context
from digitalmask.simulation import shaders
from digitalmask.simulation.people import EYE_SURFACE_MM, LASHES, SKIN, Person
from digitalmask.simulation.pose import PatientPose
from digitalmask.simulation.posing import (
    PIVOT_FORWARD_MM,
    gaze_direction,
    head_place_mm,
    head_rotation,
    pose_person,
)

Floats = NDArray[np.floating]

FOCAL_HEIGHTS = 1.5  # focal length, in heights of the picture
_SAMPLES = 4
_NECK_PIVOT_MM = np.array([0.0, -80.0, -70.0])
_GARMENT = ((66, 70, -126), (78, 78, -137), (118, 86, -152), (172, 95, -170), (214, 98, -196),
            (232, 96, -240), (240, 92, -360))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lighting:
    """Where the key light stands (view frame) and both lights' colours, linear."""

    direction: tuple[float, float, float]
    key: tuple[float, float, float]
    fill: tuple[float, float, float]


LIGHTINGS = {
    "window": Lighting((-0.52, 0.42, 0.74), (0.92, 0.90, 0.88), (0.28, 0.29, 0.31)),
    "lamp": Lighting((0.22, 0.62, 0.75), (0.98, 0.84, 0.66), (0.20, 0.18, 0.16)),
}


def _cap(rings: int = 24, spokes: int = 48) -> tuple[Floats, NDArray[np.int32]]:
    """The front of the unit sphere about +z."""
    theta, phi = np.meshgrid(
        np.linspace(0, np.radians(84), rings), np.linspace(0, 2 * np.pi, spokes), indexing="ij"
    )
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return points.reshape(-1, 3), _grid(rings, spokes)


def _grid(rows: int, columns: int) -> NDArray[np.int32]:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    return np.stack([a, b, c, a, c, d], -1).reshape(-1, 3).astype(np.int32)


def _garment(spokes: int = 56) -> tuple[Floats, NDArray[np.int32]]:
    """A round-necked shirt over shoulders."""
    phi = np.linspace(0, 2 * np.pi, spokes)
    rings = []
    for across, deep, y in _GARMENT:
        # The neckline hangs lower in front.
        front = np.clip(np.sin(phi), 0, 1) * (16 if across < 100 else 0)
        x, z = across * np.cos(phi), deep * np.sin(phi) * 0.9 - 72
        rings.append(np.stack([x, y - front, z], axis=1))
    return np.concatenate(rings), _grid(len(_GARMENT), spokes)[:, ::-1]


def _long_hair(person: Person, spokes: int = 40) -> tuple[Floats, NDArray[np.int32]]:
    """What falls behind the ears to the shoulders."""
    thick = person.look.hair_mm
    rings = []
    for y, across, deep, z in ((78, 62, 62, -80), (40, 80, 78, -84), (0, 86, 80, -88),
                               (-50, 88, 70, -88), (-100, 84, 58, -86), (-150, 78, 46, -84),
                               (-185, 66, 34, -82)):  # fmt: skip
        phi = np.linspace(np.pi - 0.25, 2 * np.pi + 0.25, spokes)
        wave = 1 + 0.02 * np.sin(phi * 9 + y * 0.05)
        rings.append(
            np.stack(
                [(across + thick * 0.6) * wave * np.cos(phi), np.full(spokes, y),
                 (deep + thick * 0.6) * wave * np.sin(phi) + z + 22], axis=1)
        )  # fmt: skip
    order = _grid(len(rings), spokes)
    return np.concatenate(rings), np.concatenate([order, order[:, ::-1]])  # seen from both sides


def _albedo(person: Person) -> Floats:
    """(V, 3) linear colours, without brows and hair."""
    look, rest = person.look, person.rest_mm
    skin = np.array(look.skin) ** 2
    colour = np.tile(skin, (len(rest), 1))

    def tint(at: tuple[float, float, float], size: float, factor: tuple[float, ...]) -> None:
        for side in (-1, 1) if at[0] else (1,):
            distance = np.linalg.norm(rest - np.array(at) * (side, 1, 1), axis=1)
            share = np.exp(-((distance / size) ** 2))[:, None]
            np.multiply(colour, 1 + share * (np.array(factor) - 1), out=colour)

    tint((48.0, -34.0, 18.0), 20, (1.06, 0.84, 0.84))  # cheeks
    tint((0.0, -42.0, 46.0), 13, (1.06, 0.85, 0.84))  # tip of the nose
    tint((31.0, -13.0, 12.0), 9, (0.92, 0.84, 0.86))  # below the eyes
    tint((0.0, -108.0, 22.0), 14, (1.03, 0.93, 0.92))  # chin
    if look.beard:
        x, y, z = rest.T
        jaw = np.clip((-58 - y - 0.25 * z) / 18, 0, 1) * np.clip((y + 128) / 12, 0, 1)
        moustache = np.exp(-(((y + 63) / 7) ** 2) - (x / 28) ** 2)
        share = look.beard * np.clip(np.maximum(jaw, moustache), 0, 1) * (z > -62)
        colour *= 1 - 0.5 * share[:, None] * (1 - np.array(look.hair) ** 2)
    lips = np.clip(person.lip_mm / 1.4 + 0.5, 0, 1)[:, None]
    colour = colour * (1 - lips) + lips * (0.45 * skin + (0.22, 0.05, 0.06))
    inside = {1: (0.20, 0.04, 0.04), 2: (0.33, 0.11, 0.11), 3: (0.62, 0.57, 0.48), 4: (0.02,) * 3}
    for part, fixed in inside.items():
        colour[person.part == part] = fixed
    return np.asarray(colour)


def _room(wall: tuple[float, float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A wall out of focus, with a picture on it and a shelf, as RGB."""
    height, width = 270, max(round(270 * size[0] / size[1]), 2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width, y / height
    light = 1.02 - 0.28 * u - 0.10 * (v - 0.3) ** 2
    picture = np.array(wall, np.float32) * light[..., None]

    def box(left: float, top: float, right: float, bottom: float, colour: Any) -> None:
        inside = (u >= left) & (u < right) & (v >= top) & (v < bottom)
        picture[inside] = np.array(colour) * light[inside][:, None]

    box(0.06, 0.10, 0.24, 0.42, (0.30, 0.26, 0.22))
    box(0.075, 0.13, 0.225, 0.39, (0.62, 0.68, 0.66))
    box(0.10, 0.25, 0.20, 0.39, (0.38, 0.50, 0.46))
    box(0.76, 0.50, 1.0, 0.53, (0.42, 0.32, 0.24))
    for number, colour in enumerate(((0.5, 0.25, 0.2), (0.2, 0.33, 0.42), (0.68, 0.6, 0.42),
                                     (0.28, 0.4, 0.3))):  # fmt: skip
        left = 0.79 + 0.045 * number
        box(left, 0.30 + 0.02 * (number % 3), left + 0.036, 0.50, colour)
    picture = cv2.GaussianBlur(picture, (0, 0), 3.2)
    return np.asarray(
        cv2.resize(np.clip(picture * 255, 0, 255).astype(np.uint8), size, interpolation=1)
    )


class PatientDrawing:
    """Draws one person. One thread owns it: the one that makes it also draws and closes.

    Raises RenderingError where OpenGL is missing.
    """

    def __init__(self, person: Person, lighting: Lighting) -> None:
        self._person = person
        self._lighting = lighting
        self._finish = finisher()
        self._gl = offscreen_context()
        self._size: tuple[int, int] | None = None
        with self._gl:
            self._build()

    def _build(self) -> None:
        gl, person, look = self._gl, self._person, self._person.look
        self._surfaces = [
            gl.program(
                shaders.SURFACE_VERTEX, f"#version 330\n#define {kind}\n{shaders.SURFACE_FRAGMENT}"
            )
            for kind in ("PLAIN", "BROW", "HAIR")
        ]
        self._eye = gl.program(shaders.EYE_VERTEX, shaders.EYE_FRAGMENT)
        self._wall = gl.program(shaders.ROOM_VERTEX, shaders.ROOM_FRAGMENT)
        extra = [_garment()]
        shirt = len(extra[0][0])
        if look.long:
            extra.append(_long_hair(person))
        cloth = np.concatenate([points for points, _ in extra])
        count, more = len(person.vertices_mm), len(cloth)
        first = count + np.cumsum([0, *(len(points) for points, _ in extra)])
        lashes = (person.part[person.triangles] == LASHES).all(1)
        brows = (person.brow_mm[person.triangles] > -2).any(1) & ~lashes
        hairy = (person.hair_depth_mm[person.triangles] > -5).any(1) & ~lashes & ~brows
        fallen = [order + start for (_, order), start in zip(extra, first, strict=False)]
        ordered = [
            np.concatenate([person.triangles[~(lashes | brows | hairy)], fallen[0]]),
            person.triangles[brows],
            np.concatenate([person.triangles[hairy], *fallen[1:]]),
            person.triangles[lashes],
        ]
        self._triangles = np.concatenate(ordered)
        self._ends = [0, *(int(end) for end in 3 * np.cumsum([len(some) for some in ordered]))]
        self._cloth = cloth

        tint = np.ones((count + more, 4))
        tint[:count, :3], tint[:count, 3] = _albedo(person), person.occlusion
        # The mouth is lit from its opening.
        mouth = person.part != SKIN
        tint[:count, 3][mouth] = np.clip(0.1 + person.rest_mm[mouth, 2] / 42, 0.1, 0.65)
        tint[count : count + shirt, :3] = np.array(look.shirt) ** 2
        marks = np.full((count + more, 4), -8.0)
        marks[:count, 0], marks[:count, 1] = person.brow_mm, person.lip_mm
        marks[:count, 2] = person.hair_depth_mm
        marks[count + shirt :, 2] = 30  # long hair
        tint[count + shirt :, 3] = 0.62
        marks[:, 3] = 0
        upper = person.lid_weights[:, 0].max(0) > person.lid_weights[:, 1].max(0)
        marks[:count, 3] = np.where(person.part == LASHES, np.where(upper, 0.55, 0.94), 0)
        inner = (person.part != SKIN) & (person.part != LASHES)
        marks[:count][inner, :3] = -8
        rest = np.concatenate([person.rest_mm, cloth])
        neck = np.ones(count + more)
        height = person.vertices_mm[:, 1] + 0.35 * np.clip(person.vertices_mm[:, 2], -120, 60)
        share = np.clip((-95 - height) / 60, 0, 1)
        neck[:count] = np.where(person.part == SKIN, share * share * (3 - 2 * share), 0)
        hair = np.clip((-40 - cloth[shirt:, 1]) / 110, 0, 1)
        neck[count + shirt :] = hair
        still = np.concatenate([rest, tint, marks, neck[:, None]], axis=1).astype(np.float32)
        self._moving = np.zeros((count + more, 6), np.float32)
        self._buffer = gl.buffer(reserve=self._moving.nbytes, dynamic=True)
        unchanging = gl.buffer(still.tobytes())
        order = gl.buffer(self._triangles.astype(np.int32).tobytes())
        self._meshes = [
            gl.vertex_array(
                program,
                [
                    (self._buffer, "3f 3f", "point", "normal"),
                    (unchanging, "3f 4f 4f 1f", "rest", "tint", "marks", "neck"),
                ],
                order,
                skip_errors=True,  # a kind of surface that needs no grain has no such attribute
            )
            for program in self._surfaces
        ]
        corners = self._triangles.ravel()
        self._gather = csr_array(
            (np.ones(len(corners)), (corners, np.repeat(np.arange(len(self._triangles)), 3))),
            shape=(count + more, len(self._triangles)),
        )
        cap, cap_order = _cap()
        self._ball = gl.vertex_array(
            self._eye,
            [(gl.buffer((EYE_SURFACE_MM * cap).astype(np.float32).tobytes()), "3f", "beside")],
            gl.buffer(cap_order.tobytes()),
        )
        screen = np.array([-1, -1, 3, -1, -1, 3], np.float32)
        self._ground = gl.vertex_array(self._wall, [(gl.buffer(screen.tobytes()), "2f", "corner")])
        for program in (*self._surfaces, self._eye):
            direction = np.array(self._lighting.direction)
            direction = direction / np.linalg.norm(direction)
            for name, value in (
                ("key_direction", direction),
                ("key", self._lighting.key),
                ("fill", self._lighting.fill),
                ("hair_colour", np.array(look.hair) ** 2),
                ("brow_colour", np.array(look.hair) ** 2 * 0.8),
                ("iris_colour", look.iris),
            ):
                if name in program:
                    program[name].value = tuple(float(part) for part in value)

    def _resize(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        gl = self._gl
        room = np.ascontiguousarray(_room(self._person.look.wall, size))
        self._room = gl.texture(size, 3, room.tobytes(), alignment=1)
        colour = gl.renderbuffer(size, 4, samples=_SAMPLES)
        self._drawn = gl.framebuffer([colour], gl.depth_renderbuffer(size, samples=_SAMPLES))
        self._resolved = gl.framebuffer([gl.renderbuffer(size, 4)])
        self._size = size

    def draw(self, pose: PatientPose, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The camera's picture, (height, width, 3) RGB; size is (width, height)."""
        with self._gl:
            self._resize(size)
            self._render(pose, size)
            self._gl.copy_framebuffer(self._resolved, self._drawn)
            self._finish()
            pixels = self._resolved.read(components=3, alignment=1)
        return np.frombuffer(pixels, np.uint8).reshape(size[1], size[0], 3)

    def close(self) -> None:
        """Give the context back."""
        self._gl.release()

    def _render(self, pose: PatientPose, size: tuple[int, int]) -> None:
        gl, person = self._gl, self._person
        points, margins = pose_person(person, pose)
        count = len(points)
        self._moving[:count, :3] = points
        self._moving[count:, :3] = self._cloth
        a, b, c = self._moving[self._triangles, :3].transpose(1, 0, 2)
        normals = self._gather @ np.cross(b - a, c - a)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        self._moving[:, 3:] = normals / np.maximum(length, 1e-9)
        self._buffer.write(self._moving)

        turn = head_rotation(pose)
        neck = Rotation.from_rotvec(0.25 * Rotation.from_matrix(turn).as_rotvec()).as_matrix()
        place = head_place_mm(pose)
        focal = 2 * FOCAL_HEIGHTS * np.array([size[1] / size[0], -1.0])
        for program in (*self._surfaces, self._eye):
            program["turn"].write(np.ascontiguousarray(turn.T, np.float32).tobytes())
            program["place"].value = tuple(float(part) for part in place)
            program["focal"].value = tuple(float(part) for part in focal)
        for program in self._surfaces:
            program["neck_turn"].write(np.ascontiguousarray(neck.T, np.float32).tobytes())
            program["neck_pivot"].value = tuple(_NECK_PIVOT_MM)

        self._drawn.use()
        self._drawn.clear(depth=1.0)
        gl.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        self._room.use(0)
        self._ground.render(moderngl.TRIANGLES, vertices=3)
        gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        gl.front_face = "cw"  # rows run downwards, which turns every triangle over
        for mesh, start, end in zip(self._meshes, self._ends, self._ends[1:], strict=False):
            mesh.render(first=start, vertices=end - start)
        self._eye["camera"].value = tuple(float(part) for part in -turn.T @ place)
        for eye, seen in enumerate((pose.right, pose.left)):
            centre = person.eye_centres_mm[eye]
            program = self._eye
            program["centre"].value = tuple(float(part) for part in centre)
            program["pivot"].value = tuple(float(v) for v in centre + (0, 0, PIVOT_FORWARD_MM))
            program["gaze"].value = tuple(float(part) for part in gaze_direction(seen))
            program["pupil_mm"].value = seen.pupil_mm
            program["upper_lid"].value = [float(height) for height in margins[eye]]
            self._ball.render()
        gl.disable(moderngl.CULL_FACE)
        gl.enable(moderngl.BLEND)
        gl.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._meshes[0].render(first=self._ends[-2], vertices=self._ends[-1] - self._ends[-2])
