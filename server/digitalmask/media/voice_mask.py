"""Masks a voice in real time: it says what the patient says, in a voice that is not theirs.

What tells speakers apart is changed one thing after the other, as in Kai et al., "Lightweight
voice anonymization based on data-driven optimization of cascaded voice modification modules" (SLT
2021):

pitch
    The voice's mean pitch is brought to another; melody and stress, which go up and down about the
    mean, are kept. Jumps of whole periods in a delay line (Roucos and Wilgus' synchronised
    overlap-add, ICASSP 1985) keep the tempo.
timbre
    The mean of the spectral envelope (the vocal tract's length, the larynx, the microphone, the
    room) is brought to another, as cepstral mean subtraction takes it off.
formants
    Their frequencies are warped, angle to the power of alpha as by the McAdams coefficient (Patino
    et al., "Speaker anonymisation using the McAdams coefficient", Interspeech 2021).

Where they are brought to is drawn anew for each consultation, so that two of them do not match.
Nothing of it is stored: what was learned of a voice goes with the object.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE = 16000  # what a voice is masked in, Hz: nothing above 8 kHz is kept
_HOP = RATE // 100
_FRAME = 2 * _HOP
_WINDOW = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(_FRAME) + 0.5) / _FRAME))
_FFT = 512
_ORDER = 20  # of the all-pole envelope
_LAG_WINDOW_HZ = 40.0  # widens the envelope's peaks: a harmonic is not a formant
_LEAST_LEVEL = 1e-4  # of full scale, rms; below is no speech
_MEAN_OVER_S = 4.0
_NEPERS = np.log(10.0) / 20.0  # a decibel
_MOST_GAIN = 24.0 * _NEPERS
# Speech's long-term average: flat up to 500 Hz and 9 dB an octave down from there (Byrne et al.
# 1994, smoothed).
_FLAT_HZ, _DB_AN_OCTAVE = 500.0, 9.0
# What is drawn from. Of 71 words (digits, days, months, the spelling alphabet, said by a woman)
# PocketSphinx takes 94 % as they are. Masked with an alpha of 0.82, 0.72 and 0.62 it took 84, 79
# and 50 %; in the other direction, 1.2 and 1.32, 39 and 20 %; with a pitch of 120, 150, 180 and
# 210 Hz (alpha 0.78) 77, 85, 62 and 13 %: so few harmonics leave the formants untold.
_ALPHAS = (0.68, 0.86)
_PITCHES_HZ = (110.0, 165.0)
_RIPPLES, _RIPPLE_DB = 5, 4.0
_LEAST_PITCH_HZ, _MOST_PITCH_HZ = 65.0, 400.0
_MOST_SHIFT = np.log(1.7)
_PITCH_SAMPLES = 3 * RATE // 65
_PITCH_WINDOW = np.hanning(_PITCH_SAMPLES)
_PITCH_WINDOW_ALIKE = np.correlate(_PITCH_WINDOW, _PITCH_WINDOW, "full")[_PITCH_SAMPLES - 1 :]
_PITCH_WINDOW_ALIKE = _PITCH_WINDOW_ALIKE / _PITCH_WINDOW_ALIKE[0] + 1e-3
_PULSE = np.hanning(18)[1:-1] / np.hanning(18).sum()  # some 1 kHz wide
_VOICED = 0.4  # the autocorrelation of a voiced sound one period later
_PITCH_OVER_S = 2.0
_FADE = RATE // 200  # between two places in the delay line
_LEAST_DELAY, _MOST_DELAY = RATE // 500, RATE // 40
# One hop of the timbre's frames, and the delay line's mean.
DELAY_S = (_HOP + (_LEAST_DELAY + _MOST_DELAY) / 2) / RATE


@dataclass(frozen=True, slots=True)
class Disguise:
    """The voice that another is brought to.

    alpha: the power of the formants' angles. pitch_hz: the mean pitch. ripples_db: what is added to
    the average timbre, as the first terms of a cosine series from 0 to 8 kHz.
    """

    alpha: float
    pitch_hz: float
    ripples_db: tuple[float, ...]

    @classmethod
    def draw(cls, random: np.random.Generator) -> "Disguise":
        """Any voice."""
        least, most = np.log(_PITCHES_HZ)
        return cls(
            alpha=float(random.uniform(*_ALPHAS)),
            pitch_hz=float(np.exp(random.uniform(least, most))),
            ripples_db=tuple(float(each) for each in random.normal(0.0, _RIPPLE_DB, _RIPPLES)),
        )


class VoiceMask:
    """Masks one voice, block by block; mono, 16 kHz. One thread at a time.

    As many samples come out as go in, what they say on average `DELAY_S` later.
    """

    def __init__(self, disguise: Disguise) -> None:
        self._pitch = _PitchShift(disguise.pitch_hz)
        self._timbre = _Timbre(disguise)

    def mask(self, samples: NDArray[np.floating]) -> Floats:
        """Mask (n,) samples from -1 to 1, n a multiple of 160."""
        return self._timbre.change(self._pitch.shift(np.asarray(samples, np.float64)))


class _PitchShift:
    """Brings the mean pitch to another."""

    def __init__(self, pitch_hz: float) -> None:
        self._to = np.log(pitch_hz)
        self._past = np.zeros(_PITCH_SAMPLES + _MOST_DELAY + 2 * _FADE + _HOP)
        self._log_pitch = self._to
        self._heard_s = 0.0
        self._delay = (_LEAST_DELAY + _MOST_DELAY) / 2
        self._fade_from: float | None = None
        self._faded = 0

    def shift(self, samples: Floats) -> Floats:
        return np.concatenate([self._hop(hop) for hop in samples.reshape(-1, _HOP)])

    def _hop(self, hop: Floats) -> Floats:
        self._past = np.concatenate([self._past[_HOP:], hop])
        self._follow()
        ratio = float(np.exp(np.clip(self._to - self._log_pitch, -_MOST_SHIFT, _MOST_SHIFT)))
        out = np.zeros(_HOP)
        done = 0
        while done < _HOP:
            count = min(_HOP - done, _FADE // 2)
            out[done : done + count] = self._read(done, count, ratio)
            done += count
        return out

    def _follow(self) -> None:
        recent = self._past[-_PITCH_SAMPLES:]
        level = np.sqrt(np.mean(recent**2))
        if level < _LEAST_LEVEL:
            return
        # What the vocal tract adds rings at the formants, which are no pitch.
        pulses = np.convolve(np.convolve(recent, _all_pole(recent), "same"), _PULSE, "same")
        spectrum = np.fft.rfft(pulses * _PITCH_WINDOW, 2 * _PITCH_SAMPLES)
        alike = np.fft.irfft(np.abs(spectrum) ** 2)[:_PITCH_SAMPLES]
        alike = alike / (alike[0] + 1e-12) / _PITCH_WINDOW_ALIKE
        first, last = int(RATE / _MOST_PITCH_HZ), int(RATE / _LEAST_PITCH_HZ)
        period = first + int(np.argmax(alike[first:last] * np.linspace(1.0, 0.85, last - first)))
        if alike[period] < _VOICED:
            return
        hop_s = _HOP / RATE
        self._heard_s = min(self._heard_s + hop_s, _PITCH_OVER_S)
        self._log_pitch += hop_s / self._heard_s * (np.log(RATE / period) - self._log_pitch)

    def _read(self, done: int, count: int, ratio: float) -> Floats:
        """The next few samples; the delay line's last sample is `_HOP - 1 - done` after them."""
        drift = 1.0 - ratio
        steps = np.arange(count)
        end = len(self._past) - _HOP + done
        if self._fade_from is None:
            after = self._delay + drift * (count + _FADE)
            if after < _LEAST_DELAY or after > _MOST_DELAY:
                self._jump(end)
        out = self._at(end + steps - self._delay - drift * steps)
        if self._fade_from is not None:
            share = np.clip((self._faded + steps) / _FADE, 0.0, 1.0)
            before = self._at(end + steps - self._fade_from - drift * steps)
            out = share * out + (1 - share) * before
            self._fade_from += drift * count
            self._faded += count
            if self._faded >= _FADE:
                self._fade_from = None
        self._delay += drift * count
        return out

    def _jump(self, end: int) -> None:
        """To a place in the delay line that goes on as this one does."""
        place = end - self._delay
        late = self._delay > (_LEAST_DELAY + _MOST_DELAY) / 2
        first = round(place) - 2 * _FADE + _LEAST_DELAY
        here = self._past[first : first + 2 * _FADE]
        most = int(self._delay - _LEAST_DELAY if late else _MOST_DELAY - self._delay)
        moves = np.arange(_FADE, max(most, _FADE + 1))
        starts = first + (moves if late else -moves)
        starts = starts[(starts >= 0) & (starts + 2 * _FADE <= len(self._past))]
        there = np.lib.stride_tricks.sliding_window_view(self._past, 2 * _FADE)[starts]
        norm = np.sqrt((there**2).sum(axis=1)) + 1e-9
        best = int(np.argmax(there @ here / norm))
        self._fade_from, self._faded = self._delay, 0
        self._delay -= float(starts[best] - first)

    def _at(self, places: Floats) -> Floats:
        whole = np.floor(places).astype(int)
        share = places - whole
        last = len(self._past) - 1
        left = self._past[np.clip(whole, 0, last)]
        return np.asarray(left + share * (self._past[np.clip(whole + 1, 0, last)] - left))


