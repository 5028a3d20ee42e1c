"""How expression and resting asymmetry move the head's vertices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import Head
from digitalmask.compiled import compiled
from digitalmask.mask_state import EXPRESSIONS, MaskState, RestAsymmetry

Floats = NDArray[np.float32]

# Where a droop is measured, as points of the landmark network, the patient's right then left: the
# corner of the mouth, and the cheek beside the nasolabial fold. Brows are measured as a whole.
MOUTH_CORNERS = ((61,), (291,))
NASOLABIAL = ((205, 206, 216), (425, 426, 436))
_BROW_INSIDE_MM = 0.5
# A brow that hangs moves where raising it would, but downwards, bulging over the lid: raising
# undone would push it into the socket.
_BROW_HANGS = np.array([0.0, -1.0, 0.45])
# What else a side that hangs does, in the head's own expressions: it is these, undone or done.
_BROW_UP = ("browInnerUp", "browOuterUp")
_MOUTH_HANGS = {"mouthFrown": 1.0, "mouthSmile": -0.6}
_CHEEK_HANGS = {"mouthUpperUp": -0.7, "cheekSquint": -1.0, "noseSneer": -0.3}
_STILL_MM = 0.01  # a vertex that nothing moves further than this stays where it is


def hanging_points(head: Head, side: int) -> list[NDArray[np.int64]]:
    """The vertices by which brow, mouth corner and cheek of a side (0 right, 1 left) are judged."""
    own = head.vertices_mm[:, 0] > 0 if side else head.vertices_mm[:, 0] < 0
    skin = np.flatnonzero(head.part == 0)

    def nearest(points: tuple[int, ...]) -> NDArray[np.int64]:
        away = head.vertices_mm[skin, None] - head.landmarks_mm[list(points)]
        return np.asarray(skin[np.argmin((away**2).sum(axis=2), axis=0)])

    return [
        np.flatnonzero(own & (head.brow_mm > _BROW_INSIDE_MM)),
        nearest(MOUTH_CORNERS[side]),
        nearest(NASOLABIAL[side]),
    ]


def _hanging(head: Head, side: int) -> Floats:
    """(3, V, 3): brow, mouth corner and cheek of a side, each 1 mm lower, the others unmoved."""
    name = ("Right", "Left")[side]

    def mixed(parts: dict[str, float]) -> NDArray[np.float64]:
        places = [EXPRESSIONS.index(stem + name) for stem in parts]
        return np.tensordot(np.array(list(parts.values())), head.expressions_mm[places], 1)

    raised = np.linalg.norm(mixed(dict.fromkeys(_BROW_UP, 1.0)), axis=1)
    fields = np.stack([raised[:, None] * _BROW_HANGS, mixed(_MOUTH_HANGS), mixed(_CHEEK_HANGS)])
    points = hanging_points(head, side)
    moved = np.array([[field[where, 1].mean() for where in points] for field in fields])
    solved = np.linalg.solve(moved, -np.eye(3))
    return np.asarray(np.einsum("fg,gvd->fvd", solved, fields), np.float32)


@dataclass(frozen=True, slots=True)
class Displacement:
    """What moves the head's vertices but for its lids.

    moving: (m,) vertices. directions_mm: (43 + 6, 3 m): the expressions, then what of each side
        may hang by a millimetre: brow, mouth corner and cheek of the right, then of the left.
    """

    moving: NDArray[np.int64]
    directions_mm: Floats

    @classmethod
    def of(cls, head: Head) -> "Displacement":
        """The directions of a head."""
        every = np.concatenate([head.expressions_mm, _hanging(head, 0), _hanging(head, 1)])
        moving = np.flatnonzero(np.abs(every).max(axis=(0, 2)) > _STILL_MM)
        return cls(moving, np.ascontiguousarray(every[:, moving]).reshape(len(every), -1))

    def move(self, points: Floats, state: MaskState) -> None:
        """Put a state's expression and resting asymmetry, in place, into the vertices (V, 3)."""
        weights = np.concatenate([state.expression, _hangs(state.rest)], dtype=np.float32)
        _displace(points, self.moving, self.directions_mm, weights)


@compiled("void(f4[:,::1], i8[::1], f4[:,::1], f4[::1])")
def _displace(
    points: Floats, moving: NDArray[np.int64], directions_mm: Floats, weights: Floats
) -> None:
    moved = np.zeros(directions_mm.shape[1], np.float32)
    for i in range(len(weights)):
        weight, direction = weights[i], directions_mm[i]
        if weight != 0.0:
            for j in range(len(moved)):
                moved[j] += weight * direction[j]
    for i in range(len(moving)):
        for axis in range(3):
            points[moving[i], axis] += moved[3 * i + axis]


def _hangs(rest: RestAsymmetry) -> Floats:
    """(6,) millimetres by which brow, mouth corner and cheek of the right and of the left hang."""
    left_higher = np.array([rest.brow_mm, rest.mouth_corner_mm, rest.nasolabial_mm], np.float32)
    return np.asarray(np.maximum(np.concatenate([left_higher, -left_higher]), 0), np.float32)
