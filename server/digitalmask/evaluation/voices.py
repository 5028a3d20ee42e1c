"""How well a masked voice hides who speaks: a speaker recogniser against it."""

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import ConfigurationError, MediaError
from digitalmask.evaluation.speaker_encoder import RATE, SpeakerEncoder
from digitalmask.media.voice_mask import DELAY_S, Disguise, VoiceMask

Floats = NDArray[np.floating]
Voices = dict[str, list[Floats]]

_SECONDS, _MOST, _LEAST = 5, 6, 4  # of one utterance; utterances of a speaker
_HOP = RATE // 100
_LEVEL = 0.05
_BOOTSTRAPS = 1000


def evaluate_voices(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Attack masked voices of the people in a folder, one folder each with sound in it.

    The first half of what each says is one session, the rest another. Errors: ConfigurationError
    where fewer than three people say enough, MediaError and AssetError.
    """
    voices = _read(folder, say)
    if len(voices) < 3:
        raise ConfigurationError(f"{folder} holds fewer than 3 folders with 20 s of speech each")
    encoder = SpeakerEncoder(say)
    random = np.random.default_rng(1)
    say(f"masking {len(voices)} voices")
    started_s = time.process_time()
    masked: Voices = {name: [] for name in voices}
    for name, said in voices.items():
        for session in np.array_split(np.arange(len(said)), 2):
            mask = VoiceMask(Disguise.draw(random))
            masked[name] += [mask.mask(said[each]) for each in session]
    spent_s = time.process_time() - started_s
    seconds = sum(len(each) for said in voices.values() for each in said) / RATE
    say("recognising")
    open_, hidden = (
        {name: [encoder.embed(each) for each in said] for name, said in spoken.items()}
        for spoken in (voices, masked)
    )
    return {
        "people": len(voices),
        "chance_rank1": round(1 / len(voices), 3),
        "original": _attack(open_, open_),
        "mask": _attack(open_, hidden),
        "mask_vs_mask": _attack(hidden, hidden),
        "mask_vs_mask_trained": _attack(*_trained(hidden)),
        "delay_ms": round(1e3 * DELAY_S, 1),
        "cpu_share": round(spent_s / seconds, 4),
        "loudness_correlation": round(
            float(
                np.mean(
                    [
                        _alike(a, b)
                        for n in voices
                        for a, b in zip(voices[n], masked[n], strict=True)
                    ]
                )
            ),
            3,
        ),
    }


def _read(folder: Path, say: Callable[[str], None]) -> Voices:
    voices: Voices = {}
    skipped = 0
    for person in sorted(each for each in folder.iterdir() if each.is_dir()):
        said: list[Floats] = []
        waiting: list[Floats] = []
        for path in sorted(each for each in person.rglob("*") if each.is_file()):
            try:
                waiting.append(_speech(path))
            except MediaError:
                skipped += 1
                continue
            if sum(map(len, waiting)) >= _SECONDS * RATE:
                joined = np.concatenate(waiting)
                said += [
                    joined[start : start + _SECONDS * RATE]
                    for start in range(0, len(joined) - _SECONDS * RATE + 1, _SECONDS * RATE)
                ]
                waiting = [joined[len(joined) // (_SECONDS * RATE) * _SECONDS * RATE :]]
            if len(said) >= _MOST:
                break
        if len(said) >= _LEAST:
            voices[person.name] = said[:_MOST]
    if skipped:
        say(f"{skipped} files have no sound that can be read; they are left out")
    return voices


def _speech(path: Path) -> Floats:
    """The sound of a file at 16 kHz, mono, without silence, of one loudness."""
    pieces = []
    try:
        kind = path.suffix.lower() if path.suffix.lower() == ".g722" else None
        with av.open(str(path), format=kind and kind[1:]) as container:
            resampler = av.AudioResampler("flt", "mono", RATE)
            for frame in container.decode(audio=0):
                pieces += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise MediaError(f"{path} has no sound that can be read ({type(error).__name__})") from None
    sound = np.concatenate([np.zeros(0, np.float32), *pieces])
    hops = sound[: len(sound) // _HOP * _HOP].reshape(-1, _HOP)
    power = (hops**2).mean(axis=1)
    if power.max(initial=0.0) < 1e-8:
        return np.zeros(0)
    loud = np.convolve(power > 1e-3 * power.max(), np.ones(15), "same") > 0
    speech = hops[loud].ravel()
    return np.asarray(speech * (_LEVEL / np.sqrt(np.mean(speech**2))))


def _attack(enrolled: dict[str, list[Floats]], heard: dict[str, list[Floats]]) -> dict[str, object]:
    """Name who speaks in the second session by the first; tell same from different speakers."""
    names = list(enrolled)
    known = np.stack(
        [np.mean(enrolled[each][: len(enrolled[each]) // 2], axis=0) for each in names]
    )
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    scores = [np.stack(heard[each][len(heard[each]) // 2 :]) @ known.T for each in names]
    random = np.random.default_rng(0)
    hits = [np.mean(rows.argmax(axis=1) == own) for own, rows in enumerate(scores)]
    draws = random.integers(0, len(names), (_BOOTSTRAPS, len(names)))
    low, high = np.quantile(np.array(hits)[draws].mean(axis=1), [0.025, 0.975])
    same = np.concatenate([rows[:, own] for own, rows in enumerate(scores)])
    other = np.concatenate([np.delete(rows, own, 1).ravel() for own, rows in enumerate(scores)])
    eer, auc = _verification(same, other)
    return {
        "rank1": round(float(np.mean(hits)), 3),
        "rank1_ci": [round(float(low), 3), round(float(high), 3)],
        "auc": round(auc, 3),
        "eer": round(eer, 3),
    }


def _verification(same: Floats, other: Floats) -> tuple[float, float]:
    """Equal error rate and area under the curve."""
    same, other = np.sort(same), np.sort(other)
    limits = np.unique(np.concatenate([same, other]))
    refused = np.searchsorted(same, limits) / len(same)
    let_in = 1 - np.searchsorted(other, limits) / len(other)
    at = int(np.argmin(np.abs(refused - let_in)))
    below = (np.searchsorted(other, same) + np.searchsorted(other, same, "right")) / 2
    return float((refused[at] + let_in[at]) / 2), float(below.mean() / len(other))


def _trained(
    hidden: dict[str, list[Floats]],
) -> tuple[dict[str, list[Floats]], dict[str, list[Floats]]]:
    """The recogniser taught, on other people's masked voices, what a mask changes at random.

    Within-class covariance normalisation (Hatch et al., Interspeech 2006), in two folds of people.
    """
    names = list(hidden)
    taught: dict[str, list[Floats]] = {}
    for fold in (names[::2], names[1::2]):
        others = [np.stack(hidden[each]) for each in names if each not in fold]
        within = np.concatenate([each - each.mean(axis=0) for each in others])
        middle = np.concatenate(others).mean(axis=0)
        covariance = within.T @ within / len(within)
        covariance += 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        values, axes = np.linalg.eigh(covariance)
        whiten = axes / np.sqrt(values)
        for name in fold:
            moved = (np.stack(hidden[name]) - middle) @ whiten
            taught[name] = list(moved / np.linalg.norm(moved, axis=1, keepdims=True))
    ordered = {name: taught[name] for name in names}
    return ordered, ordered


def _alike(said: Floats, masked: Floats) -> float:
    """How the masked voice's loudness follows the voice's, syllable by syllable."""
    late = round(DELAY_S * RATE)
    count = (len(said) - late) // _HOP * _HOP
    smooth = np.hanning(7) / np.hanning(7).sum()
    levels = [
        np.convolve((each[:count].reshape(-1, _HOP) ** 2).mean(axis=1) ** 0.5, smooth, "same")
        for each in (said, masked[late:])
    ]
    return float(np.corrcoef(levels[0], levels[1])[0, 1])
