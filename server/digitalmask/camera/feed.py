"""Carries a webcam's frames through a patient's pipeline to a virtual camera."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from digitalmask.camera.virtual import Size, VirtualCamera
from digitalmask.errors import DigitalMaskError
from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.live_source import OpenCamera, hand_on_frames
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.newest_slot import NewestSlot
from digitalmask.pipeline import FrameMasker, LivePipeline, Tracking
from digitalmask.rendering import draw_card

_CLOCK = Fraction(1, 90000)
# The pipeline draws a card every 100 ms where the webcam falls silent. It cannot before the first
# frame; nothing from it for so long, and the card comes from here.
_IDLE_S = 1.0
_OVER_S = 2.0  # the stretch that figures are of


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How it goes now.

    webcam: why there are no frames from it, "" where there are. tracking: of the patient's face.
    fps, lag_ms: pictures a second that were shown, and from their capture until then (median).
    shown, masks: since the start, pictures, and masks among them.
    """

    webcam: str
    tracking: Tracking
    fps: float
    lag_ms: float
    shown: int
    masks: int


class CameraFeed:
    """Runs until `close`. open_webcam: is called again when the frames end with an error.

    `failure` is what ended the virtual camera, None as long as it lives.
    """

    def __init__(
        self,
        open_webcam: OpenCamera,
        make_masker: Callable[[], FrameMasker],
        camera: VirtualCamera,
        size: Size,
    ) -> None:
        self.failure: DigitalMaskError | None = None
        self._camera = camera
        self._size = size
        self._closed = threading.Event()
        self._slot: NewestSlot[MaskedFrame] = NewestSlot()
        self._webcam = "it is being opened"
        self._shown = self._masks = 0
        self._recent: deque[tuple[float, float]] = deque(maxlen=240)  # when shown, seconds of lag
        self._pipeline = LivePipeline(make_masker, self._slot.put, size)
        self._threads = [
            threading.Thread(
                target=hand_on_frames,
                args=(open_webcam, self._pipeline.submit, self._closed, self._say),
                name="webcam",
                daemon=True,
            ),
            threading.Thread(target=self._show, name="virtual-camera", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def status(self) -> FeedStatus:
        """How it goes now."""
        now = time.monotonic()
        recent = sorted(lag for at, lag in list(self._recent) if now - at < _OVER_S)
        return FeedStatus(
            webcam=self._webcam,
            tracking=self._pipeline.status().tracking,
            fps=len(recent) / _OVER_S,
            lag_ms=1e3 * recent[len(recent) // 2] if recent else 0.0,
            shown=self._shown,
            masks=self._masks,
        )

    def wait(self, seconds: float) -> bool:
        """Wait; False once the virtual camera has ended."""
        self._closed.wait(seconds)
        return self.failure is None

    def close(self) -> None:
        """Stop, and take the camera away."""
        self._closed.set()
        self._slot.close()
        self._pipeline.close()
        # A webcam that gives no frame holds its thread; it ends with the program.
        self._threads[1].join(1.0)
        self._camera.close()

    def _say(self, trouble: str) -> None:
        self._webcam = trouble

    def _show(self) -> None:
        while not self._closed.is_set():
            masked = self._slot.take(_IDLE_S)
            if self._closed.is_set():
                return
            if masked is None:
                now = time.monotonic()
                clock = FrameClock(now, round(now / _CLOCK), _CLOCK)
                masked = draw_card(Card.WAITING, self._size, clock)
            try:
                self._camera.send(masked)
            except DigitalMaskError as error:
                self.failure = error
                self._closed.set()
                return
            now = time.monotonic()
            self._recent.append((now, now - masked.clock.captured_at_s))
            self._shown += 1
            self._masks += masked.card is None
