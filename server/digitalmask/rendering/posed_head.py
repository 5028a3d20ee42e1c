"""The head as a `MaskState` poses it: where its vertices stand, and which way they face."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import LEFT, RIGHT, SKIN, Head
from digitalmask.compiled import compiled
from digitalmask.mask_state import MaskState
from digitalmask.rendering.displacement import Displacement
from digitalmask.rendering.eyelids import Eyelids, LidMargins, move_lids

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]

# The lids' margins: rows of vertices from the skin's edge to the ball.
STRIP_ROWS = 3
_LASH_ROOT_MM = 0.15
# Lashes: three vertices a margin's vertex, root, middle and tip; how far these stand out from the
# eye and away from its opening, over the lashes' length; and that, of the upper and the lower lid.
_LASH_SHARES = np.array([[0.0, 0.0], [0.50, 0.10], [0.78, 0.46]])
_LASHES_MM, _LASH_STRENGTHS = (6.0, 3.0), (0.66, 0.26)


@dataclass(frozen=True, slots=True)
class PosedHead:
    """All float32, in the head frame, mm. V vertices, those of the lids' margins last.

    vertices: (V, 6), the place and the normal, which is not of unit length. lashes: (L, 6), the
    place, then how far along a lash, where along the lid in mm, and how strong. margins: the
    patient's right eye's, then the left's.
    """

    vertices: Floats = field(repr=False)
    lashes: Floats = field(repr=False)
    margins: tuple[LidMargins, LidMargins] = field(repr=False)


class HeadPoser:
    """Poses the head. What it gives out is overwritten by the next pose.

    triangles: (T, 3), the head's, then those of the lids' margins. rest_mm: (V, 3), the head at
    rest; the margins' vertices are zero. lash_triangles: (2 n, 3) of the lashes' vertices.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._displacement = Displacement.of(head)
        self._eyelids = tuple(Eyelids.of(head, eye) for eye in (RIGHT, LEFT))
        own = len(head.vertices_mm)
        strips = np.zeros((STRIP_ROWS * sum(map(strip_places, margins_of(head))), 3), np.float32)
        self.rest_mm = np.concatenate([head.vertices_mm, strips])
        self.triangles = np.concatenate([head.triangles, _strip_triangles(head, self._eyelids)])
        self.lash_triangles = _lash_triangles(head)
        # Gums and teeth keep their light: what the jaw turns them by is not seen.
        moves = np.ones(len(self.rest_mm), bool)
        moves[:own] = False
        moves[self._displacement.moving] = True
        for lids in self._eyelids:
            moves[lids.rig.vertices] = True
        moves[:own] &= head.part == SKIN
        self._turns = np.zeros(len(self.rest_mm), bool)
        self._turns[self.triangles[moves[self.triangles].any(axis=1)]] = True
        self._turning = self.triangles[self._turns[self.triangles].any(axis=1)]
        self._points = self.rest_mm.copy()
        self._vertices = np.zeros((len(self.rest_mm), 6), np.float32)
        everywhere = np.ones(len(self.rest_mm), bool)
        _fill(self._vertices, self.rest_mm, self.triangles, everywhere)
        self._lashes = np.concatenate([_lash_ribbon(head, eye) for eye in (RIGHT, LEFT)])

    def pose(self, state: MaskState) -> PosedHead:
        """Put a state's expression, resting asymmetry and lids into the head."""
        head = self._head
        points = self._points[: len(head.vertices_mm)]
        points[:] = head.vertices_mm
        self._displacement.move(points, state)
        right, left = (
            move_lids(points, self._eyelids[eye], seen)
            for eye, seen in ((RIGHT, state.right), (LEFT, state.left))
        )
        strip, lash = len(points), 0
        for eye, margins in ((RIGHT, right), (LEFT, left)):
            rig, centre = head.lids[eye], head.eye_centres_mm[eye]
            lids = (
                (rig.upper_margin, margins.upper, margins.upper_strip, 1.0),
                (rig.lower_margin, margins.lower, margins.lower_strip, -1.0),
            )
            for (margin, edge, on_the_ball, sense), length in zip(lids, _LASHES_MM, strict=True):
                _fill_strip(self._points[strip:], edge, on_the_ball)
                _fill_lashes(self._lashes[lash:], points, margin, centre, sense, length)
                strip += STRIP_ROWS * strip_places(margin)
                lash += 3 * len(margin)
        _fill(self._vertices, self._points, self._turning, self._turns)
        return PosedHead(self._vertices, self._lashes, (right, left))


def margins_of(head: Head) -> list[Ints]:
    """The lids' margins in the order of their vertices: upper, lower, of the right eye first."""
    return [margin for rig in head.lids for margin in (rig.upper_margin, rig.lower_margin)]


def strip_places(margin: Ints) -> int:
    """A margin's vertices and the eye's two corners."""
    return len(margin) + 2


