"""The mask itself: one head, drawn from a `MaskState` with OpenGL, without a screen."""

from dataclasses import dataclass

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from digitalmask.assets.head import GUMS, LEFT, RIGHT, SKIN, TEETH, Head
from digitalmask.compiled import compiled
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EXPRESSIONS, EyeState, MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.opengl import finisher, offscreen_context
from digitalmask.rendering import shaders
from digitalmask.rendering.backdrop import backdrop
from digitalmask.rendering.complexion import Complexion
from digitalmask.rendering.eyelids import LidMargins, gaze_axis
from digitalmask.rendering.identity import GROUND, SCLERA, Identity, MaskCamera
from digitalmask.rendering.inset import Inset, lay_eyes
from digitalmask.rendering.posed_head import HeadPoser, PosedHead, margins_of, strip_places
from digitalmask.rendering.readback import Readback

Floats = NDArray[np.floating]

_DISTANCE_MM = 650.0  # of the camera: a video consultation's
# What the picture's height shows: a palpebral fissure (25.3 mm between the lids' corners) has 60 of
# 480 pixels, the chin is whole, and the crown (the head is 215 mm high) is cut.
_FRAME_HEIGHT_MM = 202.0
_FRAME_WIDTH_MM = 184.0  # and its width at the least, in portrait: both ears
_EYES_ABOVE_MIDDLE_MM = 22.0
# Samples a pixel, across and down; more of them where eyes are enlarged beside the mask. 2 in place
# of 1.5 can hardly be told apart and takes a fifth longer to draw in software.
_SAMPLES, _SAMPLES_ENLARGED = 1.5, 2.0
# The neck bends here, and takes this share of the head's turn.
_NECK_PIVOT_MM = (0.0, -75.0, -62.0)
_NECK_SHARE = 0.35
# Between these heights the neck fades into the backdrop (the skin's shader has them too).
_FADE_TOP_MM, _FADE_BOTTOM_MM = -112.0, -150.0
_TEETH_FACING, _TEETH_DEEP_MM = -0.25, 30.0  # z of their normals, and how far back they are drawn
_LOWER_TEETH_DEEP_MM = 15.0  # the middles of lower ones: behind the canines a cheek hides them
_LIPS_PARTED_MM = 0.4  # from here on teeth may be seen
_NECK_TOP_MM = -60.0  # below it a vertex may follow the neck
_SKULL_MM = (0.0, 10.0, -70.0)
_RECENTRE_SHARE = 0.55
_MARGIN_MM = 9.0  # lashes, and what lies between the vertices that are looked at
# In radii of the ball: beyond the corners of the lids, within the temple.
_FLANGE_REACH, _FLANGE_FRONT = 1.17, 0.24
_RIM = TEETH + 1  # what the lids' margins are made of, beside the parts of `Head.part`
# Light that reaches them, row by row from the skin's edge to the ball: the upper ones face down.
_RIM_OCCLUSION = ((0.60, 0.45, 0.28), (0.95, 0.85, 0.50))
_MARGIN_PLACES = 12  # along the lids, as the eye's shader has them
# Places and lengths of the shaders' uniform blocks.
_VIEW_BLOCK, _VIEW_BYTES = 0, 128
_EYE_BLOCK, _EYE_BYTES = 1, 96 + 16 * _MARGIN_PLACES


