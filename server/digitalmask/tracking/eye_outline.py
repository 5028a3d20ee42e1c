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

Both eyes are worked on at once, in arrays (eyes, ...): what takes time here is not the arithmetic
on a few hundred numbers but how often numpy is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.tracking.observation import (
    LEFT_EYE,
    RIGHT_EYE,
    EyeOutline,
    EyePoints,
    points_outline,
)
from digitalmask.tracking.region import cut_out

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
_LID_SHADOW_MM = 0.9  # so much of the eye beside a margin is not looked at for the limbus
# How far a margin may be from the network's: its height, its slant, its bend; millimetres.
_SHIFT_PRIOR = np.diag(1.0 / np.array([3.0, 1.2, 1.5]) ** 2)
_EDGE_SPREAD_MM = 0.35
# Where the iris is sought beside the network's, over its radius; how far from the rim it must be
# darker within than without, and what that counts for, of 255.
_SOUGHT = np.stack(np.meshgrid(np.arange(-6, 7) * 0.16, np.arange(-4, 5) * 0.16), axis=-1).reshape(
    -1, 2
)
_SOUGHT = np.concatenate([np.zeros((1, 2)), _SOUGHT[(_SOUGHT**2).sum(axis=1) > 0.3**2]])
_RIM, _FULL_RIM = 0.16, 40.0
_FAR_COST, _BETTER = 120.0, 220.0
_SOUGHT_SPREAD = 0.5
_PUPIL_SHARES = np.linspace(0.1, 0.85, 26)  # of the iris' radius, where its edge is looked for


def _bends(places: Floats) -> Floats:
    """(n, 3) ways in which a margin between fixed corners may lie elsewhere."""
    fixed = 1.0 - places**4
    return np.stack([fixed, fixed * places, fixed * (places**2 - 1 / 3)], axis=1)


_CUT_MIDDLE = np.array([_WIDTH / 2 - 0.5, _HEIGHT / 2 - 0.5])
_THIRDS = np.full(3, 1 / 3, np.float32)
_PLACES = np.linspace(-1.0, 1.0, 25)  # along the fissure, from the left corner to the right one
_COLUMNS = slice(3, -3, 1)  # where lids are looked for: not in the corners
_PLACES_X = _CUT_MIDDLE[0] + _HALF_FISSURE * _PLACES
_COLUMNS_X = _PLACES_X[_COLUMNS]
_PLACES_BENDS = _bends(_PLACES)
_COLUMNS_BENDS = _PLACES_BENDS[_COLUMNS]
_INWARDS = np.array([1.0, -1.0])  # along y from the upper and the lower margin into the eye
_ANGLES = 2 * np.pi * (np.arange(_RAYS) + 0.5) / _RAYS
_RAY_WAYS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
# The slope and the bend of the parabola that fits seven samples best.
_PEAK_REACH = 3
_PEAK_WAYS = np.arange(-_PEAK_REACH, _PEAK_REACH + 1)
_PEAK_SQUARES = _PEAK_WAYS**2 - (_PEAK_WAYS**2).mean()
_PEAK_FIT = np.stack(
    [_PEAK_WAYS / (_PEAK_WAYS**2).sum(), _PEAK_SQUARES / (_PEAK_SQUARES**2).sum()], axis=1
)


def find_outlines(
    rgb: NDArray[np.uint8],
    points: NDArray[np.float32],
    eyes: Sequence[EyePoints] = (RIGHT_EYE, LEFT_EYE),
) -> list[EyeOutline]:
    """The outlines of the eyes in a frame (h, w, 3), from the network's points (478, 3)."""
    outlines = [points_outline(points, eye) for eye in eyes]
    corners = [points[[eye.medial, eye.lateral], :2].astype(np.float64) for eye in eyes]
    large = [
        place
        for place, ((medial, lateral), rough) in enumerate(zip(corners, outlines, strict=True))
        if hypot(*(medial - lateral)) >= _LEAST_FISSURE_PX and rough.iris_radius_px >= 2.0
    ]
    if large:
        chosen = [outlines[place] for place in large]
        found = _refine(rgb, points, np.stack([corners[place] for place in large]), chosen)
        for place, outline in zip(large, found, strict=True):
            outlines[place] = outline
    return outlines


