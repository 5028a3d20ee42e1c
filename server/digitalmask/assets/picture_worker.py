"""A process in an environment of its own that is asked about pictures (see `environments`)."""

import contextlib
import struct
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import TrackingError


class PictureWorker:
    """Runs a script that says "r" when it is ready, and then answers picture after picture.

    Each picture is sent as width and height, two little-endian uint32, and the rows of RGB. Use as
    a context, from one thread. name: said where the script fails. Errors: TrackingError with the
    last line that the script had to complain of.
    """

    def __init__(self, name: str, python: Path, script: Path, *arguments: str) -> None:
        self._name = name
        # What it has to complain about goes to a file: a pipe that nobody reads would block it.
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close
        self._process = subprocess.Popen(  # noqa: S603
            [str(python), "-I", str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        try:
            if self.read(1) != b"r":
                raise TrackingError(f"{name} did not start")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """The worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    def send(self, rgb: NDArray[np.uint8]) -> None:
        """Ask about one (height, width, 3) picture."""
        height, width = rgb.shape[:2]
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - for the type
        try:
            stdin.write(struct.pack("<II", width, height))
            stdin.write(np.ascontiguousarray(rgb).data)
            stdin.flush()
        except OSError as error:
            raise self._failed() from error

    def read(self, count: int) -> bytes:
        """The next bytes of the answer."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - for the type
        data = stdout.read(count)
        if len(data) < count:
            raise self._failed()
        return data

    def close(self) -> None:
        """End the process; free to be called again."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def _failed(self) -> TrackingError:
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return TrackingError(f"{self._ended(self._process.returncode)}: {last}")

    def _ended(self, _status: int) -> str:
        return f"{self._name} ended"
