"""Reads a video file frame by frame: any container and codec that PyAV reads."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.container import InputContainer

from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame

SMALLEST_PX, LARGEST_PX = 32, 8192
_CUT_OFF_S = 0.5  # missing of the promised length; containers round by less


class VideoReader:
    """An open video file; use as a context.

    Errors: MediaError where the file is missing, no media file, or has no picture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._container: InputContainer = av.open(str(path), metadata_errors="ignore")
        except FileNotFoundError as error:
            raise MediaError(f"there is no file {path}") from error
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{path} cannot be read as a video: {error.strerror}") from error
        if not self._container.streams.video:
            self._container.close()
            raise MediaError(f"{path} has no video in it")
        self._video = self._container.streams.video[0]
        self._video.thread_type = "AUTO"
        audio = self._container.streams.audio
        self.audio = audio[0] if audio else None
        # Where the reading ended early, in seconds, and why.
        self.stopped_at_s: float | None = None
        self.stopped_because = ""

    def __enter__(self) -> "VideoReader":
        """The reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._container.close()

    @property
    def rate(self) -> Fraction:
        """The average frame rate, 30 where the file does not say."""
        return self._video.average_rate or Fraction(30)

    @property
    def frame_count(self) -> int | None:
        """How many frames there are, where the file says or its length tells."""
        if self._video.frames:
            return self._video.frames
        if self._container.duration:
            return round(self._container.duration / av.time_base * self.rate)
        return None

    def __iter__(self) -> Iterator["PatientFrame | av.Packet[Any]"]:
        """Frames, and the sound's packets between them, in the order of the file.

        A damaged file yields what can be read; then `stopped_at_s` says where it ended.
        """
        at_s = 0.0
        ends_s: dict[int, float] = {}
        streams = [self._video] + ([self.audio] if self.audio else [])
        try:
            for packet in self._container.demux(streams):
                if packet.dts is not None:
                    end = packet.dts + (packet.duration or 0)
                    ends_s[packet.stream_index] = float(end * packet.time_base)
                if self.audio is not None and packet.stream_index == self.audio.index:
                    if packet.dts is not None:
                        yield packet
                    continue
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        patient_frame = self._patient_frame(frame, at_s)
                        at_s = patient_frame.clock.captured_at_s
                        yield patient_frame
        except (av.error.FFmpegError, OSError) as error:
            self.stopped_at_s = at_s
            self.stopped_because = str(error.strerror or type(error).__name__)
            return
        # A file that was cut off ends without an error, before the time that it promises.
        if self._missing_s(ends_s) > max(_CUT_OFF_S, 2.0 / float(self.rate)):
            self.stopped_at_s = at_s
            self.stopped_because = "the file ends too early"

    def _missing_s(self, ends_s: dict[int, float]) -> float:
        """How much of the promised length is not there; 0 where the file promises nothing."""
        video, container = self._video, self._container
        if video.duration is not None and video.time_base is not None:
            promised_s = float((video.duration + (video.start_time or 0)) * video.time_base)
            return promised_s - ends_s.get(video.index, 0.0)
        if container.duration is not None:  # Matroska, WebM and FLV: of picture and sound together
            promised_s = (container.duration + (container.start_time or 0)) / av.time_base
            return promised_s - max(ends_s.values(), default=0.0)
        return 0.0

    def _patient_frame(self, frame: av.VideoFrame, before_s: float) -> PatientFrame:
        if (
            min(frame.width, frame.height) < SMALLEST_PX
            or max(frame.width, frame.height) > LARGEST_PX
        ):
            raise MediaError(f"{self.path} has pictures of {frame.width}x{frame.height} pixels")
        time_base = frame.time_base or Fraction(1, 90000)
        pts = frame.pts
        if pts is None:
            pts = round((before_s + 1 / self.rate) / time_base)
        clock = FrameClock(float(pts * time_base), pts, time_base)
        return _upright(frame, PatientFrame.decoded(clock, frame))


def _upright(frame: av.VideoFrame, stored: PatientFrame) -> PatientFrame:
    """The picture as the file says it is to be shown, turned and mirrored by its display matrix.

    The matrix (ISO/IEC 14496-12, 8.3.2) takes x, y of the stored picture to a x + c y, b x + d y.
    """
    side_data: Any = frame.side_data
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return stored
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    on_its_side = abs(a) + abs(d) < abs(b) + abs(c)
    if on_its_side:
        a, d = c, b
    return stored.turned(on_its_side, mirrored=a < 0, upside_down=d < 0)
