"""Coefficients of the expression stay while nothing changes."""

import numpy as np

from digitalmask.anatomy.expression import bounded_least_squares

_SIZE = 12


def test_an_answer_is_found_again_from_itself() -> None:
    random = np.random.default_rng(5)
    for _ in range(500):
        # Directions that are nearly alike, as those of a mouth are.
        directions = random.normal(0, 1, (_SIZE, 4)) @ random.normal(0, 1, (4, 40))
        directions += random.normal(0, 0.1, directions.shape)
        normal = directions @ directions.T + 0.1 * np.eye(_SIZE)
        right = directions @ random.normal(0, 1, 40)
        misfits, answer = [0.0], np.zeros(_SIZE)
        for _ in range(8):
            before, answer = answer, bounded_least_squares(normal, right, answer)
            misfits.append(float(answer @ (0.5 * normal @ answer - right)))
        assert np.abs(answer - before).max() < 0.05
        assert (np.diff(misfits) < 1e-9).all()
