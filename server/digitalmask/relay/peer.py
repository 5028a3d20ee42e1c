"""One WebRTC session: an offer in, an answer out.

What is set on aiortc stands here, and nowhere else.
"""

import asyncio
import contextlib
import copy
import queue
from collections.abc import Callable, Coroutine
from typing import Any

import aioice.ice
import aiortc.rtp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.exceptions import OperationError
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    AnyRtcpPacket,
    HeaderExtensions,
    HeaderExtensionsMap,
    RtcpRrPacket,
    RtcpSrPacket,
    pack_header_extensions,
    unpack_header_extensions,
)
from av import VideoFrame

from digitalmask.errors import SignallingError
from digitalmask.relay.codecs import (
    FORWARDED,
    PREFERRED,
    START_BIT_S,
    ForwardingQueue,
    audio_level_dbov,
)
from digitalmask.relay.jitter_buffer import DecoderQueue, VideoJitterBuffer
from digitalmask.relay.masked_video import MaskedVideoTrack
from digitalmask.relay.sdp import IceFragment, not_acceptable

_KEY_FRAME_INTERVAL_S = 0.5  # a publisher is not asked for key frames more often
# Main and High: what decodes aiortc's own two, Baseline and Constrained Baseline, decodes them too,
# and programs that are no browsers (FFmpeg) offer what their encoder is set to alone.
_MORE_H264_PROFILES = ("4d001f", "64001f")
_PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
_PLAYOUT_DELAY_ID = 4  # aiortc's own take 1 to 3
_AT_ONCE = b"\0\0\0"  # least and most delay, 12 bits each, in 10 ms


def prepare_codecs() -> None:
    """Set what all sessions of this process share."""
    rtp: Any = aiortc.rtp
    rtp.compute_audio_level_dbov = audio_level_dbov
    known = HEADER_EXTENSIONS["video"]
    if all(extension.uri != _PLAYOUT_DELAY for extension in known):
        known.append(RTCRtpHeaderExtensionParameters(id=_PLAYOUT_DELAY_ID, uri=_PLAYOUT_DELAY))
        for profile in _MORE_H264_PROFILES:
            _add_h264(profile)


