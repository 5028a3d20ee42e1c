"""Whom a masked person looks like: by a recogniser as it is, and by one trained on masks.

Numbers are compared as vectors, whatever they stand for: a recogniser's answer, or the features of
mask states. A sample is one session (a picture, a recording) or one half of a recording.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA

from digitalmask.evaluation.identification import Trial

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_FOLDS = 3
# More directions than that are noise in a few hundred samples.
_MOST_DIRECTIONS = 60
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of the people of one gallery.

    vectors: (n, d). person: (n,) from 0. part: (n,) 0 or 1: those of one part enrol, those of the
    other attack, and the other way round.
    """

    vectors: Floats = field(repr=False)
    person: Ints = field(repr=False)
    part: Ints = field(repr=False)

    def only(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Some of them."""
        return Samples(self.vectors[chosen], self.person[chosen], self.part[chosen])

    def sides(self) -> Iterator[tuple[Ints, Ints]]:
        """Which samples enrol and which attack, twice: of the people who are in both parts."""
        both = np.intersect1d(self.person[self.part == 0], self.person[self.part == 1])
        if len(both) < 2:
            return
        asked = np.isin(self.person, both)
        for part in (0, 1):
            of_part = self.part == part
            yield np.flatnonzero(asked & of_part), np.flatnonzero(asked & ~of_part)


def compare(enrolled: Samples, probes: Samples) -> list[Trial]:
    """By the angle between a probe and the mean of what is enrolled of each person.

    The two are the same samples in two conditions (original and masked, say).
    """
    trials = []
    for enrolling, attacking in enrolled.sides():
        people, owner = np.unique(enrolled.person[enrolling], return_inverse=True)
        shown = enrolled.vectors[enrolling]
        templates = _unit([shown[owner == place].mean(axis=0) for place in range(len(people))])
        scores = _unit(probes.vectors[attacking]) @ templates.T
        trials.append(Trial(scores, np.searchsorted(people, probes.person[attacking])))
    return _joined(trials)


def _unit(vectors: Sequence[Floats] | Floats) -> Floats:
    rows = np.asarray(vectors)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def train_and_compare(galleries: Sequence[Samples]) -> list[Trial]:
    """By an attacker who learned from the masks of other people what stays of a person.

    The likelihood ratio of two normal distributions, of how people differ and of how one person's
    samples do (probabilistic linear discriminant analysis): the best that a linear attacker can do.
    The people are attacked in three groups, each among its own: what is learned comes from all the
    others, of every gallery, and whoever was learned from would be no fair alternative.
    """
    if not galleries:
        return []
    scale = _Scale.of(np.concatenate([samples.vectors for samples in galleries]))
    if not scale.kept.any():
        return []
    scaled = [Samples(scale(each.vectors), each.person, each.part) for each in galleries]
    found: list[Trial] = []
    for place, samples in enumerate(scaled):
        people = np.unique(samples.person)
        folds = min(_FOLDS, len(people) // 2)
        for fold in range(folds):
            held = np.isin(samples.person, people[np.arange(len(people)) % folds == fold])
            others = [*scaled[:place], samples.only(~held), *scaled[place + 1 :]]
            model = _TwoCovariances.learn(others)
            if model is not None:
                found += _attack(model, samples.only(held))
    return found


def _attack(model: "_TwoCovariances", samples: Samples) -> list[Trial]:
    trials = []
    for enrolling, attacking in samples.sides():
        people, owner = np.unique(samples.person[enrolling], return_inverse=True)
        middle = samples.vectors[enrolling].mean(axis=0)
        shown = samples.vectors[enrolling] - middle
        templates = [shown[owner == place] for place in range(len(people))]
        scores = model.scores(templates, samples.vectors[attacking] - middle)
        trials.append(Trial(scores, np.searchsorted(people, samples.person[attacking])))
    return _joined(trials)


def _joined(trials: Sequence[Trial]) -> list[Trial]:
    """Both sides as one trial: they ask for the same people."""
    if not trials:
        return []
    scores = np.concatenate([trial.scores for trial in trials])
    return [Trial(scores, np.concatenate([trial.truth for trial in trials]))]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Brings features of all kinds to one size; what never varies is left out."""

    middle: Floats
    spread: Floats
    kept: NDArray[np.bool_]

    @classmethod
    def of(cls, vectors: Floats) -> "_Scale":
        spread = vectors.std(axis=0)
        kept = spread > _LEAST_SPREAD
        return cls(vectors.mean(axis=0)[kept], spread[kept], kept)

    def __call__(self, vectors: Floats) -> Floats:
        return (vectors[:, self.kept] - self.middle) / self.spread


@dataclass(frozen=True, slots=True)
class _TwoCovariances:
    """directions: (d, k), in which one person's samples vary by 1 and people by `between` (k,)."""

    directions: Floats
    between: Floats

    @classmethod
    def learn(cls, galleries: Sequence[Samples]) -> "_TwoCovariances | None":
        """None where nobody has two samples."""
        within, means, counts = [], [], []
        for each in galleries:
            own = []
            for person in np.unique(each.person):
                mine = each.vectors[each.person == person]
                if len(mine) < 2:
                    continue
                freedom = np.sqrt(len(mine) / (len(mine) - 1))
                within.append((mine - mine.mean(axis=0)) * freedom)
                own.append(mine.mean(axis=0))
                counts.append(len(mine))
            if len(own) > 1:
                means.append(np.array(own) - np.mean(own, axis=0))
        if not within or not means:
            return None
        rests, middles = np.concatenate(within), np.concatenate(means)
        most = min(_MOST_DIRECTIONS, rests.shape[1], len(rests) + len(middles) - 2)
        reduced = PCA(most, random_state=0).fit(np.concatenate([rests, middles])).components_.T
        covariance, _ = ledoit_wolf(rests @ reduced, assume_centered=True)
        values, axes = np.linalg.eigh(covariance)
        whitened = reduced @ (axes / np.sqrt(np.maximum(values, 1e-9)))
        among, _ = ledoit_wolf(middles @ whitened, assume_centered=True)
        spread, axes = np.linalg.eigh(among)
        between = np.maximum(spread - 1.0 / float(np.mean(counts)), 0.0)
        told = between > 1e-3
        if not told.any():
            told[-1], between[-1] = True, 1e-3
        return cls(np.asarray((whitened @ axes)[:, told]), between[told])

    def scores(self, enrolled: Sequence[Floats], probes: Floats) -> Floats:
        """(probes, people) log likelihood ratios: the same person, or somebody."""
        seen = probes @ self.directions
        anybody = _log_normal(seen, np.zeros(len(self.between)), self.between + 1.0)
        columns = []
        for samples in enrolled:
            count = len(samples)
            sure = count * self.between / (count * self.between + 1.0)
            mean = sure * (samples @ self.directions).mean(axis=0)
            columns.append(_log_normal(seen, mean, sure / count + 1.0) - anybody)
        return np.stack(columns, axis=1)


def _log_normal(values: Floats, mean: Floats, variance: Floats) -> Floats:
    return np.asarray(-0.5 * ((values - mean) ** 2 / variance + np.log(variance)).sum(axis=1))
