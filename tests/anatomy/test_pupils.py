"""A pupil is drawn as it is seen, and where it is not, as no sign."""

import pytest

from digitalmask.anatomy.pupils import Pupils


def after(
    pupils: Pupils, right: list[float | None], left: list[float | None]
) -> tuple[float, float]:
    """What is drawn at the end of so many frames, a thirtieth of a second apart."""
    drawn = (0.0, 0.0)
    for number, both in enumerate(zip(right, left, strict=True)):
        drawn = pupils(both, number / 30)
    return drawn


def test_both_are_drawn_as_they_are_seen_an_anisocoria_too() -> None:
    assert after(Pupils(), [3.0] * 60, [6.0] * 60) == pytest.approx((3.0, 6.0))


def test_a_blink_changes_nothing() -> None:
    seen = [3.0] * 60 + [None] * 7
    assert after(Pupils(), seen, seen) == pytest.approx((3.0, 3.0), abs=0.01)


def test_what_passes_for_a_pupil_now_and_then_is_none() -> None:
    usual, _ = after(Pupils(), [None] * 60, [None] * 60)
    seldom = [7.5 if number % 4 == 0 else None for number in range(120)]
    assert after(Pupils(), seldom, [None] * 120) == (usual, usual)


def test_one_that_is_not_seen_is_as_wide_as_the_other() -> None:
    assert after(Pupils(), [None] * 60, [5.5] * 60) == pytest.approx((5.5, 5.5))


def test_the_next_patient_has_pupils_of_their_own() -> None:
    pupils = Pupils()
    after(pupils, [2.5] * 60, [2.5] * 60)
    pupils.reset()
    assert pupils((None, None), 0.0) == Pupils()((None, None), 0.0)
