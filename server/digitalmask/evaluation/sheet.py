"""Contact sheets: a patient's own picture beside the mask, to look at what figures cannot say.

This is the one place in digitalmask that puts the camera's pixels into a file. It runs by the
explicit wish of a researcher, on a recording they have and may use; nothing that a consultation
runs imports it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitalmask.errors import MediaError
from digitalmask.evaluation.measures import QUANTITIES, FaceTrack, read_face
from digitalmask.evaluation.video import Moment

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

INSTANTS, _A_ROW = 10, 5
_FACE_PX, _EYES_PX, _LABEL_PX, _TITLE_PX, _GAP_PX = (300, 330), (300, 100), 24, 30, 4
_APART_S = 0.2
_GROUND = (246, 246, 246)
# How much of the picture a cell shows: widths of the face, and of the span of both eyes.
_FACE_MARGIN, _EYES_MARGIN = 1.35, 1.35
_EYE_SPAN = (33, 263)


@dataclass(frozen=True, slots=True)
class Column:
    """One instant on a sheet: the cells from top to bottom, compressed, and its reading."""

    at_s: float
    carded: bool
    reading: Floats | None
    cells: tuple[bytes, ...]


def columns_of(moments: Iterable[Moment]) -> list[Column]:
    """Cut the cells out of every frame of a video: face, mask, the eyes of both."""
    return [
        Column(
            moment.at_s,
            moment.carded,
            read_face(moment.original) if moment.original is not None else None,
            (
                _cut(moment.original_rgb, _face_box(moment.original), _FACE_PX),
                _cut(moment.mask_rgb, _face_box(moment.mask), _FACE_PX),
                _cut(moment.original_rgb, _eyes_box(moment.original), _EYES_PX),
                _cut(moment.mask_rgb, _eyes_box(moment.mask), _EYES_PX),
            ),
        )
        for moment in moments
        if moment.original_rgb is not None and moment.mask_rgb is not None
    ]


def choose(columns: Sequence[Column], count: int = INSTANTS) -> list[tuple[int, str]]:
    """Indices of instants that show variety, each with why it was chosen, in order of time.

    First the extremes of the original (gaze to either side, up and down, crossed eyes, closed, the
    two eyes unlike, mouth open, head turned), then evenly spaced ones. No two are nearer than
    0.2 s, unless there are too few frames.
    """
    known = [index for index, column in enumerate(columns) if column.reading is not None]
    chosen: dict[int, str] = {}

    def take(index: int, why: str) -> None:
        at_s = columns[index].at_s
        if len(chosen) < count and all(abs(columns[i].at_s - at_s) >= _APART_S for i in chosen):
            chosen[index] = why

    if known:
        readings = np.array([columns[index].reading for index in known])
        for why, score in _extremes(readings):
            take(known[int(np.argmax(score))], why)
    every = list(range(len(columns)))
    # Ever denser rows of evenly spaced instants, until there are enough.
    for parts in (count - len(chosen) + 2, 2 * count, 4 * count):
        for step in range(1, parts):
            take(every[(len(every) - 1) * step // parts], "")
    for index in every:  # a video too short for the distance between them
        if len(chosen) < count and index not in chosen:
            chosen[index] = ""
    return sorted(chosen.items())


def draw_sheet(title: str, columns: Sequence[Column]) -> Picture:
    """One video's sheet, (height, width, 3) RGB: a title, and a column for each chosen instant.

    From top to bottom: when and why, the original, the mask, the eyes of the original, those of
    the mask. Five columns side by side, then the next five below.
    """
    picked = choose(columns)
    heights = (_FACE_PX[1], _FACE_PX[1], _EYES_PX[1], _EYES_PX[1])
    band = _LABEL_PX + sum(heights) + (len(heights) + 1) * _GAP_PX
    rows = -(-len(picked) // _A_ROW)
    width = min(len(picked), _A_ROW) * (_FACE_PX[0] + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, _TITLE_PX + rows * band), _GROUND)
    ink = ImageDraw.Draw(sheet)
    ink.text((_GAP_PX, 4), title, (20, 20, 20), ImageFont.load_default(20))
    small = ImageFont.load_default(16)
    for place, (index, why) in enumerate(picked):
        column = columns[index]
        row, across = divmod(place, _A_ROW)
        x, y = _GAP_PX + across * (_FACE_PX[0] + _GAP_PX), _TITLE_PX + row * band
        label = f"{column.at_s:.2f} s  {'card' if column.carded else why}".rstrip()
        ink.text((x, y + 2), label, (20, 20, 20), small)
        y += _LABEL_PX + _GAP_PX
        for cell, tall in zip(column.cells, heights, strict=True):
            if cell:
                bgr = cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_COLOR)
                assert bgr is not None  # noqa: S101 - it was encoded here
                sheet.paste(Image.fromarray(np.ascontiguousarray(bgr[..., ::-1])), (x, y))
            y += tall + _GAP_PX
    return np.asarray(sheet, np.uint8)


def write_sheets(sheets: Sequence[tuple[str, Picture]], target: Path) -> list[Path]:
    """Write the sheets: one as `target`, several each as `<target's name>-<name>.png` beside it.

    Errors: MediaError where it cannot be written.
    """
    paths: list[Path] = []
    names: set[str] = set()
    for name, sheet in sheets:
        path = target
        if len(sheets) > 1:
            unique = name if name not in names else f"{name}-{len(paths) + 1}"
            names.add(unique)
            path = target.with_name(f"{target.stem}-{unique}.png")
        done, data = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
        try:
            if not done:
                raise MediaError(f"{path} could not be made")
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}") from error
        paths.append(path)
    return paths


def _extremes(readings: Floats) -> list[tuple[str, Floats]]:
    """What makes an instant worth a look, the most telling first: a name and a score a frame."""
    value = dict(zip(QUANTITIES, readings.T, strict=True))
    opening = np.stack([value["opening_left"], value["opening_right"]])
    level = np.maximum(np.quantile(opening, 0.8, axis=1, keepdims=True), 1e-6)
    openness = (opening / level).min(axis=0)
    # Behind a lid the iris is made up, so gaze counts while both eyes are open.
    seen = np.where(openness > 0.6, 0.0, -np.inf)
    x = (value["iris_x_left"] + value["iris_x_right"]) / 2
    y = (value["iris_y_left"] + value["iris_y_right"]) / 2
    return [
        ("eyes to patient's left", x + seen),
        ("eyes to patient's right", -x + seen),
        ("eyes closed", -openness),
        ("mouth open", value["mouth"]),
        ("head to patient's left", value["yaw"]),
        ("head to patient's right", -value["yaw"]),
        ("eyes crossed most", value["vergence"] + seen),
        ("eyes up", y + seen),
        ("lids unlike", np.abs(value["opening_left"] - value["opening_right"])),
    ]


def _face_box(track: FaceTrack | None) -> tuple[float, float, float] | None:
    """Middle and width in pixels of what a face's cell shows."""
    if track is None:
        return None
    low, high = track.points[:, :2].min(axis=0), track.points[:, :2].max(axis=0)
    x, y = (low + high) / 2
    return float(x), float(y), _FACE_MARGIN * float((high - low).max())


