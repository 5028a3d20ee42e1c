"""The patient's webcam on this machine, or a film in its place, as frames that come in time."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from digitalmask.errors import ConfigurationError, MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader

_CLOCK = Fraction(1, 90000)
# What this system's cameras are reached by in FFmpeg; elsewhere they are Video4Linux's.
_FORMAT = {"win32": "dshow", "darwin": "avfoundation"}.get(sys.platform, "v4l2")
# A film whose clock stands still or leaps is played on at this pace.
_LONGEST_STEP_S = 1.0
_LEAST_STEP_S = 1 / 120


@dataclass(frozen=True, slots=True)
class Webcam:
    """A camera of this machine. device: what opens it. name: what its maker calls it."""

    device: str
    name: str


def list_webcams() -> list[Webcam]:
    """The cameras that are plugged in, without virtual ones."""
    try:
        found = av.enumerate_input_devices(_FORMAT)
    except (ValueError, av.FFmpegError):
        return []
    webcams = [
        Webcam(each.name, each.description or each.name)
        for each in found
        if not each.media_types or "video" in each.media_types
    ]
    return [webcam for webcam in webcams if not _is_virtual(webcam)]


def find_webcam(wanted: str | None) -> Webcam:
    """The camera of that device or name (the first one where None).

    Errors: ConfigurationError, with those that there are.
    """
    webcams = list_webcams()
    if wanted is None and webcams:
        return webcams[0]
    for webcam in webcams:
        if wanted in (webcam.device, webcam.name):
            return webcam
    if wanted is None:
        raise ConfigurationError("no webcam was found: plug one in, or name a video with --device")
    there = ", ".join(each.device for each in webcams) or "none"
    raise ConfigurationError(f"there is no webcam or file {wanted!r} (webcams: {there})")


def webcam_frames(
    webcam: Webcam, size: tuple[int, int], rate: Fraction, mirrored: bool = False
) -> Iterator[PatientFrame]:
    """A webcam's frames as they come, until it is unplugged.

    size, rate: asked for; the camera gives what comes nearest. mirrored: whether it delivers a
    mirrored picture, which is turned round. Errors: MediaError, in the end always.
    """
    device = find_webcam(webcam.name).device if _has_gone(webcam) else webcam.device
    with _open(device, size, rate) as container:
        try:
            for frame in container.decode(video=0):
                yield _live(PatientFrame.decoded(_now(), frame), mirrored)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{webcam.name} has gone ({error.strerror})") from None
        raise MediaError(f"{webcam.name} has gone")


def film_frames(path: Path, mirrored: bool = False) -> Iterator[PatientFrame]:
    """A video's frames at its own pace, over and over.

    Errors: MediaError where it cannot be read (any more).
    """
    due_s = time.monotonic()
    while True:
        before_s: float | None = None
        with VideoReader(path) as reader:
            for item in reader:
                if not isinstance(item, PatientFrame):
                    continue
                at_s = item.clock.captured_at_s
                step_s = 1 / float(reader.rate) if before_s is None else at_s - before_s
                before_s = at_s
                due_s += min(max(step_s, _LEAST_STEP_S), _LONGEST_STEP_S)
                now = time.monotonic()
                if due_s < now - _LONGEST_STEP_S:  # who takes the frames was busy
                    due_s = now
                time.sleep(max(0.0, due_s - now))
                yield _live(replace(item, clock=_now()), mirrored)
        if before_s is None:
            raise MediaError(f"there is no frame in {path}")


def _open(device: str, size: tuple[int, int], rate: Fraction) -> InputContainer:
    asked = {
        "video_size": f"{size[0]}x{size[1]}",
        "framerate": f"{rate.numerator}/{rate.denominator}",
    }
    # Uncompressed, most webcams give some 5 frames a second at 1280x720.
    wishes = [asked | {"input_format": "mjpeg"}, asked, {}] if _FORMAT == "v4l2" else [asked, {}]
    failure: Exception | None = None
    for options in wishes:
        try:
            container = av.open(f"video={device}" if _FORMAT == "dshow" else device,
                                format=_FORMAT, options=options)  # fmt: skip
        except (av.FFmpegError, OSError) as error:
            failure = error
            continue
        if not container.streams.video:
            container.close()
            raise MediaError(f"{device} gives no picture")
        # Decoders that share frames out over threads hold them back.
        container.streams.video[0].thread_type = "NONE"
        return container
    reason = getattr(failure, "strerror", None) or type(failure).__name__
    raise MediaError(f"the webcam {device} cannot be opened: {reason}")


def _now() -> FrameClock:
    now = time.monotonic()
    return FrameClock(now, round(now / _CLOCK), _CLOCK)


def _live(frame: PatientFrame, mirrored: bool) -> PatientFrame:
    return frame.turned(False, mirrored=True, upside_down=False) if mirrored else frame


def _has_gone(webcam: Webcam) -> bool:
    """Whether it is to be looked for: one that comes back may have another device."""
    return _FORMAT == "v4l2" and not Path(webcam.device).exists()


def _is_virtual(webcam: Webcam) -> bool:
    if _FORMAT == "v4l2":
        return Path("/sys/devices/virtual/video4linux", Path(webcam.device).name).exists()
    return any(maker in webcam.name for maker in ("OBS", "Unity Video Capture"))
