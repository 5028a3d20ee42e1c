"""`digitalmask mask IN OUT`: mask recorded videos and pictures."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitalmask.errors import ConfigurationError

if TYPE_CHECKING:
    from digitalmask.pipeline.batch import Outcome
    from digitalmask.pipeline.recorded import Masked


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "mask",
        help="mask recorded videos and pictures",
        description="Mask a video or a picture; or many into a folder, where those that are there "
        "already are left as they are.",
    )
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="IN", help="videos, pictures, folders, patterns"
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help=".mp4, .mov, .mkv or .webm, .png, .jpg or .webp; or a folder for what is many",
    )
    parser.add_argument("--size", type=frame_size, metavar="WxH", help="size of the result")
    parser.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt (or -half)")
    add_inset(parser)
    add_complexion(parser)
    add_voice(parser)
    parser.add_argument(
        "--measurements",
        type=Path,
        metavar="CSV",
        help="write what is measured of the face in each frame as a table (a folder for many)",
    )
    parser.add_argument(
        "--jobs", type=int, default=0, help="how many files at a time (as there are cores)"
    )
    parser.add_argument("--force", action="store_true", help="replace what exists")
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
    from digitalmask.pipeline.batch import is_many

    many = len(options.sources) > 1 or is_many(options.sources[0]) or options.target.is_dir()
    return _run_many(options) if many else _run_one(options)


def _run_one(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from digitalmask.media.voice import VoiceWay
    from digitalmask.pipeline import make_masker
    from digitalmask.pipeline.batch import is_picture
    from digitalmask.pipeline.recorded import mask_picture, mask_video, one_thread_a_stage

    source, target = options.sources[0], options.target
    for path in (target, options.measurements):
        if path is None or not path.exists():
            continue
        if not path.is_file():
            raise ConfigurationError(f"{path} is no file")
        if source.exists() and source.samefile(path):
            raise ConfigurationError("IN and OUT are the same file")
        if not options.force:
            raise ConfigurationError(f"{path} exists: choose another name, or add --force")
    started = time.monotonic()
    one_thread_a_stage()

    def make() -> Any:
        return make_masker(options.provider, options.inset, options.skin, options.eyes)()

    if is_picture(source):
        masked = mask_picture(source, target, make, options.size, options.measurements)
    else:
        with tqdm(unit="frame", disable=options.quiet) as bar:

            def progress(total: int | None) -> None:
                bar.total = total
                bar.update()

            masked = mask_video(
                source,
                target,
                make,
                options.size,
                options.measurements,
                VoiceWay(options.voice),
                progress,
            )
    warnings = _warnings(source, masked)
    for warning in warnings:
        print(f"digitalmask: {warning}", file=sys.stderr)
    seconds = time.monotonic() - started
    if options.json:
        result = {
            "frames": masked.frames,
            "followed_frames": masked.followed,
            "seconds": round(seconds, 2),
            "fps": round(masked.frames / seconds, 1),
            "size": "{}x{}".format(*masked.size),
            "warnings": warnings,
            "stopped_at_s": masked.stopped_at_s,
        }
        print(json.dumps(result))
    return 1 if masked.stopped_at_s is not None else 0


def _run_many(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from digitalmask.media.voice import VoiceWay
    from digitalmask.pipeline.batch import Way, mask_all, plan
    from digitalmask.tracking import load_networks

    for path in (options.target, options.measurements):
        if path is not None and path.exists() and not path.is_dir():
            raise ConfigurationError(f"{path} is no folder: many files need one")
    if not 0 <= options.jobs <= 64:
        raise ConfigurationError("--jobs is from 1 to 64, 0 for as many as there are cores")
    load_networks(options.provider)  # what is missing is said now, and once
    tasks = plan(options.sources, options.target, options.measurements)
    todo = [task for task in tasks if options.force or not task.done]
    started = time.monotonic()
    way = Way(
        options.provider,
        options.inset,
        options.skin,
        options.eyes,
        options.size,
        VoiceWay(options.voice),
    )
    outcomes = []
    with tqdm(total=len(todo), unit="file", disable=options.quiet) as bar:
        for outcome in mask_all(todo, way, options.jobs or _cores()):
            outcomes.append(outcome)
            bar.update()
            for warning in _complaints(outcome):
                bar.write(f"digitalmask: {warning}", file=sys.stderr)
    seconds = time.monotonic() - started
    masked = [outcome.masked for outcome in outcomes if outcome.masked is not None]
    damaged = sum(each.stopped_at_s is not None for each in masked)
    failed = len(outcomes) - len(masked)
    length_s = sum(each.seconds for each in masked)
    speed = round(length_s / seconds, 2) if length_s else None
    if not options.quiet:
        counts = {
            "masked": len(masked),
            "there already": len(tasks) - len(todo),
            "damaged": damaged,
            "failed": failed,
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        pace = f"; {length_s:.0f} s of video in {seconds:.0f} s" if length_s else ""
        print(f"digitalmask: {said}{pace}", file=sys.stderr)
    if options.json:
        result = {
            "files": len(tasks),
            "masked": len(masked),
            "skipped": len(tasks) - len(todo),
            "damaged": damaged,
            "failed": failed,
            "frames": sum(each.frames for each in masked),
            "video_seconds": round(length_s, 1),
            "seconds": round(seconds, 2),
            "times_real_time": speed,
            "warnings": [warning for outcome in outcomes for warning in _complaints(outcome)],
        }
        print(json.dumps(result))
    return 1 if failed or damaged else 0


def _complaints(outcome: "Outcome") -> list[str]:
    if outcome.masked is None:
        source = str(outcome.task.source)
        return [outcome.error if source in outcome.error else f"{source}: {outcome.error}"]
    return _warnings(outcome.task.source, outcome.masked)


def _warnings(source: Path, masked: "Masked") -> list[str]:
    warnings = []
    if masked.followed == 0:
        warnings.append(f"{source}: no face was found: the result shows cards only")
    if masked.stopped_at_s is not None:
        warnings.append(
            f"{source} is damaged: it was read until {masked.stopped_at_s:.1f} s "
            f"({masked.stopped_because})"
        )
    return warnings


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
