"""Where the limbus and the pupil are in an eye's cut: compiled arithmetic of `eye_outline`.

Limbus: an ellipse (a circle of the iris' size, tilted as the eye looks) through the places where
the picture turns brighter along 40 rays, those behind the lids left out, by reweighted least
squares. After Daugman, "How iris recognition works" (2004), with edges in place of the integral.

A cut is a picture of `HEIGHT` rows and `WIDTH` columns in which the eye's corners lie on a level,
`HALF_FISSURE` to either side of its middle, whatever their size in the frame. All places are in
its pixels, of which the first one's centre is 0, 0.
"""

from math import cos, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]

WIDTH, HEIGHT, HALF_FISSURE = 160, 112, 48.0
MIDDLE_X, MIDDLE_Y = WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5

_IRIS_RADIUS_MM = 5.85
# From the middle between the corners to the eyeball's centre (x outwards is nothing: up, depth),
# and from that centre to the limbus' plane; millimetres of the average head.
_CENTRE_UP_MM, _CENTRE_BACK_MM, _LIMBUS_ARM_MM = 1.2, 8.5, 10.5

_PLACES = 25  # along the fissure, from the left corner to the right one
_PLACES_X = np.linspace(MIDDLE_X - HALF_FISSURE, MIDDLE_X + HALF_FISSURE, _PLACES)
_PLACE_PX = 2 * HALF_FISSURE / (_PLACES - 1)
_LID_SHADOW_MM = 0.9  # so much of the eye beside a margin is not looked at for the limbus

_RAYS = 40
# Over the iris' radius: how far off a ray's edge usually is; how far the networks' iris may be from
# the one that the edges make, or from where it was sought; and its radius.
_RAY_SPREAD = 0.05
_CENTRE_SPREAD, _SOUGHT_SPREAD, _RADIUS_SPREAD = 0.2, 0.5, 0.06
# Where the iris is sought beside the network's, over its radius; how far from the rim it must be
# darker within than without, and what that counts for, of 255; the least of it that is an iris'.
_SOUGHT_STEP, _SOUGHT_ACROSS, _SOUGHT_DOWN, _SOUGHT_LEAST = 0.16, 6, 4, 0.3
_RIM, _FULL_RIM = 0.16, 40.0
_OUTLINES, _SAME_OUTLINE = 3, 0.1  # how often at most it is found, and what is no farther aside
_FAR_COST, _LEAST_TRUST, _BETTER, _LEAST_RIM = 120.0, 0.3, 220.0, 50.0
# Across, the network's doubt takes off what its place counts for. A height near to its own still
# costs so much then, and one farther off all of it.
_NEAR_HEIGHT, _OTHER_HEIGHT = 0.35, 45.0
_LEAST_PUPIL_RISE = 12.0  # of 255, from the pupil to the iris
# Of the iris' radius, where the pupil's edge is looked for, and between which it may lie: from 2 to
# 8 mm wide. What seems wider is the limbus.
_PUPIL_FIRST, _PUPIL_STEP, _PUPIL_STEPS = 0.1, 0.03, 26
_PUPIL_LEAST, _PUPIL_MOST = 0.17, 0.69


@compiled("void(u1[:,:,::1], f4[:,::1])")
def fill_brightness(picture: NDArray[np.uint8], bright: Picture) -> None:
    """The mean of red and green of a cut (HEIGHT, WIDTH, 3 or 4), in which a sclera is bright and
    an iris is not; blue is where cameras have noise.
    """
    for row in range(HEIGHT):
        for column in range(WIDTH):
            red, green = np.float32(picture[row, column, 0]), np.float32(picture[row, column, 1])
            bright[row, column] = np.float32(0.5) * (red + green)


@compiled("f8(f4[:,::1], f8, f8)")
def _sample(layer: Picture, x: float, y: float) -> float:
    """A layer between its pixels; beyond its edge, as at it."""
    x = min(max(x, 0.0), WIDTH - 1.0)
    y = min(max(y, 0.0), HEIGHT - 1.0)
    column, row = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    right, down = x - column, y - row
    upper = layer[row, column] * (1.0 - right) + layer[row, column + 1] * right
    lower = layer[row + 1, column] * (1.0 - right) + layer[row + 1, column + 1] * right
    return float(upper * (1.0 - down) + lower * down)


@compiled("f8(f8[::1], f8)")
def _height(margin: Floats, x: float) -> float:
    """A margin's y, of (_PLACES,) along the fissure."""
    place = min(max((x - _PLACES_X[0]) / _PLACE_PX, 0.0), _PLACES - 1.0)
    left = min(int(place), _PLACES - 2)
    return float(margin[left] + (place - left) * (margin[left + 1] - margin[left]))


