"""`digitalmask mask IN OUT`: mask a recorded video."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from digitalmask.errors import ConfigurationError, MediaError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("mask", help="mask a recorded video")
    parser.add_argument("source", type=Path, metavar="IN", help="the video to mask")
    parser.add_argument("target", type=Path, metavar="OUT", help=".mp4, .mov, .mkv or .webm")
    parser.add_argument("--size", type=frame_size, metavar="WxH", help="size of the result")
    parser.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt (or -half)")
    add_inset(parser)
    add_complexion(parser)
    add_voice(parser)
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def add_voice(parser: argparse.ArgumentParser) -> None:
    """Add the option for what becomes of the patient's voice."""
    parser.add_argument(
        "--voice",
        choices=("pass", "mask", "off"),
        default="mask",
        help="the patient's voice as it is, masked or left out (mask)",
    )


def add_inset(parser: argparse.ArgumentParser) -> None:
    """Add the option for what is shown beside the mask."""
    parser.add_argument(
        "--inset",
        choices=("none", "eyes"),
        default="none",
        help="eyes: both eyes twice as large in the picture's lower corners (none)",
    )


def add_complexion(parser: argparse.ArgumentParser) -> None:
    """Add the options for the mask's own colours."""
    parser.add_argument(
        "--skin",
        choices=("light", "medium", "dark"),
        default="light",
        help="the mask's skin, whatever the patient's is (light)",
    )
    parser.add_argument(
        "--eyes",
        choices=("neutral", "brown", "green", "blue"),
        default="neutral",
        help="the mask's irises, whatever the patient's are (neutral, a grey brown)",
    )


def frame_size(text: str) -> tuple[int, int]:
    """A size such as 640x480; both even, from 160x120 to 3840x2160 or upright."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 640x480") from None
    if width % 2 or height % 2 or not (min(width, height) >= 120 and max(width, height) <= 3840):
        raise argparse.ArgumentTypeError("sizes are even numbers from 120 to 3840")
    return width, height


def _run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from digitalmask.media.patient_frame import PatientFrame
    from digitalmask.media.reader import VideoReader
    from digitalmask.media.voice import VoiceWay
    from digitalmask.media.writer import VideoWriter
    from digitalmask.pipeline import make_masker

    source, target = options.source, options.target
    if target.exists() and not target.is_file():
        raise ConfigurationError(f"{target} is no file")
    if target.exists() and source.exists() and source.samefile(target):
        raise ConfigurationError("IN and OUT are the same file")
    if target.exists() and not options.force:
        raise ConfigurationError(f"{target} exists: choose another name, or add --force")
    frames = followed = 0
    started = time.monotonic()
    with VideoReader(source) as reader:
        masker = make_masker(options.provider, options.inset, options.skin, options.eyes)()
        try:
            with (
                VideoWriter(target, reader.rate, reader.audio, VoiceWay(options.voice)) as writer,
                tqdm(total=reader.frame_count, unit="frame", disable=options.quiet) as progress,
            ):
                for item in reader:
                    if not isinstance(item, PatientFrame):
                        writer.write_sound(item)
                        continue
                    size = options.size or _even(item.width, item.height)
                    masked = masker.mask(item, size)
                    options.size = size  # a file's size may change; the result's does not
                    writer.write(masked)
                    frames += 1
                    followed += masked.card is None
                    progress.update()
                if frames == 0:
                    why = reader.stopped_because or "it has no frame"
                    raise MediaError(f"nothing of {source} could be read: {why}")
        finally:
            masker.close()
    warnings = []
    if followed == 0:
        warnings.append("no face was found: the result shows cards only")
    if reader.stopped_at_s is not None:
        warnings.append(
            f"{source} is damaged: it was read until {reader.stopped_at_s:.1f} s "
            f"({reader.stopped_because})"
        )
    for warning in warnings:
        print(f"digitalmask: {warning}", file=sys.stderr)
    seconds = time.monotonic() - started
    if options.json:
        result = {
            "frames": frames,
            "followed_frames": followed,
            "seconds": round(seconds, 2),
            "fps": round(frames / seconds, 1),
            "size": f"{options.size[0]}x{options.size[1]}",
            "warnings": warnings,
            "stopped_at_s": reader.stopped_at_s,
        }
        print(json.dumps(result))
    return 1 if reader.stopped_at_s is not None else 0


def _even(width: int, height: int) -> tuple[int, int]:
    """The size of the result: the source's, even, within what is drawn."""
    scale = min(1.0, 3840 / max(width, height))
    scale = max(scale, 120 / min(width, height))
    return round(width * scale) & ~1, round(height * scale) & ~1