def _refine(
    rgb: NDArray[np.uint8], points: NDArray[np.float32], corners: Floats, rough: list[EyeOutline]
) -> list[EyeOutline]:
    """What the edges say of eyes that are large enough. corners: (eyes, 2, 2) medial, lateral."""
    iris_px = np.array([each.iris_radius_px for each in rough])
    cuts = _Cuts.of(rgb, corners, iris_px)
    centre_px = np.array([each.iris_px for each in rough])
    iris = cuts.into(centre_px[:, None])[:, 0]
    radius = iris_px / cuts.scale
    mm = radius / _IRIS_RADIUS_MM
    rough_margins = cuts.heights(np.array([[each.upper_px, each.lower_px] for each in rough]))
    margins, margins_sure, whiteness = _find_margins(cuts, rough_margins, mm, iris[:, 0])
    shape = _iris_shapes(points, corners, centre_px, iris_px, cuts.axes)
    visible = margins + _LID_SHADOW_MM * _INWARDS[:, None] * mm[:, None, None]
    sought = _seek(cuts.bright, iris, radius, shape, visible)
    spread = np.where((sought == iris).all(axis=1), _CENTRE_SPREAD, _SOUGHT_SPREAD)
    iris, radius, iris_sure = _find_limbi(cuts.bright, sought, radius, shape, visible, spread)
    pupils = _find_pupils(cuts.bright, iris, radius, shape, visible)
    x = np.broadcast_to(_PLACES_X, margins.shape)
    margins_px = cuts.back(np.stack([x, margins], axis=-1).reshape(len(rough), -1, 2))
    margins_px = margins_px.reshape(*margins.shape, 2)
    iris_px_found = cuts.back(iris[:, None])[:, 0]
    outlines = []
    for eye in range(len(rough)):
        order = slice(None) if corners[eye, 0, 0] < corners[eye, 1, 0] else slice(None, None, -1)
        outlines.append(
            EyeOutline(
                iris_px=iris_px_found[eye],
                iris_radius_px=float(radius[eye] * cuts.scale[eye]),
                upper_px=margins_px[eye, 0, order],
                lower_px=margins_px[eye, 1, order],
                iris_sure=float(iris_sure[eye]),
                lids_sure=float(margins_sure[eye].min()),
                pupil_share=pupils[eye] if iris_sure[eye] else None,
                whiteness=whiteness[eye],
            )
        )
    return outlines


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Eyes cut out of the frame with their corners on a level, one below the other.

    bright: (eyes * _HEIGHT, _WIDTH) mean of red and green, in which a sclera is bright and an iris
    is not; blue is where cameras have noise. brightness: (eyes * _HEIGHT, _WIDTH) of all three and
    a little, over which whiteness is taken. white: (eyes * _HEIGHT, _WIDTH) 0 on skin as that below
    the eye and on lashes, positive on the sclera. dark: (eyes * _HEIGHT, _WIDTH) 0 on that
    skin and on what is brighter, 1 on black. scale: (eyes,) pixels of the frame a pixel of the cut.
    axes: (eyes, 2, 2), columns: the cut's x and y axes in the frame. middle_px: (eyes, 2) the
    frame's place of its middle.
    """

    bright: Picture
    brightness: Picture
    white: Picture
    dark: Picture
    scale: Floats
    axes: Floats
    middle_px: Floats

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], corners: Floats, iris_px: Floats) -> "_Cuts":
        across = corners[:, 1] - corners[:, 0]
        across = np.where(across[:, :1] < 0, -across, across)  # from the left corner to the right
        width = np.sqrt((across**2).sum(axis=1))
        x = across / width[:, None]
        axes = np.stack([x, np.stack([-x[:, 1], x[:, 0]], axis=1)], axis=2)
        scale = width / (2 * _HALF_FISSURE)
        middle = corners.mean(axis=1)
        turned = scale[:, None, None] * axes
        place = middle - 0.5 - turned @ _CUT_MIDDLE
        matrices = np.concatenate([turned, place[:, :, None]], axis=2)
        layers = np.empty((4, len(corners) * _HEIGHT, _WIDTH), np.float32)
        for eye, matrix in enumerate(matrices):
            rows = slice(eye * _HEIGHT, (eye + 1) * _HEIGHT)
            picture = cut_out(rgb, matrix, (_WIDTH, _HEIGHT), cv2.BORDER_REPLICATE)
            blur = min(max(_BLUR_SHARE * iris_px[eye], 0.5), 1.3) / scale[eye]
            lid_blur = max(_LID_BLUR_PX / scale[eye], 0.8)
            _fill(layers[:, rows], picture, float(blur), float(lid_blur))
        bright, brightness, white, dark = layers
        return cls(bright, brightness, white, dark, scale, axes, middle)

    def into(self, places: Floats) -> Floats:
        """(eyes, n, 2) places of the frame into the cuts, whose first pixel's centre is 0, 0."""
        moved = (places - self.middle_px[:, None]) @ self.axes / self.scale[:, None, None]
        return np.asarray(moved + _CUT_MIDDLE)

    def back(self, places: Floats) -> Floats:
        """(eyes, n, 2) places of the cuts into the frame."""
        moved = self.scale[:, None, None] * (places - _CUT_MIDDLE)
        return np.asarray(moved @ self.axes.transpose(0, 2, 1) + self.middle_px[:, None])

    def heights(self, margins_px: Floats) -> Floats:
        """(eyes, margins, len(_PLACES)) of margins (eyes, margins, n, 2): their y at _PLACES_X."""
        eyes, margins, count, _ = margins_px.shape
        places = self.into(margins_px.reshape(eyes, -1, 2)).reshape(-1, count, 2)
        order = places[..., 0].argsort(axis=1)
        heights = [
            np.interp(_PLACES_X, each[by, 0], each[by, 1])
            for each, by in zip(places, order, strict=True)
        ]
        return np.array(heights).reshape(eyes, margins, -1)


