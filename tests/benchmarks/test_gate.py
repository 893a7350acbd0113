"""Repeated refreshes, simulated: what is planted is what is lost, and looks are counted."""

import numpy as np
import pytest

from benchmarks.gate import passing_in_a_year, shop_of
from kuapin.evaluation.gate import Paired


def pool() -> Paired:
    """Both models hit half of the people, mostly the same ones."""
    rng = np.random.default_rng(0)
    champion = np.where(rng.random(4000) < 0.5, rng.random(4000), 0.0)
    return Paired(champion, np.where(rng.random(4000) < 0.1, rng.permutation(champion), champion))


def test_the_first_category_loses_what_is_planted_and_the_others_nothing():
    drawn = shop_of(pool(), 20_000, 0.3, 2, np.random.default_rng(1))
    lost, kept = (one.challenger.mean() / one.champion.mean() for one in drawn.values())
    assert lost == pytest.approx(0.7, abs=0.02)
    assert kept == pytest.approx(1.0, abs=0.02)


def test_an_equal_model_passes_in_its_first_weeks_and_a_bad_one_in_no_year():
    assert passing_in_a_year(pool(), 300, 0.0, 3, 0, corrected=True) == 1.0
    assert passing_in_a_year(pool(), 300, 0.5, 3, 0, corrected=True) == 0.0


def test_looks_that_are_not_counted_let_a_loss_of_the_margin_pass():
    corrected, not_ = (passing_in_a_year(pool(), 300, 0.1, 8, 0, corrected=one) for one in (True, False))
    assert corrected < not_
