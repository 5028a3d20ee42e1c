"""Six people who do not exist: their faces, their looks, and how their lids move."""

import functools
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError

Floats = NDArray[np.floating]

SKIN, MOUTH, GUMS, TEETH, LASHES = range(5)
_LID_RAD = np.radians(np.linspace(-30, 62, 47))
_LID_COLUMNS_MM = np.linspace(-9, 9, 7)  # beside the eyeball's centre
# The hairline from the nape over the ear and the temple to the forehead.
_HAIRLINE_Z_MM = (-200, -118, -98, -92, -66, -58, -42, -22, -5, 20)
_HAIRLINE_Y_MM = (-70, -62, -30, 22, 22, 4, 10, 42, 62, 84)
EYE_SURFACE_MM = 14.0  # radius of the surface on which an eye is drawn
# The free edge is sought among the edges of triangles so near to the lids' turning zone.
_EDGE_WEIGHT = 0.55
_FISSURE_REACH_MM = 18.0


@dataclass(frozen=True, slots=True)
class Look:
    """Colours (sRGB, 0 to 1) and hair. hair_mm: its thickness; hairline_mm: how far down it comes;
    long: whether it falls to the shoulders."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    shirt: tuple[float, float, float]
    wall: tuple[float, float, float]
    hair_mm: float = 9.0
    hairline_mm: float = 0.0
    long: bool = False
    beard: float = 0.0


_LIGHT, _BROWN, _DARK = (0.86, 0.68, 0.59), (0.72, 0.51, 0.39), (0.45, 0.30, 0.23)
SKIN_TONES = {"light": _LIGHT, "brown": _BROWN, "dark": _DARK}

_LOOKS = (
    Look(_LIGHT, (0.30, 0.20, 0.12), (0.33, 0.44, 0.50), (0.27, 0.36, 0.46), (0.79, 0.76, 0.70),
         beard=0.25),
    Look(_BROWN, (0.10, 0.08, 0.07), (0.30, 0.19, 0.11), (0.60, 0.33, 0.30), (0.70, 0.74, 0.72),
         hair_mm=12.0, long=True),
    Look(_DARK, (0.06, 0.05, 0.05), (0.22, 0.14, 0.09), (0.77, 0.72, 0.60), (0.66, 0.62, 0.58),
         hair_mm=5.0, hairline_mm=-4.0),
    Look(_LIGHT, (0.62, 0.47, 0.28), (0.34, 0.42, 0.30), (0.36, 0.48, 0.40), (0.82, 0.78, 0.78),
         hair_mm=13.0, hairline_mm=3.0, long=True),
    Look(_BROWN, (0.45, 0.44, 0.43), (0.27, 0.18, 0.12), (0.22, 0.22, 0.26), (0.74, 0.70, 0.62),
         hair_mm=6.0, hairline_mm=-12.0, beard=0.5),
    Look(_DARK, (0.09, 0.06, 0.05), (0.20, 0.12, 0.08), (0.45, 0.28, 0.44), (0.73, 0.73, 0.76),
         hair_mm=15.0, long=True),
)  # fmt: skip
PEOPLE = len(_LOOKS)


@dataclass(frozen=True, slots=True)
class Person:
    """One person's mesh in the head frame, mm.

    vertices_mm: (V, 3), hair put on. rest_mm: (V, 3), the average face's, where colours are found.
    triangles: (T, 3). part: (V,). occlusion: (V,) 0 to 1. brow_mm, lip_mm, hair_depth_mm: (V,)
    depth inside, negative outside. shapes: (S, V, 3), in the order of shape_names. lid_weights:
    (2, 2, V), right and left eye, upper and lower lid. eye_centres_mm: (2, 3). lids: their tables,
    and fissures, where those were measured.
    """

    look: Look
    vertices_mm: Floats = field(repr=False)
    rest_mm: Floats = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)
    part: NDArray[np.uint8] = field(repr=False)
    occlusion: Floats = field(repr=False)
    brow_mm: Floats = field(repr=False)
    lip_mm: Floats = field(repr=False)
    hair_depth_mm: Floats = field(repr=False)
    shape_names: tuple[str, ...] = field(repr=False)
    shapes: Floats = field(repr=False)
    lid_weights: Floats = field(repr=False)
    eye_centres_mm: Floats
    lids: tuple["LidTable", "LidTable"] = field(repr=False)
    fissures: tuple["Fissure", "Fissure"] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LidTable:
    """How high one eye's free edges stand beside its centre, measured on the person's own mesh.

    upper_mm, lower_mm: (drives, columns), for the turns `_LID_RAD` (positive closes) at the columns
    `_LID_COLUMNS_MM`.
    """

    upper_mm: Floats
    lower_mm: Floats

    def turns(self, x_mm: float, upper_mm: float, lower_mm: float) -> tuple[float, float]:
        """The two lids' turns (radians) that bring their edges to the heights in column x."""
        at = [
            np.array([np.interp(x_mm, _LID_COLUMNS_MM, row) for row in table])
            for table in (self.upper_mm, self.lower_mm)
        ]
        lower = float(np.interp(lower_mm, at[1], _LID_RAD))
        least = float(np.interp(lower, _LID_RAD, at[1]))
        falling = np.maximum(upper_mm, least)
        return float(np.interp(-falling, -at[0], _LID_RAD)), lower

    def upper_edge_mm(self, turn: float) -> list[float]:
        """Heights of the upper edge at all columns."""
        return [float(np.interp(turn, _LID_RAD, column)) for column in self.upper_mm.T]


