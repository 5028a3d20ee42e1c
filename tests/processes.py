"""Processes that tests start, and those that these start."""

import contextlib
import subprocess
from typing import Any

import psutil

_PATIENCE_S = 5.0


def end(process: "subprocess.Popen[Any]") -> None:
    """Ask it to end, and end it where it does not."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def children(word: str, parent: int | None = None) -> list[psutil.Process]:
    """Those with this word in their command line, the oldest first; this process's own, or others'.

    One that ends meanwhile, of an earlier test, is none.
    """
    found = []
    for each in psutil.Process(parent).children(recursive=parent is not None):
        with contextlib.suppress(psutil.Error):
            if word in " ".join(each.cmdline()):
                found.append(each)
    return sorted(found, key=lambda each: each.create_time())
