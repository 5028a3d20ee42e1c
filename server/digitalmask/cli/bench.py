"""`digitalmask bench`: measure the relay on this machine."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitalmask.bench.relay import Film

_SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}
_CODECS = {"vp8": "video/vp8", "h264": "video/h264"}


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
        "--size",
        choices=[*_SIZES, "all"],
        default="640x480",
        help="of the camera and of the mask (640x480)",
    )
    relay.add_argument(
        "--codec", choices=[*_CODECS, "all"], default="h264", help="on both ways (h264)"
    )
    relay.add_argument(
        "--slow",
        type=float,
        metavar="SECONDS",
        help="instead, slow the pipeline for so long and say how soon the latency is back",
    )
    relay.add_argument("--json", action="store_true", help="print one JSON object")
    relay.set_defaults(run=_relay)
    viewers = subjects.add_parser(
        "viewers",
        help="what a viewer with a bad network (5 %% lost, 300 kbit/s) does to the others",
    )
    viewers.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the patient's video (a simulated one)"
    )
    viewers.add_argument("--seconds", type=float, default=20.0, help="how long each half is")
    viewers.add_argument(
        "--codec", choices=list(_CODECS), default="h264", help="on all ways (h264)"
    )
    viewers.add_argument("--json", action="store_true", help="print one JSON object")
    viewers.set_defaults(run=_viewers)


def _relay(options: argparse.Namespace) -> int:
    import asyncio

    from digitalmask.bench.relay import measure
    from digitalmask.errors import ConfigurationError

    if options.seconds <= 0 or (options.slow is not None and options.slow <= 0):
        raise ConfigurationError("--seconds and --slow are more than 0")
    sizes = list(_SIZES) if options.size == "all" else [options.size]
    codecs = list(_CODECS) if options.codec == "all" else [options.codec]
    results: dict[str, object] = {}
    for size in sizes:
        frames = _film(options.file, _SIZES[size])
        for codec in codecs:
            kind = _CODECS[codec]
            if options.slow is not None:
                from digitalmask.bench.recovery import recovery

                # 6 s before it is slow, and 5 s to see it come back.
                seconds = options.slow + 11.0
                slow = asyncio.run(measure("masked", frames, seconds, kind, options.slow))
                figures = recovery(slow.latencies_ms)
            else:
                print(f"bench: {size} {codec}", file=sys.stderr)
                figures = _beside_stock(frames, options.seconds, kind)
            several = len(sizes) * len(codecs) > 1
            prefix = f"{size}.{codec}." if several else ""
            results |= {f"{prefix}{name}": value for name, value in figures.items()}
    _print(results, options.json)
    return 0


def _beside_stock(frames: "Film", seconds: float, codec: str) -> dict[str, object]:
    import asyncio

    from digitalmask.bench.relay import measure

    masked = asyncio.run(measure("masked", frames, seconds, codec))
    stock = asyncio.run(measure("passthrough", frames, seconds, codec))
    names = (
        "fps",
        "latency_ms_p50",
        "latency_ms_p95",
        "wire_ms_p50",
        "added_ms_p50",
        "added_ms_p95",
        "cores",
    )
    results = {name: getattr(masked, name) for name in names}
    results["tracking"] = masked.tracking
    results["stage_ms"] = masked.stage_ms
    results |= {f"passthrough_{name}": getattr(stock, name) for name in names}
    results["ratio"] = round(masked.latency_ms_p50 / stock.latency_ms_p50, 3)
    return results


def _viewers(options: argparse.Namespace) -> int:
    import asyncio

    from digitalmask.bench.viewers import measure_viewers
    from digitalmask.errors import ConfigurationError

    if options.seconds <= 0:
        raise ConfigurationError("--seconds is more than 0")
    frames = _film(options.file, _SIZES["640x480"])
    results = asyncio.run(measure_viewers(frames, options.seconds, _CODECS[options.codec]))
    _print(results, options.json)
    return 0


def _film(file: Path | None, size: tuple[int, int]) -> "Film":
    from digitalmask.bench.camera import read_video, simulated_video

    path = file or _test_video()
    print(f"bench: the patient is {path or 'simulated'}", file=sys.stderr)
    return read_video(path, size) if path is not None else simulated_video(size)


def _print(results: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(results))
    else:
        width = max(map(len, results)) + 2
        for name, value in results.items():
            print(f"{name:{width}}{value}")


def _test_video() -> Path | None:
    """The real face that the project's figures are made with, where it is at hand."""
    from digitalmask.assets.paths import models_dir

    chosen = os.environ.get("DIGITALMASK_TEST_DATA")
    folder = Path(chosen) if chosen else models_dir().parent.parent / "shared" / "data"
    video = folder / "video" / "d6.mp4"
    return video if video.is_file() else None
