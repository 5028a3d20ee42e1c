"""Notes when the packets of each frame came and went. For the benchmark's processes alone."""

import time
from collections.abc import Mapping
from struct import unpack_from
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtpPacket, is_rtcp

from digitalmask.bench.stamps import match_stamps

Times = dict[int, dict[int, float]]  # seconds by source (SSRC) and stamp


class PacketTimes:
    """Times of all video that passes through this process, from `note` to `stop`.

    A packet that waits in its socket while the event loop is busy has not come yet.
    """

    def __init__(self) -> None:
        self.last_in_at_s: Times = {}
        self.first_out_at_s: Times = {}
        self.bytes_in: dict[int, int] = {}
        self._receive = RTCRtpReceiver._handle_rtp_packet
        self._send = RTCDtlsTransport._send_rtp

    def note(self) -> None:
        """Put a note-taker before aiortc's two doors, in this process."""

        async def noted_receive(
            receiver: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int
        ) -> None:
            if receiver.track is not None and receiver.track.kind == "video":
                source = packet.ssrc
                self.last_in_at_s.setdefault(source, {})[packet.timestamp] = time.monotonic()
                self.bytes_in[source] = self.bytes_in.get(source, 0) + len(packet.payload)
            await self._receive(receiver, packet, arrival_time_ms)

        async def noted_send(transport: RTCDtlsTransport, data: bytes) -> None:
            if not is_rtcp(data):
                stamp, source = unpack_from("!LL", data, 4)
                self.first_out_at_s.setdefault(source, {}).setdefault(stamp, time.monotonic())
            await self._send(transport, data)

        self._put(noted_receive, noted_send)

    def stop(self) -> None:
        """Take it away."""
        self._put(self._receive, self._send)

    @staticmethod
    def _put(receive: Any, send: Any) -> None:
        receiver: Any = RTCRtpReceiver
        transport: Any = RTCDtlsTransport
        receiver._handle_rtp_packet, transport._send_rtp = receive, send

    def take_added_ms(self) -> list[list[float]]:
        """From the last packet of a frame in to its first packet out, of each source that came in.

        Of what was noted since the last call; those notes are forgotten.
        """
        came_in, went_out = self.last_in_at_s, self.first_out_at_s
        self.last_in_at_s, self.first_out_at_s = {}, {}
        return [
            [(went_at_s - came_at_s) * 1e3 for came_at_s, went_at_s in pairs_of(came, went_out)]
            for came in came_in.values()
        ]


def pairs_of(by_stamp: dict[int, float], others: Mapping[int, dict[int, float]]) -> list[
    tuple[float, float]
]:  # fmt: skip
    """The times of each frame on both sides, in that source among `others` that shows the most."""
    return max((match_stamps(by_stamp, other) for other in others.values()), key=len, default=[])
