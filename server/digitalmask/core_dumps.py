"""A process that holds a camera's picture leaves no copy of its memory behind when it crashes."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_core_dumps() -> None:
    """From now on no core file of this process is written, nor of those that it starts.

    On Linux its memory is also closed to debuggers of the same user, and a crash handler that
    takes cores through a pipe gets none; that holds for this process alone and ends with `exec`.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
