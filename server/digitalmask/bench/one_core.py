"""Keeps a measurement to one core. Imports nothing that starts threads."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and those that it starts meanwhile, to one core.

    What counts the cores while it is loaded (OpenBLAS, OpenCV, llvmpipe) starts one thread then:
    import the measurement within. It is the last core, to which least else is given.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
