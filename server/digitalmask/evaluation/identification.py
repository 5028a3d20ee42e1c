"""How well people are told from one another by scores: ranks, error rates, and how sure they are.

Everything is asked within one gallery: a probe is compared with every person of its own gallery.
Several galleries are pooled by the number of their probes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_REPEATS, _SEED = 500, 20_28
_CONFIDENCE = 0.95
_FALSE_ACCEPTS = 0.01


@dataclass(frozen=True, slots=True)
class Trial:
    """The probes of one gallery, and whom they look like.

    scores: (probes, people), larger is more alike. truth: (probes,) whose they are.
    """

    scores: Floats = field(repr=False)
    truth: Ints = field(repr=False)


def identify(trials: Sequence[Trial]) -> dict[str, object]:
    """The figures of an attack.

    `rank1`, `rank5`: share of probes whose person comes first, or among the first five.
    `chance_rank1`, `chance_rank5`: by guessing. `auc`, `eer`, `tar`: of verification, probe against
    every person's template: area under the curve, equal error rate, true accepts at 1 % false ones.
    `..._ci`: 95 % interval from a bootstrap over people. `probes`: how many.
    Empty where there is no probe.
    """
    trials = [trial for trial in trials if len(trial.truth)]
    if not trials:
        return {}
    share = np.array([len(trial.truth) for trial in trials], np.float64)
    share /= share.sum()
    counted = [_Counted.of(trial) for trial in trials]
    values = {name: float(share @ [each.figures[name] for each in counted]) for name in _FIGURES}
    random = np.random.default_rng(_SEED)
    repeats: dict[str, list[float]] = {name: [] for name in _FIGURES}
    for _ in range(_REPEATS):
        drawn = [each.drawn(random) for each in counted]
        for name in _FIGURES:
            repeats[name].append(float(share @ [figures[name] for figures in drawn]))
    edges = (0.5 - _CONFIDENCE / 2, 0.5 + _CONFIDENCE / 2)
    result: dict[str, object] = {}
    for name in _FIGURES:
        result[name] = round(values[name], 4)
        result[f"{name}_ci"] = [round(float(v), 4) for v in np.quantile(repeats[name], edges)]
    people = np.array([trial.scores.shape[1] for trial in trials])
    result["chance_rank1"] = round(float(share @ (1 / people)), 4)
    result["chance_rank5"] = round(float(share @ np.minimum(5 / people, 1)), 4)
    result["probes"] = sum(len(trial.truth) for trial in trials)
    return result


_FIGURES = ("rank1", "rank5", "auc", "eer", "tar")


@dataclass(frozen=True, slots=True)
class _Counted:
    """A trial made ready to be counted with people drawn several times or not at all.

    probe, person: (n,) of each comparison, by falling score. genuine: (n,). last: (n,) whether a
    lower score follows, so that equal scores are passed together.
    """

    trial: Trial
    rank: Ints
    probe: Ints
    person: Ints
    genuine: NDArray[np.bool_]
    last: NDArray[np.bool_]
    figures: dict[str, float]

    @classmethod
    def of(cls, trial: Trial) -> "_Counted":
        scores, truth = trial.scores, trial.truth
        own = scores[np.arange(len(truth)), truth]
        # Of those who score the same, half come before.
        above = (scores > own[:, None]).sum(axis=1)
        equal = (scores == own[:, None]).sum(axis=1) - 1
        rank = above + equal // 2
        order = np.argsort(-scores, axis=None, kind="stable")
        probe, person = np.unravel_index(order, scores.shape)
        falling = scores.ravel()[order]
        counted = cls(
            trial=trial,
            rank=rank.astype(np.int64),
            probe=probe.astype(np.int64),
            person=person.astype(np.int64),
            genuine=np.asarray(truth[probe] == person),
            last=np.append(falling[1:] < falling[:-1], True),
            figures={},
        )
        counted.figures.update(counted._count(np.ones(scores.shape[1])))
        return counted

    def drawn(self, random: np.random.Generator) -> dict[str, float]:
        """The figures with as many people drawn from these, with replacement."""
        people = self.trial.scores.shape[1]
        times = np.bincount(random.integers(people, size=people), minlength=people)
        if (times[self.trial.truth] > 0).any() and (times > 0).sum() > 1:
            return self._count(times.astype(np.float64))
        return self.figures

    def _count(self, times: Floats) -> dict[str, float]:
        truth = self.trial.truth
        own = times[truth]
        weight = own[self.probe] * np.where(self.genuine, 1.0, times[self.person])
        accepted = np.cumsum(weight * self.genuine)[self.last]
        false = np.cumsum(weight * ~self.genuine)[self.last]
        true_rate = np.append(0.0, accepted / accepted[-1])
        false_rate = np.append(0.0, false / false[-1])
        return {
            "rank1": float(own @ (self.rank < 1) / own.sum()),
            "rank5": float(own @ (self.rank < 5) / own.sum()),
            "auc": float(np.trapezoid(true_rate, false_rate)),
            "eer": _equal_error(true_rate, false_rate),
            "tar": float(np.interp(_FALSE_ACCEPTS, false_rate, true_rate)),
        }


def _equal_error(true_rate: Floats, false_rate: Floats) -> float:
    missed = 1.0 - true_rate
    place = int(np.argmax(false_rate >= missed))
    if place == 0:
        return float(false_rate[0])
    # Between two steps of the curve, where its straight line crosses.
    before = missed[place - 1] - false_rate[place - 1]
    after = false_rate[place] - missed[place]
    part = before / max(before + after, 1e-12)
    return float(false_rate[place - 1] + part * (false_rate[place] - false_rate[place - 1]))
