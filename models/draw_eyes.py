"""Draws eyes of people who do not exist, as cameras see them, and what is true of each.

    python -m models.draw_eyes ICT_ARCHIVE IDENTITY_MODES FOLDER FIRST END

FOLDER gets a file for every twenty people from number FIRST on (10000 to 10420, 11000 to 11480 and
20000 to 20040 made the network that ships); several processes may each draw some. A file that is
there stays.

`fit_eyes` learns from them. The people are drawn as those of `fit_landmarks`, with other seeds;
none of the six whom results are judged by is among them. Each drawing is seen by several cameras:
nearer and farther, noisy, out of focus, coded; and what drawn faces lack is painted over some of
them (lashes, eyeliner, a fold above the lid, rings below it, uneven skin, rims of glasses, lamps
that they reflect), for a network that has seen only clean skin fails on a real face.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from models.fit_landmarks import draw_light, draw_people, draw_pose
from numpy.typing import NDArray

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.simulation.drawing import FOCAL_HEIGHTS, PatientDrawing
from digitalmask.simulation.people import Person
from digitalmask.simulation.pose import EyePose, PatientPose
from digitalmask.simulation.posing import (
    IRIS_DEPTH_MM,
    PIVOT_FORWARD_MM,
    gaze_direction,
    head_place_mm,
    head_rotation,
    pose_person,
)
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.eye_edges import HALF_FISSURE, MIDDLE_X, MIDDLE_Y
from digitalmask.tracking.eye_network import as_shown
from digitalmask.tracking.eye_outline import EyeCut
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE

Floats = NDArray[Any]
Picture = NDArray[np.uint8]

SHARES = np.array([1, 2, 3, 4, 5]) / 6  # of the fissure, from its medial to its lateral end
NUMBERS = 2 * (2 + 2 * len(SHARES) + 1) + 1
_SIZE = (1280, 960)
_VIEWS = 8
_CAMERAS = 4
_SEED = 78_000
_A_FILE = 20  # people
_IRIS_MM = 5.85
# Of the landmark network, of the right eye and the left one.
_CORNERS = np.array([[eye.medial, eye.lateral] for eye in (RIGHT_EYE, LEFT_EYE)])


@dataclass(frozen=True, slots=True)
class EyePlaces:
    """Where an eye's parts are, (2,) or (n, 2) pixels of a picture; margins as `SHARES` has it."""

    medial: Floats
    lateral: Floats
    upper: Floats
    lower: Floats
    iris: Floats
    iris_radius: float


def _places(
    person: Person, points: Floats, pose: PatientPose, eye: int, size: tuple[int, int]
) -> EyePlaces:
    seen = (pose.right, pose.left)[eye]
    centre, fissure = person.eye_centres_mm[eye], person.fissures[eye]
    beside = points - centre
    medial, lateral = beside[fissure.medial], beside[fissure.lateral]
    columns = medial[0] + SHARES * (lateral[0] - medial[0])
    upper, lower = fissure.margins_mm(beside, columns)
    pivot = np.array([0.0, 0.0, PIVOT_FORWARD_MM])
    iris = pivot + gaze_direction(seen) * IRIS_DEPTH_MM
    turn, place = head_rotation(pose), head_place_mm(pose)
    focal = FOCAL_HEIGHTS * size[1]

    def project(places: Floats) -> Floats:
        at = (places + centre) @ turn.T + place
        return np.asarray(at[:, :2] / -at[:, 2:] * (focal, -focal) + (size[0] / 2, size[1] / 2))

    ends = project(np.array([medial, lateral, iris]))
    depth = -float(((iris + centre) @ turn.T + place)[2])
    return EyePlaces(
        ends[0], ends[1], project(upper), project(lower), ends[2], _IRIS_MM * focal / depth
    )


