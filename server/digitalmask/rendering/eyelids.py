"""The lids of one eye, driven in millimetres on the eyeball that they slide on.

A lid's height is that of the border between lid and eye as a picture from straight ahead shows it:
of the upper lid the skin's edge, of the lower one, whose margin is seen from above, the edge that
lies on the ball.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from digitalmask.assets.head import Head, LidRig
from digitalmask.mask_state import EyeState

Floats = NDArray[np.floating]

# A real eye: a ball of 12 mm, whose iris (11.7 mm) lies where the ball has that width; the cornea
# has a radius of 7.8 mm and meets the ball there. The eyes' shader has the same figures.
BALL_MM = 12.0
PUPIL_ARM_MM = 10.478
_LIMBUS_MM = 5.85
_CORNEA_MM, _CORNEA_DEPTH_MM = 7.8, 5.319

# Below this aperture the lids are drawn shut: the upper margin then lies on the lower one.
_SHUT_MM = 0.12
_SEAL_MM = 0.3
# The lids' margins are as thick as this from the skin's edge to the ball. The lower one is seen
# from above: so far its skin lies below the ball's visible border, where the eye is wide open.
_THICKNESS_MM = 2.0
_LEDGE_MM = 0.85
_LEDGE_FROM_MM, _LEDGE_WHOLE_MM = 0.2, 3.0
# How far from a margin the last correction of its height fades out, and the order of the
# polynomial that its edge is smoothed to.
_FADE_MM = (1.5, 9.0)
_ORDER = 5
_EDGE_MM = 2.5
# The upper lid's crease, and the fold that hangs over it: how far above the margin at rest and how
# wide they are, and how deep or high with the eye open (9 mm); both fade as it shuts.
_CREASE_AT_MM, _CREASE_WIDTH_MM, _CREASE_DEPTH_MM = 4.4, 1.0, 1.3
_FOLD_AT_MM, _FOLD_WIDTH_MM, _FOLD_HEIGHT_MM = 6.8, 1.5, 0.7
_CREASE_SHUT_MM, _CREASE_OPEN_MM = 1.0, 9.0


@dataclass(frozen=True, slots=True)
class LidDrives:
    """How far the rig is driven at the five columns of the fissure, medial to lateral."""

    upper: Floats
    lower: Floats


def pupil_offset_mm(eye: EyeState) -> tuple[float, float]:
    """Where the drawn pupil's centre stands beside the eyeball's, x and y in the head frame."""
    x, y, _ = PUPIL_ARM_MM * gaze_axis(eye)
    return float(x), float(y)


def gaze_axis(eye: EyeState) -> Floats:
    """The unit vector of the visual direction in the head frame."""
    yaw, pitch = np.radians([eye.gaze_yaw_deg, eye.gaze_pitch_deg])
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def margin_heights(eye: EyeState) -> tuple[Floats, Floats]:
    """Where both margins border the eye, above the eyeball's centre, at the three columns.

    Lids that would cross meet.
    """
    pupil = pupil_offset_mm(eye)[1]
    upper = np.array(eye.upper_lid_mm, np.float64) + pupil
    lower = np.array(eye.lower_lid_mm, np.float64) + pupil
    crossed = np.maximum(lower - upper, 0) / 2
    return upper + crossed, lower - crossed


def lid_drives(rig: LidRig, eye: EyeState) -> LidDrives:
    """The drives that put the margins where `eye` says, relative to the drawn pupil.

    The three inner columns obey the millimetres; the two at the canthi, where no one measures,
    keep the same share of their neutral aperture as their neighbours. Lids that would cross meet.
    """
    upper, lower = margin_heights(eye)
    steps = rig.steps
    upper_heights, lower_heights = rig.upper_heights_mm, rig.lower_heights_mm

    def lower_drive(column: int, height: float) -> float:
        return float(np.interp(height, lower_heights[column], steps))

    def upper_drive(column: int, height: float) -> float:
        return float(np.interp(-height, -upper_heights[column], steps))

    low = np.zeros(5)
    low[1:4] = [lower_drive(column, lower[column - 1]) for column in (1, 2, 3)]
    low[0], low[4] = low[1], low[3]
    lower_at = np.array([np.interp(low[c], steps, lower_heights[c]) for c in range(5)])
    rest_gap = np.array(
        [
            np.interp(0, steps, upper_heights[c]) - np.interp(0, steps, lower_heights[c])
            for c in range(5)
        ]
    )
    gap = np.zeros(5)
    gap[1:4] = np.maximum(upper - lower_at[1:4], 0)
    gap[0] = rest_gap[0] * np.clip(gap[1] / rest_gap[1], 0, 1.4)
    gap[4] = rest_gap[4] * np.clip(gap[3] / rest_gap[3], 0, 1.4)
    gap -= np.clip((2 * _SHUT_MM - gap) / _SHUT_MM, 0, 1) * _SEAL_MM
    high = np.array([upper_drive(column, lower_at[column] + gap[column]) for column in range(5)])
    return LidDrives(high.astype(np.float32), low.astype(np.float32))


def _lengths(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", vectors, vectors)))


def pose_lids(
    from_centre: Floats,
    close: Floats,
    widen: Floats,
    lower: Floats,
    upper_drive: Floats,
    lower_drive: Floats,
) -> Floats:
    """Where lid vertices stand, relative to the eyeball's centre; all arrays per vertex.

    The upper lid's displacement is linear, and its distance from the eyeball's centre is then set
    between that of its two ends, so that it slides over the ball; the lower lid turns about the
    ball's axis along x.
    """
    down, up = np.maximum(upper_drive, 0), np.maximum(-upper_drive, 0)
    moved = from_centre + down[:, None] * close + up[:, None] * widen
    radius = _lengths(from_centre)
    closed = _lengths(from_centre + close)
    wide = _lengths(from_centre + widen)
    wanted = radius + np.minimum(down, 1) * (closed - radius) + np.minimum(up, 1) * (wide - radius)
    moved *= (wanted / _lengths(moved))[:, None]
    angle = lower_drive * lower
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: Floats = moved.copy()
    turned[:, 1] = cosine * moved[:, 1] + sine * moved[:, 2]
    turned[:, 2] = cosine * moved[:, 2] - sine * moved[:, 1]
    return turned


@dataclass(frozen=True, slots=True)
class Eyelids:
    """What stays the same of one eye's lids; N vertices as in `LidRig`.

    margins: places of the upper and the lower margin among the rig's vertices.
    weights: (2, N), each vertex's share in the last correction of either margin; turned: which
        have one.
    canthi: the vertices at the medial and the lateral corner, where both margins meet.
    crease: (N,), how far each vertex is drawn in (negative) by the crease or raised by its fold.
    edges: the rig's vertices at the upper and the lower margin, which never reach beyond it.
    """

    rig: LidRig
    centre: Floats
    margins: tuple[NDArray[np.int64], NDArray[np.int64]]
    weights: Floats
    turned: tuple[NDArray[np.int64], NDArray[np.int64]]
    canthi: tuple[int, int]
    crease: Floats
    edges: tuple[NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(cls, head: Head, eye: int) -> "Eyelids":
        """The lids of the patient's right (0) or left (1) eye."""
        rig, centre = head.lids[eye], head.eye_centres_mm[eye]
        place = np.full(len(head.vertices_mm), -1)
        place[rig.vertices] = np.arange(len(rig.vertices))
        points = head.vertices_mm[rig.vertices]
        margins = (rig.upper_margin, rig.lower_margin)
        near = [np.asarray(cKDTree(head.vertices_mm[m]).query(points)[0]) for m in margins]
        weights, edges = [], []
        for margin, own, other in zip(margins, near, near[::-1], strict=True):
            side = _smoothstep(-0.35, 0.35, (other - own) / (other + own + 1e-6))
            weights.append(side * (1 - _smoothstep(*_FADE_MM, own)))
            x, ends = points[:, 0], head.vertices_mm[margin, 0]
            within = (x > ends.min()) & (x < ends.max())
            edges.append(np.flatnonzero((own < _EDGE_MM) & (side > 0.5) & within))
        return cls(
            rig=rig,
            centre=centre,
            margins=(place[rig.upper_margin], place[rig.lower_margin]),
            weights=np.array(weights, np.float32),
            turned=(np.flatnonzero(weights[0]), np.flatnonzero(weights[1])),
            canthi=_canthi(head, rig, place),
            crease=_crease(near[0], weights[0] > 0, points[:, 0], rig, head).astype(np.float32),
            edges=(edges[0], edges[1]),
        )


