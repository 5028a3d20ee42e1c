"""The mask itself: one head, drawn from a `MaskState` with OpenGL, without a screen."""

from dataclasses import dataclass

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import LEFT, RIGHT, Head
from digitalmask.errors import ContextLostError, RenderingError
from digitalmask.mask_state import EyeState, MaskState
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.opengl import finisher
from digitalmask.rendering.complexion import Complexion
from digitalmask.rendering.composition import Composer, DrawnHead
from digitalmask.rendering.drawing_context import EYE_BLOCK, VIEW_BLOCK, DrawingContext, Programs
from digitalmask.rendering.eyelids import LidMargins, gaze_axis
from digitalmask.rendering.identity import GROUND, SCLERA, Identity, MaskCamera
from digitalmask.rendering.inset import Inset
from digitalmask.rendering.posed_head import PosedHead
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
_LIPS_PARTED_MM = 0.4  # from here on teeth may be seen
_NECK_TOP_MM = -60.0  # below it a vertex may follow the neck
_SKULL_MM = (0.0, 10.0, -70.0)
_RECENTRE_SHARE = 0.55
_MARGIN_MM = 9.0  # lashes, and what lies between the vertices that are looked at
_MARGIN_PLACES = 12  # along the lids, as the eye's shader has them
# Lengths of the shaders' uniform blocks.
_VIEW_BYTES, _EYE_BYTES = 128, 96 + 16 * _MARGIN_PLACES


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

    def camera(self, size: tuple[int, int]) -> MaskCamera:
        """What sees it so, of the head as a whole."""
        per_mm = float(self.scale[1]) * size[1] / 2
        x, y = self.place
        return MaskCamera(
            focal_px=_DISTANCE_MM * per_mm,
            distance_mm=_DISTANCE_MM,
            centre_px=(size[0] / 2 + per_mm * float(x), size[1] / 2 - per_mm * float(y)),
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


def _columns(matrix: Floats) -> bytes:
    """A 3x3 matrix in the layout std140: three columns of four."""
    padded = np.zeros((3, 4), np.float32)
    padded[:, :3] = matrix.T
    return padded.tobytes()


def mask_camera(state: MaskState, size: tuple[int, int]) -> MaskCamera:
    """The camera that a mask of this size is drawn with; of the state, only where it stands."""
    return _View.of(state, size).camera(size)


class MaskRenderer:
    """Draws masks. One thread owns it: the one that makes it also draws and closes.

    inset: what is shown beside the mask. device_index: which EGL device, the best where None;
    software drawing counts as one. complexion: the mask's colours. context: one to draw in together
    with other renderers, which stays open; one of its own where None.
    Raises RenderingError where OpenGL is missing, ContextLostError where its context was lost.
    """

    def __init__(
        self,
        head: Head,
        inset: Inset = Inset.NONE,
        device_index: int | None = None,
        complexion: Complexion = Complexion(),  # noqa: B008 - frozen
        context: DrawingContext | None = None,
    ) -> None:
        self._head = head
        self._samples = _SAMPLES_ENLARGED if inset is Inset.EYES else _SAMPLES
        self._composer = Composer(inset)
        self._finish = finisher()
        self._context = context or DrawingContext(head, device_index)
        self._own_context = context is None
        self._gl = self._context.gl
        programs = self._context.programs(complexion)
        self._large: moderngl.Framebuffer | None = None
        self._identity_target: moderngl.Framebuffer | None = None
        try:
            with self._gl:
                self._readback = Readback(self._gl)
                self._build(programs)
        except moderngl.Error as error:
            raise ContextLostError(f"OpenGL's context was lost: {error}") from None

    def _build(self, programs: Programs) -> None:
        gl, shared = self._gl, self._context
        self._view_block = gl.buffer(reserve=_VIEW_BYTES, dynamic=True)
        # One for each eye, filled before anything is drawn: what is being drawn from is not
        # written to without a wait.
        self._eye_blocks = [gl.buffer(reserve=_EYE_BYTES, dynamic=True) for _ in (RIGHT, LEFT)]
        self._moving_buffer = gl.buffer(reserve=24 * len(shared.poser.rest_mm), dynamic=True)
        lash_vertices = int(shared.poser.lash_triangles.max()) + 1
        self._lash_buffer = gl.buffer(reserve=24 * lash_vertices, dynamic=True)

        def skin_mesh(
            program: moderngl.Program, order: moderngl.Buffer, normals: bool = True
        ) -> moderngl.VertexArray:
            moving = ("3f 3f", "point", "normal") if normals else ("3f 12x", "point")
            still = (shared.still, "4f 1f", "tint", "neck")
            return gl.vertex_array(program, [(self._moving_buffer, *moving), still], order)

        orders = shared.orders
        self._skin_mesh = skin_mesh(programs.skin, orders.skin)
        self._border_mesh = skin_mesh(programs.border, orders.border)
        self._teeth_mesh = skin_mesh(programs.skin, orders.teeth)
        self._neck_mesh = skin_mesh(programs.neck, orders.neck)
        self._identity_mesh = skin_mesh(programs.skin_identity, orders.whole, normals=False)
        self._eye_mesh, self._eye_identity_mesh = (
            gl.vertex_array(program, [(shared.cap, "3f", "unit")], orders.cap)
            for program in (programs.eye, programs.eye_identity)
        )
        lashes = (self._lash_buffer, "3f 3f", "point", "along")
        self._lash_mesh = gl.vertex_array(programs.lash, [lashes], orders.lash)

    def _target(self, width: int, height: int) -> moderngl.Framebuffer:
        """Where to draw a box of so many samples; it only grows."""
        gl, large, size = self._gl, self._large, (width, height)
        if large is None or large.width < size[0] or large.height < size[1]:
            if large is not None:
                size = (max(size[0], large.width), max(size[1], large.height))
                _release(large)
            size = (-(-size[0] // 64) * 64, -(-size[1] // 64) * 64)
            large = gl.framebuffer([gl.renderbuffer(size, 4)], gl.depth_renderbuffer(size))
            self._large = large
        return large

    def draw(self, state: MaskState, size: tuple[int, int], clock: FrameClock) -> MaskedFrame:
        """Draw one mask, `size` (width, height) in pixels, both even."""
        drawn = self.begin(state, size)
        return self._composer.compose(drawn, self.end(), clock)

    def begin(self, state: MaskState, size: tuple[int, int]) -> DrawnHead:
        """Have the head drawn, and its samples brought; `end` waits for them.

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
                outermost = posed.vertices[self._context.outermost, :3]
                left, top, right, bottom = view.box(outermost, size)
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
        except moderngl.Error as error:
            raise ContextLostError(f"OpenGL's context was lost: {error}") from None
        camera = view.camera(size)
        eyes_mm = self._head.eye_centres_mm + np.array([0.0, 0.0, self._head.eyeball_mm])
        (right_px, left_px) = camera.project(eyes_mm @ np.asarray(state.rotation).T).tolist()
        return DrawnHead(
            size=size,
            box=(left, top, right, bottom),
            shape=(down, across, 4),
            eyes_px=(tuple(right_px), tuple(left_px)),
            px_per_mm=camera.focal_px / camera.distance_mm,
        )

    def end(self, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The samples of what was begun last, of the shape that was said.

        into: memory (n,) that they are brought to; the renderer's own, for a while, where None.
        """
        try:
            with self._gl:
                return self._readback.end(into)
        except moderngl.Error as error:
            raise ContextLostError(f"OpenGL's context was lost: {error}") from None

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
                        _release(target)
                    target = self._gl.framebuffer(
                        [self._gl.renderbuffer(size, 4, dtype="f4")],
                        self._gl.depth_renderbuffer(size),
                    )
                    self._identity_target = target
                self._write_view(view)
                for eye, seen in ((RIGHT, state.right), (LEFT, state.left)):
                    self._write_eye(eye, seen, posed.margins[eye], view)
                target.use()
                target.clear(0, 0, 0, GROUND)
                self._gl.disable(moderngl.BLEND)
                self._gl.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
                self._gl.front_face = "cw"
                self._identity_mesh.render()
                for block in self._eye_blocks:
                    block.bind_to_uniform_block(EYE_BLOCK)
                    self._eye_identity_mesh.render()
                self._finish()
                pixels = target.read(components=4, dtype="f4", alignment=1)
        except moderngl.Error as error:
            raise ContextLostError(f"OpenGL's context was lost: {error}") from None
        seen_at = np.frombuffer(pixels, np.float32).reshape(height, width, 4)
        part = np.rint(seen_at[..., 3]).astype(np.uint8)
        place = np.where(part[..., None] == GROUND, np.float32(np.nan), seen_at[..., :3])
        return Identity(part, place)

    def close(self) -> None:
        """Give back what it holds: the context, where it has its own."""
        if self._own_context:
            self._context.close()
            return
        with self._gl:
            for mesh in (
                self._skin_mesh,
                self._border_mesh,
                self._teeth_mesh,
                self._neck_mesh,
                self._identity_mesh,
                self._eye_mesh,
                self._eye_identity_mesh,
                self._lash_mesh,
            ):
                mesh.release()
            for buffer in (
                self._view_block,
                *self._eye_blocks,
                self._moving_buffer,
                self._lash_buffer,
            ):
                buffer.release()
            for target in (self._large, self._identity_target):
                if target is not None:
                    _release(target)
            self._readback.close()

    def _pose(self, state: MaskState) -> PosedHead:
        """Poses the head; fills the buffers."""
        posed = self._context.poser.pose(state)
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
        self._write_view(view)
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
        parted = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1) - self._context.lips_rest_mm
        if parted.max() > _LIPS_PARTED_MM:
            self._teeth_mesh.render()
        # After the skin, which hides most of the balls: their shader is the dear one.
        for block in self._eye_blocks:
            block.bind_to_uniform_block(EYE_BLOCK)
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

    def _write_view(self, view: "_View") -> None:
        """Fills the shaders' block `View`, which other renderers of the context fill as well."""
        self._view_block.write(view.block())
        self._view_block.bind_to_uniform_block(VIEW_BLOCK)

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


def _release(target: moderngl.Framebuffer) -> None:
    for part in (target.color_attachments[0], target.depth_attachment, target):
        part.release()


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