def draw_eyes_pose(random: np.random.Generator, view: int) -> PatientPose:
    """As `fit_landmarks` has it, but with lids of every height, each eye's by itself."""
    pose, _ = draw_pose(random, view)
    wild = random.uniform() < 0.5
    far = random.uniform(-1, 1, 2) * (38, 26) if random.uniform() < 0.25 else None
    eyes = []
    both = random.uniform(-1.2, 8.2)
    for seen in (pose.right, pose.left):
        yaw, pitch = seen.gaze_yaw_deg, seen.gaze_pitch_deg
        if far is not None:
            yaw, pitch = far + random.normal(0, 5, 2)
        upper, lower = seen.upper_lid_mm, seen.lower_lid_mm
        if wild:
            lower = -5.2 + random.normal(0, 1.0)
            aperture = both if random.uniform() < 0.6 else random.uniform(-1.2, 12.5)
            upper = lower + max(aperture, -0.5) * 1.35
        eyes.append(EyePose(float(yaw), float(pitch), float(upper), float(lower), seen.pupil_mm))
    shapes = dict(pose.shapes)
    x, y, z = pose.offset_mm
    return PatientPose(
        pose.yaw_deg, pose.pitch_deg, pose.roll_deg, (x, y, 1.6 * z), eyes[0], eyes[1], shapes
    )


@dataclass(frozen=True, slots=True)
class _Style:
    """What both eyes of one picture have painted on; lengths in mm, shares from 0 to 1."""

    lashes: bool
    lash_mm: float
    lash_count: int
    lash_dark: float
    lash_px: int
    lower_lashes: bool
    liner: bool
    fold: bool
    fold_mm: float
    fold_dark: float
    ring: bool
    ring_mm: float
    ring_dark: float
    shadow: bool
    shadow_colour: Floats
    glasses: bool
    rim_colour: Floats
    rim_fifths_mm: float
    rim_up_mm: float
    rim_down_mm: float

    @classmethod
    def chosen(cls, random: np.random.Generator) -> "_Style":
        """One by chance."""
        return cls(
            lashes=random.uniform() < 0.75,
            lash_mm=random.uniform(2, 9),
            lash_count=int(random.integers(12, 45)),
            lash_dark=random.uniform(0.25, 1.0),
            lash_px=int(random.integers(1, 3)),
            lower_lashes=random.uniform() < 0.4,
            liner=random.uniform() < 0.2,
            fold=random.uniform() < 0.6,
            fold_mm=random.uniform(1.0, 6.5),
            fold_dark=random.uniform(-0.15, 0.45),
            ring=random.uniform() < 0.5,
            ring_mm=random.uniform(1.5, 8),
            ring_dark=random.uniform(-0.1, 0.3),
            shadow=random.uniform() < 0.25,
            shadow_colour=random.uniform(0.35, 1.15, 3),
            glasses=random.uniform() < 0.2,
            rim_colour=random.uniform(0, 255, 3) * random.uniform(0.1, 1),
            rim_fifths_mm=random.uniform(1, 9),
            rim_up_mm=random.uniform(8, 18),
            rim_down_mm=random.uniform(10, 20),
        )


def _along(places: EyePlaces, margin: Floats, count: int = 40) -> Floats:
    """(count, 2) places along a margin, from the medial to the lateral corner."""
    nodes = np.vstack([places.medial, margin, places.lateral])
    at, to = np.concatenate([[0.0], SHARES, [1.0]]), np.linspace(0, 1, count)
    return np.stack([np.interp(to, at, nodes[:, axis]) for axis in range(2)], axis=1)


def _soft(picture: Any, spread_px: float) -> Any:
    return cv2.GaussianBlur(picture, (0, 0), spread_px)


def _fixed(places: Floats) -> NDArray[np.int32]:
    """Places in sixteenths of a pixel, as OpenCV draws them."""
    return np.round(places * 16).astype(np.int32)


