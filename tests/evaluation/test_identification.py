"""Ranks and error rates, and what chance would give."""

import numpy as np
import pytest

from digitalmask.evaluation.identification import Trial, identify

RANDOM = np.random.default_rng(3)


def test_whoever_scores_highest_everywhere_is_found_every_time() -> None:
    truth = np.arange(8)
    figures = identify([Trial(np.eye(8), truth)])
    assert (figures["rank1"], figures["auc"], figures["eer"], figures["tar"]) == (1, 1, 0, 1)
    assert figures["rank1_ci"] == [1, 1]
    assert figures["chance_rank1"] == pytest.approx(1 / 8)


def test_scores_that_say_nothing_find_people_as_often_as_chance() -> None:
    people, repeats = 12, 12
    truth = np.repeat(np.arange(people), 6)
    covered = dict.fromkeys(("rank1", "rank5", "auc", "eer"), 0)
    chance = {"rank1": 1 / people, "rank5": 5 / people, "auc": 0.5, "eer": 0.5}
    for _ in range(repeats):
        figures = identify([Trial(RANDOM.normal(size=(len(truth), people)), truth)])
        for name in covered:
            interval = figures[f"{name}_ci"]
            assert isinstance(interval, list)
            covered[name] += interval[0] <= chance[name] <= interval[1]
    assert min(covered.values()) >= 0.6 * repeats


def test_scores_that_are_all_the_same_say_nothing() -> None:
    truth = np.arange(6)
    figures = identify([Trial(np.zeros((6, 6)), truth)])
    assert figures["rank1"] == 0
    assert figures["auc"] == pytest.approx(0.5)
    assert figures["eer"] == pytest.approx(0.5)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    scores = RANDOM.normal(size=(20, 5))
    truth = np.repeat(np.arange(5), 4)
    scores[np.arange(20), truth] += 0.7
    genuine = scores[np.arange(20), truth]
    others = np.delete(scores.ravel(), np.arange(20) * 5 + truth)
    right = float((genuine[:, None] > others[None]).mean())
    assert identify([Trial(scores, truth)])["auc"] == pytest.approx(right, abs=1e-4)


def test_galleries_count_by_their_probes() -> None:
    found = Trial(np.eye(4), np.arange(4))
    never = Trial(1 - np.eye(2)[np.zeros(12, int)], np.zeros(12, np.int64))
    figures = identify([found, never])
    assert figures["rank1"] == pytest.approx(4 / 16)
    assert figures["chance_rank1"] == pytest.approx((4 * 1 / 4 + 12 * 1 / 2) / 16, abs=1e-4)


def test_without_probes_there_are_no_figures() -> None:
    assert identify([]) == {}
