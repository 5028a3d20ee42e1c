"""`digitalmask bench`: measure the relay on this machine."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("bench", help="measure this machine")
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    relay = subjects.add_parser(
        "relay", help="client to client over loopback, beside a stock relay that masks nothing"
    )
    relay.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the patient's video (a simulated one)"
    )
    relay.add_argument("--seconds", type=float, default=20.0, help="how long each is measured")
    relay.add_argument(
        "--slow",
        type=float,
        metavar="SECONDS",
        help="instead, slow the pipeline for so long and say how soon the latency is back",
    )
    relay.add_argument("--json", action="store_true", help="print one JSON object")
    relay.set_defaults(run=_relay)


def _relay(options: argparse.Namespace) -> int:
    import asyncio

    from digitalmask.bench.relay import measure, read_video, simulated_video
    from digitalmask.errors import ConfigurationError

    if options.seconds <= 0 or (options.slow is not None and options.slow <= 0):
        raise ConfigurationError("--seconds and --slow are more than 0")
    path = options.file or _test_video()
    print(f"bench: the patient is {path or 'simulated'}", file=sys.stderr)
    frames = read_video(path) if path is not None else simulated_video()
    results: dict[str, object]
    if options.slow is not None:
        from digitalmask.bench.recovery import recovery

        # 6 s before it is slow, and 5 s to see it come back.
        figures = asyncio.run(measure("masked", frames, options.slow + 11.0, options.slow))
        results = recovery(figures.latencies_ms)
    else:
        masked = asyncio.run(measure("masked", frames, options.seconds))
        stock = asyncio.run(measure("passthrough", frames, options.seconds))
        names = ("fps", "latency_ms_p50", "latency_ms_p95", "cores")
        results = {name: getattr(masked, name) for name in names}
        results["tracking"] = masked.tracking
        results |= {f"passthrough_{name}": getattr(stock, name) for name in names}
    if options.json:
        print(json.dumps(results))
    else:
        for name, value in results.items():
            print(f"{name:28}{value}")
    return 0


def _test_video() -> Path | None:
    """The real face that the project's figures are made with, where it is at hand."""
    from digitalmask.assets.paths import models_dir

    chosen = os.environ.get("DIGITALMASK_TEST_DATA")
    folder = Path(chosen) if chosen else models_dir().parent.parent / "shared" / "data"
    video = folder / "video" / "d6.mp4"
    return video if video.is_file() else None
