"""Attackers find what is there to be found, and nothing where there is nothing."""

import numpy as np

from digitalmask.evaluation.attackers import Samples, compare, train_and_compare
from digitalmask.evaluation.identification import identify


def gallery(people: int, told: float, size: int = 12, seed: int = 0) -> Samples:
    """Four samples a person, in which noise in every direction hides what three of them tell."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 4)
    own = random.normal(size=(people, size)) * np.where(np.arange(size) < 3, told, 0.0)
    noise = random.normal(size=(len(person), size)) * np.linspace(0.3, 4, size)
    return Samples(own[person] + noise, person, np.tile([0, 1, 0, 1], people))


def auc(samples: Samples, *, trained: bool) -> float:
    trials = train_and_compare([samples]) if trained else compare(samples, samples)
    found = identify(trials)["auc"]
    assert isinstance(found, float)
    return found


def test_one_who_has_learned_where_people_differ_finds_more() -> None:
    people = gallery(40, 1.5)
    assert auc(people, trained=True) > auc(people, trained=False) + 0.1
    assert auc(people, trained=True) > 0.9


def test_nobody_finds_what_is_not_there() -> None:
    for seed in range(3):
        people = gallery(40, 0.0, seed=seed)
        assert 0.38 < auc(people, trained=False) < 0.62
        assert 0.38 < auc(people, trained=True) < 0.62


def test_what_is_attacked_was_never_learned_from() -> None:
    """Ten numbers a person, all noise: whoever learned them by heart would find everybody."""
    random = np.random.default_rng(1)
    samples = Samples(
        random.normal(size=(40, 200)), np.repeat(np.arange(20), 2), np.tile([0, 1], 20)
    )
    assert 0.35 < auc(samples, trained=True) < 0.65


def test_a_probe_is_compared_with_the_other_part_alone() -> None:
    """The same vector enrolled and attacking would be found at once."""
    random = np.random.default_rng(2)
    noise = random.normal(size=(30, 6))
    samples = Samples(noise, np.repeat(np.arange(15), 2), np.tile([0, 1], 15))
    assert auc(samples, trained=False) < 0.75


def test_numbers_that_never_vary_tell_nothing() -> None:
    same = Samples(np.ones((8, 3)), np.repeat(np.arange(4), 2), np.tile([0, 1], 4))
    assert train_and_compare([same]) == []
    assert train_and_compare([]) == []
