"""How the relay codes masks, and what need not be coded at all."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame, VideoFrame
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from digitalmask.relay.jitter_buffer import DecoderQueue

VP8, H264 = "video/vp8", "video/h264"
# The first that a browser offers too is taken. H.264 costs half of VP8 on both sides of the relay
# (masked d6.mp4, one thread, ms: 1.4 to 2.2 at 640x480, 3.7 to 4.0 at 1280x720; decoded 0.4 to 1.0
# and 0.9 to 2.5) and looks no worse (51.8 to 51.4 dB, and 51.5 to 46.5 in the first 10 frames).
PREFERRED = (H264, VP8)
FORWARDED = (VP8, "audio/opus")
# What an eye is examined by: 2 Mbit/s at 640x480, 4 from 1280x720 on (52 dB and 53). aiortc starts
# with 0.5 and ends at 1.5.
_EXAMINATION_BIT_S = ((640 * 480, 2_000_000), (1280 * 720, 4_000_000))
LEAST_BIT_S = 150_000
START_BIT_S = 2_000_000  # of a browser that sends to the relay
_VIDEO_CLOCK = Fraction(1, 90000)
_KEY_FRAME_EVERY = 3000
# libvpx takes a new bitrate at its start only, and that costs a key frame: a rate that falls is
# followed at once, one that rises when it is worth it.
_VP8_FALLS, _VP8_RISES = 0.85, 1.5
_VP8_RISES_AFTER_S = 3.0
_VP8_QUANTISERS = (2, 56)
# Beside the examination's rate x264 is quick; at a third of it, it takes more care (45.5 dB in
# place of 42.2 at 300 kbit/s, for 0.5 ms).
_CAREFUL_BELOW = 0.4


def examination_bit_s(width: int, height: int) -> int:
    """The bitrate of the encoding that viewers share, for a size in pixels."""
    (small, low), (large, high) = _EXAMINATION_BIT_S
    share = (width * height - small) / (large - small)
    return round(low + (high - low) * min(max(share, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class CodedMask:
    """One coded frame of the mask. timestamp: in the video clock, 90 kHz. key: a key frame."""

    data: bytes
    timestamp: int
    key: bool


class MaskEncoder:
    """Codes drawn pictures as VP8 or H.264, one thread at a time; bitrate and size may change.

    mime_type: `VP8` or `H264`. resets: how often the codec had to be set up anew.
    """

    def __init__(self, mime_type: str) -> None:
        self.mime_type = mime_type
        self.resets = -1
        self._context: VideoCodecContext | None = None
        self._rises_since_s: float | None = None

    def encode(
        self, planes: NDArray[np.uint8], timestamp: int, bit_s: int, key: bool = False
    ) -> CodedMask:
        """Code a picture: planes (height * 3 / 2, width) I420, timestamp in the video clock.

        Time stamps must grow. bit_s: up to the examination's.
        """
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = timestamp, _VIDEO_CLOCK
        context = self._context
        if context is None or not self._follows(context, frame, bit_s):
            context = self._context = self._new_context(frame.width, frame.height, bit_s)
            self.resets += 1
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        packets = context.encode(frame)
        data = b"".join(bytes(packet) for packet in packets)
        return CodedMask(data, timestamp, any(packet.is_keyframe for packet in packets))

    def _follows(self, context: VideoCodecContext, frame: VideoFrame, bit_s: int) -> bool:
        """Whether the codec, as it is set up, does for this size and bitrate."""
        if (frame.width, frame.height) != (context.width, context.height):
            return False
        ratio = bit_s / (context.bit_rate or 1)
        if self.mime_type == H264:
            context.bit_rate = min(bit_s, examination_bit_s(frame.width, frame.height))
            return True
        if ratio < _VP8_RISES:
            self._rises_since_s = None
            return ratio > _VP8_FALLS
        now = time.monotonic()
        self._rises_since_s = self._rises_since_s or now
        return now - self._rises_since_s < _VP8_RISES_AFTER_S

    def _new_context(self, width: int, height: int, bit_s: int) -> VideoCodecContext:
        codec = "libx264" if self.mime_type == H264 else "libvpx"
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, VideoCodecContext)  # noqa: S101 - for the type
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = _VIDEO_CLOCK, Fraction(30)
        context.gop_size = _KEY_FRAME_EVERY
        # A second thread waits more than it does beside a busy masker: libvpx spins there (p95
        # 185 ms at 1280x720 in place of 5).
        context.thread_count = 1
        if self.mime_type == H264:
            # x264 takes a new bitrate in place, up to the one that it is opened with.
            most = examination_bit_s(width, height)
            careful = bit_s < _CAREFUL_BELOW * most
            context.bit_rate = most
            context.profile = "Baseline"
            context.options = {
                "preset": "superfast" if careful else "ultrafast",
                "tune": "zerolatency",
                "minrate": str(most),
                "maxrate": str(most),
                "bufsize": str(most // 8),  # an eighth of a second: a key frame is no burst
            }
            context.open()
            context.bit_rate = min(bit_s, most)
        else:
            # No denoiser: it finds no noise in a drawing.
            context.qmin, context.qmax = _VP8_QUANTISERS
            context.bit_rate = bit_s
            context.options = {
                "minrate": str(bit_s),
                "maxrate": str(bit_s),
                "deadline": "realtime",
                "cpu-used": "-12",
                "lag-in-frames": "0",
                "bufsize": str(bit_s),  # one second
                "overshoot-pct": "15",
                "undershoot-pct": "100",
                "static-thresh": "1",
            }
        return context


class MaskPacketizer:
    """In the place of a sender's encoder: cuts what was coded elsewhere into RTP payloads.

    It codes nothing, so that no picture can pass here. on_estimate: gets the bitrate that the
    viewer's network is said to carry (REMB), in bit/s.
    """

    def __init__(self, mime_type: str, on_estimate: Callable[[int], None]) -> None:
        self._stock = H264Encoder() if mime_type == H264 else Vp8Encoder()
        self._on_estimate = on_estimate

    def pack(self, coded: CodedMask) -> tuple[list[bytes], int]:
        """RTP payloads of one frame, and its time stamp in the video clock."""
        if not isinstance(coded, CodedMask):
            raise TypeError("only a CodedMask may leave")
        if isinstance(self._stock, H264Encoder):
            units = self._stock._split_bitstream(coded.data)
            return self._stock._packetize(units), coded.timestamp
        payloads = self._stock._packetize(coded.data, self._stock.picture_id)
        self._stock.picture_id = (self._stock.picture_id + 1) % (1 << 15)
        return payloads, coded.timestamp

    @property
    def target_bitrate(self) -> int:
        """What aiortc's sender sets when the viewer has sent an estimate; not kept here."""
        return 0

    @target_bitrate.setter
    def target_bitrate(self, bit_s: int) -> None:
        self._on_estimate(bit_s)


class ForwardingQueue(DecoderQueue):
    """Stands before a receiver's decoder: hands whole coded frames on to its track, not decoded.

    What comes in another than these codecs, which viewers might not take, goes to the decoder
    after all.
    """

    def __init__(self, track: MediaStreamTrack, codecs: tuple[str, ...] = FORWARDED) -> None:
        super().__init__()
        self._codecs = codecs
        self._to_track: Any = track._queue  # type: ignore[attr-defined]

    def put_frame(self, codec: Any, frame: JitterFrame) -> None:
        """Hand one frame on. On the event loop, from aiortc's receiver."""
        if codec.mimeType.lower() not in self._codecs:
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
