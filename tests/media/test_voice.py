"""A masked voice says the same at the same time, and is another's."""

from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame
from numpy.typing import NDArray
from scipy.signal import correlate, lfilter

from digitalmask.media.voice import VoiceFilter, VoiceWay
from digitalmask.media.voice_mask import RATE, Disguise, VoiceMask

Floats = NDArray[np.float64]

LOW = Disguise(0.75, 130.0, (0.0,))
HIGH = Disguise(0.85, 165.0, (4.0, -4.0))


def vowel(seconds: float, pitch_hz: float, formants_hz: tuple[float, ...], rate: int) -> Floats:
    """A voice that glides about its pitch, louder and softer four times a second."""
    at_s = np.arange(round(seconds * rate)) / rate
    turns = np.cumsum(pitch_hz * (1 + 0.06 * np.sin(2 * np.pi * 0.9 * at_s))) / rate
    wave = np.diff(np.floor(turns), prepend=0.0)
    for formant in formants_hz:
        radius = np.exp(-np.pi * 90 / rate)
        pole = 2 * radius * np.cos(2 * np.pi * formant / rate)
        wave = lfilter([1.0], [1.0, -pole, radius**2], wave)
    wave *= 0.3 / np.abs(wave).max()
    return np.asarray(wave * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at_s)))


def pitch_of(wave: Floats) -> float:
    """By the autocorrelation, Hz."""
    recent = wave[len(wave) // 2 :]
    alike = correlate(recent, recent, method="fft")[len(recent) - 1 :]
    first, last = RATE // 300, RATE // 70
    return RATE / (first + int(np.argmax(alike[first:last])))


def loudness(wave: Floats, rate: int) -> Floats:
    """In steps of a millisecond, over 30."""
    step = rate // 1000
    power = (wave[: len(wave) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    return np.convolve(power, np.ones(30) / 30, "same")


def frames(samples: Floats, rate: int = 48000, from_s: float = 0.0) -> list[AudioFrame]:
    """As a decoder gives them: stereo, 20 ms each."""
    out = []
    for start in range(0, len(samples) - rate // 50 + 1, rate // 50):
        mono = (32767 * samples[start : start + rate // 50]).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(mono, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(from_s * rate) + start
        out.append(frame)
    return out


def joined(heard: list[AudioFrame]) -> Floats:
    return np.concatenate([frame.to_ndarray()[0, ::2] for frame in heard]) / 32767


@pytest.mark.parametrize("pitch_hz", [105.0, 160.0, 230.0])
@pytest.mark.parametrize("disguise", [LOW, HIGH])
def test_the_pitch_becomes_the_disguises_own(pitch_hz: float, disguise: Disguise) -> None:
    voice = vowel(6.0, pitch_hz, (600.0, 1400.0, 2600.0), RATE)
    masked = VoiceMask(disguise).mask(voice)
    assert pitch_of(masked) == pytest.approx(disguise.pitch_hz, rel=0.10)


def timbre(wave: Floats) -> Floats:
    """The mean spectrum, nepers."""
    pieces = wave[2 * RATE : 4 * RATE].reshape(-1, 500) * np.hanning(500)
    power = (np.abs(np.fft.rfft(pieces)) ** 2).mean(axis=0)
    return np.asarray(np.log(power + 1e-9)[4:200])


def test_two_speakers_become_more_alike_and_one_in_two_consultations_less() -> None:
    deep = vowel(5.0, 105.0, (560.0, 1300.0, 2400.0), RATE)
    high = vowel(5.0, 210.0, (680.0, 1600.0, 2950.0), RATE)

    def apart(a: Floats, b: Floats) -> float:
        return float(np.std(timbre(a) - timbre(b)))

    as_they_are = apart(deep, high)
    masked_alike = apart(VoiceMask(LOW).mask(deep), VoiceMask(LOW).mask(high))
    assert masked_alike < 0.6 * as_they_are
    assert apart(VoiceMask(LOW).mask(deep), VoiceMask(HIGH).mask(deep)) > masked_alike


def test_it_is_said_when_it_was_said() -> None:
    voice = vowel(5.0, 120.0, (600.0, 1400.0, 2600.0), 48000)
    filter_ = VoiceFilter(VoiceWay.MASK)
    heard = [each for frame in frames(voice, from_s=3.0) for each in filter_.through(frame)]
    heard += filter_.rest()
    assert {(each.sample_rate, each.samples, each.layout.name) for each in heard} == {
        (48000, 960, "stereo")
    }
    stamps = [each.pts for each in heard]
    assert np.diff(np.array(stamps, float)).tolist() == [960.0] * (len(stamps) - 1)
    # By its stamps each sound is where it was; played as it comes, it is `delay_s` later.
    start = round((3.0 - float(heard[0].pts or 0) / 48000) * 48000)
    masked, said = loudness(joined(heard)[start:], 48000), loudness(voice, 48000)
    count = min(len(masked), len(said))
    masked, said = (each[1000:count] - each[1000:count].mean() for each in (masked, said))
    lag_ms = int(np.argmax(correlate(masked, said, method="fft"))) - (len(said) - 1)
    assert abs(lag_ms) <= 12
    assert 0.015 < filter_.delay_s < 0.030
    assert np.corrcoef(np.roll(masked, -lag_ms), said)[0, 1] > 0.9


def test_after_a_gap_the_voice_goes_on_where_it_is() -> None:
    voice = vowel(4.0, 120.0, (600.0, 1400.0), 48000)
    filter_ = VoiceFilter(VoiceWay.MASK)
    heard = []
    for frame in frames(voice[:96000]) + frames(voice[96000:], from_s=3.0):
        heard += filter_.through(frame)
    stamps_s = np.array([float(each.pts or 0) / 48000 for each in heard])
    (gap,) = np.flatnonzero(np.diff(stamps_s) > 0.5)
    assert stamps_s[gap] < 2.0
    assert stamps_s[gap + 1] == pytest.approx(3.0, abs=0.001)


def test_silence_stays_silence_and_noise_does_not_grow() -> None:
    mask = VoiceMask(HIGH)
    assert np.abs(mask.mask(np.zeros(RATE))).max() == 0.0
    noise = 0.01 * np.random.default_rng(0).standard_normal(2 * RATE)
    assert np.std(mask.mask(noise)[RATE:]) < 0.02


def test_what_is_passed_is_the_same_and_what_is_off_is_nothing() -> None:
    (frame, *_) = frames(vowel(0.1, 120.0, (600.0,), 48000))
    assert VoiceFilter(VoiceWay.PASS).through(frame) == [frame]
    assert VoiceFilter(VoiceWay.OFF).through(frame) == []
    assert VoiceFilter(VoiceWay.OFF).rest() == []


def test_disguises_differ_from_consultation_to_consultation() -> None:
    random = np.random.default_rng(0)
    drawn = [Disguise.draw(random) for _ in range(50)]
    assert len({each.alpha for each in drawn}) == 50
    assert min(each.pitch_hz for each in drawn) < 120 < 155 < max(each.pitch_hz for each in drawn)