@compiled("b1(f8[:,::1], f8, f8)")
def _is_between(margins: Floats, x: float, y: float) -> bool:
    return _height(margins[0], x) < y < _height(margins[1], x)


@compiled("UniTuple(f8, 2)(f8[::1])")
def _peak(rises: Floats) -> tuple[float, float]:
    """Where the rises (7 or more) are steepest, below a sample, and how much rises about it.

    The top of a parabola through seven samples: a centre of mass would be drawn to the middle of
    those that it is taken over.
    """
    top = min(max(int(np.argmax(rises)), 3), len(rises) - 4)
    slope, bend, rise = 0.0, 0.0, 0.0
    for way in range(-3, 4):
        value = rises[top + way]
        # The sums of squares of -3 to 3, and of their squares less the mean of these.
        slope += value * way / 28.0
        bend += value * (way * way - 4.0) / 84.0
        rise += max(value, 0.0)
    shift = slope / max(-2.0 * bend, 1e-9)
    return top + min(max(shift, -3.0), 3.0), rise


@compiled("void(f8[:,::1], f8[::1])")
def _solve(matrix: Floats, values: Floats) -> None:
    """Solve three equations of a positive definite matrix in place; the answer is in `values`."""
    for first in range(3):
        for row in range(first + 1, 3):
            share = matrix[row, first] / matrix[first, first]
            for column in range(first, 3):
                matrix[row, column] -= share * matrix[first, column]
            values[row] -= share * values[first]
    for row in range(2, -1, -1):
        for column in range(row + 1, 3):
            values[row] -= matrix[row, column] * values[column]
        values[row] /= matrix[row, row]


@compiled("UniTuple(f8, 3)(f8[:,::1], f8, f8, f8)")
def _iris_shape(head: Floats, x: float, y: float, mm: float) -> tuple[float, float, float]:
    """xx, xy, yy of the matrix from the unit circle to the iris' outline over its radius.

    The iris is a disc that faces where the eye looks: seen from aside, it is narrower. head: the
    outer corners of both eyes, forehead and chin, (4, 3): they say roughly how the head stands.
    """
    across, down = head[1] - head[0], head[3] - head[2]
    across /= sqrt((across**2).sum())
    down -= (down * across).sum() * across
    down /= sqrt((down**2).sum())
    back_x = across[1] * down[2] - across[2] * down[1]  # away from the camera
    back_y = across[2] * down[0] - across[0] * down[2]
    centre_x = MIDDLE_X + mm * (_CENTRE_BACK_MM * back_x - _CENTRE_UP_MM * down[0])
    centre_y = MIDDLE_Y + mm * (_CENTRE_BACK_MM * back_y - _CENTRE_UP_MM * down[1])
    aside_x = (x - centre_x) / (_LIMBUS_ARM_MM * mm)
    aside_y = (y - centre_y) / (_LIMBUS_ARM_MM * mm)
    sine = sqrt(aside_x**2 + aside_y**2)
    # Looked at straight, it is round whatever the direction is.
    aside_x, aside_y = aside_x / max(sine, 1e-3), aside_y / max(sine, 1e-3)
    lost = 1.0 - sqrt(1.0 - min(sine, 0.9) ** 2)
    return 1.0 - lost * aside_x**2, -lost * aside_x * aside_y, 1.0 - lost * aside_y**2


@compiled("f8[:,::1](UniTuple(f8, 3))")
def _rays(shape: tuple[float, float, float]) -> Floats:
    """(_RAYS, 4): from the middle to the iris' outline over its radius, and across that outline."""
    xx, xy, yy = shape
    rays = np.empty((_RAYS, 4))
    for ray in range(_RAYS):
        angle = 2.0 * pi * (ray + 0.5) / _RAYS
        x, y = cos(angle), sin(angle)
        rays[ray, 0], rays[ray, 1] = xx * x + xy * y, xy * x + yy * y
        # The shape's inverse but for a factor.
        across_x, across_y = yy * x - xy * y, xx * y - xy * x
        length = sqrt(across_x**2 + across_y**2)
        rays[ray, 2], rays[ray, 3] = across_x / length, across_y / length
    return rays


