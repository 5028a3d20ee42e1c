"""The mask itself: one head, drawn from a `MaskState` with OpenGL, without a screen."""

import ctypes
from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation

from digitalmask.assets.head import GUMS, LEFT, RIGHT, SKIN, Head, LidRig
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EyeState, MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering import shaders
from digitalmask.rendering.backdrop import backdrop
from digitalmask.rendering.eyelids import lid_drives, move_lids, pupil_offset_mm

Floats = NDArray[np.floating]

_DISTANCE_MM = 650.0  # of the camera: a video consultation's
_FRAME_HEIGHT_MM = 272.0  # what the picture's height shows: the head (215 mm) fills 79 % of it
_FRAME_WIDTH_MM = 220.0  # and its width at the least, in portrait
_EYES_ABOVE_MIDDLE_MM = 2.0
_SAMPLES = 4
# The neck bends here, and takes this share of the head's turn.
_NECK_PIVOT_MM = (0.0, -75.0, -62.0)
_NECK_SHARE = 0.35
_FAINT = 0.004  # an expression's coefficient that is not seen
# Between these heights the neck fades into the backdrop (the skin's shader has them too).
_FADE_TOP_MM, _FADE_BOTTOM_MM = -112.0, -150.0
_LIPS_PARTED_MM = 0.4  # from here on teeth may be seen
_NECK_TOP_MM = -60.0  # below it a vertex may follow the neck
_SKULL_MM = (0.0, 10.0, -70.0)
_RECENTRE_SHARE = 0.55
_MARGIN_MM = 9.0  # lashes, and what lies between the vertices that are looked at
# In radii of the ball: beyond the corners of the lids, within the temple.
_FLANGE_REACH, _FLANGE_FRONT = 1.17, 0.24
_LASH_ROOT_MM = 0.15


def _finisher() -> Any:
    """OpenGL's glFinish through ctypes, which lets go of Python's lock while it waits."""
    for name in ("libGL.so.1", "libOpenGL.so.0"):
        try:
            return ctypes.CDLL(name).glFinish
        except (OSError, AttributeError):
            continue
    raise RenderingError("OpenGL's library is missing: apt-get install libegl1 libgl1")


def _context(device_index: int) -> moderngl.Context:
    try:
        return moderngl.create_standalone_context(backend="egl", device_index=device_index)
    # moderngl raises plain Exception for missing libraries and devices.
    except Exception as error:  # noqa: BLE001
        raise RenderingError(
            f"no OpenGL device {device_index} ({error}): apt-get install libegl1 libgl1"
        ) from None


def _cap(
    rings: int = 16, spokes: int = 32, reach_deg: float = 80.0
) -> tuple[Floats, NDArray[np.int32]]:
    """The front half of the unit sphere about +z, with a flange that closes the lids' corners."""
    theta = np.radians(reach_deg) * np.arange(1, rings + 1) / rings
    phi = np.arange(spokes) * 2 * np.pi / spokes
    ring = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.sin(theta)[:, None] * np.sin(phi),
            np.repeat(np.cos(theta)[:, None], spokes, axis=1),
        ],
        axis=-1,
    ).reshape(-1, 3)
    ring[-spokes:, :2] *= _FLANGE_REACH / np.sin(theta[-1])
    ring[-spokes:, 2] = _FLANGE_FRONT
    points = np.vstack([[0.0, 0.0, 1.0], ring])
    triangles = [(0, 1 + s, 1 + (s + 1) % spokes) for s in range(spokes)]
    for r in range(rings - 1):
        for s in range(spokes):
            a, b = 1 + r * spokes + s, 1 + r * spokes + (s + 1) % spokes
            triangles += [(a, a + spokes, b + spokes), (a, b + spokes, b)]
    return points, np.array(triangles, np.int32)


