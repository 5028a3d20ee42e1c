"""The patient's voice, for any number of listeners; it goes on when the patient comes back."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from digitalmask.media.voice import VoiceFilter, VoiceWay

_log = logging.getLogger(__name__)

_RATE = 48000
_SAMPLES = _RATE // 50  # 20 ms, Opus' own frame
# What a listener has not taken after so many frames (200 ms) is dropped, the oldest first.
_MOST_WAITING = 10
_SILENCE_AFTER_S = 0.1
# aiortc hands a packet of sound on when four more have come.
_HELD_S = 4 * _SAMPLES / _RATE

Hearer = Callable[[AudioFrame, float], None]


class Voice:
    """Takes frames from the newest source and hands them to every listener. On the loop only.

    way: what listeners hear of it. A patient who comes back is masked in the same way as before,
    in the next consultation in another.
    """

    def __init__(self, way: VoiceWay) -> None:
        self._filter = VoiceFilter(way)
        self._listeners: set[VoiceTrack] = set()
        self._hearers: set[Hearer] = set()
        self._task: asyncio.Task[None] | None = None

    def take_from(self, track: MediaStreamTrack | None) -> None:
        """Listen to this track from now on; to none where None."""
        if self._task is not None:
            self._task.cancel()
        self._task = None if track is None else asyncio.create_task(self._pump(track))

    def listener(self) -> "VoiceTrack":
        """A track for one more listener."""
        track = VoiceTrack(self)
        self._listeners.add(track)
        return track

    def forget(self, track: "VoiceTrack") -> None:
        """The listener has gone."""
        self._listeners.discard(track)

    def add_hearer(self, hear: Hearer) -> None:
        """Let `hear` have every frame, with the moment of its first sample (`time.monotonic`)."""
        self._hearers.add(hear)

    def remove_hearer(self, hear: Hearer) -> None:
        """Let it have no more."""
        self._hearers.discard(hear)

    def close(self) -> None:
        """End all listeners' tracks."""
        self.take_from(None)
        for track in list(self._listeners):
            track.stop()

    async def _pump(self, source: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await source.recv()
                if isinstance(frame, AudioFrame):
                    at_s = time.monotonic() - _HELD_S - frame.samples / frame.sample_rate
                    for heard in self._through(frame):
                        for track in self._listeners:
                            track.offer(heard)
                        for hear in self._hearers:
                            hear(heard, at_s + _seconds(heard) - _seconds(frame))
        except MediaStreamError:
            return  # the patient has gone; listeners hear silence

    def _through(self, frame: AudioFrame) -> list[AudioFrame]:
        try:
            return self._filter.through(frame)
        except Exception as error:  # noqa: BLE001 - what is not masked is not heard
            _log.warning("a voice cannot be masked: %s", type(error).__name__)
            self._filter = VoiceFilter(self._filter.way)
            return []


class VoiceTrack(MediaStreamTrack):
    """One listener's few waiting frames; silence where there are none."""

    kind = "audio"

    def __init__(self, source: Voice) -> None:
        super().__init__()
        self._source = source
        self._frames: deque[AudioFrame] = deque(maxlen=_MOST_WAITING)
        self._arrived = asyncio.Event()
        self._samples = 0

    def offer(self, frame: AudioFrame) -> None:
        """Let a frame wait for this listener."""
        self._frames.append(frame)
        self._arrived.set()

    async def recv(self) -> AudioFrame:
        """The next 20 ms."""
        if not self._frames:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), _SILENCE_AFTER_S)
            except TimeoutError:
                return self._stamped(_silence())
        return self._stamped(self._frames.popleft())

    def stop(self) -> None:
        """The listener has gone."""
        self._source.forget(self)
        super().stop()

    def _stamped(self, frame: AudioFrame) -> AudioFrame:
        # Frames are shared by the listeners, whose clocks differ: each stamps a frame of its own.
        own = AudioFrame.from_ndarray(
            frame.to_ndarray(), format=frame.format.name, layout=frame.layout.name
        )
        own.sample_rate = frame.sample_rate
        own.pts, own.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += frame.samples
        return own


def _seconds(frame: AudioFrame) -> float:
    """A frame's time stamp."""
    if frame.pts is None or frame.time_base is None:
        return 0.0
    return float(frame.pts * frame.time_base)


def _silence() -> AudioFrame:
    frame = AudioFrame.from_ndarray(
        np.zeros((1, 2 * _SAMPLES), np.int16), format="s16", layout="stereo"
    )
    frame.sample_rate = _RATE
    return frame
