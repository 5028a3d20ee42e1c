"""A patient's camera that plays a film and notes when it captured each frame."""

import asyncio
import random
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpSender
from av import VideoFrame
from av.frame import Frame
from numpy.typing import NDArray

from digitalmask.errors import MediaError
from digitalmask.relay.codecs import CodedMask, MaskEncoder, MaskPacketizer, examination_bit_s
from digitalmask.relay.peer import put_encoder

RATE = 30
CLOCK_HZ = 90000
_JITTER_S = 0.001
_MOST_FRAMES = 300  # kept in memory (138 MB of I420 at 640x480), played forth and back
_MOST_BYTES = 150_000_000

Size = tuple[int, int]


def read_video(path: Path, size: Size) -> list[NDArray[np.uint8]]:
    """The first frames of a video as I420 of a size, cropped to its shape; MediaError if none."""
    frames: list[NDArray[np.uint8]] = []
    width, height = size
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24")
                scale = max(width / rgb.shape[1], height / rgb.shape[0])
                large_size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
                large = cv2.resize(rgb, large_size, interpolation=cv2.INTER_AREA)
                x, y = (large.shape[1] - width) // 2, (large.shape[0] - height) // 2
                cut = np.ascontiguousarray(large[y : y + height, x : x + width])
                frames.append(np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2YUV_I420), np.uint8))
                if len(frames) == _most_frames(size):
                    break
    except (OSError, av.FFmpegError, IndexError) as error:
        raise MediaError(f"cannot read a video from {path}: {error}") from error
    if not frames:
        raise MediaError(f"there is no frame in {path}")
    return frames


def simulated_video(size: Size) -> list[NDArray[np.uint8]]:
    """Three seconds of the simulated patient, as I420."""
    from digitalmask.simulation import SimulatedPatient

    patient = SimulatedPatient()
    drawn = (patient.frame(number / RATE, size) for number in range(3 * RATE))
    return [np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8) for rgb in drawn]


def write_film(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write I420 frames as YUV4MPEG2, forth and back: what a browser's fake camera plays."""
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    with path.open("wb") as film:
        film.write(f"YUV4MPEG2 W{width} H{height} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for planes in forth_and_back(frames):
            film.write(b"FRAME\n" + planes.tobytes())


def forth_and_back(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """A film that ends where it begins."""
    return [*frames, *reversed(frames[1:-1])]


def _most_frames(size: Size) -> int:
    return min(_MOST_FRAMES, _MOST_BYTES // (size[0] * size[1] * 3 // 2))


class Camera(MediaStreamTrack):
    """Plays frames at 30 a second, forth and back; `captured_at_s` is by stamp, in 90 kHz."""

    kind = "video"

    def __init__(self, frames: Sequence[NDArray[np.uint8]]) -> None:
        super().__init__()
        self._frames = forth_and_back(frames)
        self._number = 0
        self._started_at_s = time.monotonic()
        self._random = random.Random(1)  # noqa: S311 - jitter, not a secret
        self.captured_at_s: dict[int, float] = {}

    async def recv(self) -> VideoFrame:
        """The next frame at its time."""
        jitter_s = self._random.uniform(0.0, _JITTER_S)
        due_s = self._started_at_s + self._number / RATE + jitter_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        planes = self._frames[self._number % len(self._frames)]
        self._number += 1
        captured_at_s = time.monotonic()
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = round((captured_at_s - self._started_at_s) * CLOCK_HZ)
        frame.time_base = Fraction(1, CLOCK_HZ)
        self.captured_at_s[frame.pts] = captured_at_s
        return frame


class CodedCamera(MediaStreamTrack):
    """Plays a film that is coded already, so that sending it costs little; stamps as `Camera`'s.

    coded: a key frame first; what `coded_film` makes. Give its sender a `MaskPacketizer`.
    """

    kind = "video"

    def __init__(self, coded: Sequence[bytes], seed: int) -> None:
        super().__init__()
        self._coded = coded
        self._number = 0
        self._played = 0
        self._started_at_s = time.monotonic()
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self.captured_at_s: dict[int, float] = {}

    def start_anew(self) -> None:
        """Who watches needs a key frame."""
        self._played = 0

    async def recv(self) -> CodedMask:  # type: ignore[override]
        """The next frame at its time."""
        due_s = self._started_at_s + self._number / RATE + self._random.uniform(0.0, _JITTER_S)
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        self._number += 1
        data = self._coded[self._played]
        captured_at_s = time.monotonic()
        stamp = round((captured_at_s - self._started_at_s) * CLOCK_HZ)
        self.captured_at_s[stamp] = captured_at_s
        coded = CodedMask(data, stamp, self._played == 0)
        self._played = (self._played + 1) % len(self._coded)
        return coded


def coded_film(frames: Sequence[NDArray[np.uint8]], mime_type: str) -> list[bytes]:
    """A film forth and back, coded as a browser would send it."""
    encoder = MaskEncoder(mime_type)
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    bit_s = examination_bit_s(width, height)
    return [
        encoder.encode(planes, (number + 1) * CLOCK_HZ // RATE, bit_s).data
        for number, planes in enumerate(forth_and_back(frames))
    ]


class CameraEncoder:
    """Codes a camera's frames as quickly as a browser does; aiortc's own is slow at H.264.

    Not the product's: the one picture of a patient that is coded here is the benchmark's film.
    """

    def __init__(self, mime_type: str) -> None:
        self._encoder = MaskEncoder(mime_type)
        self._packetizer = MaskPacketizer(mime_type, lambda _bit_s: None)

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """RTP payloads of one frame, and its time stamp in the video clock."""
        assert isinstance(frame, VideoFrame)  # noqa: S101 - for the type
        assert frame.pts is not None  # noqa: S101 - for the type
        planes = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
        bit_s = examination_bit_s(frame.width, frame.height)
        coded = self._encoder.encode(planes, frame.pts, bit_s, force_keyframe)
        return self._packetizer.pack(coded)


def code_quickly(sender: RTCRtpSender, mime_type: str) -> None:
    """Give a camera's sender such an encoder, before it sends."""
    put_encoder(sender, CameraEncoder(mime_type))
