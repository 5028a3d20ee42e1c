"""How long each stage of the relay takes a frame, one after the other. Run within `one_core`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from aiortc import RTCRtpCodecParameters
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.errors import MediaError
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.reader import VideoReader
from digitalmask.relay.codecs import H264, VP8, MaskEncoder, examination_bit_s
from digitalmask.rendering import MaskRenderer
from digitalmask.tracking import FaceTracker, load_networks

CODECS = (VP8, H264)
STAGES = ("decode", "track", "anatomy", "draw", "encode")
_RATE, _CLOCK = 30, Fraction(1, 90000)
# The first frames bring key frames, compiled shaders and memory.
_SETTLE = 30
_CAMERA_BIT_S = {(640, 480): 2_000_000, (1280, 720): 4_000_000}

Picture = NDArray[np.uint8]
Size = tuple[int, int]

SIZES: tuple[Size, ...] = ((640, 480), (1280, 720))


def measure(
    path: Path, most_frames: int, sizes: tuple[Size, ...] = SIZES
) -> dict[str, dict[str, object]]:
    """Milliseconds a frame (p50), of each stage and of a frame's sum, by size of the picture.

    Decode and encode are VP8's, with `h264_decode`, `h264_encode` and `h264_sum` beside them.
    Decoding ends with the frame that is tracked; encoding begins with the RGB that was drawn.
    `frames` are those in which the mask was drawn, of those that count. Errors: MediaError,
    AssetError, TrackingError, RenderingError.
    """
    cv2.setNumThreads(1)
    figures: dict[str, dict[str, object]] = {}
    for size in sizes:
        pictures = _read(path, size, most_frames)
        taken = {codec: _run(pictures, codec) for codec in CODECS}
        own, h264 = (summary(taken[codec][_SETTLE:]) for codec in CODECS)
        figures["{}x{}".format(*size)] = own | {
            f"h264_{name}": h264[name] for name in ("decode", "encode", "sum")
        }
    return figures


def summary(taken_ms: list[dict[str, float]]) -> dict[str, object]:
    """The medians of each stage, over the frames that went through all of them, and of the sum."""
    whole = [each for each in taken_ms if len(each) == len(STAGES)]
    if not whole:
        raise MediaError("the mask was drawn for no frame of the video: is there a face in it?")
    medians: dict[str, object] = {
        stage: round(float(np.median([each[stage] for each in whole])), 2) for stage in STAGES
    }
    medians["sum"] = round(float(np.median([sum(each.values()) for each in whole])), 2)
    medians["frames"] = len(whole)
    return medians


def _run(pictures: list[Picture], codec: str) -> list[dict[str, float]]:
    """Each frame's milliseconds by stage; without those that it did not reach."""
    parameters = RTCRtpCodecParameters(mimeType=codec, clockRate=90000, payloadType=96)
    decoder, encoder = get_decoder(parameters), MaskEncoder(codec)
    bit_s = examination_bit_s(pictures[0].shape[1], pictures[0].shape[0])
    head = load_head()
    tracker, estimator = FaceTracker(load_networks("cpu")), MaskEstimator(head)
    renderer = MaskRenderer(head)
    taken_ms: list[dict[str, float]] = []
    try:
        for number, data in enumerate(_coded(pictures, codec)):
            taken: dict[str, float] = {}
            taken_ms.append(taken)
            clock = FrameClock(number / _RATE, 3000 * number, _CLOCK)
            with _timed(taken, "decode"):
                decoded = decoder.decode(JitterFrame(data=data, timestamp=clock.pts))
                frames = [
                    PatientFrame.decoded(clock, each)
                    for each in decoded
                    if isinstance(each, VideoFrame)
                ]
            if not frames:
                continue
            frame = frames[-1]
            with _timed(taken, "track"):
                observation = tracker.track(frame)
            if observation is None:
                continue
            with _timed(taken, "anatomy"):
                state = estimator.estimate(observation)
            with _timed(taken, "draw"):
                masked = renderer.draw(state, (frame.width, frame.height), clock)
            with _timed(taken, "encode"):
                encoder.encode(masked.i420(), clock.pts, bit_s)
    finally:
        renderer.close()
    return taken_ms


@contextmanager
def _timed(taken: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    taken[stage] = (time.perf_counter() - started) * 1e3


def _coded(pictures: list[Picture], codec: str) -> Iterator[bytes]:
    """The benchmark's film, coded in real time as a patient's browser codes its camera."""
    context = av.CodecContext.create("libx264" if codec == H264 else "libvpx", "w")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - for the type
    height, width = pictures[0].shape[:2]
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = _CLOCK, Fraction(_RATE)
    context.bit_rate = _CAMERA_BIT_S[width, height]
    context.gop_size, context.thread_count = 3000, 1
    if codec == H264:
        context.options = {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"}
    else:
        context.options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0"}
    for number, rgb in enumerate(pictures):
        planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
        frame = VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = 3000 * number, _CLOCK
        yield b"".join(bytes(packet) for packet in context.encode(frame))


def _read(path: Path, size: Size, most_frames: int) -> list[Picture]:
    """The first frames of a video as RGB of a size, cropped to its shape."""
    width, height = size
    pictures: list[Picture] = []
    with VideoReader(path) as reader:
        for frame in reader:
            if not isinstance(frame, PatientFrame):
                continue
            scale = max(width / frame.width, height / frame.height)
            large = (round(frame.width * scale), round(frame.height * scale))
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            scaled = cv2.resize(frame.rgb, large, interpolation=way)
            x, y = (large[0] - width) // 2, (large[1] - height) // 2
            pictures.append(np.ascontiguousarray(scaled[y : y + height, x : x + width], np.uint8))
            if len(pictures) == most_frames:
                break
    if not pictures:
        raise MediaError(f"there is no frame in {path}")
    return pictures