class _Timbre:
    """Brings the mean envelope to another and warps the formants."""

    def __init__(self, disguise: Disguise) -> None:
        self._bins = np.arange(_FFT // 2 + 1)
        angles = np.pi * self._bins / (_FFT // 2)
        # Where a frequency's envelope is taken from.
        source = np.clip(angles ** (1.0 / disguise.alpha), 0.0, np.pi)
        self._warp_from = source * (_FFT // 2) / np.pi
        octaves = np.log2(np.maximum(self._bins * RATE / _FFT, _FLAT_HZ) / _FLAT_HZ)
        average = -_NEPERS * _DB_AN_OCTAVE * octaves
        average -= average.mean()
        ripples = _NEPERS * np.array(disguise.ripples_db)
        orders = np.arange(1, len(ripples) + 1)
        self._to = average + ripples @ np.cos(np.outer(orders, angles))
        self._mean = average
        self._heard_s = 0.0
        self._past: Floats = np.zeros(_HOP)
        self._rest: Floats = np.zeros(_HOP)

    def change(self, samples: Floats) -> Floats:
        return np.concatenate([self._hop(hop) for hop in samples.reshape(-1, _HOP)])

    def _hop(self, hop: Floats) -> Floats:
        frame = np.concatenate([self._past, hop]) * _WINDOW
        self._past = hop
        changed = self._frame(frame) * _WINDOW
        out = self._rest + changed[:_HOP]
        self._rest = changed[_HOP:]
        return out

    def _frame(self, frame: Floats) -> Floats:
        level = np.sqrt(np.mean(frame**2))
        if level < _LEAST_LEVEL:
            return frame
        envelope = -np.log(np.abs(np.fft.rfft(_all_pole(frame), _FFT)) + 1e-9)
        envelope -= envelope.mean()
        hop_s = _HOP / RATE
        self._heard_s = min(self._heard_s + hop_s, _MEAN_OVER_S)
        self._mean = self._mean + hop_s / max(self._heard_s, 0.5) * (envelope - self._mean)
        wanted = np.interp(self._warp_from, self._bins, envelope - self._mean) + self._to
        gain = np.exp(np.clip(wanted - envelope, -_MOST_GAIN, _MOST_GAIN))
        changed = np.fft.irfft(np.fft.rfft(frame, _FFT) * gain)[:_FRAME]
        return np.asarray(changed * (level / (np.sqrt(np.mean(changed**2)) + 1e-9)))


def _all_pole(frame: Floats) -> Floats:
    """Coefficients of the inverse of the frame's envelope, by Levinson's recursion."""
    power = np.abs(np.fft.rfft(frame, 2 * len(frame))) ** 2
    lags = np.fft.irfft(power)[: _ORDER + 1]
    lags[0] = lags[0] * (1 + 1e-5) + 1e-9
    lags *= np.exp(-0.5 * (2 * np.pi * _LAG_WINDOW_HZ / RATE * np.arange(_ORDER + 1)) ** 2)
    inverse = np.zeros(_ORDER + 1)
    inverse[0] = 1.0
    error = lags[0]
    for order in range(1, _ORDER + 1):
        reflection = -float(inverse[:order] @ lags[order:0:-1]) / error
        inverse[1 : order + 1] += reflection * inverse[order - 1 :: -1][:order]
        error *= 1 - reflection * reflection
    return inverse
