"""How the relay codes: what stands in the place of aiortc's own VP8 encoder, and what need not
be coded at all.
"""

import math
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpCodecParameters
from aiortc.codecs import get_encoder as stock_encoder
from aiortc.codecs.base import Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av import AudioFrame, VideoFrame
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext

from digitalmask.relay.jitter_buffer import DecoderQueue

# 2 Mbit/s: too little to judge an eyelid by is what aiortc starts with, 0.5 (and it ends at 1.5).
START_BITRATE, MOST_BITRATE = 2_000_000, 4_000_000
FORWARDED = ("video/vp8", "audio/opus")
_KEY_FRAME_EVERY = 3000
_LEAST_CHANGE = 0.1  # of the bitrate, for which the encoder is set up anew
# Least and most of the quantiser.
_QUANTISER = (2, 56)


def get_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    """The encoder for a negotiated codec: ours for VP8, aiortc's for the others."""
    return MaskVp8Encoder() if codec.mimeType.lower() == "video/vp8" else stock_encoder(codec)


class MaskVp8Encoder(Vp8Encoder):
    """VP8 for drawn pictures: without the denoiser, which finds no noise in them, and quicker.

    At 640x480 and 2 Mbit/s 2.2 ms a frame in place of 3.3 (masked d6.mp4, one thread).
    """

    def __init__(self) -> None:
        super().__init__()
        self._context: VideoCodecContext | None = None

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """RTP payloads of one frame, and its time stamp in the video clock."""
        assert isinstance(frame, VideoFrame)  # noqa: S101 - for the type
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        context = self._context
        if context is None or not self._fits(context, frame):
            context = self._context = self._new_context(frame.width, frame.height)
        # A frame is shared by the encoders of all viewers: what one of them asks for is put back.
        frame.pict_type = av.video.frame.PictureType.I if force_keyframe else 0
        data = b"".join(bytes(packet) for packet in context.encode(frame))
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        assert frame.pts is not None  # noqa: S101 - for the type
        assert frame.time_base is not None  # noqa: S101 - for the type
        return payloads, convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)

    def _fits(self, context: VideoCodecContext, frame: VideoFrame) -> bool:
        change = abs(self.target_bitrate - (context.bit_rate or 1)) / (context.bit_rate or 1)
        same_size = (frame.width, frame.height) == (context.width, context.height)
        return same_size and change <= _LEAST_CHANGE

    def _new_context(self, width: int, height: int) -> VideoCodecContext:
        context = av.CodecContext.create("libvpx", "w")
        assert isinstance(context, VideoCodecContext)  # noqa: S101 - for the type
        bitrate = self.target_bitrate
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.bit_rate = bitrate
        context.gop_size = _KEY_FRAME_EVERY
        context.qmin, context.qmax = _QUANTISER
        context.thread_count = 1 if width * height <= 640 * 480 else 2
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "minrate": str(bitrate),
            "maxrate": str(bitrate),
            "bufsize": str(bitrate),  # one second
            "overshoot-pct": "15",
            "undershoot-pct": "100",
            "static-thresh": "1",
        }
        return context


class ForwardingQueue(DecoderQueue):
    """Stands before a receiver's decoder: hands whole coded frames on to its track, not decoded.

    What comes in a codec that viewers might not take goes to the decoder after all.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self._to_track: Any = track._queue  # type: ignore[attr-defined]

    def put_frame(self, codec: Any, frame: JitterFrame) -> None:
        """Hand one frame on. On the event loop, from aiortc's receiver."""
        if codec.mimeType.lower() not in FORWARDED:
            super().put_frame(codec, frame)
            return
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.timestamp, Fraction(1, codec.clockRate)
        self._to_track.put_nowait(packet)


def audio_level_dbov(frame: AudioFrame) -> int:
    """RFC 6465's level, -127 to 0; aiortc's own counts each sample in Python."""
    samples = np.frombuffer(bytes(frame.planes[0]), np.int16).astype(np.float64) / 32767.0
    power = float(np.mean(samples * samples)) if samples.size else 0.0
    return -127 if power <= 0.0 else round(max(-127.0, min(0.0, 10.0 * math.log10(power))))