class _Brush:
    """Paints about one eye, onto a picture (height, width, 3) float32 in place."""

    def __init__(self, picture: Floats, places: EyePlaces, random: np.random.Generator) -> None:
        self._picture, self._places, self._random = picture, places, random
        self._mm = places.iris_radius / _IRIS_MM
        out = places.lateral - places.medial
        self._out = out / max(float(np.hypot(*out)), 1e-6)
        up = np.array([self._out[1], -self._out[0]])
        self._up = up if up[1] < 0 else -up
        self._upper = _along(places, places.upper)
        self._lower = _along(places, places.lower)

    def _mix(self, layer: Picture, share: float, colour: Any, blur_mm: float = 0.0) -> None:
        if blur_mm > 0:
            layer = _soft(layer, max(blur_mm * self._mm, 0.3))
        alpha = (layer.astype(np.float32) / 255 * share)[..., None]
        self._picture *= 1 - alpha
        self._picture += alpha * np.asarray(colour, np.float32)

    def _layer(self) -> Picture:
        return np.zeros(self._picture.shape[:2], np.uint8)

    def _lines(
        self, lines: list[Floats], share: float, px: float, blur_mm: float, colour: Any = 0.0
    ) -> None:
        layer = self._layer()
        fixed = [_fixed(line) for line in lines]
        cv2.polylines(layer, fixed, False, 255, max(round(px), 1), cv2.LINE_AA, 4)
        self._mix(layer, share, colour, blur_mm)

    def shadow(self, colour: Floats) -> None:
        """Colour above the upper lid."""
        layer = self._layer()
        line = _fixed(self._upper + self._up * self._mm * 3)
        cv2.polylines(layer, [line], False, 255, max(round(5 * self._mm), 1), cv2.LINE_AA, 4)
        layer = _soft(layer, 1.5 * self._mm)
        alpha = (layer.astype(np.float32) / 255)[..., None]
        self._picture *= 1 - alpha + alpha * colour.astype(np.float32)

    def fold(self, height_mm: float, dark: float) -> None:
        """A crease above the upper lid, dark or shining."""
        random, mm = self._random, self._mm
        bow = np.sin(np.linspace(0.15, np.pi - 0.15, len(self._upper)))[:, None]
        line = self._upper + self._up * mm * height_mm * (0.35 + 0.65 * bow)
        line = line + self._out * mm * random.normal(0, 1)
        rows, columns = self._picture.shape[:2]
        below = self._picture[line[:, 1].astype(int) % rows, line[:, 0].astype(int) % columns]
        self._lines(
            [line], max(dark, 0), random.uniform(0.3, 1.2) * mm, random.uniform(0.1, 0.7),
            below.mean(0) * 0.3,
        )  # fmt: skip
        if dark < 0:
            self._lines([line], -dark * 2, 1.5 * mm, 0.8, 255)

    def ring(self, depth_mm: float, dark: float) -> None:
        """A line below the lower lid."""
        random = self._random
        bow = np.sin(np.linspace(0.1, np.pi - 0.1, len(self._lower)))[:, None]
        line = self._lower - self._up * self._mm * depth_mm * (0.3 + 0.7 * bow)
        self._lines(
            [line], abs(dark), random.uniform(0.3, 1.5) * self._mm, random.uniform(0.2, 1.0),
            0 if dark > 0 else 255,
        )  # fmt: skip

    def liner(self) -> None:
        """Paint on the margins."""
        random, mm = self._random, self._mm
        self._lines([self._upper], random.uniform(0.3, 0.95), random.uniform(0.4, 1.4) * mm, 0.1)
        if random.uniform() < 0.5:
            self._lines(
                [self._lower], random.uniform(0.2, 0.8), random.uniform(0.3, 0.9) * mm, 0.15
            )

    def lashes(self, style: _Style, *, upper: bool) -> None:
        """From a margin forwards and away from the eye; from above they hang over it."""
        random = self._random
        curve, sense = (self._upper, 1.0) if upper else (self._lower, -1.0)
        length_px = style.lash_mm * self._mm * (1.0 if upper else 0.5)
        share = style.lash_dark * (1.0 if upper else 0.6)
        rise = random.uniform(-0.5, 1.0)
        lines = []
        for at in random.uniform(0.06, 0.99, style.lash_count):
            root = curve[min(int(at * len(curve)), len(curve) - 1)]
            way = self._up * sense * rise + self._out * (at - 0.45) * random.uniform(0.8, 1.8)
            way = way + random.normal(0, 0.12, 2)
            tip = root + way * length_px * random.uniform(0.5, 1.0)
            bend = self._up * sense * 0.12 * length_px * random.uniform(0, 1.5)
            lines.append(np.array([root, (root + tip) / 2 - bend, tip]))
        self._lines(lines, share, style.lash_px, 0.0 if random.uniform() < 0.5 else 0.15)

    def glasses(self, style: _Style) -> None:
        """A rim, and what the lens reflects."""
        random, mm, places = self._random, self._mm, self._places
        centre = (places.medial + places.lateral) / 2 + self._out * mm * random.normal(0, 1.5)
        turn, bulge = np.linspace(0, 2 * np.pi, 40), random.uniform(2, 5)
        x, y = (np.sign(way) * np.abs(way) ** (2 / bulge) for way in (np.cos(turn), np.sin(turn)))
        y = np.where(y > 0, y * style.rim_up_mm, y * style.rim_down_mm)
        line = centre + (self._out * 25 * x[:, None] + self._up * y[:, None]) * mm
        self._lines(
            [line], random.uniform(0.5, 1), max(style.rim_fifths_mm * mm / 5, 1), 0.05,
            style.rim_colour,
        )  # fmt: skip
        for _ in range(random.integers(0, 3)):
            at = centre + random.normal(0, 9, 2) * mm
            size = (random.uniform(1, 14) * mm, random.uniform(1, 8) * mm)
            box = cv2.boxPoints((at.tolist(), size, float(random.uniform(0, 180))))
            layer = self._layer()
            cv2.fillPoly(layer, [_fixed(box)], 255, cv2.LINE_AA, 4)
            layer = _soft(layer, random.uniform(0.2, 1.5) * mm)
            self._mix(layer, random.uniform(0.1, 0.7), random.uniform(150, 255))

    def lamps(self) -> None:
        """Reflections on the cornea, where no lid covers it."""
        random, places = self._random, self._places
        order = np.argsort(self._upper[:, 0])
        for _ in range(random.integers(1, 4)):
            at = places.iris + random.normal(0, 0.45, 2) * places.iris_radius
            size = random.uniform(0.05, 0.3, 2) * places.iris_radius
            if at[1] - size[1] > np.interp(at[0], self._upper[order, 0], self._upper[order, 1]):
                layer = self._layer()
                cv2.ellipse(
                    layer, _fixed(at).tolist(), _fixed(size).tolist(),
                    float(random.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA, 4,
                )  # fmt: skip
                self._mix(layer, random.uniform(0.2, 1), random.uniform(170, 255))


def _paint(picture: Picture, eyes: list[EyePlaces], random: np.random.Generator) -> Picture:
    """The picture with what drawn people lack."""
    out = picture.astype(np.float32)
    style = _Style.chosen(random)
    for places in eyes:
        brush = _Brush(out, places, random)
        if style.shadow:
            brush.shadow(style.shadow_colour)
        if style.fold:
            brush.fold(style.fold_mm, style.fold_dark)
        if style.ring:
            brush.ring(style.ring_mm, style.ring_dark)
        if style.liner:
            brush.liner()
        if style.lashes:
            brush.lashes(style, upper=True)
            if style.lower_lashes:
                brush.lashes(style, upper=False)
        if style.glasses:
            brush.glasses(style)
        if random.uniform() < 0.3:
            brush.lamps()
    # Uneven skin and light: fields of several sizes.
    rows, columns = picture.shape[:2]
    for size_px, strength in ((4, 0.05), (14, 0.10), (60, 0.22), (200, 0.3)):
        if random.uniform() < 0.6:
            few = (max(rows // size_px, 2) + 2, max(columns // size_px, 2) + 2)
            field = random.normal(0, 1, (*few, 1)) + random.normal(0, 0.35, (*few, 3))
            size = (columns, rows)
            smooth = cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
            out *= np.exp(random.uniform(0, strength) * smooth)
    return np.clip(out, 0, 255).astype(np.uint8)


def _shaken(picture: Floats, share: float, random: np.random.Generator) -> Floats:
    """As by a head that moves while the shutter is open."""
    length, way = random.uniform(0.5, 3) / share, random.uniform(0, np.pi)
    kernel = np.zeros((15, 15), np.float32)
    end = np.array([np.cos(way), np.sin(way)]) * min(length, 14) / 2
    start, stop = _fixed(7 - end).tolist(), _fixed(7 + end).tolist()
    cv2.line(kernel, start, stop, 1.0, 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(picture, -1, kernel / max(kernel.sum(), 1e-6)))


def _camera(picture: Picture, random: np.random.Generator) -> tuple[Picture, float]:
    """What a camera makes of a picture, and how much smaller it is."""
    share = float(np.exp(random.uniform(np.log(0.3), np.log(0.95))))
    if random.uniform() < 0.4:
        share = 0.5
    blur = abs(random.normal(0, 0.45))
    out: Any = picture.astype(np.float32)
    if blur > 0.15:
        out = _soft(out, blur / share)
    if random.uniform() < 0.12:
        out = _shaken(out, share, random)
    rows, columns = picture.shape[:2]
    size = (max(round(columns * share), 8), max(round(rows * share), 8))
    matrix = np.array([[share, 0, 0.5 * share - 0.5], [0, share, 0.5 * share - 0.5]])
    out = _soft(out, 0.35 / share) if share < 0.9 else out
    out = cv2.warpAffine(out, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Exposure, white balance, the tone curve, haze.
    out = 255 * (np.clip(out / 255, 0, 1) ** random.uniform(0.65, 1.6))
    out *= random.uniform(0.55, 1.35) * (1 + random.normal(0, 0.06, 3))
    if random.uniform() < 0.3:
        out += random.uniform(0, 45)
    noise = abs(random.normal(0, 3.0))
    grain: Any = random.normal(0, 1, out.shape)
    if random.uniform() < 0.4:
        grain = _soft(grain, 0.7) * 2
    seen = np.clip(out + noise * grain, 0, 255).astype(np.uint8)
    if random.uniform() < 0.6:
        quality = int(random.uniform(18, 95))
        _, coded = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, quality])
        seen = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    if random.uniform() < 0.15:
        amount = random.uniform(0.3, 1.2)
        sharp = seen.astype(np.float32) * (1 + amount) - amount * _soft(seen, 1.0)
        seen = np.clip(sharp, 0, 255).astype(np.uint8)
    return seen, share


def told(places: EyePlaces, cut: EyeCut) -> Floats:
    """(NUMBERS,) what is true of an eye, in half fissures of its cut from its middle."""
    at = cut.into(
        np.vstack([places.medial, places.lateral, places.upper, places.lower, places.iris])
    )
    at = (at - (MIDDLE_X, MIDDLE_Y)) / HALF_FISSURE
    return np.append(at, places.iris_radius / cut.scale / HALF_FISSURE)


def mirrored(values: Floats) -> Floats:
    """The same of the other eye."""
    values = values.copy()
    values[:-1:2] *= -1
    return values


def _look_at(
    part: Picture, eyes: list[EyePlaces], corners: Floats, random: np.random.Generator
) -> Iterator[tuple[float, Picture, Floats]]:
    """What one camera shows of both eyes: pixels of its frame a mm, cut and values.

    corners: (2, 2, 2) where the landmark network has both eyes' medial and lateral ones.
    """
    painted = _paint(part, eyes, random) if random.uniform() < 0.85 else part
    taken, share = _camera(painted, random)
    frame = _frame(taken)
    for side, places in enumerate(eyes):
        mm = places.iris_radius / _IRIS_MM
        ends = corners[side] + random.normal(0, 0.5 * mm, 2) + random.normal(0, 0.4 * mm, (2, 2))
        medial, lateral = (ends * share).astype(np.float64)
        if np.hypot(*(medial - lateral)) < 12:
            continue
        cut = EyeCut.of_eye(side, medial, lateral)
        half = as_shown(cut.picture(frame))
        values = told(_moved(places, share, np.zeros(2)), cut)
        if side == 1:
            half, values = half[:, ::-1], mirrored(values)
        if np.abs(values).max() < 2.5:
            yield mm * share, half, values


def draw(
    archive: Path, modes: Path, numbers: range
) -> Iterator[tuple[int, float, Picture, Floats]]:
    """(person, pixels of the frame a mm, (56, 80, 3) cut, NUMBERS values), all as right eyes."""
    tracker = FaceTracker(load_networks("cpu"))
    for number, person in draw_people(archive, modes, numbers):
        random = np.random.default_rng((_SEED, number))
        drawing = PatientDrawing(person, draw_light(random))
        for view in range(_VIEWS):
            pose = draw_eyes_pose(random, view)
            picture = drawing.draw(pose, _SIZE)
            tracker.reset()
            frame = _frame(cv2.resize(picture, (640, 480), interpolation=cv2.INTER_AREA))
            seen = tracker.find(frame) and tracker.find(frame)
            if seen is None or seen.presence < 0.5:
                continue
            points, _ = pose_person(person, pose)
            try:
                eyes = [_places(person, points, pose, eye, _SIZE) for eye in range(2)]
            except ValueError:
                continue  # a lid that does not reach its column
            everything = np.vstack(
                [np.vstack([e.medial, e.lateral]) for e in eyes]
                + [2 * seen.points[_CORNERS.ravel(), :2]]
            )
            reach = 26 * max(e.iris_radius for e in eyes) / _IRIS_MM
            low = np.maximum((everything.min(0) - reach).astype(int), 0)
            high = np.minimum((everything.max(0) + reach).astype(int), _SIZE)
            if (high - low).min() < 40:
                continue
            part = np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]])
            eyes = [_moved(e, 1.0, -low) for e in eyes]
            corners = 2 * seen.points[_CORNERS, :2] - low
            for _ in range(_CAMERAS):
                for mm, half, values in _look_at(part, eyes, corners, random):
                    yield number, mm, half, values
        drawing.close()


