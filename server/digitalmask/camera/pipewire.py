"""A video source of PipeWire's session (Linux), which needs no kernel module.

GStreamer's `pipewiresink` offers the source; it runs in a process of its own and is fed through a
pipe, so that no binding to the system's libraries is needed.
"""

import contextlib
import fcntl
import os
import select
import subprocess
import tempfile
import time
from typing import IO

from digitalmask.camera.virtual import Size, i420
from digitalmask.errors import MediaError
from digitalmask.media.masked_frame import MaskedFrame

_INSTALL = (
    "apt-get install pipewire wireplumber gstreamer1.0-tools gstreamer1.0-plugins-base "
    "gstreamer1.0-pipewire"
)
_START_S = 5.0
_TAKE_S = 2.0  # a child that does not take a frame for so long hangs
_PIPE_BYTES = 1 << 20  # the most that everybody may ask for


class PipeWireCamera:
    """Appears to other programs under `name`. Errors: MediaError."""

    def __init__(self, name: str, size: Size, rate: int) -> None:
        self.device = name
        self._size = size
        # What it has to complain about goes to a file: a pipe that nobody reads would block it.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close
        try:
            # A session of its own: Ctrl-C is for us, who end it.
            self._process = subprocess.Popen(  # noqa: S603 - our own pipeline
                ["gst-launch-1.0", *_pipeline(name, size, rate)],  # noqa: S607 - of the system
                stdin=subprocess.PIPE,
                stdout=self._said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"LC_ALL": "C"},
            )
        except OSError as error:
            self._said.close()
            raise MediaError(f"GStreamer is not installed: {_INSTALL}") from error
        assert self._process.stdin is not None  # noqa: S101 - for the type
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._wait_until_there()

    def send(self, masked: MaskedFrame) -> None:
        """Show a frame."""
        rest = memoryview(i420(masked, self._size).tobytes())
        try:
            while rest:
                if not select.select([], [self._pipe], [], _TAKE_S)[1]:
                    raise MediaError("the PipeWire camera takes no more pictures")
                rest = rest[os.write(self._pipe, rest) :]
        except (OSError, ValueError):
            raise self._ended() from None

    def close(self) -> None:
        """Take the camera away."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def _wait_until_there(self) -> None:
        """GStreamer says that it waits for pictures once it has found the session."""
        until_s = time.monotonic() + _START_S
        while "PREROLLING" not in self._output():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise self._ended()
            time.sleep(0.02)

    def _output(self) -> str:
        return os.pread(self._said.fileno(), 1 << 16, 0).decode("utf-8", "replace")

    def _ended(self) -> MediaError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.close()
        lines = [line.strip() for line in self._output().splitlines()]
        why = next((line for line in lines if line.startswith(("ERROR", "WARNING"))), "no reason")
        if "no element" in why:
            missing = why.rpartition("no element")[2].strip()
            return MediaError(f"GStreamer has no {missing}: {_INSTALL}")
        if "Failed to connect" in why:
            return MediaError(
                "no PipeWire session is running: log in to a desktop that has one, or start "
                "pipewire and wireplumber"
            )
        return MediaError(f"the PipeWire camera has ended: {why}")


def _pipeline(name: str, size: Size, rate: int) -> list[str]:
    width, height = size
    about = {"media.class": "Video/Source", "media.role": "Camera"}
    about |= {"node.name": name, "node.description": name}
    properties = ",".join(f'{key}="{value}"' for key, value in about.items())
    # The queue keeps the newest frame alone while nobody looks. Without drop-allocation the sink
    # would lend its buffers to the source before it has any.
    elements = [
        ["fdsrc", "fd=0", f"blocksize={width * height * 3 // 2}", "do-timestamp=true"],
        ["rawvideoparse", "format=i420", f"width={width}", f"height={height}"]
        + [f"framerate={rate}/1"],
        ["queue", "leaky=downstream", "max-size-buffers=1", "max-size-bytes=0", "max-size-time=0"],
        ["identity", "drop-allocation=true"],
        ["pipewiresink", "mode=provide", f"stream-properties=p,{properties}"],
    ]
    words: list[str] = []
    for element in elements:
        words += ["!", *element] if words else element
    return words
