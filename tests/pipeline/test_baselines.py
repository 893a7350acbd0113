import numpy as np
import pytest

from kuapin.data.histories import from_interactions
from kuapin.errors import InputError
from kuapin.pipeline.baselines import Random, RandomText, Task, baselines, rank_baselines, rank_task
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Candidates, Visible, top_of_dense
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.text.template import TextConfig

NAMES = {
    "repeat", "popularity", "popularity, 30 days", "item-kNN", "EASE", "implicit ALS", "frozen text",
    "frozen text, mean", "random text", "random",
}  # fmt: skip


@pytest.fixture(scope="module")
def visible(material):
    return material.visible(material.dataset.histories, 1_000_000)


@pytest.fixture(scope="module")
def queries(material):
    return material.dataset.histories.select(np.arange(8))


def test_every_baseline_of_the_design_ranks(visible, queries):
    made = baselines(SourcesConfig(), timed=True, text=TextConfig(template="{title}"))
    assert {one.method.name for one in made} == NAMES
    assert all(len(one.method.formula) > 20 or one.method.kind == "chance" for one in made)
    (lists,) = rank_baselines(made, visible, [Task(queries, 10)])
    assert set(lists) == NAMES
    for name, found in lists.items():
        assert np.diff(found.indptr).max() <= 10 + np.diff(queries.matrix().indptr).max(), name
        for user in range(len(queries)):
            own = found.items[found.indptr[user] : found.indptr[user + 1]]
            assert len(np.unique(own)) == len(own), name


def test_a_bots_history_makes_no_other_list_longer_and_n_new_items_remain_for_all(visible):
    """A bot met 150 of 400 items: its list is long, the others' are not, and what is not met is left as wished."""
    rng, n_items = np.random.default_rng(0), 400
    rows = [(0, item) for item in range(150)] + [
        (user, int(item)) for user in range(1, 40) for item in rng.choice(n_items, 5)
    ]
    users, items = np.array(rows, np.int64).T
    queries = from_interactions(
        users, items, np.arange(len(rows)), np.zeros(len(rows), np.uint8), n_users=40, n_items=n_items, timed=False
    )
    asked = []

    def top(histories, n, items):
        asked.append((len(histories), n))
        scores = np.tile(np.linspace(1, 0, n_items, dtype=np.float32), (len(histories), 1))
        return top_of_dense(scores[:, np.arange(n_items) if items is None else items], np.arange(n_items), n)

    lists = rank_task(top, Task(queries, 10))
    assert sorted(asked) == [(1, 160), (39, 15)]
    new = without_met(lists, queries)
    for user in range(40):
        best = np.setdiff1d(np.arange(n_items), queries.of(user))[:10]
        assert new.items[new.indptr[user] : new.indptr[user + 1]][:10].tolist() == best.tolist()


def test_what_a_log_does_not_have_makes_no_baseline():
    names = {one.method.name for one in baselines(SourcesConfig(), timed=False, text=None)}
    assert names == {"repeat", "popularity", "item-kNN", "EASE", "implicit ALS", "random"}


def test_a_method_with_nothing_to_say_is_left_out(visible, queries):
    made = baselines(SourcesConfig(), timed=True, text=None)
    untouched = np.setdiff1d(np.arange(120), np.unique(visible.histories.items))
    nothing = visible.histories.keep(visible.histories.items < 40)
    task = Task(queries.keep(queries.items < 40), 5, np.arange(40, 120))
    (lists,) = rank_baselines(made, material_of(visible, nothing), [task])
    assert set(lists) == {"random"}
    assert len(untouched) < 120


def material_of(visible, histories):
    return Visible(visible.catalogue, histories, visible.vectors, visible.now)


def test_random_is_seeded_differs_between_users_and_agrees_with_itself(visible, queries):
    source = Random(3).fit(visible)
    scores = source.score(queries)
    assert scores.min() >= 0
    assert scores.max() < 1
    assert abs(scores.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(scores)[0, 1:]).max() < 0.35
    items = np.arange(5, 90, 3)
    found = source.top(queries, 4, items)
    for user in range(len(queries)):
        own = found.items[found.indptr[user] : found.indptr[user + 1]]
        assert own.tolist() == items[np.argsort(-scores[user][items], kind="stable")[:4]].tolist()
    pairs = source.pairs(queries, found.indptr, found.items)
    np.testing.assert_array_equal(pairs, found.scores)
    assert not np.array_equal(Random(4).fit(visible).score(queries), scores)
    np.testing.assert_array_equal(Random().restore(source.arrays()).score(queries), scores)


def test_random_gives_everybody_the_list_that_he_gets_alone(visible, queries):
    source = Random(3).fit(visible)
    lists = rank_task(source.top, Task(queries, 10))
    for user in range(len(queries)):
        alone = rank_task(source.top, Task(queries.select(np.array([user])), 10))
        one = lists.take(np.array([user]))
        assert one.items[:10].tolist() == alone.items[:10].tolist()
    assert len(np.unique(lists.items[lists.indptr[:-1]])) > 4


def test_random_text_knows_which_texts_are_equal_and_nothing_else(visible):
    vectors = np.eye(4, 16, dtype=np.float32)[np.arange(120) % 4]
    one = from_interactions(
        np.zeros(1, int),
        np.array([0]),
        np.zeros(1, np.int64),
        np.zeros(1, np.uint8),
        n_users=1,
        n_items=120,
        timed=False,
    )
    source = RandomText(seed=1).fit(Visible(visible.catalogue, visible.histories, vectors, 0))
    scores = source.score(one)[0]
    assert len(np.unique(scores)) == 4
    assert set(np.flatnonzero(scores == scores.max())) == set(range(0, 120, 4))
    again = RandomText(seed=1).fit(Visible(visible.catalogue, visible.histories, vectors, 0))
    np.testing.assert_array_equal(again.score(one)[0], scores)
    with pytest.raises(InputError, match="needs text vectors"):
        RandomText().fit(Visible(visible.catalogue, visible.histories, None, 0))


def test_without_met_leaves_out_each_users_own_items():
    history = from_interactions(
        np.array([0, 0, 1]), np.array([1, 2, 5]), np.zeros(3, np.int64), np.zeros(3, np.uint8),
        n_users=3, n_items=9, timed=True,
    )  # fmt: skip
    lists = Candidates(
        np.array([0, 3, 6, 7]), np.array([2, 7, 1, 5, 1, 2, 5], np.int32), np.arange(7, 0, -1).astype(np.float32)
    )
    left = without_met(lists, history)
    assert left.indptr.tolist() == [0, 1, 3, 4]
    assert left.items.tolist() == [7, 1, 2, 5]
    assert left.scores.tolist() == [6, 3, 2, 1]
