import numpy as np
import pytest

from kuapin.evaluation.drift import (
    favourites_moved,
    scores_moved,
    share_moved,
    stability_index,
    texts_moved,
)


def test_the_index_by_hand():
    before, now = np.array([500.0, 500.0]), np.array([800.0, 200.0])
    p, q = np.array([500.5, 500.5]) / 1001, np.array([800.5, 200.5]) / 1001
    by_hand = ((q - p) * np.log(q / p)).sum() - (1 / 1000 + 1 / 1000)
    assert stability_index(before, now) == pytest.approx(by_hand)
    assert stability_index(before, np.zeros(2)) == 0
    assert stability_index(np.array([5.0, 0.0]), np.array([9.0, 0.0])) == 0  # one bin cannot move


def test_chance_alone_is_no_drift():
    rng = np.random.default_rng(0)
    found = [
        stability_index(rng.multinomial(200, np.full(20, 0.05)), rng.multinomial(200, np.full(20, 0.05)))
        for _ in range(200)
    ]
    assert np.mean(found) < 0.05  # 0.19 where chance were not taken off
    assert np.mean([one > 0.25 for one in found]) < 0.01


def test_shares_are_told_the_greatest_change_first():
    before = np.repeat([0, 1, 2], [60, 30, 10])
    now = np.repeat([0, 1, 2], [20, 25, 55])
    moved = share_moved("categories", before, now, ("Home", "Toys", "Pets"))
    assert moved.told == "Pets 10% → 55%, Home 60% → 20%, Toys 30% → 25%"
    assert moved.much
    assert moved.size == "much"
    same = share_moved("categories", before, before, ("Home", "Toys", "Pets"))
    assert (same.index, same.size, same.told) == (0, "none", "no share moved by half a percent")


def test_favourites():
    before, now = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([3, 1], [75, 25])
    moved = favourites_moved(before, now, 5)
    assert moved.told == "1 of the 2 most met were not among them; 75% went to items never met before"
    assert moved.much


def test_scores_and_texts():
    rng = np.random.default_rng(0)
    before = rng.random(2_000)
    assert scores_moved(before, rng.random(2_000)).size == "none"
    moved = scores_moved(before, rng.random(2_000) / 2)
    assert moved.much
    assert moved.told.startswith(f"mean {before.mean():.4f} → 0.2")
    assert texts_moved(before, np.empty(0)).told == "no new items"
    assert texts_moved(before / 2, before[:50] / 2 + 0.5).much
