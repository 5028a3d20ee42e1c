"""Which frame is which, told by time stamps of clocks that differ by an unknown offset."""

import numpy as np

# A stamp comes out of either relay up to two ticks off (measured): allow for twice that.
_ROUNDING_TICKS = 4


def match_stamps(
    captured: dict[int, float], decoded: dict[int, float]
) -> list[tuple[float, float]]:
    """The capture and decode times of each frame that both sides know.

    captured, decoded: seconds by stamp, in ticks of clocks that differ by an unknown offset. The
    offset is the one on which most stamps agree; the capture's jitter makes it the only one.
    """
    if not captured or not decoded:
        return []
    own, seen = np.array(sorted(captured)), np.array(sorted(decoded))
    offsets = np.sort((seen[-60:, None] - own[None, :]).ravel())
    agreeing = np.searchsorted(offsets, offsets + 2 * _ROUNDING_TICKS, "right") - np.arange(
        len(offsets)
    )
    first = int(agreeing.argmax())
    offset = int(np.median(offsets[first : first + agreeing[first]]))
    wanted = seen - offset
    after = np.searchsorted(own, wanted).clip(1, max(len(own) - 1, 1))
    earlier, later = own[after - 1], own[np.minimum(after, len(own) - 1)]
    nearest = np.where(wanted - earlier <= later - wanted, earlier, later)
    near = np.abs(nearest - wanted) <= 2 * _ROUNDING_TICKS
    return [
        (captured[stamp], decoded[at])
        for stamp, at in zip(nearest[near].tolist(), seen[near].tolist(), strict=True)
    ]