@dataclass(frozen=True, slots=True)
class Fissure:
    """Which part of the mesh has one eye's free edges, and where its opening ends.

    upper, lower: (n, 3) triangles of the lids. medial, lateral: the vertices at the ends.
    """

    upper: NDArray[np.int32]
    lower: NDArray[np.int32]
    medial: int
    lateral: int

    def margins_mm(self, beside: Floats, columns_mm: Floats) -> Floats:
        """(2, n, 3) places of the upper and the lower free edge in n columns.

        beside: (V, 3) vertices beside the eye's centre. Where the lids meet, the upper one's are
        the lower one's.
        """
        upper, lower = (
            np.array([(x, *free_edge_mm(beside[lid], float(x), sense)) for x in columns_mm])
            for lid, sense in ((self.upper, 1.0), (self.lower, -1.0))
        )
        met = upper[:, 1] < lower[:, 1]
        upper[met] = lower[met]
        return np.stack([upper, lower])


def turned(points: Floats, centre: Floats, angles: Floats) -> Floats:
    """The points turned about the x axis through the centre; positive angles lower the front."""
    moved = points - centre
    cos, sin = np.cos(angles), np.sin(angles)
    y = moved[:, 1] * cos - moved[:, 2] * sin
    moved[:, 2] = moved[:, 1] * sin + moved[:, 2] * cos
    moved[:, 1] = y
    return moved + centre


def free_edge_mm(corners: Floats, x_mm: float, sense: float) -> tuple[float, float]:
    """Height and depth (y, z) at which a lid leaves the eye free, in a column.

    corners: (n, 3, 3), the lid's triangles beside the eye's centre. sense: 1 for the upper lid,
    whose lowest place counts, -1 for the lower, whose highest does. What lies within the eye's
    surface is hidden by it.
    """
    x = corners[..., 0] - x_mm
    cut = corners[(x.min(1) < 0) & (x.max(1) >= 0)]
    a, b = cut, np.roll(cut, -1, axis=1)
    left = a[..., 0] < x_mm
    across = left != (b[..., 0] < x_mm)  # two sides of each triangle
    ends_a, ends_b = a[across].reshape(-1, 2, 3), b[across].reshape(-1, 2, 3)
    share = (x_mm - ends_a[..., 0]) / (ends_b[..., 0] - ends_a[..., 0])
    section = (ends_a + share[..., None] * (ends_b - ends_a))[..., 1:]  # (m, 2, 2): y, z
    section = section[section[..., 1].min(1) > 4]
    start, along = section[:, 0], section[:, 1] - section[:, 0]
    # Where each piece enters and leaves the eye's surface.
    square = np.maximum((along**2).sum(1), 1e-12)
    middle = (start * along).sum(1) / square
    beyond = ((start**2).sum(1) - (EYE_SURFACE_MM**2 - x_mm**2)) / square
    root = np.sqrt(np.maximum(middle**2 - beyond, 0))
    meets = np.stack([-middle - root, -middle + root], 1)
    meets = np.where((meets >= 0) & (meets <= 1) & (root > 0)[:, None], meets, np.nan)
    at_eye = start[:, None] + meets[..., None] * along[:, None]
    free = np.hypot(section[..., 0], section[..., 1]) >= np.sqrt(EYE_SURFACE_MM**2 - x_mm**2)
    places = np.concatenate([at_eye.reshape(-1, 2), section[free]])
    places = places[~np.isnan(places[:, 0])]
    if not len(places):  # turned away behind the eye's surface
        places = section.reshape(-1, 2)
    y, z = places[np.argmin(sense * places[:, 0])]
    return float(y), float(z)


