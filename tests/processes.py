"""Processes that tests start."""

import subprocess
from typing import Any

_PATIENCE_S = 5.0


def end(process: "subprocess.Popen[Any]") -> None:
    """Ask it to end, and end it where it does not."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