@compiled("UniTuple(f8, 2)(f4[:,::1], f8[:,::1], f8[:,::1], f8, f8, f8, f8)")
def _seek(
    bright: Picture, rays: Floats, visible: Floats, x: float, y: float, radius: float, trust: float
) -> tuple[float, float]:
    """Where a disc of the iris' size has most of a dark rim in what is seen of the eye.

    In an eye that looks far aside the network leaves the iris behind by up to its radius, farther
    than the limbus is looked for. trust: as in `find_edges`; how high an iris stands, of which lids
    hide the most, the rim says less well than the network even then.
    """
    best, best_x, best_y = -np.inf, x, y
    at_first = True
    for place in range(-1, (2 * _SOUGHT_ACROSS + 1) * (2 * _SOUGHT_DOWN + 1)):
        aside, below = 0.0, 0.0  # the network's place comes first
        if place >= 0:
            aside = _SOUGHT_STEP * (place % (2 * _SOUGHT_ACROSS + 1) - _SOUGHT_ACROSS)
            below = _SOUGHT_STEP * (place // (2 * _SOUGHT_ACROSS + 1) - _SOUGHT_DOWN)
            if aside**2 + below**2 <= _SOUGHT_LEAST**2:
                continue
        middle_x, middle_y = x + radius * aside, y + radius * below
        rim = 0.0
        for ray in range(0, _RAYS, 2):
            way_x, way_y = radius * rays[ray, 0], radius * rays[ray, 1]
            edge_x, edge_y = middle_x + way_x, middle_y + way_y
            if abs(edge_x - MIDDLE_X) < HALF_FISSURE and _is_between(visible, edge_x, edge_y):
                rise = _sample(bright, edge_x + _RIM * way_x, edge_y + _RIM * way_y)
                rise -= _sample(bright, edge_x - _RIM * way_x, edge_y - _RIM * way_y)
                rim += min(max(rise, -_FULL_RIM), _FULL_RIM)
        score = rim - _FAR_COST * (max(trust, _LEAST_TRUST) * aside**2 + below**2)
        if at_first:
            score += trust * _BETTER
            at_first = False
        elif rim < _LEAST_RIM:
            continue
        elif below != 0.0:
            near = abs(below) < _NEAR_HEIGHT
            score -= (1.0 - trust) * (_OTHER_HEIGHT if near else _BETTER)
        if score > best:
            best, best_x, best_y = score, middle_x, middle_y
    return best_x, best_y


@compiled("UniTuple(f8, 4)(f4[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8, f8)")
def _find_limbus(
    bright: Picture,
    rays: Floats,
    visible: Floats,
    first: Floats,
    centre_spread: float,
    height_off: float,
) -> tuple[float, float, float, float]:
    """The iris' centre, its radius, and how sure they are, 0 to 1.

    visible: (2, _PLACES) the heights between which the eye is seen. first: (3,) the iris' x, y and
    radius as they are known beforehand. centre_spread: how far off its place may be, over that.
    height_off: and how far its y usually is.
    """
    x, y, radius = first
    first_x, first_y, first_radius = first
    sure = 0.0
    spread = _RAY_SPREAD * first_radius
    # What is known beforehand, over how sure a ray's edge is.
    prior = np.full(3, (_RAY_SPREAD / centre_spread) ** 2)
    prior[1] = max(prior[1], (spread / height_off) ** 2)
    prior[2] = (_RAY_SPREAD / _RADIUS_SPREAD) ** 2
    values, shifts, weights = np.empty(17), np.empty(_RAYS), np.empty(_RAYS)
    for reach in (0.34, 0.30, 0.26):
        step_px = reach / 8.0 * first_radius
        for ray in range(_RAYS):
            way_x, way_y, across_x, across_y = rays[ray]
            place_x, place_y = x + radius * way_x, y + radius * way_y
            for step in range(17):
                away = (step - 8.0) * step_px
                values[step] = _sample(bright, place_x + away * across_x, place_y + away * across_y)
            top, rise = _peak(values[1:] - values[:-1])
            shift = (top - 7.5) * step_px
            shifts[ray], weights[ray] = shift, 0.0
            if _is_between(visible, place_x + shift * across_x, place_y + shift * across_y):
                weights[ray] = min(max((rise - 6.0) / 12.0, 0.0), 1.0)
        moved = np.zeros(3)
        for _ in range(2):
            left, right = 0.0, 0.0
            matrix = np.zeros((3, 3))
            wanted = prior * np.array([first_x - x, first_y - y, first_radius - radius])
            for each in range(3):
                matrix[each, each] = prior[each]
            for ray in range(_RAYS):
                way_x, way_y, across_x, across_y = rays[ray]
                along = across_x * way_x + across_y * way_y
                missed = shifts[ray]
                missed -= across_x * moved[0] + across_y * moved[1] + along * moved[2]
                weight = weights[ray] / (1.0 + (missed / (2.0 * spread)) ** 2) ** 2
                row = (across_x, across_y, along)
                for one in range(3):
                    wanted[one] += weight * row[one] * shifts[ray]
                    for other in range(3):
                        matrix[one, other] += weight * row[one] * row[other]
                if across_x < -0.3:
                    left += weight
                elif across_x > 0.3:
                    right += weight
            _solve(matrix, wanted)
            moved = wanted
        x, y, radius = x + moved[0], y + moved[1], radius + moved[2]
        # Both sides of the iris must be there to say where its middle is.
        sure = min(min(left, right) / 3.0, 1.0)
    away = sqrt((x - first_x) ** 2 + (y - first_y) ** 2)
    if away > 0.6 * first_radius or abs(radius / first_radius - 1.0) > 0.3:
        return first_x, first_y, first_radius, 0.0
    return x, y, radius, sure


@compiled("f8(f4[:,::1], f8[:,::1], f8[:,::1], f8, f8, f8)")
def _find_pupil(
    bright: Picture, rays: Floats, visible: Floats, x: float, y: float, radius: float
) -> float:
    """The pupil's diameter over the iris'; nan where the picture does not show one."""
    values = np.empty((_PUPIL_STEPS, _RAYS))
    count = 0
    for ray in range(_RAYS):
        seen = True
        for step in range(_PUPIL_STEPS):
            away = radius * (_PUPIL_FIRST + _PUPIL_STEP * step)
            place_x, place_y = x + away * rays[ray, 0], y + away * rays[ray, 1]
            seen = seen and _is_between(visible, place_x, place_y)
            values[step, count] = _sample(bright, place_x, place_y)
        if seen:
            count += 1
    if count < _RAYS // 4:
        return np.nan
    # The median leaves the lamp's reflection out.
    profile = np.array([np.median(values[step, :count]) for step in range(_PUPIL_STEPS)])
    top, rise = _peak(profile[1:] - profile[:-1])
    share = _PUPIL_FIRST + _PUPIL_STEP * (top + 0.5)
    return share if rise >= _LEAST_PUPIL_RISE and _PUPIL_LEAST < share < _PUPIL_MOST else np.nan


@compiled("UniTuple(f8, 5)(f4[:,::1], f8[:,:,::1], f8[::1], f8, f8, f8[:,::1])")
def find_edges(
    bright: Picture, margins: Floats, iris: Floats, height_off: float, trust: float, head: Floats
) -> tuple[float, float, float, float, float]:
    """What the edges say of an eye: the iris' x, y and radius, how sure these are, and the pupil's
    share, as `EyeOutline` says, nan for None.

    bright: as `fill_brightness` fills it, but out of focus. margins: (2, n, 2) the upper and the
    lower margin. iris: (3,) about where it is, and by how much that usually is too high or low: of
    an iris whose top and foot lids hide, its edges hardly say. trust: from 0 to 1, how far to go by
    where it is said to be across. head: (4, 3) as `_iris_shape` takes it.
    """
    x, y, radius = iris
    first, spread = iris.copy(), _CENTRE_SPREAD
    mm = radius / _IRIS_RADIUS_MM
    visible = np.empty((2, _PLACES))
    for which in range(2):
        order = np.argsort(margins[which, :, 0])
        visible[which] = np.interp(_PLACES_X, margins[which, order, 0], margins[which, order, 1])
    visible[0] += _LID_SHADOW_MM * mm
    visible[1] -= _LID_SHADOW_MM * mm
    rays = _rays(_iris_shape(head, x, y, mm))
    sought_x, sought_y = _seek(bright, rays, visible, x, y, radius, trust)
    sought = sought_x != x or sought_y != y
    if sought:
        first[0], first[1] = sought_x, sought_y
        spread = _SOUGHT_SPREAD
        if sought_y != y:
            height_off = np.inf
    # The farther aside it looks, the narrower it is seen: its outline is that of where it is found.
    x, y = first[0], first[1]
    sure = 0.0
    for _ in range(_OUTLINES):
        before_x, before_y = x, y
        rays = _rays(_iris_shape(head, x, y, mm))
        x, y, radius, sure = _find_limbus(bright, rays, visible, first, spread, height_off)
        if sqrt((x - before_x) ** 2 + (y - before_y) ** 2) < _SAME_OUTLINE * radius:
            break
        if sought:
            first[0], first[1] = x, y
    pupil = _find_pupil(bright, rays, visible, x, y, radius) if sure > 0.0 else np.nan
    return x, y, radius, sure, pupil
