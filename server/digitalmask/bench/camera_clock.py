"""Notes when a browser says that its camera captured a frame. For the benchmark's processes alone.

A frame's RTP time stamp counts from a number that the sender chose, and what the relay keeps of it
counts from the first frame; the sender's RTCP reports tell which moment of UTC a stamp is.
"""

from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

from digitalmask.relay.jitter_buffer import CodedFrame, DecoderQueue

_UNIX_IN_NTP_S = 2_208_988_800  # 1970, RFC 5905's era 0


class CameraClock:
    """The reports of the one camera whose frames are decoded in this process, from `note` on."""

    def __init__(self) -> None:
        self._origin: int | None = None
        self._reports: list[tuple[float, int]] = []

    def note(self) -> None:
        """Put a note-taker before the decoder and before aiortc's door for RTCP."""
        receive, put_frame = RTCRtpReceiver._handle_rtcp_packet, DecoderQueue.put_frame

        async def noted_receive(receiver: RTCRtpReceiver, packet: AnyRtcpPacket) -> None:
            if (
                isinstance(packet, RtcpSrPacket)
                and receiver.track is not None
                and receiver.track.kind == "video"
            ):
                said = packet.sender_info
                at_ms = (said.ntp_timestamp / 2**32 - _UNIX_IN_NTP_S) * 1e3
                self._reports.append((at_ms, said.rtp_timestamp))
            await receive(receiver, packet)

        def noted_put(queue: DecoderQueue, codec: Any, frame: Any) -> None:
            if isinstance(frame, CodedFrame):
                self._origin = frame.rtp_timestamp - (frame.timestamp or 0)
            put_frame(queue, codec, frame)

        receiver: Any = RTCRtpReceiver
        queue: Any = DecoderQueue
        receiver._handle_rtcp_packet, queue.put_frame = noted_receive, noted_put

    def take_reports(self) -> list[tuple[float, int]]:
        """Milliseconds of UTC, and the relay's time stamp (modulo 2^32) of that moment.

        Of the reports since the last call, which are forgotten.
        """
        reports, self._reports = self._reports, []
        if self._origin is None:
            return []
        return [(at_ms, (stamp - self._origin) & 0xFFFFFFFF) for at_ms, stamp in reports]
