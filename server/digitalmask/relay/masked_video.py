"""The masked stream of a room, for any number of viewers.

Accepts `MaskedFrame` alone. Each frame is converted for the encoder once; each viewer has a place
for one frame, so a slow one misses frames and never falls behind.
"""

import asyncio
import time
from fractions import Fraction

import cv2
import numpy as np
from aiortc import MediaStreamTrack
from av import VideoFrame

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering import draw_card

_VIDEO_CLOCK = Fraction(1, 90000)
_IDLE_S = 1.0  # nothing was published for so long: the card is drawn
_IDLE_INTERVAL_S = 0.2
_IDLE_SIZE = (640, 480)
_LARGEST_STEP_S = 5.0  # a larger step of the source's clock is a new source


class MaskedVideo:
    """Hands each masked frame to every viewer. `publish` from any thread, the rest on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._viewers: set[MaskedVideoTrack] = set()
        self._source_pts = 0.0
        self._pts = 0
        self._last_at_s = time.monotonic()
        self._masked_at_s = -_IDLE_S
        self._size = _IDLE_SIZE
        self._idle = asyncio.create_task(self._draw_cards_when_idle())

    def publish(self, masked: MaskedFrame) -> None:
        """Send a frame to all viewers."""
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only a MaskedFrame may leave")
        frame, clock = _for_encoder(masked), masked.clock
        self._masked_at_s = time.monotonic()
        # The loop may have ended while the last frame was drawn.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand_out, frame, clock)

    def viewer(self) -> "MaskedVideoTrack":
        """A track for one more viewer."""
        track = MaskedVideoTrack(self)
        self._viewers.add(track)
        return track

    def forget(self, track: "MaskedVideoTrack") -> None:
        """The viewer has gone."""
        self._viewers.discard(track)

    def close(self) -> None:
        """End all viewers' tracks."""
        self._idle.cancel()
        for track in list(self._viewers):
            track.stop()

    def _hand_out(self, frame: VideoFrame, clock: FrameClock) -> None:
        now = time.monotonic()
        source = float(clock.pts * clock.time_base)
        step = source - self._source_pts
        if not 0 < step < _LARGEST_STEP_S:
            # A new source (or its clock wrapped around): go on from where the viewers are.
            step = now - self._last_at_s
        self._source_pts, self._last_at_s = source, now
        self._pts += max(1, round(step / _VIDEO_CLOCK))
        self._size = (frame.width, frame.height)
        frame.pts, frame.time_base = self._pts, _VIDEO_CLOCK
        for track in self._viewers:
            track.offer(frame)

    async def _draw_cards_when_idle(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_INTERVAL_S)
            if self._viewers and time.monotonic() - self._masked_at_s > _IDLE_S:
                now = time.monotonic()
                clock = FrameClock(now, round(now / _VIDEO_CLOCK), _VIDEO_CLOCK)
                card = draw_card(Card.WAITING, self._size, clock)
                self._hand_out(_for_encoder(card), clock)


def _for_encoder(masked: MaskedFrame) -> VideoFrame:
    planes = cv2.cvtColor(masked.rgb, cv2.COLOR_RGB2YUV_I420)
    return VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")


class MaskedVideoTrack(MediaStreamTrack):
    """One viewer's place for the newest frame."""

    kind = "video"

    def __init__(self, source: MaskedVideo) -> None:
        super().__init__()
        self._source = source
        self._newest: VideoFrame | None = None
        self._arrived = asyncio.Event()

    def offer(self, frame: VideoFrame) -> None:
        """Put the newest frame in place of one that was not taken."""
        self._newest = frame
        self._arrived.set()

    async def recv(self) -> VideoFrame:
        """Wait for a frame newer than the last."""
        while self._newest is None:
            self._arrived.clear()
            await self._arrived.wait()
        frame, self._newest = self._newest, None
        return frame

    def stop(self) -> None:
        """The viewer has gone."""
        self._source.forget(self)
        super().stop()
