"""The place for one item between two stages: a newer one replaces it, so nothing queues."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Holds the newest item. Any thread may put, one thread takes."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._replaced = 0

    @property
    def replaced(self) -> int:
        """How many items were replaced before anyone took them."""
        return self._replaced

    def put(self, item: T) -> None:
        """Put an item, in place of one that nobody has taken."""
        with self._condition:
            if self._closed:
                return
            if self._item is not None:
                self._replaced += 1
            self._item = item
            self._condition.notify_all()

    def put_after(self, item: T, patience_s: float) -> None:
        """Put an item once the one before has been taken, but wait no longer than so."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is None or self._closed, patience_s)
            self.put(item)

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and take it; None after `timeout_s` or once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            self._condition.notify_all()
            return item

    def close(self) -> None:
        """Drop what is held and let the taker go."""
        with self._condition:
            self._item = None
            self._closed = True
            self._condition.notify_all()