def _eyes_box(track: FaceTrack | None) -> tuple[float, float, float] | None:
    if track is None:
        return None
    first, last = (track.points[index, :2] for index in _EYE_SPAN)
    # At a turned head the span is foreshortened: not narrower than a share of the face.
    span = max(float(np.linalg.norm(last - first)), 0.45 * float(np.ptp(track.points[:, 1])))
    x, y = (first + last) / 2
    return float(x), float(y), _EYES_MARGIN * span


def _cut(
    rgb: Picture | None, box: tuple[float, float, float] | None, size: tuple[int, int]
) -> bytes:
    """A JPEG of the box at `size`, the whole picture without a box for a face, nothing for eyes."""
    if rgb is None:
        return b""
    height, width = rgb.shape[:2]
    if box is None:
        if size != _FACE_PX:
            return b""
        box = (width / 2, height / 2, max(width, height * size[0] / size[1]))
    x, y, across = box
    tall = across * size[1] / size[0]
    # Within the picture where it has room for the box.
    x = float(np.clip(x, across / 2, width - across / 2)) if across < width else x
    y = float(np.clip(y, tall / 2, height - tall / 2)) if tall < height else y
    scale = size[0] / max(across, 1.0)
    place = np.array(
        [[scale, 0, size[0] / 2 - scale * x], [0, scale, size[1] / 2 - scale * y]], np.float64
    )
    # Averages where it shrinks, so that fine lines stay; cubic where it enlarges.
    source = rgb
    if scale < 0.75:
        shrunk = (max(round(width * scale), 1), max(round(height * scale), 1))
        source = np.asarray(cv2.resize(rgb, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
        place[:, :2] = np.diag([width / shrunk[0] * scale, height / shrunk[1] * scale])
    cell = cv2.warpAffine(
        source, place, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(224, 224, 224),
    )  # fmt: skip
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(cell[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )
    return data.tobytes()