def _cap(
    rings: int = 6, spokes: int = 20, reach_deg: float = 80.0
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
        neck_turn, _ = cv2.Rodrigues(_NECK_SHARE * cv2.Rodrigues(turn)[0])
        place = np.array(state.offset_mm) + (0.0, _EYES_ABOVE_MIDDLE_MM)
        # Part of the way that the skull would swing about the eyes is taken back, so that a head
        # that stays turned away stays in the picture.
        skull = np.array(_SKULL_MM)
        place = place - _RECENTRE_SHARE * (turn @ skull - skull)[:2]
        return cls(
            turn=turn,
            neck_turn=np.asarray(neck_turn, np.float64),
            place=place,
            scale=np.array([2 * height / width / frame_mm, 2 / frame_mm]),
        )

    def block(self) -> bytes:
        """The shaders' block `View`, in the layout std140."""
        return b"".join(
            [
                _columns(self.turn),
                _columns(self.neck_turn),
                np.array([*_NECK_PIVOT_MM, _DISTANCE_MM], np.float32).tobytes(),
                np.array([*self.place, *self.scale], np.float32).tobytes(),
            ]
        )

    def box(self, points: Floats, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The pixels that the head may touch: first column and row, last ones (exclusive).

        All are even. points: the places of `outermost` vertices, as posed.
        """
        few = points.astype(np.float64)
        low = few[:, 1] < _NECK_TOP_MM
        bust = self.turn @ _NECK_PIVOT_MM + (few[low] - _NECK_PIVOT_MM) @ self.neck_turn.T
        view = np.concatenate([few @ self.turn.T, bust])
        xy = view[:, :2] * (_DISTANCE_MM / (_DISTANCE_MM - view[:, 2:])) + self.place
        low_mm, high_mm = xy.min(axis=0) - _MARGIN_MM, xy.max(axis=0) + _MARGIN_MM
        corners = np.array([[low_mm[0], -high_mm[1]], [high_mm[0], -low_mm[1]]])
        pixels = (corners * self.scale + 1) / 2 * size
        first = 2 * np.clip(np.floor(pixels[0] / 2), 0, np.array(size) // 2 - 1).astype(int)
        last = 2 * np.clip(np.ceil(pixels[1] / 2), first // 2 + 1, np.array(size) // 2).astype(int)
        return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _outermost(head: Head) -> NDArray[np.int64]:
    """Vertices of which some reach furthest in any direction, with the jaw open or not."""
    count = 300
    z = 1 - (2 * np.arange(count) + 1) / count  # a Fibonacci sphere
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - z * z)
    directions = np.stack([across * np.cos(angle), across * np.sin(angle), z])
    seen = np.flatnonzero(head.vertices_mm[:, 1] > _FADE_BOTTOM_MM)
    jaw = head.expressions_mm[EXPRESSIONS.index("jawOpen")][seen]
    points = head.vertices_mm[seen]
    chosen = [np.argmax(place @ directions, axis=0) for place in (points, points + jaw)]
    return np.asarray(seen[np.unique(np.concatenate(chosen))])


def _columns(matrix: Floats) -> bytes:
    """A 3x3 matrix in the layout std140: three columns of four."""
    padded = np.zeros((3, 4), np.float32)
    padded[:, :3] = matrix.T
    return padded.tobytes()


def mask_camera(state: MaskState, size: tuple[int, int]) -> MaskCamera:
    """The camera that a mask of this size is drawn with; of the state, only where it stands."""
    view = _View.of(state, size)
    per_mm = float(view.scale[1]) * size[1] / 2
    x, y = view.place
    return MaskCamera(
        focal_px=_DISTANCE_MM * per_mm,
        distance_mm=_DISTANCE_MM,
        centre_px=(size[0] / 2 + per_mm * float(x), size[1] / 2 - per_mm * float(y)),
    )


class MaskRenderer:
    """Draws masks. One thread owns it: the one that makes it also draws and closes.

    inset: what is shown beside the mask. device_index: which EGL device, the best where None;
    software drawing counts as one. complexion: the mask's colours.
    Raises RenderingError where OpenGL is missing or, from `draw`, where its context was lost.
    """

    def __init__(
        self,
        head: Head,
        inset: Inset = Inset.NONE,
        device_index: int | None = None,
        complexion: Complexion = Complexion(),  # noqa: B008 - frozen
    ) -> None:
        self._head, self._inset = head, inset
        self._colours = complexion.definitions()
        self._samples = _SAMPLES_ENLARGED if inset is Inset.EYES else _SAMPLES
        self._finish = finisher()
        self._gl = offscreen_context(device_index)
        self._readback = Readback(self._gl)
        self._large: moderngl.Framebuffer | None = None
        self._mean = np.empty(0, np.uint8)  # memory that is had anew for each frame costs more
        self._poser = HeadPoser(head)
        self._outermost = _outermost(head)
        self._identity_target: moderngl.Framebuffer | None = None
        try:
            with self._gl:
                self._build()
        except moderngl.Error as error:
            raise RenderingError(f"OpenGL 3.3 is needed: {error}") from None

    def _build(self) -> None:
        gl, head = self._gl, self._head
        points, triangles = self._poser.rest_mm, self._poser.triangles
        self._view_block = gl.buffer(reserve=_VIEW_BYTES, dynamic=True)
        self._view_block.bind_to_uniform_block(_VIEW_BLOCK)
        # One for each eye, filled before anything is drawn: what is being drawn from is not
        # written to without a wait.
        self._eye_blocks = [gl.buffer(reserve=_EYE_BYTES, dynamic=True) for _ in (RIGHT, LEFT)]
        skin = self._program(shaders.SKIN_VERTEX, shaders.SKIN_FRAGMENT)
        border = self._program(shaders.BORDER_VERTEX, shaders.BORDER_FRAGMENT)
        neck = self._program(shaders.SKIN_VERTEX, shaders.NECK_FRAGMENT)
        eye = self._program(shaders.EYE_VERTEX, shaders.EYE_FRAGMENT)
        lash = self._program(shaders.LASH_VERTEX, shaders.LASH_FRAGMENT)
        skin_identity = self._program(shaders.SKIN_IDENTITY_VERTEX, shaders.SKIN_IDENTITY_FRAGMENT)
        eye_identity = self._program(shaders.EYE_VERTEX, shaders.EYE_IDENTITY_FRAGMENT)
        marks = np.stack(
            [head.occlusion, head.brow_mm, head.lip_mm, head.part.astype(np.float32)], axis=1
        )
        rims = [
            np.tile(np.array([light, -8, -8, _RIM], np.float32), (strip_places(margin), 1))
            for margin, lights in zip(margins_of(head), 2 * _RIM_OCCLUSION, strict=True)
            for light in lights
        ]
        marks = np.concatenate([marks, *rims])
        still = np.concatenate([marks, self._neck(points)[:, None]], axis=1).astype(np.float32)
        # What has faded with the neck is left out.
        low, parts = points[triangles, 1], marks[triangles, 3]
        teeth = ((parts >= GUMS) & (parts <= TEETH)).all(1)
        fading = (parts == SKIN).all(1) & (low.min(1) < _FADE_TOP_MM)
        fading &= self._neck(points)[triangles].max(1) > 0
        # The colour changes within these triangles: it is worked out for every pixel.
        edged = (parts == SKIN).all(1) & ~fading
        edged &= _crosses(marks[triangles, 1], *shaders.BROW_EDGE_MM) | _crosses(
            marks[triangles, 2], *shaders.LIP_EDGE_MM
        )
        pairs = points[head.lip_pairs]
        self._lips_rest_mm = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
        self._moving_buffer = gl.buffer(reserve=24 * len(points), dynamic=True)
        still_buffer = gl.buffer(still.tobytes())

        def skin_mesh(
            program: moderngl.Program, some: NDArray[np.int32], normals: bool = True
        ) -> moderngl.VertexArray:
            moving = ("3f 3f", "point", "normal") if normals else ("3f 12x", "point")
            return gl.vertex_array(
                program,
                [(self._moving_buffer, *moving), (still_buffer, "4f 1f", "tint", "neck")],
                gl.buffer(np.ascontiguousarray(some, np.int32).tobytes()),
            )

        self._skin_mesh = skin_mesh(skin, triangles[~fading & ~teeth & ~edged])
        self._border_mesh = skin_mesh(border, triangles[edged])
        # Teeth are seen from the front alone: not their backs, nor what lies deep.
        corners = points[triangles[teeth]]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        face /= np.linalg.norm(face, axis=1, keepdims=True) + 1e-9
        front = corners[..., 2].max()
        shown = (face[:, 2] > _TEETH_FACING) & (corners[..., 2].max(1) > front - _TEETH_DEEP_MM)
        enamel = (parts[teeth] == TEETH).all(1)
        middles = _middles_of_pieces(points, triangles[teeth][enamel])
        lower_lip = pairs[..., 1].mean()
        shown[enamel] &= (middles[:, 1] > lower_lip) | (
            middles[:, 2] > front - _LOWER_TEETH_DEEP_MM
        )
        self._teeth_mesh = skin_mesh(skin, triangles[teeth][shown])
        self._neck_mesh = skin_mesh(neck, triangles[fading & (low.max(1) > _FADE_BOTTOM_MM)])
        whole = low.max(1) > _FADE_BOTTOM_MM
        self._identity_mesh = skin_mesh(skin_identity, triangles[whole], normals=False)
        cap, cap_triangles = _cap()
        cap_buffer = gl.buffer(cap.astype(np.float32).tobytes())
        cap_order = gl.buffer(cap_triangles.tobytes())
        self._eye_mesh, self._eye_identity_mesh = (
            gl.vertex_array(program, [(cap_buffer, "3f", "unit")], cap_order)
            for program in (eye, eye_identity)
        )
        lashes = self._poser.lash_triangles
        self._lash_buffer = gl.buffer(reserve=24 * (int(lashes.max()) + 1), dynamic=True)
        self._lash_mesh = gl.vertex_array(
            lash,
            [(self._lash_buffer, "3f 3f", "point", "along")],
            gl.buffer(lashes.tobytes()),
        )

    def _neck(self, points: Floats) -> Floats:
        """Each vertex's share in the neck's turn instead of the head's: 0 above the jaw."""
        # The border runs from under the chin up to the nape.
        depth = points[:, 1] + 0.35 * np.clip(points[:, 2], -120, 60) + 92.0
        share = np.clip(-depth / 62.0, 0, 1)
        share = np.asarray(share * share * (3 - 2 * share))
        share[: len(self._head.part)] *= self._head.part == SKIN
        return share

    def _program(self, vertex_shader: str, fragment_shader: str) -> moderngl.Program:
        vertex_shader, fragment_shader = (
            shader.replace("\n", f"\n{self._colours}", 1)  # after the line of its version
            for shader in (vertex_shader, fragment_shader)
        )
        program = self._gl.program(vertex_shader=vertex_shader, fragment_shader=fragment_shader)
        for name, place in (("View", _VIEW_BLOCK), ("Eye", _EYE_BLOCK)):
            if name in program:
                block = program[name]
                assert isinstance(block, moderngl.UniformBlock)  # noqa: S101 - for the type
                block.binding = place
        return program

    def _target(self, width: int, height: int) -> moderngl.Framebuffer:
        """Where to draw a box of so many samples; it only grows."""
        gl, large, size = self._gl, self._large, (width, height)
        if large is None or large.width < size[0] or large.height < size[1]:
            if large is not None:
                size = (max(size[0], large.width), max(size[1], large.height))
                for part in (large.color_attachments[0], large.depth_attachment, large):
                    part.release()
            size = (-(-size[0] // 64) * 64, -(-size[1] // 64) * 64)
            large = gl.framebuffer([gl.renderbuffer(size, 4)], gl.depth_renderbuffer(size))
            self._large = large
        return large

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        """Draw one mask, `size` (width, height) in pixels, both even.

        Only the box of the picture that the head stands in is drawn; the rest is backdrop.
        """
        width, height = size
        if min(size) < 2 or width % 2 or height % 2:
            raise RenderingError(f"a mask of {width}x{height} cannot be drawn: both must be even")
        try:
            # Another renderer of this thread may have made its own context the current one.
            with self._gl:
                posed = self._pose(state)
                view = _View.of(state, size)
                left, top, right, bottom = view.box(posed.vertices[self._outermost, :3], size)
                across, down = self._sampled(right - left), self._sampled(bottom - top)
                drawn = self._target(across, down)
                drawn.viewport = (
                    -self._sampled(left),
                    -self._sampled(top),
                    self._sampled(width),
                    self._sampled(height),
                )
                self._render(state, posed, view, drawn)
                self._readback.begin(drawn, across, down)
                rgb = backdrop(size).copy()
                if self._mean.size < 4 * width * height:
                    self._mean = np.empty(4 * width * height, np.uint8)
                samples = self._readback.end()
        except moderngl.Error as error:
            raise RenderingError(f"OpenGL's context was lost: {error}") from None
        # Between samples, which are at most 1.5 to 2 a pixel, this is close to their mean.
        mean = self._mean[: (bottom - top) * (right - left) * 4]
        mean = mean.reshape(bottom - top, right - left, 4)
        cv2.resize(samples, mean.shape[1::-1], dst=mean, interpolation=cv2.INTER_LINEAR)
        _lay(mean, rgb[top:bottom, left:right])
        if self._inset is Inset.EYES:
            camera = mask_camera(state, size)
            eyes_mm = self._head.eye_centres_mm + np.array([0.0, 0.0, self._head.eyeball_mm])
            eyes_px = camera.project(eyes_mm @ np.asarray(state.rotation).T)
            per_mm = camera.focal_px / camera.distance_mm
            lay_eyes(rgb, samples, (left, top), eyes_px, per_mm)
        return MaskedFrame(clock, rgb)

    def _sampled(self, pixels: int) -> int:
        """Samples along an even number of pixels."""
        return round(self._samples * pixels)

    def draw_identity(self, state: MaskState, size: tuple[int, int]) -> Identity:
        """What each pixel's centre of the mask drawn from `state` sees, and where that lies.

        The geometry and the eyes are those of `draw`, in any size; there is no blending, and
        lashes are left out.
        """
        width, height = size
        try:
            with self._gl:
                posed = self._pose(state)
                view = _View.of(state, size)
                target = self._identity_target
                if target is None or target.size != size:
                    if target is not None:
                        for part in (target.color_attachments[0], target.depth_attachment, target):
                            part.release()
                    target = self._gl.framebuffer(
                        [self._gl.renderbuffer(size, 4, dtype="f4")],
                        self._gl.depth_renderbuffer(size),
                    )
                    self._identity_target = target
                self._view_block.write(view.block())
                for eye, seen in ((RIGHT, state.right), (LEFT, state.left)):
                    self._write_eye(eye, seen, posed.margins[eye], view)
                target.use()
                target.clear(0, 0, 0, GROUND)
                self._gl.disable(moderngl.BLEND)
                self._gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
                self._gl.front_face = "cw"
                self._identity_mesh.render()
                for block in self._eye_blocks:
                    block.bind_to_uniform_block(_EYE_BLOCK)
                    self._eye_identity_mesh.render()
                self._finish()
                pixels = target.read(components=4, dtype="f4", alignment=1)
        except moderngl.Error as error:
            raise RenderingError(f"OpenGL's context was lost: {error}") from None
        seen_at = np.frombuffer(pixels, np.float32).reshape(height, width, 4)
        part = np.rint(seen_at[..., 3]).astype(np.uint8)
        place = np.where(part[..., None] == GROUND, np.float32(np.nan), seen_at[..., :3])
        return Identity(part, place)

    def close(self) -> None:
        """Give the context back."""
        self._gl.release()

    def _pose(self, state: MaskState) -> PosedHead:
        """Poses the head; fills the buffers."""
        posed = self._poser.pose(state)
        self._moving_buffer.write(posed.vertices)
        self._lash_buffer.write(posed.lashes)
        return posed

    def _render(
        self,
        state: MaskState,
        posed: PosedHead,
        view: "_View",
        drawn: moderngl.Framebuffer,
    ) -> None:
        gl = self._gl
        self._view_block.write(view.block())
        for eye, seen in ((RIGHT, state.right), (LEFT, state.left)):
            self._write_eye(eye, seen, posed.margins[eye], view)
        drawn.use()
        drawn.clear()
        gl.disable(moderngl.BLEND)
        gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        gl.front_face = "cw"  # rows run downwards, which turns every triangle over
        self._border_mesh.render()
        self._skin_mesh.render()
        pairs = posed.vertices[self._head.lip_pairs, :3]
        parted = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1) - self._lips_rest_mm
        if parted.max() > _LIPS_PARTED_MM:
            self._teeth_mesh.render()
        # After the skin, which hides most of the balls: their shader is the dear one.
        for block in self._eye_blocks:
            block.bind_to_uniform_block(_EYE_BLOCK)
            self._eye_mesh.render()
        gl.enable(moderngl.BLEND)
        # What is drawn is colour times cover; cover itself adds up.
        gl.blend_func = (
            moderngl.SRC_ALPHA,
            moderngl.ONE_MINUS_SRC_ALPHA,
            moderngl.ONE,
            moderngl.ONE_MINUS_SRC_ALPHA,
        )
        self._neck_mesh.render()
        gl.disable(moderngl.CULL_FACE)
        drawn.depth_mask = False
        self._lash_mesh.render()
        drawn.depth_mask = True

    def _write_eye(self, eye: int, seen: EyeState, margins: LidMargins, view: "_View") -> None:
        """Fills the shaders' block `Eye`."""
        head = self._head
        centre = head.eye_centres_mm[eye].astype(np.float64)
        x, y, z = gaze_axis(seen)
        level = np.hypot(x, z)
        gaze = np.array(
            [(z / level, 0.0, -x / level), (-x * y / level, level, -y * z / level), (x, y, z)]
        )
        camera = _DISTANCE_MM * view.turn[2] - centre
        ends, upper, lower = _margin_heights(margins, centre)
        heights = np.zeros((len(upper), 4), np.float32)
        heights[:, 0], heights[:, 1] = upper, lower
        rest = [*centre, head.eyeball_mm, *camera, seen.pupil_mm]
        rest += [*ends, np.sign(centre[0]), SCLERA[eye]]
        self._eye_blocks[eye].write(
            _columns(gaze.T) + np.array(rest, np.float32).tobytes() + heights.tobytes()
        )


def _middles_of_pieces(points: Floats, triangles: NDArray[np.int32]) -> Floats:
    """(T, 3) for each triangle the middle of the piece of the mesh that it hangs together with."""
    places, welded = np.unique(points.round(2), axis=0, return_inverse=True)
    ends = welded.reshape(-1)[triangles]
    edges = csr_array(
        (np.ones(2 * len(ends)), (ends[:, [0, 1]].ravel(), ends[:, [1, 2]].ravel())),
        shape=(len(places), len(places)),
    )
    piece = connected_components(edges, directed=False)[1][ends[:, 0]]
    own = points[triangles].mean(axis=1)
    count = np.bincount(piece)[piece]
    sums = [np.bincount(piece, own[:, axis])[piece] for axis in range(3)]
    return np.asarray(np.stack(sums, axis=1) / count[:, None], np.float32)


def _crosses(values: Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Of triangles' values (n, 3): whether the range from low to high is met between corners."""
    return np.asarray((values.max(1) > low) & (values.min(1) < high))


@compiled("void(u1[:,:,::1], u1[:,:,:])")
def _lay(drawn: NDArray[np.uint8], ground: NDArray[np.uint8]) -> None:
    """Lay colours times cover (h, w, 4) on the ground (h, w, 3), in place."""
    height, width, _ = drawn.shape
    for row in range(height):
        for column in range(width):
            cover = drawn[row, column, 3]
            if cover == 255:
                for colour in range(3):
                    ground[row, column, colour] = drawn[row, column, colour]
            elif cover > 0:
                for colour in range(3):
                    left = ground[row, column, colour] * (255 - np.int32(cover))
                    laid = drawn[row, column, colour] + (left + 127) // 255
                    ground[row, column, colour] = min(laid, 255)


def _margin_heights(
    margins: LidMargins, centre: Floats
) -> tuple[tuple[float, float], Floats, Floats]:
    """Ends of the fissure (x, medial first) and both margins' heights at places between.

    All beside the eyeball's centre.
    """
    upper, lower = margins.upper - centre, margins.lower_strip - centre
    medial = (upper[0, 0] + lower[0, 0]) / 2
    lateral = (upper[-1, 0] + lower[-1, 0]) / 2
    places = np.linspace(medial, lateral, _MARGIN_PLACES)
    heights = []
    for margin in (upper, lower):
        order = np.argsort(margin[:, 0])
        heights.append(np.interp(places, margin[order, 0], margin[order, 1]))
    return (float(medial), float(lateral)), heights[0], heights[1]
