"""The curve of a lid: the shape of an eye is not drawn, a notch and a blink are."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.anatomy.lid_contour import LidContour

OWN = np.array([[3.5, 4.0, 3.5], [-4.5, -5.0, -4.5]])


def settle(
    margins: NDArray[np.float64], seconds: float = 3.0
) -> tuple[LidContour, NDArray[np.float64]]:
    contour = LidContour(OWN)
    drawn = margins
    for number in range(round(30 * seconds)):
        drawn = contour(margins, number / 30)
    return contour, drawn


def test_two_shapes_of_eyes_with_lids_as_high_are_drawn_alike() -> None:
    almond = OWN + [[0.7, 0.0, -0.6], [0.3, 0.0, 0.5]]
    assert np.allclose(settle(almond)[1], settle(OWN)[1], atol=0.01)


@pytest.mark.parametrize("height_mm", [1.0, 2.5, 5.5])
def test_how_high_the_middle_stands_is_never_touched(height_mm: float) -> None:
    margins = OWN + [[0.6, 0.0, -0.4], [0.0, 0.0, 0.0]]
    margins[0] += height_mm - 4.0
    assert settle(margins)[1][:, 1].tolist() == margins[:, 1].tolist()


def test_a_lid_that_hangs_at_one_end_does_so_in_the_mask() -> None:
    hanging = OWN + [[0.0, 0.0, -2.4], [0.0, 0.0, 0.0]]
    assert np.allclose(settle(hanging)[1], hanging)


def test_a_blink_closes_the_whole_fissure_and_is_not_learned_from() -> None:
    almond = OWN + [[0.7, 0.0, -0.6], [0.3, 0.0, 0.5]]
    contour, before = settle(almond)
    shut = np.array([[-4.6, -4.8, -4.6], [-4.6, -4.8, -4.6]])
    for number in range(20):
        closed = contour(shut, 3 + number / 30)
        assert np.allclose(closed, shut, atol=0.05)
    assert np.allclose(contour(almond, 4.0), before, atol=0.02)


def test_a_sudden_change_of_the_curve_passes_at_once() -> None:
    contour, before = settle(OWN)
    changed = OWN + [[0.0, 0.0, -0.8], [0.0, 0.0, 0.0]]
    assert contour(changed, 3.0)[0, 2] - before[0, 2] == pytest.approx(-0.8, abs=0.02)


def test_the_next_patient_is_not_drawn_with_the_last_ones_correction() -> None:
    contour, _ = settle(OWN + [[0.7, 0.0, -0.6], [0.3, 0.0, 0.5]])
    contour.reset()
    assert np.allclose(contour(OWN, 10.0), OWN)
