"""An OpenGL context, and what all masks that are drawn in it share: the head, the shaders.

Where a mask's vertices stand, and what it is drawn into, is its own `MaskRenderer`'s.
"""

from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from digitalmask.assets.head import GUMS, SKIN, TEETH, Head
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EXPRESSIONS
from digitalmask.opengl import offscreen_context
from digitalmask.rendering import shaders
from digitalmask.rendering.complexion import Complexion
from digitalmask.rendering.posed_head import HeadPoser, margins_of, strip_places

Floats = NDArray[np.floating]

# Between these heights the neck fades into the backdrop (the skin's shader has them too).
_FADE_TOP_MM, _FADE_BOTTOM_MM = -112.0, -150.0
_TEETH_FACING, _TEETH_DEEP_MM = -0.25, 30.0  # z of their normals, and how far back they are drawn
_LOWER_TEETH_DEEP_MM = 15.0  # the middles of lower ones: behind the canines a cheek hides them
# In radii of the ball: beyond the corners of the lids, within the temple.
_FLANGE_REACH, _FLANGE_FRONT = 1.17, 0.24
_RIM = TEETH + 1  # what the lids' margins are made of, beside the parts of `Head.part`
# Light that reaches them, row by row from the skin's edge to the ball: the upper ones face down.
_RIM_OCCLUSION = ((0.60, 0.45, 0.28), (0.95, 0.85, 0.50))
# Places of the shaders' uniform blocks.
VIEW_BLOCK, EYE_BLOCK = 0, 1


@dataclass(frozen=True, slots=True)
class Programs:
    """The shaders in one complexion."""

    skin: moderngl.Program
    border: moderngl.Program
    neck: moderngl.Program
    eye: moderngl.Program
    lash: moderngl.Program
    skin_identity: moderngl.Program
    eye_identity: moderngl.Program


@dataclass(frozen=True, slots=True)
class Orders:
    """Which vertices make triangles, by what is drawn together. whole: all of the head."""

    skin: moderngl.Buffer
    border: moderngl.Buffer
    teeth: moderngl.Buffer
    neck: moderngl.Buffer
    whole: moderngl.Buffer
    cap: moderngl.Buffer
    lash: moderngl.Buffer


