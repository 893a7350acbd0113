"""Completion and the surface bundles, on the made-up shop: everybody buys a soap with a candle of the same theme."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from kuapin.data.baskets import build_baskets
from kuapin.data.histories import Histories, empty_histories
from kuapin.errors import ModelFolderError
from kuapin.ranking.completion import Completion, CompletionConfig, fit_completion, hide_one
from kuapin.ranking.signals import Signals
from kuapin.surfaces.bundles import CODES, COMPLETES, Bundles, links_of
from tests import market

SMALL = CompletionConfig(candidates=20, hidden=0.3)
GONE = "H-snow-candle-small"
"""Nobody bought it."""


def log() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for basket in range(500):
        theme = market.THEMES[rng.integers(len(market.THEMES))]
        size = ("small", "large")[rng.integers(2)]
        pair = [f"B-{theme}-soap-{size}", f"H-{theme}-candle-{size}"]
        noise = market.items()["item_id"][int(rng.integers(96))]
        rows += [(f"u{basket % 40}", item, f"k{basket}", basket * 50_000) for item in [*pair, noise] if item != GONE]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "basket_id", "timestamp"], orient="row")


@pytest.fixture(scope="module")
def completion() -> Completion:
    data = market.build_dataset(market.items(), log())
    visible = replace(market.visible(data), now=int(data.histories.times.max()))
    return fit_completion(visible, build_baskets(log(), data.catalogue.items, data.users), SMALL)


@pytest.fixture(scope="module")
def catalogue():
    return market.build_dataset(market.items(), log()).catalogue


def basket_of(catalogue, *items: str) -> Histories:
    rows = np.sort(catalogue.items.rows(list(items)))
    return Histories(
        np.array([0, len(rows)]), rows, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.uint8), 96, True
    )


def surface(completion, catalogue, *relations: tuple[str, str, str]) -> Bundles:
    table = pl.DataFrame(relations, schema=dict.fromkeys(["head", "relation", "tail"], pl.String), orient="row")
    return Bundles(completion, catalogue, *(links_of(table, catalogue, r) for r in (COMPLETES, ("substitute_of",))))


def shown(answer, catalogue) -> list[str]:
    return catalogue.items.take(answer.items).to_list()


NOBODY = empty_histories(1, 96, timed=True)


def test_what_lies_beside_it_completes_it(completion, catalogue):
    answer = surface(completion, catalogue).complete(basket_of(catalogue, "B-oak-soap-small"), NOBODY, 3, explain=True)
    assert shown(answer, catalogue)[0] == "H-oak-candle-small"
    assert answer.reasons.codes[0] == "bought_together"
    assert answer.reasons.texts[0].startswith("Bought together with oak soap small ")
    assert (np.diff(answer.scores) <= 0).all()


def test_a_set_has_none_of_the_baskets_kind(completion, catalogue):
    answer = surface(completion, catalogue).complete(basket_of(catalogue, "B-oak-soap-small"), NOBODY, 7)
    assert catalogue.leaf[catalogue.items.row("B-oak-soap-small")] not in catalogue.leaf[answer.items]


def test_in_a_set_a_further_item_of_a_kind_waits_five_places(completion, catalogue):
    one, n = surface(completion, catalogue), np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])  # shelves of ranked items
    order = np.array([np.flatnonzero(catalogue.leaf == leaf)[k] for k, leaf in enumerate(n)], np.int32)
    inside, none = np.flatnonzero(catalogue.leaf == 6)[-1:], np.zeros(10, np.bool_)
    place = one.as_set(inside.astype(np.int32), order, none)
    assert place.tolist() == [0, 3, 4, 5, 1, 6, 7, 9, 2, 8]
    related = none.copy()
    related[8] = True
    assert one.as_set(inside.astype(np.int32), order, related)[0] == 8


def test_the_same_kind_comes_where_nothing_else_may(completion, catalogue):
    soaps = np.array([row for row, leaf in enumerate(catalogue.leaf) if catalogue.leaves[leaf] == "Beauty > soap"])
    answer = surface(completion, catalogue).complete(basket_of(catalogue, "B-oak-soap-small"), NOBODY, 3, soaps)
    assert len(answer.items) == 3
    assert catalogue.items.row("B-oak-soap-small") not in answer.items


def test_a_relation_of_the_shop_comes_first_either_way_round(completion, catalogue):
    one = surface(completion, catalogue, ("P-sea-toy-large", "compatible_with", "B-oak-soap-small"))
    answer = one.complete(basket_of(catalogue, "B-oak-soap-small"), NOBODY, 2, explain=True)
    assert shown(answer, catalogue)[0] == "P-sea-toy-large"
    assert (answer.reasons.codes[0], answer.reasons.texts[0]) == (
        "related",
        "Goes with oak soap small: the shop says so",
    )
    back = one.complete(basket_of(catalogue, "P-sea-toy-large"), NOBODY, 1)
    assert shown(back, catalogue) == ["B-oak-soap-small"]


def test_a_substitute_by_relation_is_no_complement(completion, catalogue):
    one = surface(completion, catalogue, ("H-oak-candle-small", "substitute_of", "B-oak-soap-small"))
    answer = one.complete(basket_of(catalogue, "B-oak-soap-small"), NOBODY, 5)
    assert "H-oak-candle-small" not in shown(answer, catalogue)


def test_what_goes_with_the_same_thing_goes_together(completion, catalogue):
    both = [(item, "compatible_with", "E27 socket") for item in ("H-oak-lamp-small", "G-sun-hose-large")]
    links = links_of(
        pl.DataFrame(both, schema=dict.fromkeys(["head", "relation", "tail"], pl.String), orient="row"),
        catalogue,
        COMPLETES,
    )
    lamp, hose = (catalogue.items.row(item) for item, _, _ in both)
    assert links.nnz == 2
    assert links[lamp, hose] == links[hose, lamp] == 1
    crowd = pl.DataFrame({"head": catalogue.items.ids[:60], "relation": "compatible_with", "tail": "everything"})
    assert links_of(crowd, catalogue, COMPLETES).nnz == 0


def test_relations_to_unknown_items_are_passed_over(catalogue):
    table = pl.DataFrame({"head": ["nothing"], "relation": ["compatible_with"], "tail": ["B-oak-soap-small"]})
    assert links_of(table, catalogue, COMPLETES).nnz == 0


def test_a_cold_item_is_completed_by_its_text(completion, catalogue):
    asked = basket_of(catalogue, GONE)
    assert completion.cold(asked).tolist() == [True]
    assert completion.cold(basket_of(catalogue, "B-oak-soap-small")).tolist() == [False]
    answer = surface(completion, catalogue).complete(asked, NOBODY, 3, explain=True)
    assert len(answer.items) == 3
    assert all("snow" in item or "soap" in item for item in shown(answer, catalogue)[:1])
    assert set(answer.reasons.codes) <= set(CODES)


def test_an_empty_basket_of_nobody_gets_what_is_popular(completion, catalogue):
    answer = surface(completion, catalogue).complete(basket_of(catalogue), NOBODY, 3, explain=True)
    assert set(answer.reasons.codes) == {"popular"}
    assert answer.reasons.texts[0].startswith("In ")


def test_the_ranker_finds_hidden_items_that_chance_does_not(completion, catalogue):
    data = market.build_dataset(market.items(), log())
    baskets = build_baskets(log(), catalogue.items, data.users)
    rest, answers = hide_one(baskets.histories, np.random.default_rng(0))
    found = completion.complete(rest, empty_histories(len(rest), 96, timed=True), 10).found
    hits = [answers.of(b)[0] in found.items[found.indptr[b] : found.indptr[b + 1]] for b in range(len(rest))]
    assert np.mean(hits) > 0.5  # ten of 96 by chance: 0.1


def test_restored_it_completes_the_same(completion, catalogue, tmp_path):
    completion.save(tmp_path)
    again = Completion.load(tmp_path, catalogue)
    asked = basket_of(catalogue, "B-oak-soap-small", "H-sea-lamp-large")
    for owners in (NOBODY, asked):
        one, other = completion.complete(asked, owners, 20), again.complete(asked, owners, 20)
        assert one.found.items.tolist() == other.found.items.tolist()
        assert one.found.scores == pytest.approx(other.found.scores)


def test_a_missing_part_is_refused(completion, catalogue, tmp_path):
    completion.save(tmp_path)
    (tmp_path / "lift.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"lift\.safetensors: the file is missing"):
        Completion.load(tmp_path, catalogue)


def test_links_go_both_ways_and_never_to_oneself(catalogue):
    table = pl.DataFrame(
        {"head": ["a", "B-oak-soap-small"], "relation": ["compatible_with"] * 2, "tail": ["a", "H-oak-candle-small"]}
    )
    links = links_of(table, catalogue, COMPLETES)
    one, other = catalogue.items.rows(["B-oak-soap-small", "H-oak-candle-small"])
    assert isinstance(links, sparse.csr_matrix)
    assert (links[one, other], links[other, one], links.nnz) == (1, 1, 2)


def test_what_was_learnt_of_other_categories_says_nothing_of_one_that_opens(completion, catalogue):
    basket = basket_of(catalogue, "B-oak-soap-small")
    lists = completion.lists(basket, empty_histories(1, len(catalogue), timed=False), None)
    assert completion.learnt(basket).tolist() == [True]
    facts = completion.signals.facts
    beauty = catalogue.category == catalogue.categories.index("Beauty")
    untaught = replace(facts, users=np.where(beauty, 0, facts.users).astype(np.float32))
    signals = Signals(completion.signals.signals, completion.signals.config, untaught, completion.signals.settings)
    opened = replace(completion, signals=signals)
    assert opened.learnt(basket).tolist() == [False]
    known, new = (completion._by_text(lists, np.full(len(lists.items), learnt)) for learnt in (True, False))
    column = lists.features[:, completion.names.index("complement")].astype(np.float64)
    np.testing.assert_allclose(known - new, (column - column.mean()) / column.std(), atol=1e-6)
