"""The masked stream of a room, for any number of viewers.

Accepts `MaskedFrame` alone. Viewers of one codec share one encoding, at the bitrate that an
examination needs; nobody's network changes it. A viewer whose network does not carry it, or who
asks for key frames again and again, gets an encoding of their own, which follows their feedback,
and comes back when that is good. Each viewer has room for a few coded frames, so that a slow one
misses frames and never falls behind.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from aiortc import MediaStreamTrack

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.relay.codecs import PREFERRED, CodedMask, MaskPacketizer, examination_bit_s
from digitalmask.relay.encoding import KEY_FRAME_INTERVAL_S, Encoding
from digitalmask.relay.viewer_link import Retransmissions, ViewerLink
from digitalmask.rendering import draw_card

_VIDEO_CLOCK = Fraction(1, 90000)
_IDLE_S = 1.0  # nothing was published for so long: the card is drawn
_IDLE_INTERVAL_S = 0.2
_IDLE_SIZE = (640, 480)
_LARGEST_STEP_S = 5.0  # a larger step of the source's clock is a new source
# A network that carries little has no room for more of them.
_OWN_KEY_FRAME_INTERVAL_S = 1.0
_MOST_UNSENT = 5  # coded frames that a viewer's sender has not taken


class MaskedVideo:
    """Hands each masked frame to every viewer. `publish` from any thread, the rest on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._viewers: set[MaskedVideoTrack] = set()
        self._shared: dict[str, Encoding] = {}
        # Who is sent what; replaced as a whole, for `publish` reads it in its own thread.
        self._sent: dict[Encoding, frozenset[MaskedVideoTrack]] = {}
        self._sinks: frozenset[Callable[[MaskedFrame], None]] = frozenset()
        self._lock = threading.Lock()  # of what follows
        self._source_pts = 0.0
        self._pts = 0
        self._last_at_s = time.monotonic()
        self._masked_at_s = -_IDLE_S
        self._size = _IDLE_SIZE
        self._idle = asyncio.create_task(self._draw_cards_when_idle())

    @property
    def encodings(self) -> int:
        """How many encodings there are now."""
        return len(self._sent)

    @property
    def encode_ms(self) -> float:
        """Milliseconds that the slowest encoding took for its last picture; 0 where none is."""
        return max((encoding.encode_ms for encoding in self._sent), default=0.0)

    @property
    def replaced(self) -> int:
        """How many pictures were not coded, for a newer one came before their turn."""
        return sum(encoding.replaced for encoding in self._sent)

    def publish(self, masked: MaskedFrame) -> None:
        """Send a frame to all viewers."""
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only a MaskedFrame may leave")
        self._masked_at_s = time.monotonic()
        self._hand_out(masked)

    def viewer(self) -> "MaskedVideoTrack":
        """A track for one more viewer."""
        track = MaskedVideoTrack(self)
        self._viewers.add(track)
        return track

    def add_sink(self, sink: Callable[[MaskedFrame], None]) -> None:
        """Hand every frame to `sink` as well, in any thread; it must not wait."""
        self._sinks |= {sink}

    def remove_sink(self, sink: Callable[[MaskedFrame], None]) -> None:
        """Hand it no more."""
        self._sinks -= {sink}

    def close(self) -> None:
        """End all viewers' tracks."""
        self._idle.cancel()
        for track in list(self._viewers):
            track.stop()

    def send(self, track: "MaskedVideoTrack", apart: bool) -> Encoding:
        """Send this viewer, from the next key frame on, what all share, or what is its own."""
        self._send_nothing(track)
        encoding = None if apart else self._shared.get(track.mime_type)
        if encoding is None:
            rate = track.own_bit_s if apart else examination_bit_s
            interval_s = _OWN_KEY_FRAME_INTERVAL_S if apart else KEY_FRAME_INTERVAL_S
            encoding = Encoding(track.mime_type, rate, self._coded, interval_s)
            if not apart:
                self._shared[track.mime_type] = encoding
        self._sent = self._sent | {encoding: self._sent.get(encoding, frozenset()) | {track}}
        encoding.want_key_frame()
        return encoding

    def forget(self, track: "MaskedVideoTrack") -> None:
        """The viewer has gone."""
        self._viewers.discard(track)
        self._send_nothing(track)

    def shared_bit_s(self) -> int:
        """The bitrate of what all share, at the size that is sent now."""
        return examination_bit_s(*self._size)

    def _send_nothing(self, track: "MaskedVideoTrack") -> None:
        left = {encoding: tracks - {track} for encoding, tracks in self._sent.items()}
        self._sent = {encoding: tracks for encoding, tracks in left.items() if tracks}
        for encoding, tracks in left.items():
            if not tracks:
                encoding.close()
                if self._shared.get(track.mime_type) is encoding:
                    del self._shared[track.mime_type]

    def _hand_out(self, masked: MaskedFrame) -> None:
        for sink in self._sinks:
            sink(masked)
        planes = masked.i420()
        with self._lock:
            now = time.monotonic()
            source = float(masked.clock.pts * masked.clock.time_base)
            step = source - self._source_pts
            if not 0 < step < _LARGEST_STEP_S:
                # A new source (or its clock wrapped around): go on from where the viewers are.
                step = now - self._last_at_s
            self._source_pts, self._last_at_s = source, now
            self._pts += max(1, round(step / _VIDEO_CLOCK))
            self._size = (masked.width, masked.height)
            for encoding in self._sent:
                encoding.offer(planes, self._pts)

    def _coded(self, encoding: Encoding, coded: CodedMask) -> None:
        # The loop may have ended while the last frame was coded.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, encoding, coded)

    def _deliver(self, encoding: Encoding, coded: CodedMask) -> None:
        for track in self._sent.get(encoding, ()):
            track.offer(coded)

    async def _draw_cards_when_idle(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_INTERVAL_S)
            if (self._sent or self._sinks) and time.monotonic() - self._masked_at_s > _IDLE_S:
                now = time.monotonic()
                clock = FrameClock(now, round(now / _VIDEO_CLOCK), _VIDEO_CLOCK)
                self._hand_out(draw_card(Card.WAITING, self._size, clock))


