"""One encoding of a room's masks, for one or many viewers, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray

from digitalmask.media.newest_slot import NewestSlot
from digitalmask.relay.bit_rate import BitRate
from digitalmask.relay.codecs import CodedMask, MaskEncoder

_log = logging.getLogger(__name__)

# Viewers ask for key frames in bursts when they come, and again while one is on its way.
KEY_FRAME_INTERVAL_S = 0.5
# A picture that has fewer bits is not worth looking at: rather fewer pictures.
_LEAST_BITS_PER_PIXEL = 0.015
_FRAME_RATE = 30

Picture = tuple[NDArray[np.uint8], int]


class Encoding:
    """Codes the newest picture; one that is not coded in time is left out, nothing queues.

    on_coded: called from the encoding's own thread. bit_s: the bitrate for a size in pixels.
    key_interval_s: no key frame is made sooner after the last because a viewer wants one.
    """

    def __init__(
        self,
        mime_type: str,
        bit_s: Callable[[int, int], int],
        on_coded: Callable[["Encoding", CodedMask], None],
        key_interval_s: float = KEY_FRAME_INTERVAL_S,
    ) -> None:
        self._encoder = MaskEncoder(mime_type)
        self._bit_s = bit_s
        self._on_coded = on_coded
        self._newest: NewestSlot[Picture] = NewestSlot()
        self._key_wanted = threading.Event()
        self._key_interval_s = key_interval_s
        self._key_at_s = -key_interval_s
        self._rate = BitRate()
        self._left_out = 0
        self.encode_ms = 0.0  # of the last picture
        self._thread = threading.Thread(target=self._work, name="mask-encoder", daemon=True)
        self._thread.start()

    def offer(self, planes: NDArray[np.uint8], timestamp: int) -> None:
        """Put the newest picture (I420, and its time in the video clock); from any thread."""
        self._newest.put((planes, timestamp))

    def want_key_frame(self) -> None:
        """Make a key frame soon; from any thread."""
        self._key_wanted.set()

    def sent_bit_s(self) -> float:
        """What was coded in the last second; from any thread."""
        return self._rate.bit_s()

    @property
    def replaced(self) -> int:
        """How many pictures a newer one replaced before they were coded."""
        return self._newest.replaced

    def close(self) -> None:
        """End the thread."""
        self._newest.close()

    def _work(self) -> None:
        while (picture := self._newest.take()) is not None:
            planes, timestamp = picture
            height, width = planes.shape[0] * 2 // 3, planes.shape[1]
            bit_s = self._bit_s(width, height)
            if self._leaves_out(bit_s, width * height):
                continue
            now_s = time.monotonic()
            key = self._key_wanted.is_set() and now_s - self._key_at_s >= self._key_interval_s
            started_s = time.perf_counter()
            try:
                coded = self._encoder.encode(planes, timestamp, bit_s, key)
            except av.FFmpegError as error:
                _log.warning("a mask was not coded (%s); the codec starts anew", error.strerror)
                self._encoder = MaskEncoder(self._encoder.mime_type)
                continue
            self.encode_ms = (time.perf_counter() - started_s) * 1e3
            if coded.key:
                self._key_at_s = now_s
                self._key_wanted.clear()
            self._rate.note(len(coded.data))
            if coded.data:
                self._on_coded(self, coded)

    def _leaves_out(self, bit_s: int, pixels: int) -> bool:
        """Whether this picture is one of those that a low bitrate has no room for."""
        every = max(1, round(_LEAST_BITS_PER_PIXEL * pixels * _FRAME_RATE / bit_s))
        self._left_out = (self._left_out + 1) % every
        return self._left_out != 0
