"""`digitalmask simulate SCENARIO OUT.mp4`: record a simulated patient with known truth."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitalmask.cli.mask import frame_size
from digitalmask.errors import ConfigurationError

if TYPE_CHECKING:
    from digitalmask.simulation.recording import Setting


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "simulate",
        help="record a simulated patient whose every movement is known",
        description="Record a simulated patient, with the truth of every frame in a CSV beside it.",
    )
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="one of --list")
    parser.add_argument("target", nargs="?", type=Path, metavar="OUT", help=".mp4, .mov or .mkv")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are")
    parser.add_argument("--person", type=int, choices=range(6), default=0, help="0 to 5")
    parser.add_argument(
        "--skin", choices=("light", "brown", "dark"), help="another than the person's own"
    )
    parser.add_argument("--lighting", choices=("window", "lamp"), default="window")
    parser.add_argument(
        "--size", type=frame_size, default=(640, 480), metavar="WxH", help="640x480 if not said"
    )
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second (30)")
    parser.add_argument(
        "--noise", type=float, default=1.5, help="the camera's, in steps of 8 bits (1.5)"
    )
    parser.add_argument(
        "--vp8-kbps", type=int, metavar="KBPS", help="send it through VP8 at so many kbit/s first"
    )
    parser.add_argument("--seconds", type=float, help="only the first so many")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from digitalmask.simulation.recording import record
    from digitalmask.simulation.scenarios import find_scenario

    if options.list:
        _list(options.json)
        return 0
    if options.scenario is None or options.target is None:
        raise ConfigurationError("name a SCENARIO and OUT (see digitalmask simulate --list)")
    scenario = find_scenario(options.scenario)
    target: Path = options.target
    if options.seconds is not None and not options.seconds > 0:
        raise ConfigurationError("--seconds is more than 0")
    for path in (target, target.with_suffix(".csv")):
        if path.exists() and not (options.force and path.is_file()):
            raise ConfigurationError(f"{path} exists: choose another name, or add --force")
    setting = make_setting(options)
    started = time.monotonic()
    seconds = min(options.seconds or scenario.duration_s, scenario.duration_s)
    with tqdm(total=round(seconds * options.rate), unit="frame", disable=options.quiet) as progress:
        frames, truth = record(scenario, setting, target, options.seconds, progress.update)
    if options.json:
        result = {
            "scenario": scenario.name,
            "frames": frames,
            "truth": str(truth),
            "seconds": round(time.monotonic() - started, 2),
        }
        print(json.dumps(result))
    elif not options.quiet:
        print(f"{target}: {frames} frames; their truth in {truth}", file=sys.stderr)
    return 0


def make_setting(options: argparse.Namespace) -> "Setting":
    """Who sits before which camera, as the options say."""
    from digitalmask.simulation.recording import Setting

    if not 5 <= options.rate <= 240:
        raise ConfigurationError("--rate is from 5 to 240")
    if not 0 <= options.noise <= 50:
        raise ConfigurationError("--noise is from 0 to 50")
    if options.vp8_kbps is not None and not 50 <= options.vp8_kbps <= 50_000:
        raise ConfigurationError("--vp8-kbps is from 50 to 50000")
    named = {name: getattr(options, name) for name in ("size", "rate", "noise", "vp8_kbps", "skin")}
    for name in ("person", "lighting"):
        if isinstance(chosen := getattr(options, name, None), int | str) and chosen != "all":
            named[name] = chosen
    return Setting(**named)


def _list(as_json: bool) -> None:
    from digitalmask.simulation.scenarios import SCENARIOS

    if as_json:
        print(json.dumps({name: scenario.summary for name, scenario in SCENARIOS.items()}))
        return
    for name, scenario in SCENARIOS.items():
        print(f"{name:24}{scenario.duration_s:5.1f} s  {scenario.summary}")