def _fill(layers: Picture, picture: NDArray[np.uint8], blur_px: float, lid_blur_px: float) -> None:
    """Fill bright, brightness, white and dark of `_Cuts` from an eye's picture, 4 channels."""
    bright, brightness, white, dark = layers
    skin = picture[-20:-4:2, 30:-30:2, :3].astype(np.float32)
    blue_share = float(_median((skin[..., 2] / np.maximum(skin[..., 0], 1.0)).reshape(-1)))
    red, green, blue, _ = cv2.split(picture)
    sharp = cv2.addWeighted(red, 0.5, green, 0.5, 0.0, dtype=cv2.CV_32F)
    bluer = cv2.addWeighted(blue, 1.0, red, -blue_share, 0.0, dtype=cv2.CV_32F)
    all_colours = cv2.addWeighted(sharp, 2 / 3, blue, 1 / 3, _SHADOW, dtype=cv2.CV_32F)
    cv2.GaussianBlur(sharp, (0, 0), blur_px, dst=bright)
    # For a kernel of a few pixels this takes half of GaussianBlur's time.
    kernel = cv2.getGaussianKernel(round(8 * lid_blur_px + 1) | 1, lid_blur_px, cv2.CV_32F)
    cv2.sepFilter2D(all_colours, -1, kernel, kernel, dst=brightness)
    cv2.sepFilter2D(bluer, -1, kernel, kernel, dst=white)
    np.divide(white, brightness, out=white)
    np.maximum(white, 0.0, out=white)
    level = max(float(_median((skin @ _THIRDS).reshape(-1))), 1.0)
    np.multiply(brightness, -1.0 / level, out=dark)
    np.add(dark, 1.0 + _SHADOW / level, out=dark)
    np.maximum(dark, 0.0, out=dark)