@dataclass(frozen=True, slots=True)
class LidMargins:
    """The posed margins of one eye, from their medial to their lateral ends, head frame, mm.

    upper, lower: (n, 3) each, the skin's edges. upper_strip, lower_strip: (n, 3), the edges on
    the ball; between both lies the moist margin. Both begin and end in the eye's corners.
    """

    upper: Floats
    lower: Floats
    upper_strip: Floats
    lower_strip: Floats


def _smoothstep(low: float, high: float, x: Floats) -> Floats:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _canthi(head: Head, rig: LidRig, place: NDArray[np.int64]) -> tuple[int, int]:
    """The medial and the lateral end of the mesh's open edge around an eye."""
    sides = np.sort(head.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    rim = np.unique(edges[count == 1])
    rim = rim[place[rim] >= 0]
    lateral = np.sign(rig.columns_x_mm[-1] - rig.columns_x_mm[0])
    x = head.vertices_mm[rim, 0] * lateral
    return int(place[rim[np.argmin(x)]]), int(place[rim[np.argmax(x)]])


def _crease(above: Floats, upper: NDArray[np.bool_], x: Floats, rig: LidRig, head: Head) -> Floats:
    """How far the open eye's crease moves each vertex outwards, mm."""
    ends = head.vertices_mm[rig.upper_margin[[0, -1]], 0]
    share = (x - ends[0]) / (ends[1] - ends[0])
    there = np.sqrt(np.clip(5 * share * (1 - share), 0, 1)) * upper
    crease = np.exp(-(((above - _CREASE_AT_MM) / _CREASE_WIDTH_MM) ** 2))
    fold = np.exp(-(((above - _FOLD_AT_MM) / _FOLD_WIDTH_MM) ** 2))
    return np.asarray((_FOLD_HEIGHT_MM * fold - _CREASE_DEPTH_MM * crease) * there)


@lru_cache(maxsize=4)
def _weights(count: int) -> Floats:
    """How much the points of a margin, then its three columns, count in its smooth curve."""
    weights = np.ones(count + 3)
    weights[[0, count - 1]] = 6.0
    weights[count:] = 60.0
    return weights[:, None]


def _smooth_heights(x: Floats, y: Floats, columns: Floats, heights: Floats) -> Floats:
    """The heights at x of a smooth curve along (x, y) that passes the columns at the heights."""
    middle, half = (x[0] + x[-1]) / 2, abs(x[-1] - x[0]) / 2
    basis = np.vander(np.concatenate([(x - middle) / half, (columns - middle) / half]), _ORDER + 1)
    weights = _weights(len(x))
    system = basis * weights
    values = np.concatenate([y, heights]) * weights[:, 0]
    solved = np.linalg.solve(system.T @ system, system.T @ values)
    return np.asarray(basis[: len(x)] @ solved)


def _on_the_eye(xy: Floats, axis: Floats, least: Floats, most: Floats) -> Floats:
    """z of the eye's surface, cornea or ball, at places beside its centre, bounded."""
    ball = np.sqrt(np.maximum(BALL_MM**2 - (xy**2).sum(1), 0))
    beside = xy - _CORNEA_DEPTH_MM * axis[:2]
    inside = _CORNEA_MM**2 - (beside**2).sum(1)
    cornea = _CORNEA_DEPTH_MM * axis[2] + np.sqrt(np.maximum(inside, 0))
    cornea = np.where(inside > 0, cornea, 0)
    # The cornea reaches over the ball as far as the limbus.
    height = xy @ axis[:2] + cornea * axis[2]
    z = np.where(height > PUPIL_ARM_MM - 0.05, np.maximum(cornea, ball), ball)
    return np.asarray(np.clip(z, least, most))


def move_lids(points: Floats, lids: Eyelids, eye: EyeState) -> LidMargins:
    """Put one eye's lids, in place, into the head's vertices `points` (V, 3)."""
    rig, drives = lids.rig, lid_drives(lids.rig, eye)
    posed = pose_lids(
        points[rig.vertices] - lids.centre,
        rig.close_mm,
        rig.widen_mm,
        rig.lower_rad,
        rig.columns @ drives.upper,
        rig.columns @ drives.lower,
    )
    columns = rig.columns_x_mm - lids.centre[0]
    upper, lower = margin_heights(eye)
    aperture = np.interp(
        np.abs(posed[lids.margins[1], 0] - columns[0]),
        np.abs(columns[1:4] - columns[0]),
        upper - lower,
    )
    ledge = _LEDGE_MM * _smoothstep(_LEDGE_FROM_MM, _LEDGE_WHOLE_MM, aperture)
    share = np.linspace(0, 1, len(ledge))
    ledge = ledge * np.sqrt(np.clip(6 * share * (1 - share), 0, 1))
    ledge_at = _LEDGE_MM * _smoothstep(_LEDGE_FROM_MM, _LEDGE_WHOLE_MM, upper - lower)
    # Lids that are as good as shut lie on one another.
    sealed = np.clip((2 * _SHUT_MM - (upper - lower)) / _SHUT_MM, 0, 1) * _SEAL_MM
    shut = float(sealed.min()) / _SEAL_MM
    for number, heights in ((1, lower - ledge_at), (0, upper - sealed)):
        margin = lids.margins[number]
        edge = posed[margin]
        wanted = _smooth_heights(edge[:, 0], edge[:, 1], columns[1:4], heights)
        if number == 0 and shut > 0:
            # Shut from corner to corner, whatever the three columns leave open beside them.
            below = posed[lids.margins[1]]
            order = np.argsort(below[:, 0])
            lowest = np.interp(edge[:, 0], below[order, 0], below[order, 1]) - _SEAL_MM / 2
            wanted = wanted + shut * np.minimum(lowest - wanted, 0)
        reach = np.hypot(edge[:, 1], edge[:, 2])
        turn = np.arcsin(np.clip(wanted / reach, -0.99, 0.99)) - np.arcsin(edge[:, 1] / reach)
        order = np.argsort(edge[:, 0])
        turned = lids.turned[number]
        angle = np.interp(posed[turned, 0], edge[order, 0], turn[order]).astype(np.float32)
        angle *= lids.weights[number, turned]
        cosine, sine = np.cos(angle), np.sin(angle)
        y, z = posed[turned, 1], posed[turned, 2]
        posed[turned, 1] = cosine * y + sine * z
        posed[turned, 2] = cosine * z - sine * y
        edge, near = posed[margin], lids.edges[number]
        bound = np.interp(posed[near, 0], edge[order, 0], edge[order, 1])
        within = np.maximum if number == 0 else np.minimum
        posed[near, 1] = within(posed[near, 1], bound)
    opening = float(upper[1] - lower[1])
    opening = (opening - _CREASE_SHUT_MM) / (_CREASE_OPEN_MM - _CREASE_SHUT_MM)
    opening = min(max(opening, 0.0), 1.4)
    posed += posed * (opening * lids.crease / _lengths(posed))[:, None]
    points[rig.vertices] = lids.centre + posed
    axis = gaze_axis(eye)
    medial, lateral = posed[lids.canthi[0], None], posed[lids.canthi[1], None]
    edges = [np.concatenate([medial, posed[margin], lateral]) for margin in lids.margins]
    strips = []
    rises = np.full(len(edges[0]), 0.03), np.pad(ledge, 1)
    for edge, rise in zip(edges, rises, strict=True):
        strip = edge.copy()
        strip[:, 1] += rise
        strip[:, 2] = _on_the_eye(strip[:, :2], axis, edge[:, 2] - _THICKNESS_MM, edge[:, 2] - 0.3)
        strips.append(strip + lids.centre)
    return LidMargins(edges[0] + lids.centre, edges[1] + lids.centre, strips[0], strips[1])
