"""What is known of the network to one viewer, and whether the encoding that all share fits it."""

from collections import deque

from digitalmask.relay.codecs import LEAST_BIT_S

# An estimate so far below what is sent means that it does not get through: a receiver that is not
# at its limit estimates up to 1.5 times what comes (draft-ietf-rmcat-gcc-02, 4).
_CONGESTED = 0.9
_CONGESTED_FOR_S = 0.5
# Wishes for a key frame; what a viewer is sent starts with one, so that it need not ask.
_MOST_KEY_FRAMES, _KEY_FRAMES_WITHIN_S = 1, 10.0
_SAME_WISH_S = 0.4  # those of one loss, or of its arrival, come in a burst
# draft-ietf-rmcat-gcc-02, 6: the rate falls with more than 10 % lost and rises below 2 %.
_MUCH_LOST, _LITTLE_LOST = 0.10, 0.02
_MOST_LOST = 0.3
_RISE = 1.08
# The rest is for what is sent again and for key frames.
_OWN_SHARE = 0.8
_RETURNS_AT = 0.95  # of the shared encoding's rate
# How long a viewer stays apart at least; twice as long each time that it comes back too early.
_APART_S, _MOST_APART_S = 10.0, 160.0
# Packets that are sent again: not before the last one can have come, and no more than a part of
# what is sent, for they crowd out the rest where a network is full. A few are always allowed.
_AGAIN_S = 0.03
_AGAIN_SHARE, _LEAST_AGAIN_PACKETS_S = 0.5, 30.0
_PACKET_BITS = 8 * 1200
_MOST_REMEMBERED = 512


class ViewerLink:
    """One viewer's feedback, on the event loop; times in seconds of any one clock."""

    def __init__(self) -> None:
        self._estimate_bit_s: int | None = None
        self._lossless_bit_s: float | None = None
        self._congested_since_s: float | None = None
        self._asked_at_s: deque[float] = deque(maxlen=_MOST_KEY_FRAMES + 1)
        self._apart_since_s: float | None = None
        self._apart_for_s = _APART_S

    @property
    def apart(self) -> bool:
        """Whether the viewer needs an encoding of its own."""
        return self._apart_since_s is not None

    def bit_s(self, most: int) -> int:
        """What an encoding of its own may send, up to `most`."""
        return max(LEAST_BIT_S, int(_OWN_SHARE * self._carried_bit_s(most)))

    def key_frame_wanted(self, now_s: float) -> None:
        """The viewer cannot decode what it has."""
        if self._asked_at_s and now_s - self._asked_at_s[-1] < _SAME_WISH_S:
            return
        self._asked_at_s.append(now_s)
        often = len(self._asked_at_s) > _MOST_KEY_FRAMES
        if often and now_s - self._asked_at_s[0] < _KEY_FRAMES_WITHIN_S:
            self._part(now_s)

    def estimated(self, bit_s: int, sent_bit_s: float, now_s: float) -> None:
        """The viewer has estimated what gets through (REMB); sent_bit_s: what was sent to it."""
        self._estimate_bit_s = bit_s
        if bit_s >= _CONGESTED * sent_bit_s:
            self._congested_since_s = None
            return
        if self._congested_since_s is None:
            self._congested_since_s = now_s
        if now_s - self._congested_since_s >= _CONGESTED_FOR_S:
            self._part(now_s)

    def lost(self, share: float, sent_bit_s: float, now_s: float) -> None:
        """The viewer has said what share of the packets was lost (RTCP receiver report)."""
        if share > _MUCH_LOST:
            # With so much lost the network is full: what came through is what it carries.
            base = min(self._lossless_bit_s or sent_bit_s, sent_bit_s)
            kept = 1.0 - (0.5 * share if share < _MOST_LOST else share)
            self._lossless_bit_s = max(LEAST_BIT_S, base * kept)
            self._part(now_s)
        elif share < _LITTLE_LOST and self._lossless_bit_s is not None:
            self._lossless_bit_s *= _RISE

    def may_return(self, shared_bit_s: float, now_s: float) -> bool:
        """Whether the viewer is fit for the shared encoding again; it is back then."""
        since_s = self._apart_since_s
        if since_s is None or now_s - since_s < self._apart_for_s:
            return False
        if self._carried_bit_s(shared_bit_s) < _RETURNS_AT * shared_bit_s:
            return False
        self._apart_since_s = self._congested_since_s = None
        self._lossless_bit_s = None
        self._asked_at_s.clear()
        self._apart_for_s = min(2 * self._apart_for_s, _MOST_APART_S)
        return True

    def _carried_bit_s(self, most: float) -> float:
        return min(most, self._estimate_bit_s or most, self._lossless_bit_s or most)

    def _part(self, now_s: float) -> None:
        # What troubles a viewer that is apart already keeps it there.
        self._apart_since_s = now_s
        self._congested_since_s = None
        self._asked_at_s.clear()


class Retransmissions:
    """Bounds what one viewer is sent again; times as above."""

    def __init__(self) -> None:
        self._sent_at_s: dict[int, float] = {}
        self._left = _LEAST_AGAIN_PACKETS_S
        self._filled_at_s: float | None = None

    def allow(self, number: int, sent_bit_s: float, now_s: float) -> bool:
        """Whether the packet of this sequence number may be sent again; counted then."""
        a_second = max(_LEAST_AGAIN_PACKETS_S, _AGAIN_SHARE * sent_bit_s / _PACKET_BITS)
        if self._filled_at_s is not None:
            self._left = min(a_second, self._left + a_second * (now_s - self._filled_at_s))
        self._filled_at_s = now_s
        before_s = self._sent_at_s.get(number)
        if self._left < 1.0 or (before_s is not None and now_s - before_s < _AGAIN_S):
            return False
        self._left -= 1.0
        self._sent_at_s.pop(number, None)
        self._sent_at_s[number] = now_s
        if len(self._sent_at_s) > _MOST_REMEMBERED:
            del self._sent_at_s[next(iter(self._sent_at_s))]
        return True