class DrawingContext:
    """One thread owns it: the one that makes it also draws and closes.

    device_index: which EGL device, the best where None; software drawing counts as one.
    Raises RenderingError where OpenGL is missing.

    outermost: vertices of which some reach furthest in any direction. lips_rest_mm: how far the
    lips' pairs of vertices are apart at rest. still: what of the skin's vertices never changes.
    """

    def __init__(self, head: Head, device_index: int | None = None) -> None:
        self.head = head
        self.gl = offscreen_context(device_index)
        self.poser = HeadPoser(head)
        self.outermost = _outermost(head)
        self._programs: dict[Complexion, Programs] = {}
        pairs = self.poser.rest_mm[head.lip_pairs]
        self.lips_rest_mm = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
        with self.gl:
            marks = _marks(head)
            neck = _neck(head, self.poser.rest_mm)
            still = np.concatenate([marks, neck[:, None]], axis=1).astype(np.float32)
            self.still = self.gl.buffer(still.tobytes())
            cap, cap_triangles = _cap()
            self.cap = self.gl.buffer(cap.astype(np.float32).tobytes())
            self.orders = self._orders(marks, neck, cap_triangles)

    def programs(self, complexion: Complexion) -> Programs:
        """The shaders, compiled once. Raises RenderingError where OpenGL is too old."""
        if complexion not in self._programs:
            colours = complexion.definitions()
            try:
                with self.gl:
                    self._programs[complexion] = Programs(
                        skin=self._program(shaders.SKIN_VERTEX, shaders.SKIN_FRAGMENT, colours),
                        border=self._program(
                            shaders.BORDER_VERTEX, shaders.BORDER_FRAGMENT, colours
                        ),
                        neck=self._program(shaders.SKIN_VERTEX, shaders.NECK_FRAGMENT, colours),
                        eye=self._program(shaders.EYE_VERTEX, shaders.EYE_FRAGMENT, colours),
                        lash=self._program(shaders.LASH_VERTEX, shaders.LASH_FRAGMENT, colours),
                        skin_identity=self._program(
                            shaders.SKIN_IDENTITY_VERTEX, shaders.SKIN_IDENTITY_FRAGMENT, colours
                        ),
                        eye_identity=self._program(
                            shaders.EYE_VERTEX, shaders.EYE_IDENTITY_FRAGMENT, colours
                        ),
                    )
            except moderngl.Error as error:
                raise RenderingError(f"OpenGL 3.3 is needed: {error}") from None
        return self._programs[complexion]

    def close(self) -> None:
        """Give the context back."""
        self.gl.release()

    def _program(self, vertex_shader: str, fragment_shader: str, colours: str) -> moderngl.Program:
        vertex_shader, fragment_shader = (
            shader.replace("\n", f"\n{colours}", 1)  # after the line of its version
            for shader in (vertex_shader, fragment_shader)
        )
        program = self.gl.program(vertex_shader=vertex_shader, fragment_shader=fragment_shader)
        for name, place in (("View", VIEW_BLOCK), ("Eye", EYE_BLOCK)):
            if name in program:
                block = program[name]
                assert isinstance(block, moderngl.UniformBlock)  # noqa: S101 - for the type
                block.binding = place
        return program

    def _orders(self, marks: Floats, neck: Floats, cap_triangles: NDArray[np.int32]) -> Orders:
        points, triangles = self.poser.rest_mm, self.poser.triangles
        # What has faded with the neck is left out.
        low, parts = points[triangles, 1], marks[triangles, 3]
        teeth = ((parts >= GUMS) & (parts <= TEETH)).all(1)
        fading = (parts == SKIN).all(1) & (low.min(1) < _FADE_TOP_MM)
        fading &= neck[triangles].max(1) > 0
        # The colour changes within these triangles: it is worked out for every pixel.
        edged = (parts == SKIN).all(1) & ~fading
        edged &= _crosses(marks[triangles, 1], *shaders.BROW_EDGE_MM) | _crosses(
            marks[triangles, 2], *shaders.LIP_EDGE_MM
        )
        # Teeth are seen from the front alone: not their backs, nor what lies deep.
        corners = points[triangles[teeth]]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        face /= np.linalg.norm(face, axis=1, keepdims=True) + 1e-9
        front = corners[..., 2].max()
        shown = (face[:, 2] > _TEETH_FACING) & (corners[..., 2].max(1) > front - _TEETH_DEEP_MM)
        enamel = (parts[teeth] == TEETH).all(1)
        middles = _middles_of_pieces(points, triangles[teeth][enamel])
        lower_lip = points[self.head.lip_pairs][..., 1].mean()
        shown[enamel] &= (middles[:, 1] > lower_lip) | (
            middles[:, 2] > front - _LOWER_TEETH_DEEP_MM
        )
        whole = low.max(1) > _FADE_BOTTOM_MM

        def order(some: NDArray[np.int32]) -> moderngl.Buffer:
            return self.gl.buffer(np.ascontiguousarray(some, np.int32).tobytes())

        return Orders(
            skin=order(triangles[~fading & ~teeth & ~edged]),
            border=order(triangles[edged]),
            teeth=order(triangles[teeth][shown]),
            neck=order(triangles[fading & whole]),
            whole=order(triangles[whole]),
            cap=order(cap_triangles),
            lash=order(self.poser.lash_triangles),
        )


def _marks(head: Head) -> Floats:
    """(V, 4) of all vertices: the light that reaches them, brow and lip in mm, the part."""
    marks = np.stack(
        [head.occlusion, head.brow_mm, head.lip_mm, head.part.astype(np.float32)], axis=1
    )
    rims = [
        np.tile(np.array([light, -8, -8, _RIM], np.float32), (strip_places(margin), 1))
        for margin, lights in zip(margins_of(head), 2 * _RIM_OCCLUSION, strict=True)
        for light in lights
    ]
    return np.concatenate([marks, *rims])


def _neck(head: Head, points: Floats) -> Floats:
    """Each vertex's share in the neck's turn instead of the head's: 0 above the jaw."""
    # The border runs from under the chin up to the nape.
    depth = points[:, 1] + 0.35 * np.clip(points[:, 2], -120, 60) + 92.0
    share = np.clip(-depth / 62.0, 0, 1)
    share = np.asarray(share * share * (3 - 2 * share))
    share[: len(head.part)] *= head.part == SKIN
    return share


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
