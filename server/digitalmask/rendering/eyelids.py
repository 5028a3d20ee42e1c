"""The lids of one eye, driven in millimetres on the eyeball that they slide on.

A lid's height is that of the border between lid and eye as a picture from straight ahead shows it:
of the upper lid the skin's edge, of the lower one, whose margin is seen from above, the edge that
lies on the ball.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from digitalmask.assets.head import Head, LidRig
from digitalmask.compiled import compiled
from digitalmask.mask_state import EyeState

Floats = NDArray[np.floating]
Places = NDArray[np.int64]

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


@compiled("f8[:,::1](f8[::1], f8[::1], f4[::1], f4[:,::1], f4[:,::1])")
def _drives(
    upper: Floats, lower: Floats, steps: Floats, upper_heights: Floats, lower_heights: Floats
) -> Floats:
    """(2, 5): how far the rig's upper, then its lower lid is driven at its five columns.

    upper, lower: (3,) heights above the eyeball's centre, which the three inner columns obey; the
    two at the canthi, where no one measures, keep the same share of their neutral aperture as
    their neighbours. Lids that would cross meet.
    """
    drives = np.empty((2, 5))
    for column in range(1, 4):
        drives[1, column] = np.interp(lower[column - 1], lower_heights[column], steps)
    drives[1, 0], drives[1, 4] = drives[1, 1], drives[1, 3]
    lower_at, rest, gap = np.empty(5), np.empty(5), np.empty(5)
    for column in range(5):
        lower_at[column] = np.interp(drives[1, column], steps, lower_heights[column])
        rest[column] = np.interp(0.0, steps, upper_heights[column])
        rest[column] -= np.interp(0.0, steps, lower_heights[column])
    for column in range(1, 4):
        gap[column] = max(upper[column - 1] - lower_at[column], 0.0)
    for corner, beside in ((0, 1), (4, 3)):
        gap[corner] = rest[corner] * min(max(gap[beside] / rest[beside], 0.0), 1.4)
    for column in range(5):
        seal = min(max((2 * _SHUT_MM - gap[column]) / _SHUT_MM, 0.0), 1.0) * _SEAL_MM
        height = lower_at[column] + gap[column] - seal
        drives[0, column] = np.interp(-height, -upper_heights[column], steps)
    return drives


@compiled(
    "f4[:,::1](f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4[::1], f4[::1])",
    "f8[:,::1](f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8[::1], f8[::1])",
)
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
    posed = np.empty_like(from_centre)
    for i in range(len(from_centre)):
        down, up = max(upper_drive[i], 0.0), max(-upper_drive[i], 0.0)
        radius, closed, wide, reach = 0.0, 0.0, 0.0, 0.0
        for axis in range(3):
            place = from_centre[i, axis]
            moved = place + down * close[i, axis] + up * widen[i, axis]
            radius += place**2
            closed += (place + close[i, axis]) ** 2
            wide += (place + widen[i, axis]) ** 2
            reach += moved**2
            posed[i, axis] = moved
        radius = np.sqrt(radius)
        wanted = radius + min(down, 1.0) * (np.sqrt(closed) - radius)
        wanted += min(up, 1.0) * (np.sqrt(wide) - radius)
        share = wanted / np.sqrt(reach)
        x, y, z = share * posed[i, 0], share * posed[i, 1], share * posed[i, 2]
        cosine, sine = np.cos(lower_drive[i] * lower[i]), np.sin(lower_drive[i] * lower[i])
        posed[i, 0] = x
        posed[i, 1] = cosine * y + sine * z
        posed[i, 2] = cosine * z - sine * y
    return posed


@compiled("f8(f8, f8, f8)", "f8[:](f8, f8, f8[:])")
def _smoothstep(low: float, high: float, x: Any) -> Any:
    """A smooth step from 0 at low to 1 at high; of an array, at each of its places."""
    t = np.minimum(np.maximum((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True, slots=True)
class Eyelids:
    """What stays the same of one eye's lids; N vertices as in `LidRig`.

    margins: places of the upper and the lower margin among the rig's vertices.
    weights: (2, N), each vertex's share in the last correction of either margin; turned: which
        have one.
    columns_mm: (5,), x of the rig's columns beside the eyeball's centre.
    canthi: (2,), the vertices at the medial and the lateral corner, where both margins meet.
    crease: (N,), how far each vertex is drawn in (negative) by the crease or raised by its fold.
    edges: the rig's vertices at the upper and the lower margin, which never reach beyond it.
    """

    rig: LidRig
    centre: Floats
    columns_mm: Floats
    margins: tuple[Places, Places]
    weights: Floats
    turned: tuple[Places, Places]
    canthi: Places
    crease: Floats
    edges: tuple[Places, Places]

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
            columns_mm=(rig.columns_x_mm - centre[0]).astype(np.float64),
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


def _canthi(head: Head, rig: LidRig, place: Places) -> Places:
    """The medial and the lateral end of the mesh's open edge around an eye."""
    sides = np.sort(head.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    rim = np.unique(edges[count == 1])
    rim = rim[place[rim] >= 0]
    lateral = np.sign(rig.columns_x_mm[-1] - rig.columns_x_mm[0])
    x = head.vertices_mm[rim, 0] * lateral
    return np.array([place[rim[np.argmin(x)]], place[rim[np.argmax(x)]]])


def _crease(above: Floats, upper: NDArray[np.bool_], x: Floats, rig: LidRig, head: Head) -> Floats:
    """How far the open eye's crease moves each vertex outwards, mm."""
    ends = head.vertices_mm[rig.upper_margin[[0, -1]], 0]
    share = (x - ends[0]) / (ends[1] - ends[0])
    there = np.sqrt(np.clip(5 * share * (1 - share), 0, 1)) * upper
    crease = np.exp(-(((above - _CREASE_AT_MM) / _CREASE_WIDTH_MM) ** 2))
    fold = np.exp(-(((above - _FOLD_AT_MM) / _FOLD_WIDTH_MM) ** 2))
    return np.asarray((_FOLD_HEIGHT_MM * fold - _CREASE_DEPTH_MM * crease) * there)


@compiled("f8[::1](f4[:,::1], f8[::1], f8[::1])")
def _smooth_heights(edge: Floats, columns: Floats, heights: Floats) -> Floats:
    """The heights of a smooth curve along an edge (n, 3) that passes the columns at the heights."""
    count, x, y = len(edge), edge[:, 0], edge[:, 1]
    middle, half = (x[0] + x[-1]) / 2, abs(x[-1] - x[0]) / 2
    system, values = np.empty((count + 3, _ORDER + 1)), np.empty(count + 3)
    for i in range(count + 3):
        if i < count:
            at, values[i] = (x[i] - middle) / half, y[i]
        else:
            at, values[i] = (columns[i - count] - middle) / half, heights[i - count]
        # How much a margin's points count, and its ends, and its columns.
        weight = 60.0 if i >= count else 6.0 if i in (0, count - 1) else 1.0
        values[i] *= weight
        for power in range(_ORDER + 1):
            system[i, power] = weight * at**power
    solved = np.linalg.solve(system.T @ system, system.T @ values)
    smooth = np.zeros(count)
    for i in range(count):
        at = (x[i] - middle) / half
        for power in range(_ORDER, -1, -1):
            smooth[i] = smooth[i] * at + solved[power]
    return smooth


@compiled("void(f4[:,::1], i8[::1], f8[::1], i8[::1], f4[::1], i8[::1], b1)")
def _raise_margin(
    posed: Floats,
    margin: Places,
    wanted: Floats,
    turned: Places,
    weights: Floats,
    beside: Places,
    is_upper: bool,
) -> None:
    """Turn a margin about the ball's axis along x, in place, until its heights are as wanted.

    The vertices `turned` follow it by their weights; those `beside` it stay behind it.
    """
    count = len(margin)
    x, turn, height = np.empty(count), np.empty(count), np.empty(count)
    order = np.argsort(posed[margin, 0])
    for place, i in enumerate(order):
        vertex = margin[i]
        reach = np.hypot(posed[vertex, 1], posed[vertex, 2])
        x[place] = posed[vertex, 0]
        turn[place] = np.arcsin(min(max(wanted[i] / reach, -0.99), 0.99))
        turn[place] -= np.arcsin(posed[vertex, 1] / reach)
    for vertex in turned:
        angle = weights[vertex] * np.interp(posed[vertex, 0], x, turn)
        cosine, sine = np.cos(angle), np.sin(angle)
        y, z = posed[vertex, 1], posed[vertex, 2]
        posed[vertex, 1] = cosine * y + sine * z
        posed[vertex, 2] = cosine * z - sine * y
    for place, i in enumerate(order):
        height[place] = posed[margin[i], 1]
    for vertex in beside:
        bound = np.interp(posed[vertex, 0], x, height)
        if (posed[vertex, 1] < bound) == is_upper:
            posed[vertex, 1] = bound


@compiled("f8[::1](f4[:,::1], i8[::1], f8[::1], f8[::1], f8[::1])")
def _ledges(posed: Floats, margin: Places, columns: Floats, upper: Floats, lower: Floats) -> Floats:
    """How far the lower margin's skin lies below the ball's visible border, along the margin, mm.

    columns: (5,) the rig's; upper, lower: (3,) the lids' heights at the inner ones.
    """
    count = len(margin)
    apertures, away = upper - lower, np.abs(columns[1:4] - columns[0])
    ledges = np.empty(count)
    for i in range(count):
        aperture = np.interp(abs(posed[margin[i], 0] - columns[0]), away, apertures)
        share = i / (count - 1)
        there = np.sqrt(min(max(6 * share * (1 - share), 0.0), 1.0))
        ledges[i] = _LEDGE_MM * _smoothstep(_LEDGE_FROM_MM, _LEDGE_WHOLE_MM, aperture) * there
    return ledges


@compiled("f8(f8, f8, f8[::1], f8, f8)")
def _on_the_eye(x: float, y: float, axis: Floats, least: float, most: float) -> float:
    """z of the eye's surface, cornea or ball, at a place beside its centre, bounded."""
    ball = np.sqrt(max(BALL_MM**2 - x**2 - y**2, 0.0))
    beside = (x - _CORNEA_DEPTH_MM * axis[0]) ** 2 + (y - _CORNEA_DEPTH_MM * axis[1]) ** 2
    cornea = 0.0
    if beside < _CORNEA_MM**2:
        cornea = _CORNEA_DEPTH_MM * axis[2] + np.sqrt(_CORNEA_MM**2 - beside)
    # The cornea reaches over the ball as far as the limbus.
    if x * axis[0] + y * axis[1] + cornea * axis[2] > PUPIL_ARM_MM - 0.05:
        ball = max(cornea, ball)
    return float(min(max(ball, least), most))


@compiled("f8[:,:,::1](f4[:,::1], i8[::1], i8[::1], f8[::1], f4[::1], f8[::1])")
def _edges(
    posed: Floats,
    margin: Places,
    canthi: Places,
    rises: Floats,
    centre: Floats,
    axis: Floats,
) -> Floats:
    """(2, n + 2, 3) a posed margin's skin edge and its edge on the ball, with both corners."""
    count = len(margin) + 2
    edges = np.empty((2, count, 3))
    for i in range(count):
        vertex = canthi[0] if i == 0 else canthi[1] if i == count - 1 else margin[i - 1]
        edges[:, i] = posed[vertex]
        edges[1, i, 1] += rises[i]
        x, y, z = edges[1, i]
        edges[1, i, 2] = _on_the_eye(x, y, axis, z - _THICKNESS_MM, z - 0.3)
        edges[:, i] += centre
    return edges


@compiled(
    "Tuple((f8[:,:,::1], f8[:,:,::1]))(f4[:,::1], f4[::1], i4[::1], f4[:,::1], f4[:,::1], f4[::1],"
    "f4[:,::1], f8[::1], f4[::1], f4[:,::1], f4[:,::1], i8[::1], i8[::1], f4[:,::1], i8[::1],"
    "i8[::1], i8[::1], i8[::1], i8[::1], f4[::1], f8[::1], f8[::1], f8[::1])"
)
def _move(
    points: Floats,
    centre: Floats,
    vertices: NDArray[np.int32],
    close: Floats,
    widen: Floats,
    lower_rad: Floats,
    shares: Floats,
    columns: Floats,
    steps: Floats,
    upper_heights: Floats,
    lower_heights: Floats,
    upper_margin: Places,
    lower_margin: Places,
    weights: Floats,
    upper_turned: Places,
    lower_turned: Places,
    upper_beside: Places,
    lower_beside: Places,
    canthi: Places,
    crease: Floats,
    upper: Floats,
    lower: Floats,
    axis: Floats,
) -> tuple[Floats, Floats]:
    """`move_lids` on what `Eyelids` and its rig hold; both margins' edges, upper first.

    columns: (5,) beside the eyeball's centre. upper, lower: (3,) heights above it.
    """
    count = len(vertices)
    drives = _drives(upper, lower, steps, upper_heights, lower_heights)
    from_centre = np.empty((count, 3), np.float32)
    driven = np.zeros((2, count), np.float32)
    for i in range(count):
        from_centre[i] = points[vertices[i]] - centre
        for lid in range(2):
            for column in range(5):
                driven[lid, i] += shares[i, column] * drives[lid, column]
    posed = pose_lids(from_centre, close, widen, lower_rad, driven[0], driven[1])
    ledges = _ledges(posed, lower_margin, columns, upper, lower)
    lower_wanted, upper_wanted = np.empty(3), np.empty(3)
    least_seal = _SEAL_MM
    for column in range(3):
        aperture = upper[column] - lower[column]
        ledge = _LEDGE_MM * _smoothstep(_LEDGE_FROM_MM, _LEDGE_WHOLE_MM, aperture)
        # Lids that are as good as shut lie on one another.
        seal = min(max((2 * _SHUT_MM - aperture) / _SHUT_MM, 0.0), 1.0) * _SEAL_MM
        least_seal = min(least_seal, seal)
        lower_wanted[column], upper_wanted[column] = lower[column] - ledge, upper[column] - seal
    heights = _smooth_heights(posed[lower_margin], columns[1:4], lower_wanted)
    _raise_margin(posed, lower_margin, heights, lower_turned, weights[1], lower_beside, False)
    edge = posed[upper_margin]
    heights = _smooth_heights(edge, columns[1:4], upper_wanted)
    shut = least_seal / _SEAL_MM
    if shut > 0:
        # Shut from corner to corner, whatever the three columns leave open beside them.
        below = posed[lower_margin[np.argsort(posed[lower_margin, 0])]]
        for i in range(len(heights)):
            lowest = np.interp(edge[i, 0], below[:, 0], below[:, 1]) - _SEAL_MM / 2
            heights[i] += shut * min(lowest - heights[i], 0.0)
    _raise_margin(posed, upper_margin, heights, upper_turned, weights[0], upper_beside, True)
    opening = (upper[1] - lower[1] - _CREASE_SHUT_MM) / (_CREASE_OPEN_MM - _CREASE_SHUT_MM)
    opening = min(max(opening, 0.0), 1.4)
    for i in range(count):
        reach = np.sqrt(posed[i, 0] ** 2 + posed[i, 1] ** 2 + posed[i, 2] ** 2)
        outwards = 1.0 + opening * crease[i] / reach
        for along in range(3):
            posed[i, along] *= outwards
            points[vertices[i], along] = centre[along] + posed[i, along]
    upper_rises, lower_rises = np.full(len(upper_margin) + 2, 0.03), np.zeros(len(lower_margin) + 2)
    lower_rises[1:-1] = ledges
    return (
        _edges(posed, upper_margin, canthi, upper_rises, centre, axis),
        _edges(posed, lower_margin, canthi, lower_rises, centre, axis),
    )


def move_lids(points: Floats, lids: Eyelids, eye: EyeState) -> LidMargins:
    """Put one eye's lids, in place, into the head's vertices `points` (V, 3), float32."""
    rig = lids.rig
    upper, lower = _move(
        points,
        lids.centre,
        rig.vertices,
        rig.close_mm,
        rig.widen_mm,
        rig.lower_rad,
        rig.columns,
        lids.columns_mm,
        rig.steps,
        rig.upper_heights_mm,
        rig.lower_heights_mm,
        *lids.margins,
        lids.weights,
        *lids.turned,
        *lids.edges,
        lids.canthi,
        lids.crease,
        *margin_heights(eye),
        gaze_axis(eye),
    )
    return LidMargins(upper[0], lower[0], upper[1], lower[1])
