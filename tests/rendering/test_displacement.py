"""What hangs at rest hangs by the millimetres given, on the lower side alone."""

from dataclasses import replace

import numpy as np
import pytest

from digitalmask.assets.head import Head, load_head
from digitalmask.mask_state import EXPRESSIONS, RestAsymmetry, neutral_state
from digitalmask.rendering.displacement import Displacement, hanging_points


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


def lowered(head: Head, rest: RestAsymmetry, side: int) -> list[float]:
    """How much lower brow, mouth corner and cheek of a side stand than at rest, mm."""
    points = head.vertices_mm.copy()
    Displacement.of(head).move(points, replace(neutral_state(), rest=rest))
    fallen = head.vertices_mm[:, 1] - points[:, 1]
    return [float(fallen[where].mean()) for where in hanging_points(head, side)]


@pytest.mark.parametrize(
    "rest", [RestAsymmetry(5, 0, 0), RestAsymmetry(0, 6, 0), RestAsymmetry(3, 5, 4)]
)
@pytest.mark.parametrize("lower_side", [0, 1])
def test_the_lower_side_hangs_by_the_difference(
    head: Head, rest: RestAsymmetry, lower_side: int
) -> None:
    given = np.array([rest.brow_mm, rest.mouth_corner_mm, rest.nasolabial_mm])
    signed = RestAsymmetry(*(given if lower_side == 0 else -given))
    assert lowered(head, signed, lower_side) == pytest.approx(given, abs=0.1)
    assert lowered(head, signed, 1 - lower_side) == pytest.approx([0, 0, 0], abs=0.2)


def test_expression_comes_on_top_of_it(head: Head) -> None:
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    weights[EXPRESSIONS.index("mouthSmileLeft")] = 0.7
    displacement = Displacement.of(head)
    smiling, hanging, both = (head.vertices_mm.copy() for _ in range(3))
    displacement.move(smiling, replace(neutral_state(), expression=weights))
    displacement.move(hanging, replace(neutral_state(), rest=RestAsymmetry(2, 3, 1)))
    displacement.move(
        both, replace(neutral_state(), expression=weights, rest=RestAsymmetry(2, 3, 1))
    )
    together = smiling + hanging - head.vertices_mm
    assert np.abs(both - together).max() < 1e-3


def test_a_hanging_face_has_no_kinks(head: Head) -> None:
    points = head.vertices_mm.copy()
    Displacement.of(head).move(points, replace(neutral_state(), rest=RestAsymmetry(5, 6, 4)))
    edges = head.triangles[:, [0, 1]]
    before = np.linalg.norm(np.diff(head.vertices_mm[edges], axis=1), axis=2)
    after = np.linalg.norm(np.diff(points[edges], axis=1), axis=2)
    longer = (after - before)[before > 0.5]
    assert np.abs(longer).max() < 4.0
