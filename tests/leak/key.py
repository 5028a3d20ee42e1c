"""A key in every pixel of a camera's picture, and the search for it in whatever leaves.

The key is a tile of 64x64 pixels that repeats: 8x8 blocks, each brighter or darker, bluer and
redder or less so, at random. Codecs keep it, and each place of the picture that is as large as a
tile holds all of it, wherever it is moved to.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, irfft2, rfft, rfft2

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BLOCKS, _BLOCK = 8, 8
_TILE = _BLOCKS * _BLOCK
_STRONG = 44  # steps of 8 bits, of each of Y, Cb and Cr
# A picture without the key reaches 0.26 and 0.38 (masks, cards, noise, faces); test_key.py holds
# what is found.
_FOUND_EVERYWHERE, _FOUND_IN_A_PLACE = 0.38, 0.55
_FOUND_IN_BYTES = 0.75
_FOUND_IN_SOUND = 0.95
_LEAST_CONTRAST = 2.0  # what varies by less is a plain ground


def _tile(block: int) -> Floats:
    """(8 * block, 8 * block, 3) of -1 and 1."""
    signs = np.random.default_rng(20_26).integers(0, 2, (_BLOCKS, _BLOCKS, 3))
    return np.kron(2 * signs - 1, np.ones((block, block, 1))).astype(np.float32)


_KEY = _tile(_BLOCK)
# As seen in pictures that were made half as large, up to twice as large.
_KEYS = [_tile(block) for block in (4, 6, 8, 12, 16)]


def mark(picture: Picture, share: float = 1.0) -> Picture:
    """The picture with the key in each pixel; of the picture's own contrast a half stays."""
    height, width = picture.shape[:2]
    times = (-(-height // _TILE), -(-width // _TILE), 1)
    key = np.tile(_KEY, times)[:height, :width]
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    marked = 128 + (1 - 0.5 * share) * (colours - 128) + share * _STRONG * key
    return np.asarray(
        cv2.cvtColor(np.clip(marked, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB), np.uint8
    )


def marked_ground(size: tuple[int, int]) -> Picture:
    """The key on plain grey, (width, height)."""
    return mark(np.full((size[1], size[0], 3), 128, np.uint8))


def likeness(picture: Picture) -> tuple[float, float]:
    """How much of the key is in a picture: in all of it, and in the place that has most.

    From 0 to 1. The key may be moved, mirrored, made larger or smaller.
    """
    everywhere = in_a_place = 0.0
    for mirrored in (False, True):
        colours = _contrast(picture[:, ::-1] if mirrored else picture)
        for key in _KEYS:
            if min(picture.shape[:2]) >= len(key):
                folded = _folded(colours, len(key))
                everywhere = max(everywhere, float(_alike(folded[None], key).max()))
        if min(picture.shape[:2]) >= _TILE:
            in_a_place = max(in_a_place, float(_alike(_places(colours), _KEY).max()))
    return everywhere, in_a_place


def has_key(picture: Picture) -> bool:
    """Whether the key is in a picture, or in a part of it that is as large as a tile."""
    everywhere, in_a_place = likeness(picture)
    return everywhere > _FOUND_EVERYWHERE or in_a_place > _FOUND_IN_A_PLACE


def bytes_have_key(data: bytes, least: float | None = None) -> bool:
    """Whether rows of the key stand in raw bytes, as RGB or BGR or a plane of Y, Cb or Cr."""
    found = np.frombuffer(data, np.uint8).astype(np.float32)
    return any(
        _best_match(found[start : start + _PIECE + _ROW]) > (least or _FOUND_IN_BYTES)
        for start in range(0, max(len(found) - _ROW, 0) + 1, _PIECE)
    )


def text_has_key(text: str) -> bool:
    """Whether pixels are quoted in a text: as numbers, hexadecimal, base64 or escaped bytes."""
    return any(bytes_have_key(each) for each in _quoted(text))


def file_has_key(path: Path) -> bool:
    """Whether a file holds the key: as bytes, as text, as pictures, or as a video's frames."""
    data = path.read_bytes()
    if bytes_have_key(data) or text_has_key(data.decode("latin-1")):
        return True
    return any(has_key(picture) for picture in _pictures(path, data))


@dataclass
class Catch:
    """What left, of all kinds, and where the key was in it."""

    pictures: int = 0
    first: asyncio.Event = field(default_factory=asyncio.Event)
    found: list[str] = field(default_factory=list)

    def picture(self, where: str, picture: Picture) -> None:
        self.pictures += 1
        self.first.set()
        if has_key(picture):
            self.found.append(where)

    def text(self, where: str, text: str) -> None:
        if text_has_key(text) or bytes_have_key(text.encode()):
            self.found.append(where)

    def data(self, where: str, data: bytes) -> None:
        if bytes_have_key(data) or text_has_key(data.decode("latin-1")):
            self.found.append(where)

    def sound(self, where: str, samples: bytes) -> None:
        # Tones are regular as the key is: what is to be found here must be nearly all of a row.
        if bytes_have_key(samples, _FOUND_IN_SOUND):
            self.found.append(where)

    def folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and file_has_key(path):
                self.found.append(str(path))


def _contrast(picture: Picture) -> Floats:
    """What varies within a tile's reach, Y, Cr, Cb."""
    colours = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YCrCb).astype(np.float32)
    return np.asarray(colours - cv2.blur(colours, (_TILE, _TILE)), np.float32)


def _folded(colours: Floats, tile: int) -> Floats:
    """The mean over all tiles."""
    height, width = (length // tile * tile for length in colours.shape[:2])
    tiles = colours[:height, :width].reshape(height // tile, tile, width // tile, tile, 3)
    return np.asarray(tiles.mean(axis=(0, 2)), np.float32)


def _places(colours: Floats) -> Floats:
    """(n, 64, 64, 3) places, each half a tile from the next."""
    windows = np.lib.stride_tricks.sliding_window_view(colours, (_TILE, _TILE), axis=(0, 1))
    some = windows[:: _TILE // 2, :: _TILE // 2]
    return np.ascontiguousarray(np.moveaxis(some.reshape(-1, 3, _TILE, _TILE), 1, 3))


def _alike(places: Floats, key: Floats) -> Floats:
    """The best correlation of each place with the key, however that is moved."""
    level = np.maximum(np.sqrt((places**2).mean(axis=(1, 2), keepdims=True)), _LEAST_CONTRAST)
    spectrum = rfft2(places / level, axes=(1, 2)) * rfft2(key, axes=(0, 1)).conj()
    alike = irfft2(spectrum, axes=(1, 2)).mean(axis=3)
    return np.asarray(alike.max(axis=(1, 2)) / len(key) ** 2, np.float32)


def _rows() -> Floats:
    """(n, 384) rows of the key in memory: RGB, BGR, planes of Y and, half as large, Cr and Cb."""
    rgb = marked_ground((2 * _TILE, _TILE))[::_BLOCK]
    luma, *chroma = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    planes = [np.tile(luma, (1, 3)), *(np.tile(each[:, ::2], (1, 6)) for each in chroma)]
    rows = np.concatenate([each.reshape(len(rgb), -1) for each in (rgb, rgb[:, :, ::-1], *planes)])
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


_ROW = 6 * _TILE
_PIECE = (1 << 16) - _ROW
_ROWS = rfft(_rows(), 1 << 16).conj()


def _best_match(piece: Floats) -> float:
    """The best correlation of a row of the key with any of a piece's places."""
    count = len(piece) - _ROW + 1
    if count < 1:
        return 0.0
    piece = piece - piece.mean()
    along = irfft(rfft(piece, 1 << 16) * _ROWS, axis=1)[:, :count].max(axis=0)
    sums, squares = (
        np.concatenate([[0.0], np.cumsum(piece.astype(np.float64) ** power)]) for power in (1, 2)
    )
    total = sums[_ROW:] - sums[:-_ROW]
    spread = squares[_ROW:] - squares[:-_ROW] - total**2 / _ROW
    return float((along / np.sqrt(np.maximum(spread, 4.0 * _ROW))).max())


def _quoted(text: str) -> Iterator[bytes]:
    numbers = [int(each) for each in re.findall(r"(?<![\w.])\d{1,3}(?![\w.])", text)]
    yield bytes(each for each in numbers if each < 256)
    for run in re.findall(r"[0-9a-fA-F]{64,}", text):
        yield bytes.fromhex(run[: len(run) // 2 * 2])
    for run in re.findall(r"[A-Za-z0-9+/_-]{64,}", text):
        plain = run.replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(plain[: len(plain) // 4 * 4])
        except binascii.Error:
            continue
    if "\\x" in text:
        plain = re.sub(
            r"\\(?!x[0-9a-f]{2})", "/", text.encode("latin-1", "replace").decode("latin-1")
        )
        yield plain.encode("latin-1").decode("unicode_escape").encode("latin-1")


def _pictures(path: Path, data: bytes) -> Iterator[Picture]:
    for start in (b"\xff\xd8\xff", b"\x89PNG"):
        for match in re.finditer(re.escape(start), data):
            seen = cv2.imdecode(np.frombuffer(data[match.start() :], np.uint8), cv2.IMREAD_COLOR)
            if seen is not None:
                yield np.asarray(seen[:, :, ::-1], np.uint8)
    try:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % 5 == 0:
                    shown: Any = frame.to_ndarray(format="rgb24")
                    yield np.asarray(shown, np.uint8)
    except (av.error.FFmpegError, IndexError, OSError):
        return  # no video
