"""Small videos, made for a test and read back without the project's own reader."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.pipeline.doubles import KEY

Picture = NDArray[np.uint8]

SIZE = (160, 120)
SOUND_RATE = 48000
FLASHES_S = (0.5, 1.2, 1.9)
FLASH_S = 0.1


def plain(level: int = 60, size: tuple[int, int] = SIZE) -> Picture:
    return np.full((size[1], size[0], 3), level, np.uint8)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def quarters(size: tuple[int, int] = SIZE) -> Picture:
    """Red, green, blue and white quarters."""
    picture = plain(0, size)
    across, down = size[0] // 2, size[1] // 2
    picture[:down, :across] = (250, 0, 0)
    picture[:down, across:] = (0, 250, 0)
    picture[down:, :across] = (0, 0, 250)
    picture[down:, across:] = (250, 250, 250)
    return picture


def seen_quarters(picture: Picture) -> str:
    """The first letters of the four colours, row by row."""
    height, width = picture.shape[:2]
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    colours = [tuple((picture[place] > 125).astype(int).tolist()) for place in places]
    return "".join(names.get(colour, "?") for colour in colours)


def shows_key(picture: Picture) -> bool:
    """Whether more than stray pixels are near the key colour."""
    far = np.abs(picture.astype(int) - KEY).sum(axis=2)
    return int((far < 120).sum()) > 4


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    times_s: Sequence[float] | None = None,
    *,
    rate: Fraction | int = 30,
    sound: NDArray[np.int16] | None = None,
    sound_rate: int = SOUND_RATE,
    sound_from_s: float = 0.0,
    codecs: tuple[str, str] = ("libx264", "aac"),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A video of the pictures, at `times_s` or evenly, with a mono sound."""
    if path.suffix == ".webm":
        codecs = ("libvpx-vp9", "libopus")
    tick = Fraction(1, 90000)
    packets: list[av.Packet[Any]] = []
    with av.open(str(path), "w", options=options or {}) as target:
        target.metadata.update(metadata or {})
        speed = {"deadline": "realtime", "cpu-used": "8"} if "vp9" in codecs[0] else {}
        video = target.add_stream(codecs[0], rate=rate, options=speed)
        audio = target.add_stream(codecs[1], rate=sound_rate) if sound is not None else None
        assert isinstance(video, av.VideoStream)
        for number, picture in enumerate(pictures):
            if number == 0:
                video.height, video.width = picture.shape[:2]
                video.pix_fmt = pix_fmt
                video.codec_context.time_base = tick
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = round((times_s[number] if times_s else Fraction(number) / rate) / tick)
            frame.time_base = tick
            packets += video.encode(frame)
        packets += video.encode(None)
        if audio is not None and sound is not None:
            assert isinstance(audio, av.AudioStream)
            start = round(sound_from_s * sound_rate)
            for at in range(0, len(sound), sound_rate // 50):
                chunk = np.ascontiguousarray(sound[None, at : at + sound_rate // 50])
                heard = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
                heard.sample_rate, heard.pts = sound_rate, start + at
                heard.time_base = Fraction(1, sound_rate)
                packets += audio.encode(heard)
            packets += audio.encode(None)
        packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        for packet in packets:
            target.mux(packet)
    return path


def tone(seconds: float, rate: int = SOUND_RATE) -> NDArray[np.int16]:
    at_s = np.arange(round(seconds * rate)) / rate
    return np.asarray(12000 * np.sin(2000 * np.pi * at_s), np.int16)


def flash_and_beep(path: Path, from_s: float = 0.0, sound_from_s: float = 0.0, **more: Any) -> Path:
    """2.4 s that are bright and loud together at each of `FLASHES_S`."""

    def bright(at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        since_s = at_s[:, None] - FLASHES_S + 1e-6
        return np.asarray(((since_s >= 0) & (since_s < FLASH_S)).any(axis=1))

    rate = int(more.get("sound_rate", SOUND_RATE))
    times_s = np.arange(round(from_s * 30), 72) / 30
    start = round(sound_from_s * rate)
    on = bright(np.arange(round(2.4 * rate)) / rate)
    return write_video(
        path,
        [plain(230 if on else 20) for on in bright(times_s)],
        times_s.tolist(),
        sound=np.where(on, tone(2.4, rate), 0).astype(np.int16)[start:],
        sound_from_s=sound_from_s,
        **more,
    )


def shown(path: Path) -> list[tuple[float, Picture]]:
    """Each picture of a file and when it is shown."""
    with av.open(str(path)) as source:
        return [
            (float(frame.time or 0.0), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            for frame in source.decode(video=0)
        ]


def flashes(path: Path) -> list[float]:
    """When the picture becomes bright."""
    bright = [(at_s, picture.mean() > 120) for at_s, picture in shown(path)]
    return [now[0] for before, now in pairwise(bright) if now[1] > before[1]]


def beeps(path: Path) -> list[float]:
    """When the sound becomes loud."""
    times, loud = [], []
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(float))
            samples = samples.max(axis=0) if frame.format.is_planar else samples[0]
            scale = 32768.0 if frame.format.name.startswith("s16") else 1.0
            loud.append(samples / scale > 0.1)
            times.append(float(frame.time or 0.0) + np.arange(len(samples)) / frame.sample_rate)
    at_s = np.concatenate(times)[np.concatenate(loud)]
    return [float(at) for at in at_s[np.diff(at_s, prepend=-1.0) > 0.2]]


def turn(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Give an MP4 file the display matrix (a, b, c, d) of ISO/IEC 14496-12."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = matrix
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + place : at + place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(content)


def cut(path: Path, share: float) -> Path:
    """The same file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    return path
