"""What a stretch of states says, group by group."""

from dataclasses import fields, replace

import numpy as np

from digitalmask.evaluation.told_by_numbers import ALL, quantities, told
from digitalmask.mask_state import EyeState, MaskState, neutral_state


def eye(opening_mm: float) -> EyeState:
    return EyeState(upper_lid_mm=(opening_mm - 5,) * 3, lower_lid_mm=(-5.0,) * 3)


def states(openings_mm: list[float]) -> list[MaskState]:
    return [
        replace(neutral_state(place / 10), left=eye(opening), right=eye(opening))
        for place, opening in enumerate(openings_mm)
    ]


def test_every_number_of_a_state_is_in_some_group() -> None:
    """Whoever adds a quantity to the mask's state adds it to what is attacked."""
    state = neutral_state()
    numbers = 3 + len(state.expression) + len(fields(state.rest))  # 3: of the rotation
    numbers += len(state.offset_mm)
    numbers += 2 * sum(np.size(getattr(state.left, each.name)) for each in fields(state.left))
    assert sum(len(values) for values in quantities(state).values()) == numbers
    told_elsewhere = {"captured_at_s", "confidence"}
    grouped = {"rotation", "offset_mm", "left", "right", "expression", "rest"}
    assert {each.name for each in fields(state)} == told_elsewhere | grouped


def test_blinks_are_counted_in_parts_of_the_open_level() -> None:
    still = told(states([9.0] * 30))["blinks"]
    blinking = told(states([9.0] * 10 + [5.0, 1.0, 5.0] + [9.0] * 17))["blinks"]
    assert (still[:4] == 0).all()
    assert blinking[0] > 0
    assert np.isclose(blinking[2], 1 / 2.9)
    assert np.isclose(blinking[4], 1 / 9)
    # Wider eyes that blink alike say the same.
    wider = told(states([18.0] * 10 + [10.0, 2.0, 10.0] + [18.0] * 17))["blinks"]
    assert np.allclose(wider, blinking)


def test_all_is_all_of_it() -> None:
    features = told(states([9.0, 8.0, 9.0]))
    assert len(features[ALL]) == sum(len(v) for name, v in features.items() if name != ALL)
