"""What the answer says to a browser, and what is set on aiortc for it."""

import asyncio
import queue
import threading
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpCodecParameters, RTCRtpSender
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, decoder_worker
from aiortc.rtp import HeaderExtensions, RtcpReceiverInfo, RtcpRrPacket, unpack_header_extensions

from digitalmask.relay import peer
from digitalmask.relay.codecs import H264, VP8, MaskEncoder, MaskPacketizer
from digitalmask.relay.masked_video import MaskedVideo

URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"


async def offer(direction: str, codecs: tuple[str, ...] = ("VP8", "H264")) -> str:
    """A browser's offer of video."""
    browser = RTCPeerConnection()
    transceiver = browser.addTransceiver("video", direction=direction)
    capable = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(
        [each for name in codecs for each in capable if each.name == name]
    )
    await browser.setLocalDescription(await browser.createOffer())
    sdp = browser.localDescription.sdp
    await browser.close()
    if URI not in sdp:
        sdp += f"a=extmap:7 {URI}\r\n"
    return sdp


def first_codec(sdp: str) -> str:
    kind = sdp[sdp.index("m=video") :].split()[3]
    return next(line for line in sdp.splitlines() if line.startswith(f"a=rtpmap:{kind} "))


async def answered(sdp: str, *tracks: Any) -> tuple[RTCPeerConnection, str]:
    peer.prepare_codecs()
    peer.offer_loopback()
    return await peer.answer(sdp, None, tracks, lambda: None)


async def test_a_patients_browser_is_told_to_start_fast_and_asked_for_the_codec_that_is_best() -> (
    None
):
    connection, sdp = await answered(await offer("sendonly"))
    assert "H264/90000" in first_codec(sdp)
    lines = [line for line in sdp.splitlines() if line.startswith("a=fmtp")]
    assert lines
    assert all("x-google-start-bitrate=2000" in line for line in lines if "apt=" not in line)
    await connection.close()


@pytest.mark.parametrize(
    ("offered", "taken"), [(("VP8", "H264"), H264), (("VP8",), VP8), (("H264",), H264)]
)
async def test_a_viewer_is_sent_the_best_codec_that_it_offers(
    offered: tuple[str, ...], taken: str
) -> None:
    video = MaskedVideo()
    track = video.viewer()
    connection, sdp = await answered(await offer("recvonly", offered), track)
    assert track.mime_type == taken
    assert taken.split("/")[1].upper() in first_codec(sdp)
    (sender,) = connection.getSenders()
    assert isinstance(vars(sender)["_RTCRtpSender__encoder"], MaskPacketizer)
    await connection.close()
    video.close()


async def test_a_viewers_wishes_and_losses_reach_its_track_alone() -> None:
    video = MaskedVideo()
    track: Any = video.viewer()
    heard: list[object] = []
    track.want_key_frame = lambda: heard.append("key frame")
    track.lost = heard.append
    connection, _ = await answered(await offer("recvonly"), track)
    (sender,) = connection.getSenders()
    sender._send_keyframe()
    report = RtcpReceiverInfo(sender._ssrc, 64, 10, 1, 0, 0, 0)
    await sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
    assert heard == ["key frame", 0.25]
    await connection.close()
    video.close()


async def test_a_viewer_that_knows_playout_delay_is_told_to_show_frames_at_once() -> None:
    video = MaskedVideo()
    connection, sdp = await answered(await offer("recvonly"), video.viewer())
    assert URI in sdp
    (sender,) = connection.getSenders()
    extensions = vars(sender)["_RTCRtpSender__rtp_header_extensions_map"]
    mid = RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid")
    own = RTCRtpHeaderExtensionParameters(id=7, uri=URI)
    values = HeaderExtensions(mid="0")
    extensions.configure(RTCRtpParameters(headerExtensions=[mid]))
    assert unpack_header_extensions(*extensions.set(values)) == [(1, b"0")]
    extensions.configure(RTCRtpParameters(headerExtensions=[mid, own]))
    assert unpack_header_extensions(*extensions.set(values)) == [(1, b"0"), (7, b"\0\0\0")]
    await connection.close()
    video.close()


def test_a_received_tracks_frames_are_handed_on_in_the_decoders_own_thread() -> None:
    taken: list[tuple[Any, str]] = []
    track: Any = RemoteStreamTrack("video")
    peer.take_frames(track, lambda frame: taken.append((frame, threading.current_thread().name)))
    codec = RTCRtpCodecParameters("video/VP8", 90000)
    key = MaskEncoder(VP8).encode(np.full((96, 64), 128, np.uint8), 3000, 500_000)
    decoder: queue.Queue[Any] = queue.Queue()
    decoder.put((codec, JitterFrame(key.data, 7)))
    decoder.put(None)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=decoder_worker, args=(loop, decoder, track._queue, threading.Event()), name="decoder"
    )
    thread.start()
    thread.join()
    with pytest.raises(MediaStreamError):  # the end, and no frame before it
        loop.run_until_complete(track.recv())
    loop.close()
    ((frame, name),) = taken
    assert (frame.pts, frame.width, name) == (7, 64, "decoder")


def test_a_track_that_keeps_its_frames_elsewhere_is_refused() -> None:
    track: Any = RemoteStreamTrack("video")
    del track._queue
    with pytest.raises(RuntimeError, match="decoded frames elsewhere"):
        peer.take_frames(track, lambda _: None)
