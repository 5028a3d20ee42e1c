"""The limbus and the lid margins, found below a pixel in the frame itself.

The landmark network works on a face of 256 pixels: it places the iris within half a pixel, but
draws both eyes' lids alike (a lid that droops by 3 mm on one side is seen to droop by 1.5 there
and by 0.5 on the other side, measured), and 1 mm of error is 5 degrees of gaze. Its points say
where to look; the edges say what is there.

Limbus: an ellipse (a circle of the iris' size, tilted as the eye looks) through the places where
the picture turns brighter along 40 rays, those behind the lids left out, by reweighted least
squares. After Daugman, "How iris recognition works" (2004), with edges in place of the integral.
Lids: the places in 19 columns where what is whiter than skin ends. Whiteness is blue
less so much red as skin has, over brightness: a shadow on the sclera does not change it, lashes
and creases have none.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.tracking.observation import EyeOutline, EyePoints, points_outline

Floats = NDArray[np.float64]
Picture = NDArray[np.float32]

# The eye is cut out with its corners on a level and so far apart, whatever its size in the frame.
_WIDTH, _HEIGHT, _HALF_FISSURE = 160, 112, 48.0
_IRIS_RADIUS_MM = 5.85
# From the middle between the corners to the eyeball's centre (x outwards is nothing: up, depth),
# and from that centre to the limbus' plane; millimetres of the average head.
_CENTRE_UP_MM, _CENTRE_BACK_MM, _LIMBUS_ARM_MM = 1.2, 8.5, 10.5
_SHADOW = 20.0  # of 255: colours of what is darker than this are noise
_RAYS = 40
# The limbus is looked for in a picture so much out of focus, over the iris' radius: a sharp edge
# that moves by a quarter of a pixel is seen to move by .75 to 1.15 of that, one as soft as this
# by .95 to 1.0 (simulated patients). Lids are nearer to each other.
_BLUR_SHARE = 0.17
_LID_BLUR_PX = 0.6
_LEAST_FISSURE_PX = 14.0  # below it there is nothing to refine
_FOREHEAD, _CHIN, _OUTER_CORNERS = 10, 152, (33, 263)
# How far the network's iris is from the true one, over its radius.
_CENTRE_SPREAD, _RADIUS_SPREAD = 0.2, 0.06
_LEAST_PUPIL_RISE = 12.0  # of 255, from the pupil to the iris
_REACH_MM = 4.5  # beyond the network's margin a lid is looked for so far
_NEAR_MM = 1.8  # and an edge counts for less the farther it is
_LEAST_DROP = 0.05  # of whiteness, over an edge
_IRIS_COLUMN_WEIGHT = 0.15
_LEAST_DARK = 0.2  # of an iris beside skin
_SURE_SHARE = 0.3  # of the columns; the others see the iris
_UP, _DOWN = -1.0, 1.0
_PLACES = np.linspace(-1.0, 1.0, 25)  # along the fissure, from the left corner to the right one
_COLUMNS = slice(3, -3, 1)  # where lids are looked for: not in the corners
# How far a margin may be from the network's: its height, its slant, its bend; millimetres.
_SHIFT_SPREAD_MM = np.array([3.0, 1.2, 1.5])
_EDGE_SPREAD_MM = 0.35


def find_outline(rgb: NDArray[np.uint8], points: NDArray[np.float32], eye: EyePoints) -> EyeOutline:
    """The outline of one eye in a frame (h, w, 3), from the network's points (478, 3)."""
    rough = points_outline(points, eye)
    corners = points[[eye.medial, eye.lateral], :2].astype(np.float64)
    if np.linalg.norm(corners[0] - corners[1]) < _LEAST_FISSURE_PX or rough.iris_radius_px < 2.0:
        return rough
    cut = _Cut.of(rgb, corners, rough.iris_radius_px)
    iris = cut.into(rough.iris_px[None])[0]
    radius = rough.iris_radius_px / cut.scale

    rough_heights = [cut.heights(margin) for margin in (rough.upper_px, rough.lower_px)]
    middle = (rough_heights[0] + rough_heights[1]) / 2
    mm = radius / _IRIS_RADIUS_MM
    upper, upper_sure = _find_margin(cut, rough_heights[0], middle, _UP, mm, iris[0])
    lower, lower_sure = _find_margin(cut, rough_heights[1], middle, _DOWN, mm, iris[0])

    shape = _iris_shape(points, corners, rough, cut.axes)
    visible = (upper + 0.9 * mm, lower - 0.9 * mm)
    iris, radius, iris_sure = _find_limbus(cut.bright, iris, radius, shape, visible)
    order = slice(None) if cut.into(corners)[0, 0] < _WIDTH / 2 else slice(None, None, -1)
    return EyeOutline(
        iris_px=cut.back(iris[None])[0],
        iris_radius_px=radius * cut.scale,
        upper_px=cut.back(np.stack([_x_of(_PLACES), upper], axis=1)[order]),
        lower_px=cut.back(np.stack([_x_of(_PLACES), lower], axis=1)[order]),
        iris_sure=iris_sure,
        lids_sure=min(upper_sure, lower_sure),
        pupil_share=_find_pupil(cut.bright, iris, radius, shape, visible) if iris_sure else None,
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """An eye cut out of the frame with its corners on a level.

    bright: (_HEIGHT, _WIDTH) mean of red and green, in which a sclera is bright and an iris is not;
    blue is where cameras have noise. brightness: (_HEIGHT, _WIDTH) of all three and a little, over
    which whiteness is taken. white: (_HEIGHT, _WIDTH) 0 on skin as that below the eye and
    on lashes, positive on the sclera. dark: (_HEIGHT, _WIDTH) 0 on skin as that below the eye and
    on what is brighter, 1 on black. scale: pixels of the frame a pixel of the cut. axes: (2, 2),
    columns: the cut's x and y axes in the frame. middle_px: the frame's place of its middle.
    """

    bright: Picture
    brightness: Picture
    white: Picture
    dark: Picture
    scale: float
    axes: Floats
    middle_px: Floats

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], corners: Floats, iris_px: float) -> "_Cut":
        left, right = corners[np.argsort(corners[:, 0])]
        width = float(np.linalg.norm(right - left))
        x = (right - left) / width
        axes = np.array([[x[0], -x[1]], [x[1], x[0]]])
        scale = width / (2 * _HALF_FISSURE)
        middle = (left + right) / 2
        place = middle - 0.5 - scale * axes @ [_WIDTH / 2 - 0.5, _HEIGHT / 2 - 0.5]
        picture = cv2.warpAffine(
            rgb,
            np.hstack([scale * axes, place[:, None]]),
            (_WIDTH, _HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        skin = picture[-20:-4:2, 30:-30:2].astype(np.float32)
        blue_share = float(np.median(skin[..., 2] / np.maximum(skin[..., 0], 1.0)))
        planes = cv2.transform(
            picture.astype(np.float32),
            np.array([[0.5, 0.5, 0, 0], [1 / 3, 1 / 3, 1 / 3, _SHADOW], [-blue_share, 0, 1, 0]]),
        )
        bright, brightness, bluer = cv2.split(planes)
        bright = cv2.GaussianBlur(bright, (0, 0), np.clip(_BLUR_SHARE * iris_px, 0.5, 1.3) / scale)
        lids = max(_LID_BLUR_PX / scale, 0.8)
        bluer, brightness = (cv2.GaussianBlur(each, (0, 0), lids) for each in (bluer, brightness))
        white = np.maximum(cv2.divide(bluer, brightness), 0.0)
        level = max(float(np.median(skin.mean(axis=2))), 1.0)
        dark = np.maximum(1.0 - (brightness - _SHADOW) / level, 0.0)
        made = [np.asarray(each, np.float32) for each in (bright, brightness, white, dark)]
        return cls(made[0], made[1], made[2], made[3], scale, axes, middle)

    def into(self, places: Floats) -> Floats:
        """(n, 2) places of the frame into the cut, whose first pixel's centre is 0, 0."""
        moved = (places - self.middle_px) @ self.axes / self.scale
        return np.asarray(moved + [_WIDTH / 2 - 0.5, _HEIGHT / 2 - 0.5])

    def back(self, places: Floats) -> Floats:
        """(n, 2) places of the cut into the frame."""
        moved = places - [_WIDTH / 2 - 0.5, _HEIGHT / 2 - 0.5]
        return np.asarray(self.scale * moved @ self.axes.T + self.middle_px)

    def heights(self, margin_px: Floats) -> Floats:
        """A margin's y in the cut at `_PLACES`."""
        places = self.into(margin_px)
        order = np.argsort(places[:, 0])
        return np.asarray(np.interp(_x_of(_PLACES), places[order, 0], places[order, 1]))


def _x_of(places: Floats) -> Floats:
    return np.asarray(_WIDTH / 2 - 0.5 + _HALF_FISSURE * places)


def _sample(picture: NDArray[np.floating], x: Floats, y: Floats) -> Floats:
    sampled = cv2.remap(
        picture, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(sampled, np.float64)


def _peaks(rises: Floats, first: float, step: float) -> tuple[Floats, Floats]:
    """Where each row (n, m) of rises is steepest, below a sample, and how much rises about it.

    first, step: of the samples' places. The top of a parabola through seven samples: a centre of
    mass would be drawn to the middle of those that it is taken over.
    """
    reach = 3
    top = np.clip(rises.argmax(axis=1), reach, rises.shape[1] - 1 - reach)
    ways = np.arange(-reach, reach + 1)
    near = np.take_along_axis(rises, top[:, None] + ways, axis=1)
    slope = near @ ways / (ways @ ways)
    square = ways**2 - (ways @ ways) / len(ways)
    bend = near @ square / (square @ square)
    shift = np.clip(-slope / np.minimum(2 * bend, -1e-9), -reach, reach)
    return first + step * (top + shift), np.maximum(near, 0.0).sum(axis=1)


def _find_margin(
    cut: _Cut, rough: Floats, middle: Floats, way: float, mm: float, iris_x: float
) -> tuple[Floats, float]:
    """A margin's heights at `_PLACES`, and how sure they are, 0 to 1.

    rough: the network's heights. middle: heights between both margins, from which the way leads
    (_UP or _DOWN) to where the eye ends. mm: pixels of the cut a millimetre. iris_x: where the
    iris is, before which white ends early.
    """
    columns = _PLACES[_COLUMNS]
    start, guess = middle[_COLUMNS], rough[_COLUMNS]
    steps = np.arange(0.0, np.abs(guess - start).max() + _REACH_MM * mm)
    away = np.broadcast_to(steps, (len(columns), len(steps)))
    x = np.broadcast_to(_x_of(columns)[:, None], away.shape)
    y = start[:, None] + way * away
    profile = _sample(cut.white, x, y)
    iris = np.abs(_x_of(columns) - iris_x) < _IRIS_RADIUS_MM * mm
    trust = np.where(iris, _IRIS_COLUMN_WEIGHT, 1.0)
    # An iris ends at the lower lid as white does; above it are lashes, as dark as it may be.
    darker = np.zeros(len(columns), np.bool_)
    if way == _DOWN and iris.any() and not iris.all():
        darkness = _sample(cut.dark, x[iris], y[iris])
        deepest = float(np.median(darkness[:, 0]))
        whitest = float(np.median(profile[~iris, 0]))
        bluish = float(np.median(profile[iris, 0])) > whitest / 2
        if bluish:  # as a blue iris is, which ends as white does
            trust[iris] = 1.0
        elif deepest > _LEAST_DARK and whitest > _LEAST_DROP:
            # As much of an eye where an iris is as where white is, and where they meet.
            profile[iris] += whitest * np.minimum(darkness / deepest, 1.0)
            profile = np.minimum(profile, whitest)
            trust[iris], darker = 1.0, iris
    # What is white again farther out (a brow's skin, the rim of glasses) is no part of the eye.
    profile = np.minimum.accumulate(profile, axis=1)
    falls = -np.diff(profile, axis=1)
    between = away[:, 1:] - 0.5
    expected = way * (guess - start)
    distance_mm = (between - expected[:, None]) / mm
    place, _ = _peaks(falls * np.exp(-0.5 * (distance_mm / _NEAR_MM) ** 2), 0.5, 1.0)
    # On the margin half of the light is the eye's and half the lid's; of whiteness, which is over
    # brightness, the brighter eye has more than half.
    outside, inside = (
        np.clip(np.round(place + side), 0, len(steps) - 1).astype(int) for side in (4, -4)
    )
    rows = np.arange(len(columns))
    eye, lid = (
        _sample(cut.brightness, x[rows, at][None], y[rows, at][None])[0] for at in (inside, outside)
    )
    share = np.where(darker, 0.5, eye / np.maximum(eye + lid, 1.0))
    drop = profile[rows, inside] - profile[rows, outside]
    half = profile[rows, outside] + share * drop
    after = np.clip((profile > half[:, None]).sum(axis=1), 1, len(steps) - 1)
    above, below = profile[rows, after - 1], profile[rows, after]
    place = after - np.clip((half - below) / np.maximum(above - below, 1e-9), 0.0, 1.0)
    shift_mm = way * (place - expected) / mm
    weight = np.clip((drop - _LEAST_DROP) / _LEAST_DROP, 0.0, 1.0)
    sure = float(np.clip((weight * ~iris).mean() / _SURE_SHARE, 0.0, 1.0))
    weight *= trust
    basis = _bends(columns)
    shift = np.zeros(3)
    robust = weight
    for _ in range(3):
        weighted = basis * (robust / _EDGE_SPREAD_MM**2)[:, None]
        normal = weighted.T @ basis + np.diag(1.0 / _SHIFT_SPREAD_MM**2)
        shift = np.linalg.solve(normal, weighted.T @ shift_mm)
        missed = (shift_mm - basis @ shift) / (2.0 * _EDGE_SPREAD_MM)
        robust = weight / (1.0 + missed**2) ** 2
    return rough + sure * mm * (_bends(_PLACES) @ shift), sure


def _bends(places: Floats) -> Floats:
    """(n, 3) ways in which a margin between fixed corners may lie elsewhere."""
    fixed = 1.0 - places**4
    return np.stack([fixed, fixed * places, fixed * (places**2 - 1 / 3)], axis=1)


def _iris_shape(
    points: NDArray[np.float32], corners: Floats, rough: EyeOutline, axes: Floats
) -> Floats:
    """(2, 2) from the unit circle to the iris' outline over its radius, in the cut's axes.

    The iris is a disc that faces where the eye looks: seen from aside, it is narrower. How the
    head stands, roughly, is in the network's points.
    """
    across = points[_OUTER_CORNERS[1]] - points[_OUTER_CORNERS[0]]
    down = points[_CHIN] - points[_FOREHEAD]
    x = across.astype(np.float64) / np.linalg.norm(across)
    y = down - (down @ x) * x
    y /= np.linalg.norm(y)
    z = np.cross(x, y)  # away from the camera
    mm = rough.iris_radius_px / _IRIS_RADIUS_MM
    centre = corners.mean(axis=0) + mm * (_CENTRE_BACK_MM * z - _CENTRE_UP_MM * y)[:2]
    aside = (rough.iris_px - centre) / (_LIMBUS_ARM_MM * mm)
    sine = min(float(np.linalg.norm(aside)), 0.9)
    if sine < 1e-3:
        return np.eye(2)
    narrow = axes.T @ aside / np.linalg.norm(aside)
    return np.asarray(np.eye(2) - (1.0 - np.sqrt(1.0 - sine**2)) * np.outer(narrow, narrow))


def _find_limbus(
    bright: Picture, iris: Floats, radius: float, shape: Floats, visible: tuple[Floats, Floats]
) -> tuple[Floats, float, float]:
    """The iris' centre and radius in the cut, and how sure they are, 0 to 1.

    visible: the heights at `_PLACES` between which the eye is seen.
    """
    ways = _ways(_RAYS) @ shape.T
    normals = _ways(_RAYS) @ np.linalg.inv(shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    jacobian = np.column_stack([normals, (normals * ways).sum(axis=1)])
    first, start = radius, iris
    sure = 0.0
    for reach in (0.34, 0.30, 0.26):
        offsets, step_px = np.linspace(-reach, reach, 17, retstep=True)
        offsets, step_px = offsets * first, step_px * first
        place = iris + radius * ways
        along = place[:, None] + offsets[None, :, None] * normals[:, None]
        rises = np.diff(_sample(bright, along[..., 0], along[..., 1]), axis=1)
        shift, rise = _peaks(rises, offsets[0] + step_px / 2, step_px)
        edge = place + shift[:, None] * normals
        low, high = (np.interp(edge[:, 0], _x_of(_PLACES), margin) for margin in visible)
        seen = (edge[:, 1] > low) & (edge[:, 1] < high)
        weight = np.where(seen, np.clip((rise - 6.0) / 12.0, 0.0, 1.0), 0.0)
        prior = np.diag(
            [1 / (_CENTRE_SPREAD * first) ** 2] * 2 + [1 / (_RADIUS_SPREAD * first) ** 2]
        )
        towards = np.array([*(start - iris), first - radius])
        step = np.zeros(3)
        spread = 0.05 * first
        for _ in range(2):
            missed = (shift - jacobian @ step) / spread
            robust = weight / (1.0 + (missed / 2.0) ** 2) ** 2
            weighted = jacobian * (robust / spread**2)[:, None]
            step = np.linalg.solve(
                weighted.T @ jacobian + prior, weighted.T @ shift + prior @ towards
            )
        iris, radius = iris + step[:2], radius + float(step[2])
        # Both sides of the iris must be there to say where its middle is.
        left, right = robust[normals[:, 0] < -0.3].sum(), robust[normals[:, 0] > 0.3].sum()
        sure = float(np.clip(min(left, right) / 3.0, 0.0, 1.0))
    if np.linalg.norm(iris - start) > 0.6 * first or abs(radius / first - 1.0) > 0.3:
        return start, first, 0.0
    return iris, radius, sure


def _ways(count: int) -> Floats:
    angles = 2 * np.pi * (np.arange(count) + 0.5) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _find_pupil(
    bright: Picture, iris: Floats, radius: float, shape: Floats, visible: tuple[Floats, Floats]
) -> float | None:
    """The pupil's diameter over the iris'; None where the picture does not show it."""
    shares = np.linspace(0.1, 0.85, 26)
    step = shares[1] - shares[0]
    places = iris + radius * shares[:, None, None] * (_ways(_RAYS) @ shape.T)
    values = _sample(bright, places[..., 0], places[..., 1])
    low, high = (np.interp(places[..., 0], _x_of(_PLACES), margin) for margin in visible)
    rays = ((places[..., 1] > low) & (places[..., 1] < high)).all(axis=0)
    if rays.sum() < _RAYS // 4:
        return None
    # The median leaves the lamp's reflection out.
    profile = np.median(values[:, rays], axis=1)
    place, rise = _peaks(np.diff(profile)[None], shares[0] + step / 2, step)
    if rise[0] < _LEAST_PUPIL_RISE or not 0.17 < place[0] < 0.75:
        return None
    return float(place[0])