def _median(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Along the last axis; np.median takes five times as long."""
    count = values.shape[-1]
    low, high = (count - 1) // 2, count // 2
    parted = np.partition(values, (low, high), axis=-1)
    return np.asarray((parted[..., low] + parted[..., high]) / 2)


def _sample(pictures: Picture, x: Floats, y: Floats) -> Floats:
    """Cuts that lie one below the other, at places (eyes, ...) of each."""
    eyes = len(x)
    tops = _HEIGHT * np.arange(eyes).reshape(eyes, *[1] * (y.ndim - 1))
    within = np.minimum(np.maximum(y, 0.0), _HEIGHT - 1.0) + tops
    flat = (eyes, -1)
    sampled = cv2.remap(
        pictures,
        x.astype(np.float32).reshape(flat),
        within.astype(np.float32).reshape(flat),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, np.float64).reshape(x.shape)


def _peaks(
    rises: Floats,
    first: Floats | float,
    step: Floats | float,
    last: NDArray[np.int64] | None = None,
) -> tuple[Floats, Floats]:
    """Where each row (..., m) of rises is steepest, below a sample, and how much rises about it.

    first, step: (...) of the samples' places. last: (...) the last sample of a row, where rows end
    early. The top of a parabola through seven samples: a centre of mass would be drawn to the
    middle of those that it is taken over.
    """
    count = rises.shape[-1]
    most = (count - 1 if last is None else last) - _PEAK_REACH
    top = np.minimum(np.maximum(rises.argmax(axis=-1), _PEAK_REACH), most)
    starts = count * np.arange(top.size).reshape(top.shape) + top
    near = rises.reshape(-1)[starts[..., None] + _PEAK_WAYS]
    fit = near @ _PEAK_FIT
    shift = fit[..., 0] / np.maximum(-2.0 * fit[..., 1], 1e-9)
    shift = np.minimum(np.maximum(shift, -_PEAK_REACH), _PEAK_REACH)
    return first + step * (top + shift), np.maximum(near, 0.0).sum(axis=-1)


def _find_margins(
    cuts: _Cuts, rough: Floats, mm: Floats, iris_x: Floats
) -> tuple[Floats, Floats, list[float | None]]:
    """Both margins' heights (eyes, 2, len(_PLACES)), how sure they are (eyes, 2), 0 to 1, and what
    `EyeOutline.whiteness` says.

    The upper margin comes first. rough: the network's heights; from the middle between them each
    margin is looked for outwards. mm: (eyes,) pixels of the cut a millimetre. iris_x: (eyes,)
    where the iris is, before which white ends early.
    """
    mm = mm[:, None, None]
    guess = rough[..., _COLUMNS]
    start = guess.mean(axis=1, keepdims=True)
    expected = -_INWARDS[:, None] * (guess - start)
    lasts = np.ceil(np.abs(expected).max(axis=2, keepdims=True) + _REACH_MM * mm).astype(int) - 1
    steps = np.arange(lasts.max() + 1)
    x = np.broadcast_to(_COLUMNS_X[:, None], (*guess.shape, len(steps)))
    y = start[..., None] - _INWARDS[:, None, None] * steps
    profile, brightness = (_sample(layer, x, y) for layer in (cuts.white, cuts.brightness))
    iris = np.abs(_COLUMNS_X - iris_x[:, None]) < _IRIS_RADIUS_MM * mm[:, 0]
    trust = np.repeat(np.where(iris, _IRIS_COLUMN_WEIGHT, 1.0)[:, None], 2, axis=1)
    darker = np.zeros(guess.shape, np.bool_)
    whiteness = [
        None if columns.all() else float(_median(middle[~columns]))
        for middle, columns in zip(profile[:, 0, :, 0], iris, strict=True)
    ]
    darkness = _sample(cuts.dark, x[:, 1], y[:, 1])
    for eye, columns in enumerate(iris):
        _see_iris_below(profile[eye, 1], darkness[eye], columns, trust[eye, 1], darker[eye, 1])
    # What is white again farther out (a brow's skin, the rim of glasses) is no part of the eye.
    profile = np.minimum.accumulate(profile, axis=3)
    falls = profile[..., :-1] - profile[..., 1:]
    distance_mm = (steps[1:] - 0.5 - expected[..., None]) / mm[..., None]
    near = falls * np.exp(-0.5 * (distance_mm / _NEAR_MM) ** 2)
    near[np.broadcast_to(steps[1:] > lasts[..., None], near.shape)] = -1.0
    place, _ = _peaks(near, 0.5, 1.0, lasts - 1)
    # On the margin half of the light is the eye's and half the lid's; of whiteness, which is over
    # brightness, the brighter eye has more than half.
    rows = len(steps) * np.arange(place.size).reshape(place.shape)

    def at(layer: Floats, step: Floats) -> Floats:
        return np.asarray(layer.reshape(-1)[rows + step.astype(int)])

    outside, inside = (np.clip(np.round(place + side), 0, lasts) for side in (4, -4))
    eye_light, lid_light = at(brightness, inside), at(brightness, outside)
    share = np.where(darker, 0.5, eye_light / np.maximum(eye_light + lid_light, 1.0))
    eye_white, lid_white = at(profile, inside), at(profile, outside)
    drop = eye_white - lid_white
    half = lid_white + share * drop
    after = np.clip((profile > half[..., None]).sum(axis=3), 1, lasts)
    above, below = at(profile, after - 1), at(profile, after)
    place = after - np.clip((half - below) / np.maximum(above - below, 1e-9), 0.0, 1.0)
    shift_mm = -_INWARDS[:, None] * (place - expected) / mm
    weight = np.clip((drop - _LEAST_DROP) / _LEAST_DROP, 0.0, 1.0)
    sure = np.clip((weight * ~iris[:, None]).mean(axis=2) / _SURE_SHARE, 0.0, 1.0)
    weight *= trust
    robust = weight
    for _ in range(3):
        weighted = (robust / _EDGE_SPREAD_MM**2)[..., None] * _COLUMNS_BENDS
        normal = weighted.swapaxes(2, 3) @ _COLUMNS_BENDS + _SHIFT_PRIOR
        shift = np.linalg.solve(normal, weighted.swapaxes(2, 3) @ shift_mm[..., None])
        missed = (shift_mm - (_COLUMNS_BENDS @ shift)[..., 0]) / (2.0 * _EDGE_SPREAD_MM)
        robust = weight / (1.0 + missed**2) ** 2
    return rough + sure[..., None] * mm * (_PLACES_BENDS @ shift)[..., 0], sure, whiteness


def _see_iris_below(
    profile: Floats,
    darkness: Floats,
    iris: NDArray[np.bool_],
    trust: Floats,
    darker: NDArray[np.bool_],
) -> None:
    """Make an eye's white profiles towards its lower margin those of white or iris, in place.

    An iris ends at the lower lid as white does; above it are lashes, as dark as it may be.
    profile, darkness: (columns, steps). iris: in which columns it is. trust, darker: (columns,)
    how far a column is trusted and whether it is seen by its darkness, set where it is.
    """
    if not iris.any() or iris.all():
        return
    deepest = _median(darkness[iris, 0])
    whitest = _median(profile[~iris, 0])
    if _median(profile[iris, 0]) > whitest / 2:  # as a blue iris is, which ends as white does
        trust[iris] = 1.0
    elif deepest > _LEAST_DARK and whitest > _LEAST_DROP:
        # As much of an eye where an iris is as where white is, and where they meet.
        profile[iris] += whitest * np.minimum(darkness[iris] / deepest, 1.0)
        np.minimum(profile, whitest, out=profile)
        trust[iris], darker[iris] = 1.0, True


def _iris_shapes(
    points: NDArray[np.float32], corners: Floats, iris_px: Floats, radius_px: Floats, axes: Floats
) -> Floats:
    """(eyes, 2, 2) from the unit circle to the iris' outline over its radius, in the cut's axes.

    The iris is a disc that faces where the eye looks: seen from aside, it is narrower. How the
    head stands, roughly, is in the network's points.
    """
    across, down = (
        (points[end] - points[start]).astype(np.float64)
        for start, end in (_OUTER_CORNERS, (_FOREHEAD, _CHIN))
    )
    x = across / np.sqrt(across @ across)
    y = down - (down @ x) * x
    y /= np.sqrt(y @ y)
    away = np.array([x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2]])  # from the camera
    mm = radius_px[:, None] / _IRIS_RADIUS_MM
    centre = corners.mean(axis=1) + mm * (_CENTRE_BACK_MM * away - _CENTRE_UP_MM * y[:2])
    aside = (iris_px - centre) / (_LIMBUS_ARM_MM * mm)
    sine = np.sqrt((aside**2).sum(axis=1, keepdims=True))
    # Looked at straight, it is round whatever the direction is.
    narrow = (aside / np.maximum(sine, 1e-3))[:, None] @ axes
    lost = 1.0 - np.sqrt(1.0 - np.minimum(sine, 0.9) ** 2)
    return np.asarray(np.eye(2) - lost[..., None] * narrow.swapaxes(1, 2) * narrow)


def _seek(bright: Picture, iris: Floats, radius: Floats, shape: Floats, visible: Floats) -> Floats:
    """(eyes, 2) where a disc of the iris' size has most of a dark rim in what is seen of the eye.

    In an eye that looks far aside the network leaves the iris behind by up to its radius, farther
    than the limbus is looked for.
    """
    ways = _RAY_WAYS[::2] @ shape
    centres = iris[:, None] + radius[:, None, None] * _SOUGHT
    edge = centres[:, :, None] + radius[:, None, None, None] * ways[:, None]
    beside = _RIM * radius[:, None, None, None] * ways[:, None]
    outer, inner = edge + beside, edge - beside
    rise = _sample(bright, outer[..., 0], outer[..., 1]) - _sample(
        bright, inner[..., 0], inner[..., 1]
    )
    seen = _between(edge[..., 0], edge[..., 1], visible)
    seen &= np.abs(edge[..., 0] - _CUT_MIDDLE[0]) < _HALF_FISSURE
    score = (np.clip(rise, -_FULL_RIM, _FULL_RIM) * seen).sum(axis=2)
    score -= _FAR_COST * (_SOUGHT**2).sum(axis=1)
    best = score.argmax(axis=1)
    eyes = np.arange(len(iris))
    better = score[eyes, best] > score[:, 0] + _BETTER
    return np.asarray(np.where(better[:, None], centres[eyes, best], iris))


def _find_limbi(
    bright: Picture,
    iris: Floats,
    radius: Floats,
    shape: Floats,
    visible: Floats,
    centre_spread: Floats,
) -> tuple[Floats, Floats, Floats]:
    """The irises' centres (eyes, 2) and radii (eyes,) in the cut, and how sure they are, 0 to 1.

    visible: (eyes, 2, len(_PLACES)) the heights between which the eye is seen. centre_spread:
    (eyes,) how far `iris` may be off, over the radius.
    """
    ways = _RAY_WAYS @ shape  # which is symmetric, as is its inverse
    normals = _RAY_WAYS @ np.linalg.inv(shape)
    normals /= np.sqrt((normals**2).sum(axis=2, keepdims=True))
    jacobian = np.concatenate([normals, (normals * ways).sum(axis=2, keepdims=True)], axis=2)
    sides = (normals[..., 0] < -0.3, normals[..., 0] > 0.3)
    first, start = radius, iris
    known = np.stack([centre_spread, centre_spread, np.full(len(iris), _RADIUS_SPREAD)], axis=1)
    spread = 0.05 * first[:, None]
    # What is known beforehand, over how sure a ray's edge is.
    prior = (spread / (known * first[:, None])) ** 2
    prior_matrix = prior[:, None] * np.eye(3)
    rows = np.ascontiguousarray(jacobian.swapaxes(1, 2))
    sure = np.zeros(len(iris))
    for reach in (0.34, 0.30, 0.26):
        step_px = (reach / 8 * first)[:, None]
        offsets = step_px * np.arange(-8, 9)
        place = iris[:, None] + radius[:, None, None] * ways
        x, y = (
            place[:, :, None, axis] + offsets[:, None] * normals[:, :, None, axis]
            for axis in (0, 1)
        )
        values = _sample(bright, x, y)
        rises = values[..., 1:] - values[..., :-1]
        shift, rise = _peaks(rises, offsets[:, :1] + step_px / 2, step_px)
        edge = place + shift[..., None] * normals
        seen = _between(edge[..., 0], edge[..., 1], visible)
        weight = seen * np.clip((rise - 6.0) / 12.0, 0.0, 1.0)
        towards = np.concatenate([start - iris, (first - radius)[:, None]], axis=1)
        expected = (prior * towards)[..., None]
        missed = shift
        for _ in range(2):
            robust = weight / (1.0 + (missed / (2.0 * spread)) ** 2) ** 2
            weighted = rows * robust[:, None]
            wanted = weighted @ shift[..., None] + expected
            step = np.linalg.solve(weighted @ jacobian + prior_matrix, wanted)
            missed = shift - (jacobian @ step)[..., 0]
        iris, radius = iris + step[:, :2, 0], radius + step[:, 2, 0]
        # Both sides of the iris must be there to say where its middle is.
        left, right = ((robust * side).sum(axis=1) for side in sides)
        sure = np.clip(np.minimum(left, right) / 3.0, 0.0, 1.0)
    moved = np.sqrt(((iris - start) ** 2).sum(axis=1))
    lost = (moved > 0.6 * first) | (np.abs(radius / first - 1.0) > 0.3)
    iris = np.where(lost[:, None], start, iris)
    return iris, np.where(lost, first, radius), np.where(lost, 0.0, sure)


def _between(x: Floats, y: Floats, margins: Floats) -> NDArray[np.bool_]:
    """Whether places (eyes, ...) lie between both margins, (eyes, 2, len(_PLACES)) heights."""
    # Complex, so that one look-up finds both heights.
    both = margins[:, 0] + 1j * margins[:, 1]
    at = np.array([np.interp(each, _PLACES_X, own) for each, own in zip(x, both, strict=True)])
    return np.asarray((y > at.real) & (y < at.imag))


def _find_pupils(
    bright: Picture, iris: Floats, radius: Floats, shape: Floats, visible: Floats
) -> list[float | None]:
    """The pupils' diameters over the irises'; None where the picture does not show one."""
    first, step = _PUPIL_SHARES[0], _PUPIL_SHARES[1] - _PUPIL_SHARES[0]
    ways = (_RAY_WAYS @ shape)[:, None]
    places = iris[:, None, None] + (radius[:, None] * _PUPIL_SHARES)[..., None, None] * ways
    x, y = places[..., 0], places[..., 1]
    values = _sample(bright, x, y)
    rays = np.all(_between(x, y, visible), axis=1)
    pupils: list[float | None] = []
    for seen, brightness in zip(rays, values, strict=True):
        pupils.append(None)
        if seen.sum() < _RAYS // 4:
            continue
        # The median leaves the lamp's reflection out.
        profile = _median(brightness[:, seen])
        place, rise = _peaks((profile[1:] - profile[:-1])[None], first + step / 2, step)
        if rise[0] >= _LEAST_PUPIL_RISE and 0.17 < place[0] < 0.75:
            pupils[-1] = float(place[0])
    return pupils
