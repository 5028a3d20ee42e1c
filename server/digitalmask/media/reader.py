"""Reads a video file frame by frame: any container and codec that PyAV reads."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame

_LEAST, _MOST = 32, 8192
_CUT_OFF_S = 0.5  # missing of the promised length; containers round by less
_QUARTER_TURNS = {0: 0, 90: 1, 180: 2, 270: 3}


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
        streams = [self._video] + ([self.audio] if self.audio else [])
        try:
            for packet in self._container.demux(streams):
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
        video = self._video
        if video.duration is not None and video.time_base is not None:
            promised_s = float((video.duration + (video.start_time or 0)) * video.time_base)
            if promised_s - at_s > max(_CUT_OFF_S, 2.0 / float(self.rate)):
                self.stopped_at_s = at_s
                self.stopped_because = "the file ends too early"

    def _patient_frame(self, frame: av.VideoFrame, before_s: float) -> PatientFrame:
        if not (_LEAST <= frame.width <= _MOST and _LEAST <= frame.height <= _MOST):
            raise MediaError(f"{self.path} has pictures of {frame.width}x{frame.height} pixels")
        rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        turns = _QUARTER_TURNS.get(round(frame.rotation) % 360, 0)
        if turns:
            rgb = np.ascontiguousarray(np.rot90(rgb, turns))
        time_base = frame.time_base or Fraction(1, 90000)
        pts = frame.pts
        if pts is None:
            pts = round((before_s + 1 / self.rate) / time_base)
        clock = FrameClock(float(pts * time_base), pts, time_base)
        return PatientFrame(clock, rgb)
