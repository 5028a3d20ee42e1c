"""A frame of the patient's camera: the one thing that must never leave.

It stays as the decoder gave it, one luma plane and two of chroma at half the size. What is looked
at (a face, an eye) is a small part of it, and is made red, green and blue after it was cut out:
that takes less than to do so with the whole frame, and there is half as much to hand on.
"""

from dataclasses import dataclass, field, replace
from math import ceil, floor

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.compiled import compiled
from digitalmask.media.frame_clock import FrameClock

Bytes = NDArray[np.uint8]
# Luma's black and its share of all colours; red's share of the second chroma, green's of the first
# and of the second, blue's of the first.
Colours = tuple[float, float, float, float, float, float]

_PLANAR = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p")
# Red's and blue's share of luma by ITU-T H.273's code of a matrix; BT.601's for all others.
_LUMA_SHARES = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
_BT_601 = (0.299, 0.114)
_FULL_RANGE = 2


def _colours(luma_shares: tuple[float, float], full_range: bool) -> Colours:
    red, blue = luma_shares
    green = 1.0 - red - blue
    black, light, chroma = (0.0, 1.0, 1.0) if full_range else (16.0, 255 / 219, 255 / 224)
    reddest, bluest = 2.0 * (1.0 - red) * chroma, 2.0 * (1.0 - blue) * chroma
    return black, light, reddest, -bluest * blue / green, -reddest * red / green, bluest


_USUAL = _colours(_BT_601, full_range=False)


@dataclass(frozen=True, slots=True)
class PatientFrame:
    """A decoded camera frame, as the camera saw it (not mirrored).

    luma: (height, width) uint8, top row first. chroma: (2, height / 2, width / 2) uint8, both
        rounded up: how blue and how red it is, each pixel amid four of luma's. They are left out
        of `repr`, so that no log or exception message can hold them. colours: what they mean.
    """

    clock: FrameClock
    luma: Bytes = field(repr=False)
    chroma: Bytes = field(repr=False)
    colours: Colours = _USUAL

    @classmethod
    def decoded(cls, clock: FrameClock, frame: av.VideoFrame) -> "PatientFrame":
        """From a decoder, in any format."""
        name = frame.format.name
        if name not in _PLANAR:
            rgb = frame.reformat(format="rgb24", threads=1).to_ndarray()
            return cls.of_rgb(clock, np.asarray(rgb, np.uint8))
        luma, *chroma = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
                : plane.height, : plane.width
            ]
            for plane in frame.planes
        )
        half = ((frame.width + 1) // 2, (frame.height + 1) // 2)
        full_range = name.startswith("yuvj") or frame.color_range == _FULL_RANGE
        return cls(
            clock,
            _for_kernels(luma),
            np.stack([_sized(plane, half) for plane in chroma]),
            _colours(_LUMA_SHARES.get(int(frame.colorspace), _BT_601), full_range),
        )

    @classmethod
    def of_rgb(cls, clock: FrameClock, rgb: Bytes) -> "PatientFrame":
        """From a picture (height, width, 3); its colours are then known at half its size."""
        height, width = rgb.shape[:2]
        luma = np.empty((height, width), np.uint8)
        chroma = np.empty((2, (height + 1) // 2, (width + 1) // 2), np.uint8)
        _split(_for_kernels(rgb), luma, chroma)
        return cls(clock, luma, chroma)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.luma.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.luma.shape[0])

    @property
    def even_size(self) -> tuple[int, int]:
        """(width, height) of the mask for it: both even."""
        return self.width & ~1, self.height & ~1

    @property
    def rgb(self) -> Bytes:
        """All of it as (height, width, 3), made anew."""
        picture = self._box(0, 0, self.width, self.height)
        _show(whole_pixels(picture), self.colours)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8)

    def turned(self, on_its_side: bool, mirrored: bool, upside_down: bool) -> "PatientFrame":
        """With rows as columns, then with columns, then with rows in the other order."""
        planes = []
        for each in (self.luma, self.chroma):
            plane = each.swapaxes(-1, -2) if on_its_side else each
            rows, columns = -1 if upside_down else 1, -1 if mirrored else 1
            planes.append(np.ascontiguousarray(plane[..., ::rows, ::columns]))
        return replace(self, luma=planes[0], chroma=planes[1])

    def sized(self, size: tuple[int, int]) -> Bytes:
        """All of it as RGBA of another size (width, height); alpha means nothing.

        Areas are averaged: a plain bilinear reduction of a large frame loses small faces.
        """
        luma, blue, red = (_sized(plane, size) for plane in (self.luma, *self.chroma))
        picture = np.asarray(cv2.merge((luma, blue, red, luma)), np.uint8)
        _show(whole_pixels(picture), self.colours)
        return picture

    def cut(self, matrix: NDArray[np.float64], size: tuple[int, int], black_beyond: bool) -> Bytes:
        """A turned, scaled part as RGBA, (height, width, 4); alpha means nothing.

        matrix: (2, 3) from pixel indices of the part to those of the frame. size: (width, height).
        black_beyond: what is beyond the frame is black, else as at its edge.
        """
        left, top, right, bottom = _part_of_frame(matrix, size, (self.width, self.height))
        box = self._box(left, top, right, bottom)
        moved = matrix - np.array([[0.0, 0.0, left], [0.0, 0.0, top]])
        # OpenCV cuts four channels at once nearly as fast as one of them.
        part = cv2.warpAffine(
            box, moved, size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT if black_beyond else cv2.BORDER_REPLICATE,
            borderValue=(self.colours[0], 128.0, 128.0, 0.0),
        )  # fmt: skip
        picture = np.asarray(part, np.uint8)
        _show(whole_pixels(picture), self.colours)
        return picture

    def _box(self, left: int, top: int, right: int, bottom: int) -> Bytes:
        """Luma and chroma beside each other, (height, width, 4); left and top are even."""
        box = np.empty((bottom - top, right - left, 4), np.uint8)
        _join(self.luma, self.chroma, left, top, whole_pixels(box))
        return box


def _for_kernels(plane: Bytes) -> Bytes:
    """Itself; a copy where it cannot be written to, as Pillow's and some decoders' pictures."""
    return np.require(plane, np.uint8, ["C", "W"])


def _sized(plane: Bytes, size: tuple[int, int]) -> Bytes:
    if plane.shape[::-1] == size:
        return plane
    way = cv2.INTER_AREA if size[0] < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size, interpolation=way), np.uint8)


