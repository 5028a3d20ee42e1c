"""Coefficients of the expression are the best ones, whatever they are sought from."""

import numpy as np
import pytest

from digitalmask.anatomy.expression import bounded_least_squares

_SIZE = 12


@pytest.mark.parametrize("seed", range(5))
def test_no_coefficient_within_its_bounds_does_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(100):
        # Directions that are nearly alike, as those of a mouth are.
        directions = random.normal(0, 1, (_SIZE, 4)) @ random.normal(0, 1, (4, 40))
        directions += random.normal(0, 0.1, directions.shape)
        normal = directions @ directions.T + 0.1 * np.eye(_SIZE)
        right = directions @ random.normal(0, 1, 40)
        answer = bounded_least_squares(normal, right, np.zeros(_SIZE))
        away = (right - normal @ answer) / np.diag(normal)
        better = np.clip(answer + away, 0, 1) - answer
        assert np.abs(better).max() < 1e-6
        again = bounded_least_squares(normal, right, answer)
        other = bounded_least_squares(normal, right, random.uniform(0, 1, _SIZE))
        assert np.abs(again - answer).max() < 1e-3
        assert np.abs(other - answer).max() < 1e-3


def test_all_of_them_may_be_at_their_bounds() -> None:
    wanted = np.array([2.0, -1.0, 3.0, -0.5])
    answer = bounded_least_squares(np.eye(4), wanted, np.full(4, 0.5))
    np.testing.assert_array_equal(answer, [1, 0, 1, 0])
