"""A room's masks on their way from its relay into another service, coded as they are."""

import time

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av import Packet

from digitalmask.relay.bit_rate import BitRate
from digitalmask.relay.codecs import CodedMask, examination_bit_s
from digitalmask.relay.jitter_buffer import is_key_frame
from digitalmask.relay.masked_video import MaskedVideoTrack
from digitalmask.relay.peer import estimate_at_most, hand_on, key_frame_request
from digitalmask.relay.whip_client import WhipClient

_LARGEST = (1920, 1080)


class ForwardedMask:
    """The source of one `MaskedVideoTrack`, which is sent what comes from a relay. On the loop.

    Where the service says that less gets through, the relay is told so (REMB) and sends this
    viewer an encoding of its own.
    """

    def __init__(self) -> None:
        self.track = MaskedVideoTrack(self)
        self._room: RTCPeerConnection | None = None
        self._apart = False
        self._rate = BitRate()
        self._shared_bit_s = 0
        self._heard_at_s = time.monotonic()

    def send(self, track: MaskedVideoTrack, apart: bool) -> "ForwardedMask":
        """Nothing begins before the room's masks come; apart: the relay is asked for less."""
        del track
        self._apart = apart
        return self

    def forget(self, track: MaskedVideoTrack) -> None:
        """The service has gone."""

    def shared_bit_s(self) -> int:
        """The most that came in a second."""
        return self._shared_bit_s or examination_bit_s(*_LARGEST)

    def sent_bit_s(self) -> float:
        """What came in the last second."""
        return self._rate.bit_s()

    def silent_s(self) -> float:
        """For how long nothing has come."""
        return time.monotonic() - self._heard_at_s

    def want_key_frame(self) -> None:
        """Ask the relay for one."""
        if self._room is not None:
            self._ask()

    async def forward(self, viewer: WhipClient) -> None:
        """Send on what a viewer's session of the room brings, until that ends.

        viewer: has its answer, and has received nothing.
        """
        self._room, self._heard_at_s = viewer.connection, time.monotonic()
        self._ask = key_frame_request(viewer.connection)
        (receiver,) = (
            each.receiver for each in viewer.connection.getTransceivers() if each.kind == "video"
        )
        hand_on(receiver, (self.track.mime_type,))
        estimate_at_most(receiver, self._most_bit_s)
        try:
            while True:
                packet = await receiver.track.recv()
                if isinstance(packet, Packet) and packet.pts is not None:
                    self._take(bytes(packet), packet.pts)
        except MediaStreamError:
            self._room = None

    def _take(self, data: bytes, timestamp: int) -> None:
        self._heard_at_s = time.monotonic()
        self._rate.note(len(data))
        self._shared_bit_s = max(self._shared_bit_s, int(self.sent_bit_s()))
        self.track.offer(CodedMask(data, timestamp, is_key_frame(data)))

    def _most_bit_s(self) -> float:
        return self.track.own_bit_s(*_LARGEST) if self._apart else float("inf")