def _moved(places: EyePlaces, share: float, shift: Floats) -> EyePlaces:
    def move(at: Floats) -> Floats:
        return np.asarray((at + shift) * share)

    return EyePlaces(
        move(places.medial), move(places.lateral), move(places.upper), move(places.lower),
        move(places.iris), places.iris_radius * share,
    )  # fmt: skip


def _frame(picture: NDArray[Any]) -> PatientFrame:
    rgb = np.ascontiguousarray(picture, np.uint8)
    return PatientFrame.of_rgb(FrameClock(0.0, 0, Fraction(1, 1000)), rgb)


def main() -> int:
    """Draw, and save in parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("modes", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int, help="the first person's number")
    parser.add_argument("end", type=int, help="the number after the last one's")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for first in range(options.first, options.end, _A_FILE):
        path = options.folder / f"{first}.npz"
        if path.exists():
            continue
        numbers = range(first, min(first + _A_FILE, options.end))
        rows = list(draw(options.archive, options.modes, numbers))
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            person=np.array([row[0] for row in rows]),
            px_a_mm=np.array([row[1] for row in rows], np.float32),
            cuts=np.array([row[2] for row in rows]),
            values=np.array([row[3] for row in rows], np.float32),
        )
        part.replace(path)
        print(f"{path}: {len(rows)} eyes", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