class CodedStream(Protocol):
    """What a viewer's coded masks come from: an `Encoding`, here or at the other end of a link."""

    def want_key_frame(self) -> None:
        """Make a key frame soon."""

    def sent_bit_s(self) -> float:
        """What came in the last second."""


class MaskSource(Protocol):
    """What sends viewers their masks: `MaskedVideo`, or a relay elsewhere."""

    def send(self, track: "MaskedVideoTrack", apart: bool) -> CodedStream:
        """Send this viewer what all share, or what is its own."""

    def forget(self, track: "MaskedVideoTrack") -> None:
        """The viewer has gone."""

    def shared_bit_s(self) -> int:
        """The bitrate of what all share."""


class MaskedVideoTrack(MediaStreamTrack):
    """What one viewer is sent: coded masks. On the loop only.

    mime_type: the codec, to be set before the first `recv`.
    """

    kind = "video"

    def __init__(self, source: MaskSource) -> None:
        super().__init__()
        self.mime_type = PREFERRED[0]
        self._source = source
        self._encoding: CodedStream | None = None
        self._link = ViewerLink()
        self._again = Retransmissions()
        self._unsent: deque[CodedMask] = deque()
        self._needs_key = True
        self._arrived = asyncio.Event()
        self.apart = False  # whether this viewer has an encoding of its own

    def packetizer(self) -> MaskPacketizer:
        """What stands in the place of the sender's encoder."""
        return MaskPacketizer(self.mime_type, self.estimated)

    def own_bit_s(self, width: int, height: int) -> int:
        """The bitrate of an encoding of its own; from any thread."""
        return self._link.bit_s(examination_bit_s(width, height))

    def want_key_frame(self) -> None:
        """The viewer asks for a key frame."""
        self._link.key_frame_wanted(time.monotonic())
        self._settle()
        # One that is set apart for it has its key frame from there.
        if self._encoding is not None:
            self._encoding.want_key_frame()

    def estimated(self, bit_s: int) -> None:
        """The viewer has said what its network carries."""
        self._link.estimated(bit_s, self._sent_bit_s(), time.monotonic())
        self._settle()

    def lost(self, share: float) -> None:
        """The viewer has said what share of the packets was lost."""
        self._link.lost(share, self._sent_bit_s(), time.monotonic())
        self._settle()

    def may_send_again(self, number: int) -> bool:
        """Whether the packet of this sequence number may be sent once more."""
        return self._again.allow(number, self._sent_bit_s(), time.monotonic())

    def offer(self, coded: CodedMask) -> None:
        """Put a coded frame; what a sender does not take is left out up to a key frame."""
        if self._needs_key and not coded.key:
            return
        if len(self._unsent) >= _MOST_UNSENT:
            self._unsent.clear()
            self._needs_key = True
            self.want_key_frame()
            return
        self._needs_key = False
        self._unsent.append(coded)
        self._arrived.set()

    async def recv(self) -> CodedMask:  # type: ignore[override]
        """Wait for the next coded frame."""
        if self._encoding is None and self.readyState == "live":
            self._encoding = self._source.send(self, apart=False)
        while not self._unsent:
            self._arrived.clear()
            await self._arrived.wait()
        return self._unsent.popleft()

    def stop(self) -> None:
        """The viewer has gone."""
        self._source.forget(self)
        super().stop()

    def _sent_bit_s(self) -> float:
        return 0.0 if self._encoding is None else self._encoding.sent_bit_s()

    def _settle(self) -> None:
        """Share, or do not."""
        if self._encoding is None:
            return
        self._link.may_return(self._source.shared_bit_s(), time.monotonic())
        if self._link.apart != self.apart:
            self.apart = self._link.apart
            self._encoding = self._source.send(self, self.apart)
            self._needs_key = True
