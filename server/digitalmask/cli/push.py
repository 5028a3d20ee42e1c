"""`digitalmask push`: the mask into another service that takes WHIP."""

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

from digitalmask.cli.mask import add_complexion, add_inset, add_voice, frame_size
from digitalmask.errors import ConfigurationError

_ASKED_PX = (1280, 720)  # of a webcam: the more, the finer the eyes are read
_TOKEN = "DIGITALMASK_PUSH_TOKEN"  # noqa: S105 - the variable's name


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("push", help="send the mask into another service, by WHIP")
    parser.add_argument("--to", required=True, metavar="URL", help="the service's WHIP endpoint")
    parser.add_argument(
        "--token", help=f"its token, where it wants one; kept out of sight in ${_TOKEN}"
    )
    parser.add_argument(
        "--from",
        dest="source",
        default="camera",
        metavar="SOURCE",
        help="an observer's link to a room, a video file, or a camera: camera, or its device "
        "(camera)",
    )
    parser.add_argument("--loop", action="store_true", help="play a video file over and over")
    parser.add_argument("--size", type=frame_size, metavar="WxH", help="size of the mask")
    parser.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt")
    add_inset(parser)
    add_complexion(parser)
    add_voice(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if not options.to.startswith(("http://", "https://")):
        raise ConfigurationError("--to is an address such as https://service.example/whip/room")
    asyncio.run(_push(options))
    return 0


async def _push(options: argparse.Namespace) -> None:
    """Push until Ctrl-C or SIGTERM, which end the session in good order."""
    from digitalmask.relay.push import push

    token = options.token or os.environ.get(_TOKEN, "")
    with contextlib.ExitStack() as stack:
        source = _source(options, stack)
        pushing = asyncio.create_task(push(options.to, token, source, _say))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, pushing.cancel)
        try:
            await pushing
            _say("The video has come to its end")
        except asyncio.CancelledError:
            _say("Stopped")


def _source(options: argparse.Namespace, stack: contextlib.ExitStack) -> Any:
    from digitalmask.relay.push_sources import LocalSource, RoomSource, film, read_room_link

    if options.source.startswith(("http://", "https://")):
        return RoomSource(read_room_link(options.source))
    path = Path(options.source)
    if path.is_file():
        play, name = film(path, options.loop), "the video's mask"
    else:
        play, name = _webcam(options), "the camera's mask"
    from digitalmask.media.voice import VoiceWay
    from digitalmask.pipeline import isolated

    masker = isolated(options.provider, options.inset, options.skin, options.eyes)
    source = LocalSource(name, play, masker, options.size, VoiceWay(options.voice))
    stack.callback(source.close)
    return source


def _webcam(options: argparse.Namespace) -> Any:
    from digitalmask.camera.webcam import find_webcam, webcam_frames
    from digitalmask.relay.push_sources import webcam

    device = find_webcam(None if options.source == "camera" else options.source)
    return webcam(functools.partial(webcam_frames, device, _ASKED_PX, Fraction(30)), _say)


def _say(line: str) -> None:
    print(line, flush=True)
