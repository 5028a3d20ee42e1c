"""Puts RTP packets in order, and hands a frame on the moment that its last packet has come.

aiortc's own buffer waits for the first packet of the next frame, a whole frame's time (33 ms) at
each hop; here the marker bit ends a frame (RFC 3550, 5.1), or, from a sender that sets none, the
next time stamp.

A gap is waited for while a retransmission may still fill it. Then what depends on it is left out
up to the next key frame, which is asked for: a decoder that lacks a frame draws what never was.
"""

import queue
from collections.abc import Iterator
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

# In ticks of the video clock, 90 kHz: a retransmission that takes longer (a quarter of a second) is
# slower than a key frame; and a key frame that has not come is asked for again.
_PATIENCE_TICKS = 22_500
_ASK_AGAIN_TICKS = 27_000
_MOST_WAITING = 1024  # packets
# RFC 3550, A.1: what is farther off is a sender that started anew, once a second packet follows on
# the first. Its 100 packets of misorder are fewer than what a browser retransmits.
_MOST_AHEAD, _MOST_BEHIND = 3000, 1000


class CodedFrame(JitterFrame):
    """A whole coded frame.

    rtp_timestamp: as the sender stamped it; aiortc's receiver moves `timestamp` to a clock that
    starts at 0. followers: frames that became whole with this one, oldest first.
    """

    def __init__(self, data: bytes, timestamp: int) -> None:
        super().__init__(data, timestamp)
        self.rtp_timestamp = timestamp
        self.followers: list[CodedFrame] = []


class VideoJitterBuffer:
    """One receiver's packets; takes `aiortc.jitterbuffer.JitterBuffer`'s place. On the loop only.

    waits_for_key_frame: whether something was lost, so that nothing is handed on until then.
    """

    def __init__(self) -> None:
        self._beyond: dict[int, RtpPacket] = {}  # what came after a gap, by sequence number
        self._next: int | None = None  # the sequence number that is wanted
        self._parts: list[bytes] = []  # of the frame that is being put together ...
        self._timestamp = 0  # ... and its time stamp
        self._restart: int | None = None  # the sequence number that would prove a new start
        self._asked_at: int | None = None  # the time stamp at which a key frame was asked for

    @property
    def waits_for_key_frame(self) -> bool:
        """Whether what comes cannot be decoded."""
        return self._asked_at is not None

    def add(self, packet: RtpPacket) -> tuple[bool, CodedFrame | None]:
        """Take a packet; whether a key frame must be asked for, and the frame that is whole now.

        packet: with its depayloaded `_data`, as aiortc's receiver sets it.
        """
        waited = self.waits_for_key_frame
        if not self._accept(packet):
            return False, None
        frames = self._take_decodable()
        if self._beyond and self._gave_up(packet):
            self._parts.clear()
            self._next = self._oldest_beyond()
            self._lost(packet)
            frames += self._take_decodable()
        ask = self.waits_for_key_frame and not waited
        if waited and self._asked_at is not None:
            ask = _ASK_AGAIN_TICKS < _ticks_between(self._asked_at, packet.timestamp) < 1 << 31
            self._asked_at = packet.timestamp if ask else self._asked_at
        if not frames:
            return ask, None
        first, *first.followers = frames
        return ask, first

    def _accept(self, packet: RtpPacket) -> bool:
        """Whether the packet is new; it waits for its turn then."""
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        ahead = (number - self._next) & 0xFFFF
        if _MOST_AHEAD < ahead < 0x10000 - _MOST_BEHIND:
            if number != self._restart:
                self._restart = (number + 1) & 0xFFFF
                return False
            self._beyond.clear()
            self._parts.clear()
            self._next, ahead = number, 0
            self._lost(packet)
        self._restart = None
        if ahead >= 0x8000:
            return False  # late, or twice
        self._beyond.setdefault(number, packet)
        return True

    def _lost(self, packet: RtpPacket) -> None:
        if self._asked_at is None:
            self._asked_at = packet.timestamp

    def _take_decodable(self) -> list[CodedFrame]:
        frames = []
        for frame in self._take_whole():
            if self._asked_at is not None and is_key_frame(frame.data):
                self._asked_at = None
            if self._asked_at is None:
                frames.append(frame)
        return frames

    def _take_whole(self) -> Iterator[CodedFrame]:
        """Take what is in order, and yield the frames that it completes."""
        assert self._next is not None  # noqa: S101 - for the type
        while (packet := self._beyond.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            data: bytes = packet._data  # type: ignore[attr-defined]
            if self._parts and packet.timestamp != self._timestamp:
                yield self._end_frame()
            # A packet of padding alone belongs to no frame, though it has a frame's time stamp.
            if data:
                self._timestamp = packet.timestamp
                self._parts.append(data)
            if packet.marker and self._parts:
                yield self._end_frame()

    def _end_frame(self) -> CodedFrame:
        frame = CodedFrame(b"".join(self._parts), self._timestamp)
        self._parts.clear()
        return frame

    def _gave_up(self, newest: RtpPacket) -> bool:
        oldest = self._beyond[self._oldest_beyond()]
        waited = _ticks_between(oldest.timestamp, newest.timestamp)
        return len(self._beyond) > _MOST_WAITING or _PATIENCE_TICKS < waited < 1 << 31

    def _oldest_beyond(self) -> int:
        start = self._next or 0
        return min(self._beyond, key=lambda number: (number - start) & 0xFFFF)


class DecoderQueue(queue.Queue[Any]):
    """Stands before a receiver's decoder: takes (codec, frame), and None at the end.

    aiortc's receiver knows one frame for a packet; a packet that fills a gap completes many.
    """

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put a frame and its followers, with their times on the track's clock. On the loop."""
        if item is None:
            super().put(item, block, timeout)
            return
        codec, first = item
        self.put_frame(codec, first)
        if isinstance(first, CodedFrame):
            for follower in first.followers:
                later = _ticks_between(first.rtp_timestamp, follower.rtp_timestamp)
                follower.timestamp = first.timestamp + later
                self.put_frame(codec, follower)
            first.followers = []

    def put_frame(self, codec: Any, frame: JitterFrame) -> None:
        """Put one frame."""
        super().put((codec, frame))


def is_key_frame(data: bytes) -> bool:
    """Whether a coded frame can be decoded by itself: VP8 (RFC 6386, 9.1) or H.264 (Annex B)."""
    if not data.startswith(b"\x00\x00\x00\x01"):
        return len(data) > 5 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    # Begins with parameter sets (7) or a delimiter (9), so that nothing of its start is missing,
    # and has an IDR picture (5).
    kinds = [unit[0] & 0x1F for unit in data.split(b"\x00\x00\x01")[1:] if unit]
    return bool(kinds) and kinds[0] in (7, 9) and 5 in kinds


def _ticks_between(earlier: int, later: int) -> int:
    """From one RTP time stamp to another; 2^31 and more where the other is the earlier one."""
    return (later - earlier) & 0xFFFFFFFF
