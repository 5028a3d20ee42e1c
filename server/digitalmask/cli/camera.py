"""`digitalmask camera`: a masked webcam that other programs take for a camera."""

import argparse
import functools
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitalmask.cli.mask import add_complexion, add_inset, frame_size

if TYPE_CHECKING:
    from digitalmask.camera.feed import CameraFeed, FeedStatus
    from digitalmask.media.patient_frame import PatientFrame

_STATUS_S = 0.5


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "camera",
        help="mask the webcam, and appear as a camera to other programs",
        description="Mask a webcam and appear as a camera that video programs can choose.",
    )
    parser.add_argument("--list", action="store_true", help="say which webcams there are")
    parser.add_argument(
        "--device", metavar="WEBCAM", help="a webcam of --list, or a video (the first webcam)"
    )
    parser.add_argument(
        "--backend",
        choices=("auto", "pipewire", "pyvirtualcam"),
        default="auto",
        help="how to appear: a source of PipeWire's, or a camera of v4l2loopback's or OBS's (auto)",
    )
    parser.add_argument(
        "--name",
        default="digitalmask",
        help="what a PipeWire camera is called, or a device of v4l2loopback's (digitalmask)",
    )
    parser.add_argument(
        "--size", type=frame_size, default=(640, 480), metavar="WxH", help="of the camera (640x480)"
    )
    parser.add_argument(
        "--webcam-size",
        type=frame_size,
        default=(1280, 720),
        metavar="WxH",
        help="what the webcam is asked for: the more, the finer the eyes are read (1280x720)",
    )
    parser.add_argument("--rate", type=int, default=30, help="frames a second (30)")
    parser.add_argument(
        "--mirror",
        action="store_true",
        help="the webcam delivers a mirrored picture: turn it round (the mask is never mirrored)",
    )
    parser.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt")
    add_inset(parser)
    add_complexion(parser)
    parser.add_argument("--quiet", action="store_true", help="no line that says how it goes")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from digitalmask.camera.backends import open_virtual_camera
    from digitalmask.camera.feed import CameraFeed
    from digitalmask.errors import ConfigurationError
    from digitalmask.pipeline import isolated
    from digitalmask.tracking import load_networks

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if options.list:
        return _list(options.json)
    if not 1 <= options.rate <= 120:
        raise ConfigurationError("--rate is from 1 to 120")
    webcam, open_webcam = _source(options)
    load_networks(options.provider)  # what is missing is said now
    camera = open_virtual_camera(options.backend, options.name, options.size, options.rate)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    started_at_s = time.monotonic()
    feed = CameraFeed(
        open_webcam,
        isolated(options.provider, options.inset, options.skin, options.eyes),
        camera,
        options.size,
    )
    try:
        if not options.quiet:
            print(f"{webcam}, masked, is the camera {camera.device}. Stop with Ctrl-C.",
                  file=sys.stderr)  # fmt: skip
        _report(feed, ended, options.quiet)
    finally:
        feed.close()
    if feed.failure is not None:
        raise feed.failure
    if options.json:
        status = feed.status()
        seconds = time.monotonic() - started_at_s
        result = {
            "webcam": webcam,
            "camera": camera.device,
            "seconds": round(seconds, 1),
            "frames": status.shown,
            "masks": status.masks,
            "fps": round(status.shown / seconds, 1),
        }
        print(json.dumps(result))
    return 0


def _list(as_json: bool) -> int:
    from digitalmask.camera.webcam import list_webcams

    webcams = list_webcams()
    if as_json:
        print(json.dumps([{"device": each.device, "name": each.name} for each in webcams]))
        return 0
    for webcam in webcams:
        print(f"{webcam.device:16}{webcam.name}")
    if not webcams:
        print("digitalmask: no webcam was found", file=sys.stderr)
    return 0


def _source(options: argparse.Namespace) -> tuple[str, "Callable[[], Iterator[PatientFrame]]"]:
    """What the webcam is called, and what opens it."""
    from digitalmask.camera.webcam import film_frames, find_webcam, webcam_frames
    from digitalmask.media.reader import VideoReader

    path = Path(options.device or "")
    if path.is_file():
        with VideoReader(path):  # what is no video is said now
            return path.name, functools.partial(film_frames, path, options.mirror)
    webcam = find_webcam(options.device)
    rate = Fraction(options.rate)
    return webcam.name, functools.partial(
        webcam_frames, webcam, options.webcam_size, rate, options.mirror
    )


def _report(feed: "CameraFeed", ended: threading.Event, quiet: bool) -> None:
    """Say how it goes until it is over: in place on a terminal, else where it changes."""
    in_place = sys.stderr.isatty()
    said = ""
    while not ended.is_set() and feed.wait(0.0):
        status = feed.status()
        line = _in_words(status)
        if in_place:
            line += f"; {status.fps:.0f} frames/s, {status.lag_ms:.0f} ms"
        if not quiet and line != said:
            print(f"\r\033[K{line}" if in_place else line,
                  end="" if in_place else "\n", file=sys.stderr, flush=True)  # fmt: skip
            said = line
        ended.wait(_STATUS_S)
    if in_place and said:
        print(file=sys.stderr)


def _in_words(status: "FeedStatus") -> str:
    if status.webcam:
        return f"the card is shown: {status.webcam}"
    return {
        "following": "the mask is shown",
        "waiting": "the card is shown: no face is seen",
        "lost": "the card is shown: the face is out of view",
        "fault": "the card is shown: the mask cannot be made",
    }[status.tracking.value]
