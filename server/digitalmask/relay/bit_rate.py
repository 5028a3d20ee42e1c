"""How many bits a second pass."""

import time
from collections import deque

_OVER_S = 1.0


class BitRate:
    """Of the last second. One thread notes, any may ask."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[float, int]] = deque()

    def note(self, size: int) -> None:
        """So many bytes pass now."""
        now_s = time.monotonic()
        self._sizes.append((now_s, size))
        while now_s - self._sizes[0][0] > _OVER_S:
            self._sizes.popleft()

    def bit_s(self) -> float:
        """What passed in the last second."""
        since_s = time.monotonic() - _OVER_S
        return 8.0 * sum(size for at_s, size in list(self._sizes) if at_s >= since_s) / _OVER_S
