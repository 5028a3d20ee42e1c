"""Keeps a measurement to one core, or to a few. Imports nothing that starts threads."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager


def one_core() -> AbstractContextManager[None]:
    """Keep this process, and those that it starts meanwhile, to one core.

    What counts the cores while it is loaded (OpenBLAS, OpenCV, llvmpipe) starts one thread then:
    import the measurement within.
    """
    return few_cores(1)


@contextlib.contextmanager
def few_cores(count: int) -> Iterator[None]:
    """Keep them to so many cores: the last ones, to which least else is given."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(cores)[-count:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
