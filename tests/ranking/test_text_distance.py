"""Distances of texts, and which items tell most, on vectors that can be seen."""

from itertools import combinations

import numpy as np
import pytest

from kuapin.ranking.promotion import most_telling
from kuapin.ranking.text_distance import nearest_groups, text_distance

RNG = np.random.default_rng(0)


def at(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane."""
    angle = np.radians(degrees)
    return np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def test_distance_is_that_of_the_nearest():
    vectors = at(0, 60, *[0] * 10, *[180] * 30)
    others = np.arange(2, 42)
    assert text_distance(vectors, np.array([0]), others, RNG) == pytest.approx(0.0, abs=1e-6)
    assert text_distance(vectors, np.array([0, 1]), others, RNG) == pytest.approx(0.25)  # cosines 1 and .5
    assert text_distance(vectors, np.array([1]), np.arange(12, 14), RNG) == pytest.approx(1.5)


def test_near_groups_have_the_nearest_items():
    vectors = at(0, *[5] * 6, *[20] * 6, *[90] * 20)
    group = np.array([9, *[0] * 6, *[1] * 6, *[2] * 20])
    share = nearest_groups(vectors, np.array([0]), np.arange(1, 33), group, RNG)
    assert share[:3].tolist() == [0.6, 0.4, 0.0]


def test_the_heavier_cluster_first_then_the_other_and_none_that_may_not_be():
    vectors = at(0, 1, 2, 180, 181, 182)
    items, weight = np.arange(6), np.array([1, 1, 1, 5, 5, 5.0])
    assert most_telling(vectors, items, weight, np.ones(6, bool), 2).tolist() == [4, 1]  # the middle of each
    allowed = np.array([True, True, True, True, False, True])
    chosen = most_telling(vectors, items, weight, allowed, 9)
    assert chosen[0] in (3, 5)
    assert sorted(chosen.tolist()) == [0, 1, 2, 3, 5]


def test_greedy_is_within_its_bound_of_the_best():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(14, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weight = rng.random(14)

    def value(chosen) -> float:
        return float(weight @ np.maximum(vectors @ vectors[list(chosen)].T, 0).max(axis=1))

    best = max(map(value, combinations(range(14), 3)))
    greedy = value(most_telling(vectors, np.arange(14), weight, np.ones(14, bool), 3))
    assert greedy >= (1 - 1 / np.e) * best
    assert greedy >= 0.95 * best
