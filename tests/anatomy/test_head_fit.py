"""What a face does turns no head, as far as it is known."""

import numpy as np
import pytest

from digitalmask.anatomy.head_fit import HeadFit
from digitalmask.anatomy.pose import Pinhole, Pose
from digitalmask.assets.head import load_head
from digitalmask.assets.landmark_model import load_landmark_model
from digitalmask.mask_state import EXPRESSIONS
from tests.anatomy.synthetic import Truth, observe


@pytest.mark.parametrize("expression", ["jawOpen", "mouthSmileLeft", "browInnerUpRight"])
def test_an_expression_that_is_known_turns_the_head_by_less(expression: str) -> None:
    head = load_head()
    directions = head.landmark_expressions_mm[EXPRESSIONS.index(expression), :468]

    def fitted(value: float, known: float) -> Pose:
        observation = observe(head, Truth(expression={expression: value}))
        points = observation.points[:468, :2].astype(np.float64)
        slopes = Pinhole.of_frame(observation.width, observation.height).slopes(points)
        fit = HeadFit(load_landmark_model())
        fit(slopes, known * directions.astype(np.float64), 0.0)
        return fit(slopes, known * directions.astype(np.float64), 1 / 30).pose

    at_rest = fitted(0.0, 0.0).rotation
    unknown, known = (
        float(np.linalg.norm(fitted(0.8, share).rotation - at_rest)) for share in (0.0, 0.8)
    )
    assert known < 0.8 * unknown
