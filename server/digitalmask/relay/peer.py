"""One WebRTC session: an offer in, an answer out.

What is set on aiortc stands here, and nowhere else.
"""

from collections.abc import Callable

import aioice.ice
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs import h264, vpx

from digitalmask.errors import SignallingError

# aiortc starts VP8 at 0.5 Mbit/s and caps it at 1.5, too little to judge an eyelid by.
_VP8_START, _VP8_MOST = 2_000_000, 4_000_000
_H264_START, _H264_MOST = 2_000_000, 4_000_000


def prepare_codecs() -> None:
    """Set the bitrates that an examination of the eyes needs."""
    vpx.DEFAULT_BITRATE, vpx.MAX_BITRATE = _VP8_START, _VP8_MOST
    h264.DEFAULT_BITRATE, h264.MAX_BITRATE = _H264_START, _H264_MOST


def offer_loopback() -> None:
    """Let a machine without a network reach itself: aioice leaves 127.0.0.1 out."""
    found = aioice.ice.get_host_addresses

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        addresses = list(found(use_ipv4, use_ipv6))
        if not addresses and use_ipv4:
            addresses.append("127.0.0.1")
        return addresses

    if found.__name__ != with_loopback.__name__:
        aioice.ice.get_host_addresses = with_loopback


async def answer(
    offer_sdp: str,
    on_track: Callable[[MediaStreamTrack], None] | None,
    outgoing: tuple[MediaStreamTrack, ...],
    on_end: Callable[[], None],
) -> tuple[RTCPeerConnection, str]:
    """Answer an offer; returns the connection and the answer's SDP.

    on_track: gets what the other side sends. outgoing: tracks to send, where the offer has a
    place for their kind. on_end: called once when the connection is lost or closed.
    Errors: SignallingError 400 where the offer cannot be read or has nothing to give.
    """
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    ended = False

    @connection.on("connectionstatechange")
    def _changed() -> None:
        nonlocal ended
        if connection.connectionState in ("failed", "closed") and not ended:
            ended = True
            on_end()

    if on_track is not None:
        connection.on("track", on_track)
    try:
        await connection.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        kinds = {transceiver.kind for transceiver in connection.getTransceivers()}
        if not kinds:
            raise SignallingError(400, "the offer has neither audio nor video")
        for track in outgoing:
            if track.kind in kinds:
                connection.addTrack(track)
        await connection.setLocalDescription(await connection.createAnswer())
    except SignallingError:
        await connection.close()
        raise
    except Exception as error:
        # aiortc raises whatever its parser stumbles on.
        await connection.close()
        raise SignallingError(400, "the SDP offer cannot be read") from error
    return connection, connection.localDescription.sdp
