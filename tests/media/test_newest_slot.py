"""The slot holds the newest item alone."""

import threading
import time

from digitalmask.media.newest_slot import NewestSlot


def test_a_newer_item_replaces_the_older() -> None:
    slot: NewestSlot[int] = NewestSlot()
    for number in range(5):
        slot.put(number)
    assert slot.take(0) == 4
    assert slot.take(0) is None
    assert slot.replaced == 4


def test_taking_waits_for_an_item_from_another_thread() -> None:
    slot: NewestSlot[str] = NewestSlot()
    timer = threading.Timer(0.05, slot.put, ("late",))
    timer.start()
    assert slot.take(5.0) == "late"
    timer.join()


def test_closing_lets_the_taker_go_and_drops_what_is_held() -> None:
    slot: NewestSlot[int] = NewestSlot()
    slot.put(1)
    threading.Timer(0.05, slot.close).start()
    assert slot.take() == 1
    started = time.monotonic()
    assert slot.take(5.0) is None
    assert time.monotonic() - started < 2.0
    slot.put(2)
    assert slot.take(0) is None


def test_what_comes_after_waits_for_what_comes_before() -> None:
    slot: NewestSlot[int] = NewestSlot()
    slot.put(1)
    taken: list[int | None] = []
    timer = threading.Timer(0.05, lambda: taken.append(slot.take(0)))
    timer.start()
    slot.put_after(2, 5.0)
    timer.join()
    assert (taken, slot.take(0), slot.replaced) == ([1], 2, 0)
    slot.put(3)
    slot.put_after(4, 0.01)
    assert (slot.take(0), slot.replaced) == (4, 1)