@dataclass(frozen=True, slots=True)
class _View:
    """Where the head stands before the camera.

    turn, neck_turn: rotations from the head frame to the view frame. place: (x, y) of the head's
    origin in the picture, mm from its middle. scale: clip units a millimetre, x and y.
    """

    turn: Floats
    neck_turn: Floats
    place: Floats
    scale: Floats

    @classmethod
    def of(cls, state: MaskState, size: tuple[int, int]) -> "_View":
        width, height = size
        frame_mm = max(_FRAME_HEIGHT_MM, _FRAME_WIDTH_MM * height / width)
        turn = np.asarray(state.rotation, np.float64)
        neck_turn = Rotation.from_rotvec(_NECK_SHARE * Rotation.from_matrix(turn).as_rotvec())
        place = np.array(state.offset_mm) + (0.0, _EYES_ABOVE_MIDDLE_MM)
        # Part of the way that the skull would swing about the eyes is taken back, so that a head
        # that stays turned away stays in the picture.
        skull = np.array(_SKULL_MM)
        place = place - _RECENTRE_SHARE * (turn @ skull - skull)[:2]
        return cls(
            turn=turn,
            neck_turn=neck_turn.as_matrix(),
            place=place,
            scale=np.array([2 * height / width / frame_mm, 2 / frame_mm]),
        )

    def uniforms(self) -> dict[str, bytes]:
        """The view's uniforms, as the shaders take them."""
        return {
            "turn": np.ascontiguousarray(self.turn.T, np.float32).tobytes(),
            "neck_turn": np.ascontiguousarray(self.neck_turn.T, np.float32).tobytes(),
            "neck_pivot": np.array(_NECK_PIVOT_MM, np.float32).tobytes(),
            "place": self.place.astype(np.float32).tobytes(),
            "scale": self.scale.astype(np.float32).tobytes(),
            "distance_mm": np.array(_DISTANCE_MM, np.float32).tobytes(),
        }

    def columns(self, points: Floats, size: tuple[int, int]) -> tuple[int, int]:
        """First and last (exclusive) column of pixels that the head may touch.

        In steps of a sixteenth of the width, so that few kinds of strips are needed.
        """
        few = points[points[:, 1] > _FADE_BOTTOM_MM][::7]
        turned = few @ self.turn[[0, 2]].T.astype(np.float32)
        bust = np.array(_NECK_PIVOT_MM) @ self.turn.T + (few - _NECK_PIVOT_MM) @ self.neck_turn.T
        low = few[:, 1] < _NECK_TOP_MM
        across = np.concatenate([turned, bust[low][:, [0, 2]]])
        x = across[:, 0] * _DISTANCE_MM / (_DISTANCE_MM - across[:, 1]) + self.place[0]
        share = (np.array([x.min() - _MARGIN_MM, x.max() + _MARGIN_MM]) * self.scale[0] + 1) / 2
        step = max(size[0] // 16, 2)
        first = int(np.clip(np.floor(share[0] * size[0] / step) * step, 0, size[0] - step))
        last = int(np.clip(np.ceil(share[1] * size[0] / step) * step, first + step, size[0]))
        return first, last


class MaskRenderer:
    """Draws masks. One thread owns it: the one that makes it also draws and closes.

    device_index: which EGL device; software drawing counts as one.
    Raises RenderingError where OpenGL is missing or, from `draw`, where its context was lost.
    """

    def __init__(self, head: Head, device_index: int = 0) -> None:
        self._head = head
        self._finish = _finisher()
        self._gl = _context(device_index)
        self._size: tuple[int, int] | None = None
        self._targets: list[Any] = []
        self._strips: dict[int, tuple[moderngl.Framebuffer, moderngl.Framebuffer]] = {}
        points, triangles = head.vertices_mm, head.triangles
        self._flat_expressions = head.expressions_mm.reshape(len(head.expressions_mm), -1)
        corners = triangles.ravel()
        faces = np.repeat(np.arange(len(triangles)), 3)
        self._gather = csr_array(
            (np.ones(len(corners), np.float32), (corners, faces)),
            shape=(len(points), len(triangles)),
        )
        try:
            with self._gl:
                self._build(points, triangles)
        except moderngl.Error as error:
            raise RenderingError(f"OpenGL 3.3 is needed: {error}") from None

    def _build(self, points: Floats, triangles: NDArray[np.int32]) -> None:
        gl, head = self._gl, self._head
        self._skin = gl.program(
            vertex_shader=shaders.SKIN_VERTEX, fragment_shader=shaders.SKIN_FRAGMENT
        )
        self._eye = gl.program(
            vertex_shader=shaders.EYE_VERTEX, fragment_shader=shaders.EYE_FRAGMENT
        )
        self._lash = gl.program(
            vertex_shader=shaders.LASH_VERTEX, fragment_shader=shaders.LASH_FRAGMENT
        )
        self._ground = gl.program(
            vertex_shader=shaders.BACKDROP_VERTEX, fragment_shader=shaders.BACKDROP_FRAGMENT
        )
        marks = np.stack(
            [head.occlusion, head.brow_mm, head.lip_mm, head.part.astype(np.float32)], axis=1
        )
        still = np.concatenate([marks, self._neck(points)[:, None]], axis=1).astype(np.float32)
        # Opaque skin and the mouth's lining first, then the teeth and gums, then the neck where it
        # fades out; what has faded is left out.
        low, parts = points[triangles, 1], head.part[triangles]
        teeth = (parts >= GUMS).all(1)
        fading = (parts == SKIN).all(1) & (low.min(1) < _FADE_TOP_MM)
        fading &= self._neck(points)[triangles].max(1) > 0
        ordered = [
            triangles[~fading & ~teeth],
            triangles[teeth],
            triangles[fading & (low.max(1) > _FADE_BOTTOM_MM)],
        ]
        ends = 3 * np.cumsum([len(some) for some in ordered])
        self._opaque_end, self._teeth_end, self._skin_end = (int(end) for end in ends)
        pairs = points[head.lip_pairs]
        self._lips_rest_mm = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
        self._moving = np.zeros((len(points), 6), np.float32)
        self._moving_buffer = gl.buffer(reserve=self._moving.nbytes, dynamic=True)
        self._skin_mesh = gl.vertex_array(
            self._skin,
            [
                (self._moving_buffer, "3f 3f", "point", "normal"),
                (gl.buffer(still.tobytes()), "4f 1f", "tint", "neck"),
            ],
            gl.buffer(np.concatenate(ordered).astype(np.int32).tobytes()),
        )
        cap, cap_triangles = _cap()
        self._eye_mesh = gl.vertex_array(
            self._eye,
            [(gl.buffer(cap.astype(np.float32).tobytes()), "3f", "unit")],
            gl.buffer(cap_triangles.tobytes()),
        )
        corners = np.array([-1, -1, 3, -1, -1, 3], np.float32)
        self._ground_mesh = gl.vertex_array(
            self._ground, [(gl.buffer(corners.tobytes()), "2f", "corner")]
        )
        self._lash_points = [self._lash_ribbon(eye) for eye in (RIGHT, LEFT)]
        count = sum(len(ribbon) for ribbon in self._lash_points)
        self._lash_buffer = gl.buffer(reserve=count * 24, dynamic=True)
        order, first = [], 0
        for rig in head.lids:
            for margin in (rig.upper_margin, rig.lower_margin):
                for i in range(len(margin) - 1):
                    for j in range(2):
                        a = first + i * 3 + j
                        order += [a, a + 1, a + 4, a, a + 4, a + 3]
                first += 3 * len(margin)
        self._lash_mesh = gl.vertex_array(
            self._lash,
            [(self._lash_buffer, "3f 3f", "point", "along")],
            gl.buffer(np.array(order, np.int32).tobytes()),
        )

    def _neck(self, points: Floats) -> Floats:
        """Each vertex's share in the neck's turn instead of the head's: 0 above the jaw."""
        # The border runs from under the chin up to the nape.
        depth = points[:, 1] + 0.35 * np.clip(points[:, 2], -120, 60) + 92.0
        share = np.clip(-depth / 62.0, 0, 1)
        share = share * share * (3 - 2 * share)
        return np.where(self._head.part == SKIN, share, 0)

    def _lash_ribbon(self, eye: int) -> Floats:
        """What stays the same of one eye's lashes: (N, 3) along, N = 3 a margin vertex."""
        rig = self._head.lids[eye]
        ribbons = []
        for margin, strength in ((rig.upper_margin, 0.78), (rig.lower_margin, 0.34)):
            place = self._head.vertices_mm[margin]
            run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1))])
            share = run / run[-1]
            # Thinning out towards the inner corner.
            there = np.clip(share / 0.18, 0, 1) * np.clip((1 - share) / 0.03, 0.4, 1)
            ribbon = np.empty((len(margin), 3, 3))
            ribbon[..., 0] = (0.0, 0.5, 1.0)
            ribbon[..., 1] = run[:, None]
            ribbon[..., 2] = strength * there[:, None]
            ribbons.append(ribbon.reshape(-1, 3))
        return np.concatenate(ribbons)

    def _lash_places(self, points: Floats, eye: int) -> Floats:
        """Where one eye's lashes stand: roots on the margins, curving out and away from the eye."""
        rig, centre = self._head.lids[eye], self._head.eye_centres_mm[eye]
        lateral = np.sign(centre[0])
        places = []
        for margin, length_mm, sense in (
            (rig.upper_margin, 7.0, 1.0),
            (rig.lower_margin, 3.6, -1.0),
        ):
            root = points[margin]
            out = root - centre
            out = out / np.linalg.norm(out, axis=1, keepdims=True)
            share = np.linspace(0, 1, len(margin))[:, None]
            # Along the lid's surface, away from the opening, fanning out to both sides.
            aside = np.array([1.0, 0, 0]) * lateral * (share - 0.38) * 1.1
            away = np.array([0, sense, 0]) + aside
            away = away - (away * out).sum(1, keepdims=True) * out
            away = away / np.linalg.norm(away, axis=1, keepdims=True)
            length = length_mm * (0.45 + 0.55 * np.clip(share / 0.45, 0, 1))
            root = root + _LASH_ROOT_MM * out
            middle = root + length * (0.50 * out + 0.10 * away)
            tip = root + length * (0.78 * out + 0.46 * away)
            places.append(np.stack([root, middle, tip], axis=1).reshape(-1, 3))
        return np.concatenate(places)

    def _resize(self, size: tuple[int, int]) -> None:
        if size == self._size:
            return
        for target in self._targets:
            target.release()
        self._strips = {}
        self._picture = self._gl.texture(size, 3, backdrop(size).tobytes(), alignment=1)
        self._targets = [self._picture]
        self._size = size

    def _strip(self, width: int, height: int) -> tuple[moderngl.Framebuffer, moderngl.Framebuffer]:
        """Where a strip of the picture is drawn with several samples, and where it is resolved."""
        if width not in self._strips:
            gl, size = self._gl, (width, height)
            colour = gl.renderbuffer(size, 4, samples=_SAMPLES)
            depth = gl.depth_renderbuffer(size, samples=_SAMPLES)
            plain = gl.renderbuffer(size, 4)
            strip = (gl.framebuffer([colour], depth), gl.framebuffer([plain]))
            self._targets += [*strip, colour, depth, plain]
            self._strips[width] = strip
        return self._strips[width]

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        """Draw one mask, `size` (width, height) in pixels, both even.

        Only the strip of the picture that the head stands in is drawn; the rest is backdrop.
        """
        width, height = size
        if min(size) < 2 or width % 2 or height % 2:
            raise RenderingError(f"a mask of {width}x{height} cannot be drawn: both must be even")
        try:
            # Another renderer of this thread may have made its own context the current one.
            with self._gl:
                self._resize(size)
                points = self._pose(state)
                view = _View.of(state, size)
                first, last = view.columns(points, size)
                drawn, resolved = self._strip(last - first, height)
                drawn.viewport = (-first, 0, width, height)
                self._render(state, points, view, drawn, first)
                self._gl.copy_framebuffer(resolved, drawn)
                self._finish()
                pixels = resolved.read(components=3, alignment=1)
        except moderngl.Error as error:
            raise RenderingError(f"OpenGL's context was lost: {error}") from None
        rgb = backdrop(size).copy()
        rgb[:, first:last] = np.frombuffer(pixels, np.uint8).reshape(height, last - first, 3)
        return MaskedFrame(clock, rgb)

    def close(self) -> None:
        """Give the context back."""
        self._gl.release()

    def _pose(self, state: MaskState) -> Floats:
        """The head's vertices in the head frame, expression and lids put in; fills the buffers."""
        head = self._head
        strong = np.flatnonzero(np.abs(state.expression) > _FAINT)
        weights = np.asarray(state.expression, np.float32)[strong]
        moved = weights @ self._flat_expressions[strong] if len(strong) else np.float32(0)
        points = head.vertices_mm + np.reshape(moved, (-1, 3) if len(strong) else ())
        for eye, seen in ((RIGHT, state.right), (LEFT, state.left)):
            move_lids(
                points, head.lids[eye], head.eye_centres_mm[eye], lid_drives(head.lids[eye], seen)
            )
        a, b, c = (
            points[head.triangles[:, 0]],
            points[head.triangles[:, 1]],
            points[head.triangles[:, 2]],
        )
        u, v = b - a, c - a
        face = np.empty_like(u)
        face[:, 0] = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
        face[:, 1] = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
        face[:, 2] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        self._moving[:, :3] = points
        self._moving[:, 3:] = self._gather @ face
        self._moving_buffer.write(self._moving)
        lashes = [
            np.concatenate([self._lash_places(points, eye), self._lash_points[eye]], axis=1)
            for eye in (RIGHT, LEFT)
        ]
        self._lash_buffer.write(np.concatenate(lashes).astype(np.float32).tobytes())
        return points

    def _render(
        self,
        state: MaskState,
        points: Floats,
        view: "_View",
        drawn: moderngl.Framebuffer,
        first_column: int,
    ) -> None:
        gl = self._gl
        uniforms = view.uniforms()
        for program in (self._skin, self._eye, self._lash):
            for name, value in uniforms.items():
                if name in program:  # the compiler drops what a shader does not need
                    program[name].write(value)
        self._ground["first_column"].value = first_column
        drawn.use()
        drawn.clear()
        gl.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        self._picture.use(0)
        self._ground_mesh.render(moderngl.TRIANGLES, vertices=3)
        gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        gl.front_face = "cw"  # rows run downwards, which turns every triangle over
        pairs = points[self._head.lip_pairs]
        parted = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1) - self._lips_rest_mm
        mouth_open = parted.max() > _LIPS_PARTED_MM
        self._skin_mesh.render(vertices=self._teeth_end if mouth_open else self._opaque_end)
        # After the skin, which hides most of the balls: their shader is the dear one.
        for eye, seen in ((RIGHT, state.right), (LEFT, state.left)):
            self._render_eye(eye, seen, points)
        gl.enable(moderngl.BLEND)
        gl.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._skin_mesh.render(vertices=self._skin_end - self._teeth_end, first=self._teeth_end)
        gl.disable(moderngl.CULL_FACE)
        drawn.depth_mask = False
        self._lash_mesh.render()
        drawn.depth_mask = True

    def _render_eye(self, eye: int, seen: EyeState, points: Floats) -> None:
        head, program = self._head, self._eye
        rig, centre, radius = head.lids[eye], head.eye_centres_mm[eye], head.eyeball_mm
        x, y = pupil_offset_mm(seen)
        axis = np.array([x, y, np.sqrt(radius**2 - x * x - y * y)]) / radius
        right = np.cross([0.0, 1.0, 0.0], axis)
        right /= np.linalg.norm(right)
        gaze = np.stack([right, np.cross(axis, right), axis])
        ends, upper, lower = _margin_heights(rig, centre, points)
        program["gaze"].write(np.ascontiguousarray(gaze, np.float32).tobytes())
        program["centre"].value = tuple(float(value) for value in centre)
        program["radius"].value = radius
        program["pupil_mm"].value = seen.pupil_mm
        program["lateral"].value = float(np.sign(centre[0]))
        program["fissure"].value = ends
        program["upper_lid"].write(upper.astype(np.float32).tobytes())
        program["lower_lid"].write(lower.astype(np.float32).tobytes())
        self._eye_mesh.render()


def _margin_heights(
    rig: LidRig, centre: Floats, points: Floats
) -> tuple[tuple[float, float], Floats, Floats]:
    """Ends of the fissure (x, medial first) and both margins' heights at twelve places between.

    All beside the eyeball's centre.
    """
    upper, lower = points[rig.upper_margin] - centre, points[rig.lower_margin] - centre
    medial = (upper[0, 0] + lower[0, 0]) / 2
    lateral = (upper[-1, 0] + lower[-1, 0]) / 2
    places = np.linspace(medial, lateral, 12)
    heights = []
    for margin in (upper, lower):
        order = np.argsort(margin[:, 0])
        heights.append(np.interp(places, margin[order, 0], margin[order, 1]))
    return (float(medial), float(lateral)), heights[0], heights[1]