@compiled("void(f4[:,::1], f4[:,::1], i4[:,::1], b1[::1])")
def _fill(vertices: Floats, points: Floats, triangles: Ints, turns: NDArray[np.bool_]) -> None:
    """Fill in the places of all vertices and the normals of those that turn.

    A normal is the sum of those of the triangles about it, weighted by their areas.
    """
    for vertex in range(len(points)):
        for axis in range(3):
            vertices[vertex, axis] = points[vertex, axis]
            if turns[vertex]:
                vertices[vertex, 3 + axis] = 0.0
    for i in range(len(triangles)):
        a, b, c = triangles[i]
        ux, uy, uz = (
            points[b, 0] - points[a, 0],
            points[b, 1] - points[a, 1],
            points[b, 2] - points[a, 2],
        )
        vx, vy, vz = (
            points[c, 0] - points[a, 0],
            points[c, 1] - points[a, 1],
            points[c, 2] - points[a, 2],
        )
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (a, b, c):
            if turns[vertex]:
                vertices[vertex, 3] += x
                vertices[vertex, 4] += y
                vertices[vertex, 5] += z


@compiled("void(f4[:,::1], f8[:,::1], f8[:,::1])")
def _fill_strip(points: Floats, edge: Floats, on_the_ball: Floats) -> None:
    """Fill the first vertices with a margin's rows, from the skin's edge to that on the ball."""
    count = len(edge)
    for row in range(STRIP_ROWS):
        share = row / (STRIP_ROWS - 1)
        for i in range(count):
            for axis in range(3):
                step = share * (on_the_ball[i, axis] - edge[i, axis])
                points[row * count + i, axis] = edge[i, axis] + step


@compiled("void(f4[:,::1], f4[:,::1], i4[::1], f4[::1], f8, f8)")
def _fill_lashes(
    lashes: Floats, points: Floats, margin: Ints, centre: Floats, sense: float, length_mm: float
) -> None:
    """Fill the first vertices' places with a margin's lashes.

    Their roots stand on the margin; they curve out and away from the eye, fanning out to both
    sides. sense: 1 where that is upwards, -1 where it is downwards.
    """
    count, lateral = len(margin), np.sign(centre[0])
    out, away = np.empty(3), np.empty(3)
    for i in range(count):
        share = i / (count - 1)
        for axis in range(3):
            out[axis] = points[margin[i], axis] - centre[axis]
        out /= np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)
        # Along the lid's surface.
        away[0], away[1], away[2] = lateral * (share - 0.38) * 1.1, sense, 0.0
        away -= (away[0] * out[0] + away[1] * out[1]) * out
        away /= np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
        length = length_mm * (0.45 + 0.55 * min(share / 0.45, 1.0))
        for part in range(3):
            for axis in range(3):
                reach = _LASH_SHARES[part, 0] * out[axis] + _LASH_SHARES[part, 1] * away[axis]
                root = points[margin[i], axis] + _LASH_ROOT_MM * out[axis]
                lashes[3 * i + part, axis] = root + length * reach


def _lash_ribbon(head: Head, eye: int) -> Floats:
    """(L, 6) one eye's lashes but for their places."""
    rig, ribbons = head.lids[eye], []
    for margin, strength in zip((rig.upper_margin, rig.lower_margin), _LASH_STRENGTHS, strict=True):
        place = head.vertices_mm[margin]
        run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1))])
        share = run / run[-1]
        # Thinning out towards the inner corner.
        there = np.clip(share / 0.18, 0, 1) * np.clip((1 - share) / 0.03, 0.4, 1)
        ribbon = np.zeros((len(margin), 3, 6), np.float32)
        ribbon[..., 3] = (0.0, 0.5, 1.0)
        ribbon[..., 4] = run[:, None]
        ribbon[..., 5] = strength * there[:, None]
        ribbons.append(ribbon.reshape(-1, 6))
    return np.concatenate(ribbons)


def _lash_triangles(head: Head) -> Ints:
    triangles, first = [], 0
    for margin in margins_of(head):
        for i in range(len(margin) - 1):
            for j in range(2):
                a = first + i * 3 + j
                triangles += [(a, a + 1, a + 4), (a, a + 4, a + 3)]
        first += 3 * len(margin)
    return np.array(triangles, np.int32)


def _strip_triangles(head: Head, eyelids: tuple[Eyelids, ...]) -> Ints:
    """The lids' margins; their vertices follow the head's, row by row, as `pose` puts them."""
    first, triangles = len(head.vertices_mm), []
    for lids in eyelids:
        # The upper margin faces down and the lower one up.
        medial_is_right = lids.centre[0] < 0
        for margin, upper in zip(lids.margins, (True, False), strict=True):
            count = len(margin) + 2
            for row in range(STRIP_ROWS - 1):
                for i in range(count - 1):
                    a = first + row * count + i
                    quad = [(a, a + 1, a + count), (a + 1, a + count + 1, a + count)]
                    turned = upper != medial_is_right
                    triangles += [t[::-1] if turned else t for t in quad]
            first += STRIP_ROWS * count
    return np.array(triangles, np.int32)
