"""Compiled functions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from digitalmask.compiled import compiled


def test_what_cannot_be_kept_is_compiled_all_the_same() -> None:
    names: dict[str, Callable[[float], float]] = {}
    exec("def square(x): return x * x", names)  # it is in no file
    assert compiled("f8(f8)")(names["square"])(3.0) == 9.0


@compiled("f8(f8[::1])")
def mean(values: Any) -> float:
    """As in numpy."""
    return float(values.sum() / len(values))


def test_not_a_number_stays_one() -> None:
    assert np.isnan(mean(np.array([1.0, np.nan])))
    assert np.isnan(mean(np.empty(0)))
