"""Writes a live recording: masks and a voice as they come, each with its moment.

The file grows by fragments of a second (ISO/IEC 14496-12, 8.8), each of which begins with a key
frame and is on the disk once the next one begins, so that whatever ends the program, what was
recorded up to some 1.5 s before plays. Where it is closed in order it becomes a plain MP4
(FFmpeg's `hybrid_fragmented`). H.264 High with 4:2:0, and AAC: what every player knows.

It is coded for itself, though viewers may be sent H.264 as well: that has a key frame when somebody
asks for one, changes its size with the camera, and ends with its last viewer.
"""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.video.stream import VideoStream
from numpy.typing import NDArray

from digitalmask.errors import MediaError
from digitalmask.media.masked_frame import MaskedFrame

_VIDEO_CLOCK = Fraction(1, 90000)
_FRAGMENT_TICKS = 90000
# 3.6 ms a picture of 640x480, 9.7 of 1280x720 (one core, colours and disk included), 1.7 and 4.1
# Mbit/s, 45 and 46 dB of luma: a mask of d6.mp4. Faster presets are not of the High profile.
_X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "18", "x264-params": "scenecut=0"}
_VOICE_RATE = 48000
_VOICE_BIT_S = 96_000
# Sound is put where it was heard when that is so far from the end of what is there; below, it is
# jitter of its arrival, and sound is whole.
_SLACK_SAMPLES = _VOICE_RATE * 60 // 1000
# Sound that has not come so long after a picture is silence: a fragment waits for both.
_VOICE_LATE_S = 0.3


class FragmentedMp4:
    """A file in the making, for one thread. It is readable by its owner alone.

    The first picture begins it and gives it its size; a picture of another size is fitted in.
    Moments are seconds on `time.monotonic`'s scale. Errors: MediaError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise MediaError(
                f"cannot write a recording to {path.parent}: {error.strerror}"
            ) from error
        try:
            # Nothing that tells of the machine or the moment is put into the file.
            options = {
                "movflags": "hybrid_fragmented+frag_keyframe",
                "flush_packets": "1",
                "fflags": "+bitexact",
            }
            self._container = av.open(str(path), "w", format="mp4", options=options)
        except (av.FFmpegError, OSError) as error:
            os.close(self._file)
            raise MediaError(f"cannot write a recording: {error.strerror}") from error
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        self._resampler = av.AudioResampler("s16", "mono", _VOICE_RATE)
        self._started_at_s = 0.0
        self._last_pts = -1
        self._key_pts = 0
        self._samples = 0

    def write(self, masked: MaskedFrame, at_s: float) -> None:
        """Append a picture."""
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only a MaskedFrame may be recorded")
        try:
            video = self._video or self._start(masked, at_s)
            planes = masked.i420((video.width, video.height))
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            pts = round((at_s - self._started_at_s) / _VIDEO_CLOCK)
            self._last_pts = frame.pts = max(pts, self._last_pts + 1)
            frame.time_base = _VIDEO_CLOCK
            key = frame.pts == 0 or frame.pts - self._key_pts >= _FRAGMENT_TICKS
            if key:
                self._key_pts = frame.pts
                frame.pict_type = av.video.frame.PictureType.I
            self._silence_until(at_s - _VOICE_LATE_S)
            self._container.mux(video.encode(frame))
            if key:
                os.fsync(self._file)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"a recording cannot be written: {error.strerror}") from error

    def write_sound(self, frame: av.AudioFrame, at_s: float) -> None:
        """Append sound; at_s: the moment of its first sample. None is kept before a picture."""
        if self._audio is None:
            return
        try:
            heard = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
            samples = np.concatenate(heard) if heard else np.zeros(0, np.int16)
            ahead = round((at_s - self._started_at_s) * _VOICE_RATE) - self._samples
            if ahead > _SLACK_SAMPLES:
                self._append(np.zeros(ahead, np.int16))
            elif ahead < -_SLACK_SAMPLES:
                samples = samples[-ahead:]
            self._append(samples)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"a recording cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Finish the file; one that never began is taken away."""
        try:
            if self._video is not None and self._audio is not None:
                self._container.mux(self._video.encode(None))
                self._container.mux(self._audio.encode(None))
            self._container.close()
            os.fsync(self._file)
            if self._video is None:
                self.path.unlink()
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"a recording cannot be finished: {error.strerror}") from error
        finally:
            os.close(self._file)

    def _start(self, masked: MaskedFrame, at_s: float) -> VideoStream:
        video = self._container.add_stream("libx264", rate=30, options=_X264)
        video.width, video.height, video.pix_fmt = masked.width, masked.height, "yuv420p"
        video.codec_context.time_base = _VIDEO_CLOCK
        video.codec_context.thread_count = 1
        video.codec_context.gop_size = 3000  # key frames are asked for
        audio = self._container.add_stream("aac", rate=_VOICE_RATE)
        audio.codec_context.layout = "mono"
        audio.codec_context.bit_rate = _VOICE_BIT_S
        for stream in (video, audio):
            stream.codec_context.flags |= Flags.bitexact
        self._video, self._audio, self._started_at_s = video, audio, at_s
        return video

    def _silence_until(self, at_s: float) -> None:
        missing = round((at_s - self._started_at_s) * _VOICE_RATE) - self._samples
        if missing > 0:
            self._append(np.zeros(missing, np.int16))

    def _append(self, samples: NDArray[np.int16]) -> None:
        if self._audio is None or not samples.size:
            return
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = _VOICE_RATE
        frame.pts, frame.time_base = self._samples, Fraction(1, _VOICE_RATE)
        self._samples += samples.size
        self._container.mux(self._audio.encode(frame))
