"""Less is done where the machine cannot keep up, and everything again once it can."""

from digitalmask.pipeline.effort import LEVELS, Effort, Governor


def note(governor: Governor, periods: int, shown: int, busy: float = 0.5) -> list[int]:
    levels = []
    for _ in range(periods):
        governor.note(30, shown, busy, busy)
        levels.append(governor.level)
    return levels


def test_reading_every_second_frame_comes_before_a_smaller_picture() -> None:
    assert LEVELS[0] == Effort(1, 1.0)
    assert LEVELS[1] == Effort(2, 1.0)
    assert all(level.scale < 1.0 for level in LEVELS[2:])
    assert LEVELS[2].size(640, 480) == (480, 360)
    assert all(side % 2 == 0 for level in LEVELS for side in level.size(642, 362))


def test_one_bad_second_changes_nothing_and_two_do() -> None:
    governor = Governor()
    assert note(governor, 1, 20) == [0]
    assert note(governor, 1, 30) == [0]
    assert note(governor, 2, 20) == [0, 1]


def test_it_goes_down_step_by_step_and_no_further() -> None:
    assert note(Governor(), 10, 15)[-1] == len(LEVELS) - 1


def test_all_is_done_again_after_five_good_seconds() -> None:
    governor = Governor()
    note(governor, 2, 20)
    assert note(governor, 5, 30, busy=0.3) == [1, 1, 1, 1, 0]


def test_it_does_not_go_up_where_that_would_be_too_much() -> None:
    governor = Governor()
    note(governor, 2, 20)
    # Twice the reading would take all of the time.
    assert set(note(governor, 30, 30, busy=0.6)) == {1}


def test_it_does_not_go_up_where_the_processors_have_no_time_for_it() -> None:
    governor = Governor()
    note(governor, 2, 20)
    for idle_processors, level in ((0.5, 1), (0.7, 0)):
        for _ in range(6):
            # Twice the reading asks for .3 more.
            governor.note(30, 30, 0.3, 0.3, idle_processors)
        assert governor.level == level


def test_what_did_not_last_is_tried_again_later() -> None:
    governor = Governor()
    note(governor, 2, 20)
    note(governor, 5, 30, busy=0.3)
    assert governor.level == 0
    note(governor, 2, 20)
    levels = note(governor, 12, 30, busy=0.3)
    assert levels.index(0) == 9


def test_a_camera_that_sends_next_to_nothing_says_nothing() -> None:
    governor = Governor()
    for _ in range(10):
        governor.note(3, 1, 1.0, 1.0)
    assert governor.level == 0
