"""A recorded video that is played at its own pace, as tracks."""

import io
import os
from pathlib import Path

from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer

from digitalmask.errors import MediaError

# As often is a film played that is played over and over: for a day where it lasts three seconds.
_TIMES = 30_000


def open_film(path: Path, over_and_over: bool) -> tuple[MediaStreamTrack, MediaStreamTrack | None]:
    """Its picture, and its sound where it has any. Errors: MediaError where it has no picture or
    cannot be read.
    """
    try:
        # aiortc's own loop ends with the film, as PyAV raises EOFError; FFmpeg's list of films goes
        # on, picture and sound alike.
        player = (
            MediaPlayer(
                io.BytesIO(_list(path)),
                format="concat",
                options={"safe": "0", "protocol_whitelist": "file"},
            )
            if over_and_over
            else MediaPlayer(str(path))
        )
    except Exception as error:  # PyAV's errors have several bases
        raise MediaError(f"{path} cannot be read as a video") from error
    if player.video is None:
        raise MediaError(f"{path} has no video in it")
    return player.video, player.audio


def _list(path: Path) -> bytes:
    """The film so many times, as FFmpeg's concat demuxer reads it."""
    name = os.fsencode(path.resolve()).replace(b"'", rb"'\''")
    return b"ffconcat version 1.0\n" + b"file 'file:%b'\n" % name * _TIMES
