"""One WebRTC session: an offer in, an answer out.

What is set on aiortc stands here, and nowhere else.
"""

import asyncio
import queue
from collections.abc import Callable
from typing import Any

import aioice.ice
import aiortc.rtcrtpsender
import aiortc.rtp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer

from digitalmask.errors import SignallingError
from digitalmask.relay.codecs import (
    FORWARDED,
    MOST_BITRATE,
    START_BITRATE,
    ForwardingQueue,
    audio_level_dbov,
    get_encoder,
)
from digitalmask.relay.jitter_buffer import DecoderQueue, VideoJitterBuffer

_KEY_FRAME_INTERVAL_S = 0.5  # a publisher is not asked for key frames more often


def prepare_codecs() -> None:
    """Set the bitrates that an examination of the eyes needs, and the encoders."""
    vpx.DEFAULT_BITRATE = h264.DEFAULT_BITRATE = START_BITRATE
    vpx.MAX_BITRATE = h264.MAX_BITRATE = MOST_BITRATE
    sender: Any = aiortc.rtcrtpsender
    sender.get_encoder = get_encoder
    rtp: Any = aiortc.rtp
    rtp.compute_audio_level_dbov = audio_level_dbov


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
    forward: bool = False,
    on_key_frame: Callable[[], None] | None = None,
) -> tuple[RTCPeerConnection, str]:
    """Answer an offer; returns the connection and the answer's SDP.

    on_track: gets what the other side sends. outgoing: tracks to send, where the offer has a
    place for their kind. on_end: called once when the connection is lost or closed.
    forward: tracks that come in carry coded frames (`av.Packet`), to be handed on as they are.
    on_key_frame: tracks that go out carry such frames; called where the viewer needs a key frame.
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
        if on_key_frame is not None:
            _offer_forwarded_codecs(connection, offer_sdp, outgoing)
        await connection.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        kinds = {transceiver.kind for transceiver in connection.getTransceivers()}
        if not kinds:
            raise SignallingError(400, "the offer has neither audio nor video")
        receive_at_once(connection)
        if forward:
            for receiver in connection.getReceivers():
                _hand_on(receiver)
        for track in outgoing:
            if track.kind in kinds:
                sender = connection.addTrack(track)
                if on_key_frame is not None:
                    _ask_elsewhere(sender, on_key_frame)
        await connection.setLocalDescription(await connection.createAnswer())
    except SignallingError:
        await connection.close()
        raise
    except Exception as error:
        # aiortc raises whatever its parser stumbles on.
        await connection.close()
        raise SignallingError(400, "the SDP offer cannot be read, or no codec is shared") from error
    return connection, connection.localDescription.sdp


def key_frame_request(connection: RTCPeerConnection) -> Callable[[], None]:
    """A function, for the event loop, that asks the other side for a key frame, but not often."""
    loop = asyncio.get_running_loop()
    asked_at_s = -_KEY_FRAME_INTERVAL_S
    asking: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        for receiver in connection.getReceivers():
            if receiver.track is not None and receiver.track.kind == "video":
                for source in receiver.getSynchronizationSources():
                    await receiver._send_rtcp_pli(source.source)

    def request() -> None:
        nonlocal asked_at_s
        if loop.time() - asked_at_s >= _KEY_FRAME_INTERVAL_S:
            asked_at_s = loop.time()
            task = loop.create_task(ask())
            asking.add(task)
            task.add_done_callback(asking.discard)

    return request


def receive_at_once(connection: RTCPeerConnection) -> None:
    """Let video frames be decoded when their last packet has come, before anything is received.

    Errors: RuntimeError where this aiortc has no place for it.
    """
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            _put_in(transceiver.receiver, "jitter_buffer", JitterBuffer, VideoJitterBuffer())
            _put_in(transceiver.receiver, "decoder_queue", queue.Queue, DecoderQueue())


def _hand_on(receiver: RTCRtpReceiver) -> None:
    """Let a receiver's track carry coded frames."""
    if receiver.track is not None:
        _put_in(receiver, "decoder_queue", queue.Queue, ForwardingQueue(receiver.track))


def _put_in(receiver: RTCRtpReceiver, part: str, kind: type, ours: object) -> None:
    """Put a part of ours in the place of aiortc's own, where that is of the kind expected."""
    name = f"_RTCRtpReceiver__{part}"
    if not isinstance(getattr(receiver, name, None), kind):
        raise RuntimeError(f"this aiortc keeps its {part} elsewhere: 1.16 is expected")
    setattr(receiver, name, ours)


def _ask_elsewhere(sender: RTCRtpSender, on_key_frame: Callable[[], None]) -> None:
    """Let a viewer's wish for a key frame reach who codes the frames as well."""
    own = sender._send_keyframe

    def both() -> None:
        own()
        on_key_frame()

    sender._send_keyframe = both  # type: ignore[method-assign]


def _offer_forwarded_codecs(
    connection: RTCPeerConnection, offer_sdp: str, outgoing: tuple[MediaStreamTrack, ...]
) -> None:
    """Agree on codecs that are handed on; aiortc heeds it before the offer is set only."""
    for track in outgoing:
        if f"m={track.kind} " not in offer_sdp:
            continue
        transceiver = connection.addTransceiver(track.kind, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities(track.kind).codecs
        transceiver.setCodecPreferences(
            [c for c in codecs if c.mimeType.lower() in (*FORWARDED, "video/rtx")]
        )