def whole_pixels(picture: Bytes) -> NDArray[np.uint32]:
    """A picture (h, w, 4) by whole pixels: single bytes of them are not taken several at a time."""
    return picture.view("<u4")[..., 0]


@compiled("UniTuple(i8, 4)(f8[:,::1], UniTuple(i8, 2), UniTuple(i8, 2))")
def _part_of_frame(
    matrix: NDArray[np.float64], size: tuple[int, int], frame: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top (both even), right and bottom of what a cut (see `PatientFrame.cut`) looks at."""
    ends = np.empty((2, 2), np.int64)
    for axis in range(2):
        across, down = matrix[axis, 0] * (size[0] - 1), matrix[axis, 1] * (size[1] - 1)
        low = floor(matrix[axis, 2] + min(across, 0.0) + min(down, 0.0)) - 1
        high = ceil(matrix[axis, 2] + max(across, 0.0) + max(down, 0.0)) + 2
        ends[0, axis] = min(max(low, 0), frame[axis] - 1) & ~1
        ends[1, axis] = max(min(high, frame[axis]), ends[0, axis] + 1)
    return ends[0, 0], ends[0, 1], ends[1, 0], ends[1, 1]


@compiled("void(u1[:,::1], u1[:,:,::1], i8, i8, u4[:,::1])")
def _join(luma: Bytes, chroma: Bytes, left: int, top: int, box: NDArray[np.uint32]) -> None:
    height, width = box.shape
    for row in range(height):
        light = luma[top + row, left : left + width]
        blue, red = (
            chroma[0, (top + row) // 2, left // 2 :],
            chroma[1, (top + row) // 2, left // 2 :],
        )
        for pair in range(width // 2):
            both = np.uint32(blue[pair]) << np.uint32(8) | np.uint32(red[pair]) << np.uint32(16)
            box[row, 2 * pair] = both | np.uint32(light[2 * pair])
            box[row, 2 * pair + 1] = both | np.uint32(light[2 * pair + 1])
        if width % 2 == 1:
            last = width // 2
            both = np.uint32(blue[last]) << np.uint32(8) | np.uint32(red[last]) << np.uint32(16)
            box[row, width - 1] = both | np.uint32(light[width - 1])


@compiled("void(u4[:,::1], UniTuple(f8, 6))")
def _show(pixels: NDArray[np.uint32], colours: Colours) -> None:
    """Make red, green and blue of luma and chroma, in place."""
    black, light, red_of_second, green_of_first, green_of_second, blue_of_first = colours
    luma, start = np.float32(light), np.float32(0.5 - light * black)
    red_share, blue_share = np.float32(red_of_second), np.float32(blue_of_first)
    green_first, green_second = np.float32(green_of_first), np.float32(green_of_second)
    least, most, byte = np.float32(0.0), np.float32(255.0), np.uint32(255)
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            pixel = pixels[row, column]
            grey = start + luma * np.float32(np.int32(pixel & byte))
            first = np.float32(np.int32(pixel >> np.uint32(8) & byte) - np.int32(128))
            second = np.float32(np.int32(pixel >> np.uint32(16) & byte) - np.int32(128))
            red = np.int32(min(max(grey + red_share * second, least), most))
            green = grey + green_first * first + green_second * second
            blue = np.int32(min(max(grey + blue_share * first, least), most))
            pixels[row, column] = (
                np.uint32(red)
                | np.uint32(np.int32(min(max(green, least), most))) << np.uint32(8)
                | np.uint32(blue) << np.uint32(16)
            )


@compiled("void(u1[:,:,::1], u1[:,::1], u1[:,:,::1])")
def _split(rgb: Bytes, luma: Bytes, chroma: Bytes) -> None:
    """Luma and chroma as of BT.601 of red, green and blue, chroma's as the mean of four."""
    height, width = luma.shape
    for row in range(chroma.shape[1]):
        for column in range(chroma.shape[2]):
            red_sum, green_sum, blue_sum = 0.0, 0.0, 0.0
            for corner in range(4):
                y = min(2 * row + corner // 2, height - 1)
                x = min(2 * column + corner % 2, width - 1)
                red, green, blue = rgb[y, x, 0] / 255.0, rgb[y, x, 1] / 255.0, rgb[y, x, 2] / 255.0
                luma[y, x] = int(16.5 + 219.0 * (0.299 * red + 0.587 * green + 0.114 * blue))
                red_sum, green_sum, blue_sum = red_sum + red, green_sum + green, blue_sum + blue
            grey = 0.299 * red_sum + 0.587 * green_sum + 0.114 * blue_sum
            chroma[0, row, column] = int(128.5 + 224.0 * (blue_sum - grey) / (4.0 * 1.772))
            chroma[1, row, column] = int(128.5 + 224.0 * (red_sum - grey) / (4.0 * 1.402))
