"""What becomes of a patient's voice on its way to those who listen, live or in a file."""

from enum import StrEnum
from fractions import Fraction

import numpy as np
from av import AudioFifo, AudioFrame, AudioResampler
from numpy.typing import NDArray

from digitalmask.media.voice_mask import DELAY_S, RATE, Disguise, VoiceMask

_OUT_RATE = 48000
_OUT_SAMPLES = _OUT_RATE // 50  # 20 ms, Opus' own frame
_IN_SAMPLES = RATE // 100  # what a `VoiceMask` takes is a multiple of it
_RESAMPLERS_S = 0.0015  # both resamplers' delay, measured
_GAP_S = 0.020  # a frame that comes so much later than the one before ended begins anew


class VoiceWay(StrEnum):
    """How a voice leaves: as it is, masked, or not at all."""

    PASS = "pass"  # noqa: S105 - no password
    MASK = "mask"
    OFF = "off"


class VoiceFilter:
    """Lets one voice out as `way` says. One thread at a time.

    What is masked comes out as Opus' decoder gives it, 48 kHz stereo in frames of 20 ms (both sides
    alike), on average `delay_s` later than it went in; time stamps are those of the sound in them.
    """

    def __init__(self, way: VoiceWay) -> None:
        self.way = way
        self.delay_s = DELAY_S + _RESAMPLERS_S if way is VoiceWay.MASK else 0.0
        disguise = Disguise.draw(np.random.default_rng())
        self._mask = VoiceMask(disguise) if way is VoiceWay.MASK else None
        self._next_s: float | None = None
        self._kind: tuple[str, str, int] | None = None
        self._start(0.0)

    def through(self, frame: AudioFrame) -> list[AudioFrame]:
        """What may be heard once this frame has come."""
        if self.way is VoiceWay.OFF:
            return []
        if self._mask is None:
            return [frame]
        at_s = self._next_s or 0.0
        if frame.pts is not None and frame.time_base is not None:
            at_s = float(frame.pts * frame.time_base)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        late = self._next_s is None or abs(at_s - self._next_s) > _GAP_S
        if late or kind != self._kind:
            self._kind = kind
            self._start(at_s)
        self._next_s = at_s + frame.samples / frame.sample_rate
        stamp, frame.pts = frame.pts, None  # a resampler has stamps of its own
        heard = self._into.resample(frame)
        frame.pts = stamp
        return self._masked(self._mask, heard)

    def rest(self) -> list[AudioFrame]:
        """What is still on its way when the voice has ended."""
        if self._mask is None or self._next_s is None:
            return []
        silence = np.zeros((1, round((self.delay_s + 0.02) * RATE)), np.float32)
        return self._masked(self._mask, [*self._into.resample(None), _mono(silence)])

    def _start(self, at_s: float) -> None:
        self._into = AudioResampler("flt", "mono", RATE)
        self._waiting = AudioFifo()
        self._out_of = AudioResampler("s16", "stereo", _OUT_RATE)
        self._ready = AudioFifo()
        self._early = round(self.delay_s * _OUT_RATE)  # samples from before the voice began
        self._samples = round(at_s * _OUT_RATE)

    def _masked(self, mask: VoiceMask, heard: list[AudioFrame]) -> list[AudioFrame]:
        """heard: mono at the mask's rate."""
        for each in heard:
            each.pts = None
            self._waiting.write(each)
        taken = self._waiting.read(self._waiting.samples // _IN_SAMPLES * _IN_SAMPLES)
        if taken is not None:
            masked = mask.mask(taken.to_ndarray()[0]).astype(np.float32)
            for each in self._out_of.resample(_mono(masked[None])):
                each.pts = None
                self._ready.write(each)
        if self._early and self._ready.samples >= self._early:
            self._ready.read(self._early)
            self._early = 0
        out = []
        while not self._early and (ready := self._ready.read(_OUT_SAMPLES)) is not None:
            ready.pts, ready.time_base = self._samples, Fraction(1, _OUT_RATE)
            self._samples += _OUT_SAMPLES
            out.append(ready)
        return out


def _mono(samples: NDArray[np.float32]) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples, format="flt", layout="mono")
    frame.sample_rate = RATE
    return frame
