"""Arithmetic on a few hundred numbers at a time, compiled to machine code.

What a frame costs in numpy is less the arithmetic than how often numpy is called, and Python's
lock is held meanwhile. A compiled function takes a tenth of that and lets go of the lock. It is
compiled when its module is first imported (`scripts/setup` sees to it), and kept beside the module
or, where that cannot be written to, in the user's cache folder. It is compiled anew when its own
file has changed: what it calls must be in the same file.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

# Sums may be taken in another order, as vectors are; not a number stays not a number.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def compiled(*signatures: str) -> Callable[[F], F]:
    """Compile a function for these signatures of numba's: "f8(f4[:,::1], i8)", for example."""

    def compile_it(function: F) -> F:
        def compiler(cache: bool) -> Callable[[F], Callable[..., object]]:
            return numba.njit(
                list(signatures), cache=cache, nogil=True, error_model="numpy", fastmath=_FAST
            )

        try:
            return cast(F, compiler(cache=True)(function))
        except RuntimeError:  # there is nowhere to keep it
            return cast(F, compiler(cache=False)(function))

    return compile_it