def _find_fissure(
    points: Floats, triangles: NDArray[np.int32], weights: Floats, centre: Floats
) -> Fissure:
    lids = []
    near = np.linalg.norm((points - centre)[:, :2], axis=1)
    for lid in weights:
        # At the ends of the fissure the weights fall, but the edge is there all the same.
        inside = (lid > _EDGE_WEIGHT * lid.max()) | ((lid > 0.25) & (near < 11))
        lids.append(triangles[inside[triangles].all(1)])
    # The rim of the opening has triangles on one side only, and stands before the eye's centre.
    edges, count = np.unique(_edges_of(triangles), axis=0, return_counts=True)
    rim = np.unique(edges[count == 1])
    rim = rim[(near[rim] < _FISSURE_REACH_MM) & (points[rim, 2] > centre[2])]
    outwards = points[rim, 0] * np.sign(centre[0])
    upper, lower = lids
    return Fissure(upper, lower, int(rim[outwards.argmin()]), int(rim[outwards.argmax()]))


def _edges_of(triangles: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)).astype(np.int64)


def _measure_lids(points: Floats, fissure: Fissure, weights: Floats, centre: Floats) -> LidTable:
    tables = []
    for lid, sense, triangles in ((0, 1.0, fissure.upper), (1, -1.0, fissure.lower)):
        table = np.empty((len(_LID_RAD), len(_LID_COLUMNS_MM)))
        for row, angle in enumerate(_LID_RAD):
            corners = turned(points, centre, sense * angle * weights[lid])[triangles] - centre
            table[row] = [free_edge_mm(corners, float(x), sense)[0] for x in _LID_COLUMNS_MM]
        tables.append(table)
    # Past the point where a lid turns away behind the ball its edge rises again: not used.
    return LidTable(np.minimum.accumulate(tables[0]), np.maximum.accumulate(tables[1]))


def _hair_depth(rest: Floats) -> Floats:
    """How far each place of the average head lies inside the hair; negative outside."""
    x, y, z = rest.T
    line = np.interp(z, _HAIRLINE_Z_MM, _HAIRLINE_Y_MM)
    depth = (y - line) * 0.8
    ear = (np.abs(x) > 77) & (y < 24)
    return np.where(ear, -8, np.clip(depth, -20, 30))


def _quantised(data: dict[str, NDArray[Any]], name: str) -> Floats:
    return np.asarray(data[name].astype(np.float32) * data[f"{name}_step_mm"][:, None, None])


@functools.cache
def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise AssetError(f"{path} is missing: get it again with the project") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} is damaged: {error}") from None


def load_person(number: int) -> Person:
    """One of the six, 0 to 5. Raises AssetError where the data file is missing or damaged."""
    if not 0 <= number < PEOPLE:
        raise AssetError(f"there is no simulated person {number}: 0 to {PEOPLE - 1}")
    data = _read(models_dir() / "patient.npz")
    return make_person(
        _LOOKS[number],
        _quantised(data, "identities")[number],
        data["eye_centres_mm"][number].astype(np.float64),
    )


def make_person(look: Look, identity_mm: Floats, eye_centres_mm: Floats) -> Person:
    """Another person: (V, 3) displacements from the average face, and the (2, 3) eyes' centres
    that go with them. Raises AssetError where the data file is missing or damaged.
    """
    data = _read(models_dir() / "patient.npz")
    rest = data["vertices_mm"].astype(np.float64)
    part = data["part"]
    points = rest + identity_mm
    centres = eye_centres_mm
    # The head frame's origin is midway between this person's own eyes.
    points -= centres.mean(0)
    centres = centres - centres.mean(0)
    triangles = data["triangles"].astype(np.int32)
    weights = np.stack([data["upper_lid"], data["lower_lid"]], 1).astype(np.float64)
    depth = np.where(part == SKIN, _hair_depth(rest) + look.hairline_mm, -20)
    grown = np.clip(depth / 12, 0, 1)
    out = points - (0, 0, -70)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    skin = triangles[(part[triangles] == SKIN).all(1)]
    fissures = [
        _find_fissure(points, skin, weights[eye], centre) for eye, centre in enumerate(centres)
    ]
    lids = [
        _measure_lids(points, fissures[eye], weights[eye], centre)
        for eye, centre in enumerate(centres)
    ]
    return Person(
        look=look,
        vertices_mm=points + out * (look.hair_mm * np.sqrt(grown))[:, None],
        rest_mm=rest,
        triangles=triangles,
        part=part,
        occlusion=data["occlusion"] / 255,
        brow_mm=data["brow_mm"].astype(np.float64),
        lip_mm=data["lip_mm"].astype(np.float64),
        hair_depth_mm=depth,
        shape_names=tuple(str(name) for name in data["shape_names"]),
        shapes=_quantised(data, "shapes"),
        lid_weights=weights,
        eye_centres_mm=centres,
        lids=(lids[0], lids[1]),
        fissures=(fissures[0], fissures[1]),
    )
