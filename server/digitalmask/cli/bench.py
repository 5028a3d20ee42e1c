"""`digitalmask bench`: measure tracking, stages and relay on this machine."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitalmask.bench.relay import Film

_SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}
_CODECS = {"vp8": "video/vp8", "h264": "video/h264"}

_LEAST_STAGED_FRAMES = 60  # the first 30 are not counted


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
        "--codec", choices=[*_CODECS, "all"], default="vp8", help="on both ways (vp8)"
    )
    relay.add_argument(
        "--slow",
        type=float,
        metavar="SECONDS",
        help="instead, slow the pipeline for so long and say how soon the latency is back",
    )
    relay.add_argument("--json", action="store_true", help="print one JSON object")
    relay.set_defaults(run=_relay)
    track = subjects.add_parser(
        "track", help="a frame's tracking on one core, beside MediaPipe's own (installed once)"
    )
    track.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="videos of faces (s18.mp4 and d18.mp4)"
    )
    track.add_argument("--frames", type=int, default=200, help="how many of each are tracked")
    track.set_defaults(run=_track)
    stages = subjects.add_parser("stages", help="a frame's milliseconds by stage, on one core")
    stages.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the patient's video (d6.mp4)"
    )
    stages.add_argument("--frames", type=int, default=150, help="how many are masked")
    stages.set_defaults(run=_stages)
    for subject in (track, stages):
        subject.add_argument("--json", action="store_true", help="print one JSON object")
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
    gpu = subjects.add_parser(
        "gpu", help="inference and drawing on the GPU: agreement with the CPU, one room, many"
    )
    gpu.add_argument("--rooms", type=int, default=64, help="how many at once (64)")
    gpu.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    gpu.add_argument("--json", action="store_true", help="print one JSON object")
    gpu.set_defaults(run=_gpu)
    _add_browser(subjects)
    _add_rooms(subjects)
    every = subjects.add_parser("all", help="all of these, as the table of the README")
    every.set_defaults(run=_all)


def _add_browser(subjects: Any) -> None:
    browser = subjects.add_parser(
        "browser", help="from the patient's camera to the doctor's screen, in two Chromiums"
    )
    browser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the patient's video (a simulated one)"
    )
    browser.add_argument("--seconds", type=float, default=15.0, help="how long each is measured")
    browser.add_argument(
        "--size", choices=[*_SIZES, "all"], default="all", help="of the camera and of the mask"
    )
    browser.add_argument(
        "--codec",
        choices=[*_CODECS, "all"],
        default="all",
        help="on both ways; all: VP8 beside what the pages agree on by themselves",
    )
    browser.add_argument("--json", action="store_true", help="print one JSON object")
    browser.set_defaults(run=_browser)


def _add_rooms(subjects: Any) -> None:
    rooms = subjects.add_parser("rooms", help="how many rooms of 640x480 at 30 fps are held")
    rooms.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="the patient's video (a simulated one)"
    )
    rooms.add_argument("--seconds", type=float, default=15.0, help="how long each is measured")
    rooms.add_argument("--most", type=int, default=16, help="how many rooms are tried at most")
    rooms.add_argument("--cores", type=int, help="keep relay and clients to so many cores")
    rooms.add_argument("--codec", choices=list(_CODECS), default="h264", help="on all ways (h264)")
    rooms.add_argument(
        "--soak",
        type=int,
        nargs="?",
        const=10,
        metavar="MINUTES",
        help="instead, one room for so many minutes (10), and each minute's figures",
    )
    rooms.add_argument("--json", action="store_true", help="print one JSON object")
    rooms.set_defaults(run=_rooms)


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
    results["reduced"] = masked.reduced
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


def _browser(options: argparse.Namespace) -> int:
    import asyncio

    from digitalmask.bench.browser import measure_browsers
    from digitalmask.errors import ConfigurationError

    if options.seconds <= 0:
        raise ConfigurationError("--seconds is more than 0")
    results: dict[str, dict[str, object]] = {}
    for size in _SIZES if options.size == "all" else [options.size]:
        film = _film(options.file, _SIZES[size])
        kind = "" if options.codec == "all" else _CODECS[options.codec]
        print(f"bench: {size} in two browsers", file=sys.stderr)
        results[size] = asyncio.run(measure_browsers(film, options.seconds, kind))
        if options.codec == "all" and results[size]["codec"] != "vp8":
            print(f"bench: {size} in two browsers, vp8", file=sys.stderr)
            beside = asyncio.run(measure_browsers(film, options.seconds, _CODECS["vp8"]))
            results[size]["vp8"] = beside
    _print_nested(results, options.json)
    return 0


def _rooms(options: argparse.Namespace) -> int:
    import asyncio

    from digitalmask.bench.one_core import few_cores
    from digitalmask.errors import ConfigurationError

    usable = len(os.sched_getaffinity(0))
    cores = usable if options.cores is None else options.cores
    if options.seconds <= 0 or options.most < 1 or (options.soak or 1) < 1:
        raise ConfigurationError("--seconds, --most and --soak are more than 0")
    if not 1 <= cores <= usable:
        raise ConfigurationError(f"--cores is 1 to {usable} here")
    with few_cores(cores):
        from digitalmask.bench.camera import coded_film
        from digitalmask.bench.rooms import measure_rooms, soak

        codec = _CODECS[options.codec]
        coded = coded_film(_film(options.file, _SIZES["640x480"]), codec)
        results: dict[str, object] = {"cores": cores, "codec": options.codec}
        if options.soak is None:
            results |= asyncio.run(measure_rooms(coded, codec, options.seconds, options.most))
        else:
            results |= asyncio.run(soak(coded, codec, options.soak))
    _print(results, options.json)
    return 0


def _film(file: Path | None, size: tuple[int, int]) -> "Film":
    from digitalmask.bench.camera import read_video, simulated_video

    path = file or _test_video("d6.mp4")
    print(f"bench: the patient is {path or 'simulated'}", file=sys.stderr)
    return read_video(path, size) if path is not None else simulated_video(size)


def _print(results: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(results))
    else:
        width = max(map(len, results)) + 2
        for name, value in results.items():
            print(f"{name:{width}}{value}")


def _track(options: argparse.Namespace) -> int:
    from digitalmask.bench.one_core import one_core
    from digitalmask.errors import ConfigurationError

    if options.frames < 1:
        raise ConfigurationError("--frames is 1 or more")
    files = options.files or [_needed_video(name) for name in ("s18.mp4", "d18.mp4")]
    results: dict[str, object] = {}
    with one_core():
        from digitalmask.bench.track import measure

        for file in files:
            print(f"bench: tracking {file}", file=sys.stderr)
            results[file.name] = measure(file, _say, options.frames)
    _print_nested(results, options.json)
    return 0


def _stages(options: argparse.Namespace) -> int:
    from digitalmask.bench.one_core import one_core
    from digitalmask.errors import ConfigurationError

    if options.frames < _LEAST_STAGED_FRAMES:
        raise ConfigurationError(f"--frames is {_LEAST_STAGED_FRAMES} or more")
    file = options.file or _needed_video("d6.mp4")
    print(f"bench: the patient is {file}", file=sys.stderr)
    with one_core():
        from digitalmask.bench.stages import measure

        results = measure(file, options.frames)
    _print_nested(results, options.json)
    return 0


def _gpu(options: argparse.Namespace) -> int:
    from digitalmask.bench.gpu import faults, measure
    from digitalmask.errors import ConfigurationError

    if options.rooms < 1 or options.seconds < 1:
        raise ConfigurationError("--rooms and --seconds are 1 or more")
    results = measure(options.rooms, options.seconds, _say)
    if options.json:
        print(json.dumps(results))
    else:
        _print({name: each for name, each in results.items() if not isinstance(each, dict)}, False)
        _print_nested(
            {name: each for name, each in results.items() if isinstance(each, dict)}, False
        )
    for fault in faults(results):
        _say(fault)
    return 1 if faults(results) else 0


def _all(_options: argparse.Namespace) -> int:
    import subprocess

    from digitalmask.bench.table import RUNS, table

    results = {}
    for name, arguments in RUNS.items():
        # Each in a process of its own, which may keep to one core.
        command = [sys.executable, "-m", "digitalmask", "bench", *arguments, "--json"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603
        if ended.returncode:
            return ended.returncode
        results[name] = json.loads(ended.stdout)
    print(table(results))
    return 0


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)


def _print_nested(results: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(results))
        return
    for title, figures in results.items():
        print(title)
        assert isinstance(figures, dict)  # noqa: S101 - for the type
        for name, value in figures.items():
            print(f"    {name:36}{value}")


def _needed_video(name: str) -> Path:
    from digitalmask.errors import ConfigurationError

    video = _test_video(name)
    if video is None:
        raise ConfigurationError(f"the test data with {name} is not here: give a video")
    return video


def _test_video(name: str) -> Path | None:
    """A real face that the project's figures are made with, where it is at hand."""
    from digitalmask.assets.paths import models_dir

    chosen = os.environ.get("DIGITALMASK_TEST_DATA")
    folder = Path(chosen) if chosen else models_dir().parent.parent / "shared" / "data"
    video = folder / "video" / name
    return video if video.is_file() else None
