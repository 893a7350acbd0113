import json
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuapin.data.histories import empty_histories
from kuapin.errors import ModelFolderError
from kuapin.ranking.live import queries_of
from kuapin.ranking.recommender import DESCRIPTION, Recommender
from kuapin.ranking.signals import SignalsConfig


def test_saved_and_loaded_it_answers_to_the_last_bit(fitted, visible, tmp_path):
    recommender = fitted.recommender
    recommender.save(tmp_path)
    again = Recommender.load(tmp_path, visible.catalogue)
    one, other = recommender.rank(visible.histories, 10), again.rank(visible.histories, 10)
    assert np.array_equal(one.items, other.items)
    assert one.scores.tobytes() == other.scores.tobytes()


def test_lists_are_probabilities_in_descending_order(fitted, visible):
    found = fitted.recommender.rank(visible.histories, 10)
    assert np.diff(found.indptr).tolist() == [10] * len(visible.histories)
    for user in range(len(visible.histories)):
        scores = found.scores[found.indptr[user] : found.indptr[user + 1]]
        assert np.all(np.diff(scores) <= 0)
        assert np.all((scores >= 0) & (scores <= 1))
        assert len(set(found.items[found.indptr[user] : found.indptr[user + 1]].tolist())) == 10


@pytest.mark.parametrize("allowed", [1, 3, 40, 96])
def test_a_list_has_n_items_wherever_n_may_be_shown(fitted, visible, allowed):
    rows = np.sort(np.random.default_rng(allowed).permutation(96)[:allowed])
    known = visible.histories.select(np.arange(5))
    for histories in (known, empty_histories(3, 96, timed=True)):
        found = fitted.recommender.rank(histories, 30, rows)
        assert set(np.diff(found.indptr).tolist()) == {min(30, allowed)}
        assert np.isin(found.items, rows).all()


@pytest.mark.parametrize(("n", "cap", "filled"), [(8, 2, False), (4, 1, False), (20, 3, True)])
def test_the_cap_of_a_category_holds_wherever_the_catalogue_allows_it(fitted, visible, n, cap, filled):
    """All candidates are of the one category that these users know; four categories have 24 items each."""
    recommender = fitted.recommender
    lean = replace(recommender, signals=recommender.signals.only(SignalsConfig(candidates=20, proposers=("repeat",))))
    category = visible.catalogue.category
    one = visible.histories.keep(category[visible.histories.items] == 0).select(np.arange(20))
    assert min(len(set(one.of(user))) for user in range(20)) > 0
    for users, ranked in lean.ranked(one, n, per_category=cap):
        found = ranked.found
        assert np.diff(found.indptr).tolist() == [n] * len(users)
        for user in range(len(users)):
            most = np.bincount(category[found.items[found.indptr[user] : found.indptr[user + 1]]]).max()
            assert most > cap if filled else most == cap


def test_someone_unknown_gets_what_most_people_met(fitted, visible):
    users = np.asarray(visible.histories.matrix().sum(axis=0)).ravel()
    found = fitted.recommender.rank(empty_histories(1, 96, timed=True), 5)
    assert users[found.items].mean() > np.quantile(users, 0.8)


def test_one_user_alone_gets_the_same_list_as_among_many(fitted, visible):
    many = fitted.recommender.rank(visible.histories, 10)
    for user in (0, 7, 159):
        alone = fitted.recommender.rank(visible.histories.select(np.array([user])), 10)
        part = slice(many.indptr[user], many.indptr[user + 1])
        assert np.array_equal(alone.items, many.items[part])
        assert alone.scores == pytest.approx(many.scores[part], rel=1e-5)


def test_strangers_among_others_change_nobodys_list(fitted, visible):
    rows = np.array([3, -1, 0, -1, 7])
    mixed = fitted.recommender.rank(queries_of(visible.histories, rows), 10)
    known = fitted.recommender.rank(visible.histories.select(rows[rows >= 0]), 10)
    strangers = fitted.recommender.rank(empty_histories(2, 96, timed=True), 10)
    lists = mixed.items.reshape(5, 10)
    assert np.array_equal(lists[[0, 2, 4]], known.items.reshape(3, 10))
    assert np.array_equal(lists[[1, 3]], strangers.items.reshape(2, 10))


def test_no_users_no_lists(fitted, visible):
    found = fitted.recommender.rank(visible.histories.select(np.empty(0, np.int64)), 10)
    assert (found.indptr.tolist(), len(found.items)) == ([0], 0)


def test_a_release_whose_parts_do_not_fit_is_refused(fitted, visible, tmp_path):
    fitted.recommender.save(tmp_path)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    description["sources"].remove("popularity")
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(ModelFolderError, match="its parts do not fit together"):
        Recommender.load(tmp_path, visible.catalogue)
    (tmp_path / DESCRIPTION).write_text("{")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        Recommender.load(tmp_path, visible.catalogue)


PROPOSERS = {"all": None, "repeat": ("repeat",), "two": ("popularity", "item_knn")}


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("proposers", PROPOSERS.values(), ids=PROPOSERS.keys())
@given(lengths=st.tuples(st.integers(1, 96), st.integers(1, 96)), seed=st.integers(0, 99), allowed=st.integers(1, 96))
@hypothesis.settings(max_examples=15, deadline=None)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(
    fitted, visible, proposers, calibrated, lengths, seed, allowed
):
    """With fewer asked for than are proposed, and with more: what fills a list is behind all that is proposed."""
    whole = fitted.recommender
    signals = whole.signals.only(SignalsConfig(candidates=10, proposers=proposers))
    lean = replace(whole, signals=signals, calibration=whole.calibration if calibrated else None)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(96)[:allowed])
    histories = visible.histories.select(rng.permutation(160)[:6])
    short, long = (lean.rank(histories, n, rows) for n in sorted(lengths))
    for user in range(6):
        one, other = (found.take(np.array([user])) for found in (short, long))
        assert len(other.items) == min(max(lengths), allowed)
        assert one.items.tolist() == other.items[: len(one.items)].tolist()
        np.testing.assert_allclose(one.scores, other.scores[: len(one.items)], rtol=1e-5)
        assert np.all(np.diff(other.scores) <= 0)
        mine = signals.propose(histories.select(np.array([user])), rows)[1]
        assert set(other.items[: len(mine)]) <= set(mine)


def test_where_nothing_is_proposed_the_ranker_orders_what_is_shown(fitted, visible):
    """Nobody here has been in one category, and only what was met is proposed."""
    recommender = fitted.recommender
    signals = recommender.signals.only(SignalsConfig(candidates=96, proposers=("repeat",)))
    category = visible.catalogue.category
    histories = visible.histories.keep(category[visible.histories.items] != 0).select(np.arange(10))
    rows = np.flatnonzero(category == 0).astype(np.int32)
    assert len(signals.propose(histories, rows)[1]) == 0
    found = replace(recommender, signals=signals).rank(histories, 24, rows)
    indptr = np.arange(11, dtype=np.int64) * 24
    scores = recommender.ranker.score(signals.features(histories, indptr, np.tile(rows, 10))).reshape(10, 24)
    best = rows[np.argsort(-scores, axis=1, kind="stable")]
    assert found.items.reshape(10, 24).tolist() == best.tolist()