def _add_h264(profile: str) -> None:
    """Let one more profile of H.264 be agreed on, in aiortc's own way."""
    *_, codec, retransmission = copy.deepcopy(CODECS["video"])
    following = max(each.payloadType or 0 for each in CODECS["video"]) + 1
    codec.payloadType, retransmission.payloadType = following, following + 1
    codec.parameters["profile-level-id"] = profile
    retransmission.parameters["apt"] = following
    CODECS["video"] += [codec, retransmission]


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
    Errors: SignallingError 400 where the offer cannot be used, 406 (a viewer's: 422) where no codec
    is shared.
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
        _prefer_codecs(connection, offer_sdp, outgoing, forward, on_key_frame is not None)
        await connection.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        kinds = {transceiver.kind for transceiver in connection.getTransceivers()}
        receive_at_once(connection)
        _let_browsers_start_fast(connection)
        if forward:
            for receiver in connection.getReceivers():
                hand_on(receiver)
        for track in outgoing:
            if track.kind in kinds:
                sender = connection.addTrack(track)
                if isinstance(track, MaskedVideoTrack):
                    send_coded(connection, sender, track)
                elif on_key_frame is not None:
                    _ask_elsewhere(sender, on_key_frame)
                if track.kind == "video":
                    _say_playout_delay(sender)
        await connection.setLocalDescription(await connection.createAnswer())
    except SignallingError:
        await connection.close()
        raise
    except OperationError as error:
        await connection.close()
        raise SignallingError(
            not_acceptable(not outgoing), "no codec is shared: VP8 or H.264, and Opus, are needed"
        ) from error
    except Exception as error:
        # aiortc raises whatever it stumbles on.
        await connection.close()
        raise SignallingError(400, "the SDP offer cannot be used") from error
    return connection, connection.localDescription.sdp


async def add_candidates(connection: RTCPeerConnection, fragment: IceFragment) -> None:
    """Add trickled candidates; one whose transport or address is of no use is left out."""

    async def add(candidate: RTCIceCandidate) -> None:
        # After a client's last candidate, or with an address that is none.
        with contextlib.suppress(ValueError):
            await connection.addIceCandidate(candidate)

    await asyncio.gather(*(add(candidate) for candidate in fragment.candidates))
    if fragment.ended:
        await connection.addIceCandidate(None)


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


class _TappedQueue(asyncio.Queue[Any]):
    """In the place of a track's queue of decoded frames: hands them on in the decoder's thread."""

    def __init__(self, on_frame: Callable[[VideoFrame], None]) -> None:
        super().__init__()
        self._on_frame = on_frame

    def put(self, item: Any) -> Coroutine[Any, Any, None]:
        """A frame, or None at the end; aiortc runs what it returns on the loop."""
        if isinstance(item, VideoFrame):
            self._on_frame(item)
            return asyncio.sleep(0)
        return super().put(item)


def take_frames(track: MediaStreamTrack, on_frame: Callable[[VideoFrame], None]) -> None:
    """Give a received track's frames to `on_frame`, in the decoder's thread, and to nobody else.

    Before anything is received. Errors: RuntimeError where this aiortc has no place for it.
    """
    received: Any = track
    if not isinstance(getattr(received, "_queue", None), asyncio.Queue):
        raise RuntimeError("this aiortc keeps its decoded frames elsewhere: 1.16 is expected")
    received._queue = _TappedQueue(on_frame)


def put_encoder(sender: RTCRtpSender, encoder: object) -> None:
    """Give a sender its encoder, before it sends. Errors: RuntimeError as above."""
    _put_in(sender, "encoder", type(None), encoder)


def hand_on(receiver: RTCRtpReceiver, codecs: tuple[str, ...] = FORWARDED) -> None:
    """Let a receiver's track carry coded frames of these codecs."""
    if receiver.track is not None:
        _put_in(receiver, "decoder_queue", queue.Queue, ForwardingQueue(receiver.track, codecs))


def estimate_at_most(receiver: RTCRtpReceiver, most_bit_s: Callable[[], float]) -> None:
    """Tell who sends (by REMB) that no more than so much gets through."""

    class Bounded(RemoteBitrateEstimator):
        def add(self, *args: Any, **named: Any) -> tuple[int, list[int]] | None:
            estimate = super().add(*args, **named)
            if estimate is None:
                return None
            return int(min(most_bit_s(), estimate[0])), estimate[1]

    _put_in(receiver, "remote_bitrate_estimator", RemoteBitrateEstimator, Bounded())


def _put_in(owner: RTCRtpReceiver | RTCRtpSender, part: str, kind: type, ours: object) -> None:
    """Put a part of ours in the place of aiortc's own, where that is of the kind expected."""
    name = f"_{type(owner).__name__}__{part}"
    if not isinstance(getattr(owner, name, kind), kind):
        raise RuntimeError(f"this aiortc keeps its {part} elsewhere: 1.16 is expected")
    setattr(owner, name, ours)


def send_coded(
    connection: RTCPeerConnection, sender: RTCRtpSender, track: MaskedVideoTrack
) -> None:
    """Send frames that are coded elsewhere, and let what the viewer says of them reach the track.

    After the other side's offer or answer is set, which settles the codec. Errors: SignallingError
    422 where none is shared.
    """
    (codecs,) = (each._codecs for each in connection.getTransceivers() if each.sender is sender)
    if not codecs:
        raise SignallingError(not_acceptable(publishes=False), "no video codec is shared")
    track.mime_type = codecs[0].mimeType.lower()
    put_encoder(sender, track.packetizer())
    sender._send_keyframe = track.want_key_frame  # type: ignore[method-assign]
    own = sender._handle_rtcp_packet

    async def with_losses(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    track.lost(report.fraction_lost / 256)
        await own(packet)

    sender._handle_rtcp_packet = with_losses  # type: ignore[method-assign]
    send_again = sender._retransmit

    async def sparingly(sequence_number: int) -> None:
        if track.may_send_again(sequence_number):
            await send_again(sequence_number)

    sender._retransmit = sparingly  # type: ignore[method-assign]


def _ask_elsewhere(sender: RTCRtpSender, on_key_frame: Callable[[], None]) -> None:
    """Let a viewer's wish for a key frame reach who codes the frames as well."""
    own = sender._send_keyframe

    def both() -> None:
        own()
        on_key_frame()

    sender._send_keyframe = both  # type: ignore[method-assign]


class _WithPlayoutDelay(HeaderExtensionsMap):
    """Says in each packet that its frame is to be shown at once, to viewers that asked for it.

    http://www.webrtc.org/experiments/rtp-hdrext/playout-delay; without it Chromium holds frames
    back (52 ms in place of 14 behind the relay, 640x480 VP8).
    """

    def __init__(self) -> None:
        super().__init__()
        self._id: int | None = None

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == _PLAYOUT_DELAY:
                self._id = extension.id

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        profile, packed = super().set(values)
        if self._id is None:
            return profile, packed
        others = unpack_header_extensions(profile, packed)
        return pack_header_extensions([*others, (self._id, _AT_ONCE)])


def _say_playout_delay(sender: RTCRtpSender) -> None:
    _put_in(sender, "rtp_header_extensions_map", HeaderExtensionsMap, _WithPlayoutDelay())


def _let_browsers_start_fast(connection: RTCPeerConnection) -> None:
    """Let Chromium send at full rate from the first second; by itself it takes 20 s to rise."""
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            for codec in transceiver._codecs:
                if codec.name.lower() != "rtx":
                    codec.parameters["x-google-start-bitrate"] = START_BIT_S // 1000


def _prefer_codecs(
    connection: RTCPeerConnection,
    offer_sdp: str,
    outgoing: tuple[MediaStreamTrack, ...],
    forward: bool,
    forwarded: bool,
) -> None:
    """Agree on the best codec; aiortc heeds that before the offer is set only.

    forward: what comes is handed on as it is, where viewers are sure to take it. forwarded: what
    goes out was handed on: no other codec will do.
    """
    order = (*FORWARDED, *PREFERRED) if forward or forwarded else PREFERRED
    rank = {name: place for place, name in reversed(list(enumerate((*order, "video/rtx"))))}
    for kind in {track.kind for track in outgoing} or {"video"}:
        if f"m={kind} " not in offer_sdp or (kind == "audio" and not forwarded):
            continue
        direction = "sendonly" if outgoing else "recvonly"
        codecs = [
            codec
            for codec in RTCRtpSender.getCapabilities(kind).codecs
            if codec.mimeType.lower() in ((*FORWARDED, "video/rtx") if forwarded else rank)
        ]
        codecs.sort(key=lambda codec: rank[codec.mimeType.lower()])
        connection.addTransceiver(kind, direction=direction).setCodecPreferences(codecs)
