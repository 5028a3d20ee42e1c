"""Writes masked frames and the sound into a video file, or one into a picture."""

import contextlib
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import av
from PIL import Image

from digitalmask.errors import MediaError
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.voice import VoiceFilter, VoiceWay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import OutputContainer

# For each file ending: the picture's codec with its options, and the sound's.
_VIDEO_CODECS = {
    ".mp4": ("libx264", {"preset": "veryfast", "crf": "18"}),
    ".mov": ("libx264", {"preset": "veryfast", "crf": "18"}),
    ".mkv": ("libx264", {"preset": "veryfast", "crf": "18"}),
    ".webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0"}),
}
_AUDIO_CODECS = {".mp4": "aac", ".mov": "aac", ".mkv": "aac", ".webm": "libopus"}
PICTURE_ENDINGS = (".jpeg", ".jpg", ".png", ".webp")
VIDEO_ENDINGS = tuple(_VIDEO_CODECS)
_AAC_RATES = av.Codec("aac", "w").audio_rates or []  # sound of another rate is resampled


@contextlib.contextmanager
def written_whole(path: Path) -> "Iterator[Path]":
    """A file beside `path` that is moved there when the block ends without an error.

    Errors: MediaError where it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".masking-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise MediaError(f"cannot write to {path.parent}: {error.strerror}") from error
    part = Path(name)
    try:
        part.chmod(0o644)
        yield part
        part.replace(path)
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def write_picture(masked: MaskedFrame, path: Path) -> None:
    """Write one frame as a picture of the kind that the ending says. Errors: MediaError."""
    if not isinstance(masked, MaskedFrame):
        raise TypeError("only a MaskedFrame may be written")
    if path.suffix.lower() not in PICTURE_ENDINGS:
        known = ", ".join(PICTURE_ENDINGS)
        raise MediaError(f"cannot write {path.name}: a picture's ending must be one of {known}")
    with written_whole(path) as part:
        Image.fromarray(masked.rgb).save(part, quality=95)


class VideoWriter:
    """A file in the making; use as a context.

    It is written beside its place and moved there at the end, so a half-written file never looks
    whole. Nothing of the source's metadata is copied. voice: what becomes of the sound. Errors:
    MediaError.
    """

    def __init__(
        self,
        path: Path,
        rate: Fraction,
        audio: "AudioStream | None",
        voice: VoiceWay = VoiceWay.MASK,
    ) -> None:
        ending = path.suffix.lower()
        if ending not in _VIDEO_CODECS:
            known = ", ".join(_VIDEO_CODECS)
            raise MediaError(f"cannot write {path.name}: the ending must be one of {known}")
        self.path = path
        self._codec, self._options = _VIDEO_CODECS[ending]
        self._rate = rate
        self._audio_source = None if voice is VoiceWay.OFF else audio
        self._voice = VoiceFilter(voice)
        self._audio_codec = _AUDIO_CODECS[ending]
        try:
            handle, name = tempfile.mkstemp(prefix=".masking-", suffix=ending, dir=path.parent)
            os.close(handle)
            self._part = Path(name)
            self._part.chmod(0o644)
            self._container: OutputContainer = av.open(name, "w")
        except OSError as error:
            raise MediaError(f"cannot write to {path.parent}: {error.strerror}") from error
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._last_pts = -1
        # Sound that comes before the first picture is drawn waits for it.
        self._early_sound: list[av.Packet[Any]] = []

    def __enter__(self) -> "VideoWriter":
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file; where an error ends the block, drop it."""
        try:
            if error is None:
                self._finish()
            else:
                self._container.close()
        except (av.error.FFmpegError, OSError) as failure:
            raise MediaError(f"cannot write {self.path}: {failure.strerror}") from failure
        finally:
            self._part.unlink(missing_ok=True)

    def write(self, masked: MaskedFrame) -> None:
        """Append a frame; its clock's pts and time base are kept."""
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only a MaskedFrame may be written")
        video = self._video or self._start(masked)
        frame = av.VideoFrame.from_ndarray(masked.i420(), format="yuv420p")
        time_base = video.codec_context.time_base or Fraction(1, 90000)
        pts = round(masked.clock.pts * masked.clock.time_base / time_base)
        # Two frames of one moment would end some players.
        self._last_pts = frame.pts = max(pts, self._last_pts + 1)
        frame.time_base = time_base
        self._mux(video.encode(frame))

    def write_sound(self, packet: "av.Packet[Any]") -> None:
        """Append the source's sound, decoded and encoded anew."""
        if self._audio is None:
            if self._video is None and self._audio_source is not None:
                self._early_sound.append(packet)
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return  # a damaged packet is a gap
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                self._hear(self._audio, self._voice.through(frame))

    def _hear(self, audio: "AudioStream", frames: "list[av.AudioFrame]") -> None:
        for frame in frames:
            self._mux(audio.encode(frame))

    def _start(self, masked: MaskedFrame) -> av.VideoStream:
        try:
            video = self._container.add_stream(self._codec, rate=self._rate, options=self._options)
            assert isinstance(video, av.VideoStream)  # noqa: S101 - for the type
            video.width, video.height = masked.width, masked.height
            video.pix_fmt = "yuv420p"
            video.codec_context.time_base = Fraction(1, 90000)
            if self._audio_source is not None:
                rate = self._audio_source.rate
                if self._audio_codec == "libopus" or rate not in _AAC_RATES:
                    rate = 48000
                audio = self._container.add_stream(self._audio_codec, rate=rate)
                assert isinstance(audio, av.AudioStream)  # noqa: S101 - for the type
                self._audio = audio
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(f"cannot write {self.path.name}: {error}") from error
        self._video = video
        early, self._early_sound = self._early_sound, []
        for packet in early:
            self.write_sound(packet)
        return video

    def _mux(self, packets: "list[av.Packet[Any]]") -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"cannot write {self.path}: {error.strerror}") from error

    def _finish(self) -> None:
        if self._video is None:
            self._container.close()
            raise MediaError("there was no frame to write")
        self._mux(self._video.encode(None))
        if self._audio is not None:
            self._hear(self._audio, self._voice.rest())
            self._mux(self._audio.encode(None))
        self._container.close()
        self._part.replace(self.path)
