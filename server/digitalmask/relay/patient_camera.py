"""Takes the patient's frames off the wire and hands them to the patient's loop."""

import logging
import time
from collections.abc import Callable
from fractions import Fraction

import av
from aiortc import MediaStreamTrack
from av import VideoFrame

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.relay.peer import take_frames

# A face that fills a larger picture has no more for the mask, which is drawn at most so large; it
# would take the room's time.
_LONGEST_SIDE_PX = 1920

_log = logging.getLogger(__name__)


def watch_camera(track: MediaStreamTrack, submit: Callable[[PatientFrame], None]) -> None:
    """Hand on every frame from the decoder's own thread: no other thread is waited for.

    Before anything is received; `submit` must not wait. Nobody else can get the track's frames.
    """

    def convert(frame: VideoFrame) -> None:
        patient_frame = read_frame(frame, time.monotonic())
        if patient_frame is not None:
            submit(patient_frame)

    take_frames(track, convert)


def read_frame(frame: VideoFrame, arrived_at_s: float) -> PatientFrame | None:
    """A decoded frame's pixels; None where it cannot be converted."""
    try:
        width, height = _bounded(frame.width, frame.height)
        # One thread: by itself FFmpeg takes all, and each conversion waits for the one that a busy
        # masker holds up (p95 8.6 ms in place of 0.6 at 640x480).
        clock = FrameClock(arrived_at_s, frame.pts or 0, frame.time_base or Fraction(1, 90000))
        return PatientFrame.decoded(clock, frame.reformat(width, height, threads=1))
    except (av.FFmpegError, ValueError) as error:  # its message could quote the picture
        _log.warning("a camera's frame cannot be converted: %s", type(error).__name__)
        return None


def _bounded(width: int, height: int) -> tuple[int, int]:
    """The size in pixels that a frame is read at: its own, or as much smaller as is needed."""
    scale = min(1.0, _LONGEST_SIDE_PX / max(width, height))
    return round(width * scale), round(height * scale)
