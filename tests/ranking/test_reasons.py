from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.histories import Histories, empty_histories
from kuapin.ranking.deletion import losses
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig, fixed_ranker
from kuapin.ranking.reason_case import Case
from kuapin.ranking.reason_kinds import CODES, SHORTLIST, TAKEN_OUT
from kuapin.ranking.reason_sentences import alike
from kuapin.ranking.reasons import explain_products
from kuapin.ranking.signals import TEXTS, Signals, SignalsConfig
from kuapin.retrieval.recent import recent_items
from kuapin.retrieval.source import Candidates
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.sequence.settings import SequenceConfig

NAMES_ITEM = r"(?:Reads like|People also met) (.*), (?:bought|met) before"


@pytest.fixture(scope="module")
def explained(fitted, visible):
    """Every row of twenty items a user with its reason, and the ranked block it belongs to."""
    ((_, ranked),) = list(fitted.recommender.ranked(visible.histories, 20))
    said = explain_products(fitted.recommender, visible.catalogue, visible.histories, ranked)
    codes, texts = said.codes, said.texts
    users = np.repeat(np.arange(len(visible.histories)), 20)
    return pl.DataFrame({"user": users, "item": ranked.found.items, "code": codes, "text": texts})


def without(histories: Histories, items) -> Histories:
    return histories.keep(~np.isin(histories.items, items))


def pair_score(fitted, name: str, histories: Histories, item: int) -> float:
    source = fitted.recommender.signals.signals[name].source
    return float(source.pairs(histories, np.array([0, 1], np.int64), np.array([item], np.int32))[0])


def test_every_row_has_a_code_and_a_sentence(explained):
    assert set(explained["code"]) <= set(CODES)
    assert len(set(explained["code"])) >= 3
    assert explained["text"].str.len_chars().min() > 5


def test_repeats_are_counted_right(explained, visible):
    rows = explained.filter(code="repeat")
    assert rows.height > 50
    words = {1: "once", 2: "twice"}
    for user, item, text in rows.select("user", "item", "text").iter_rows():
        n = int((visible.histories.of(user) == item).sum())
        assert text == f"Bought {words.get(n, f'{n} times')} before"


@pytest.mark.parametrize(("code", "signal"), [("similar", TEXTS), ("together", "item_knn"), ("together", "ease")])
def test_deleting_the_named_item_lowers_the_signal_most(fitted, visible, code, signal):
    """Rows are explained by this signal alone, so that each of them has to name its evidence."""
    linear = fitted.recommender.ranker.linear
    weight = np.zeros_like(linear.weight)
    weight[list(fitted.recommender.signals.signals).index(signal)] = 100.0
    linear = replace(linear, weight=weight, mean=np.full_like(weight, -99))
    ranker = replace(fitted.recommender.ranker, linear=linear, trees=None, share=0.0, spread=(1.0, 1.0))
    recommender = replace(fitted.recommender, ranker=ranker)
    histories = visible.histories.select(np.arange(0, 12))
    ((_, ranked),) = list(recommender.ranked(histories, 20))
    said = explain_products(recommender, visible.catalogue, histories, ranked)
    codes, texts = said.codes, said.texts
    titles = visible.catalogue.frame["title"].to_list()
    checked = 0
    for row, (name, text) in enumerate(zip(codes, texts, strict=True)):
        if name != code or len(said.evidence[row]) > 1:
            continue
        user = int(np.searchsorted(ranked.found.indptr, row, side="right")) - 1
        item, alone = int(ranked.found.items[row]), histories.select(np.array([user]))
        evidence = titles.index(pl.Series([text]).str.extract(NAMES_ITEM)[0])
        full = pair_score(fitted, signal, alone, item)
        left = {
            int(h): pair_score(fitted, signal, without(alone, h), item) for h in np.unique(alone.items) if h != item
        }
        assert left[evidence] < full
        if code == "similar":  # what does not read like it at all is not told
            source, history = recommender.signals.signals[signal].source, np.array(list(left), np.int32)
            reads = alike(source, history, np.array([item], np.int32))[:, 0]
            left = {int(h): left[int(h)] for h in history[np.isfinite(reads)]}
        latest = set(recent_items(alone, TAKEN_OUT).items.tolist())  # where its own kind was not felt, one of these
        near = SHORTLIST if code == "similar" else 1  # rare items count more: the nearest texts are tried, not all
        least = [sorted(left.values())[:near][-1], min(v for h, v in left.items() if h in latest or h == evidence)]
        assert left[evidence] <= max(least) + 1e-5
        checked += 1
    assert checked > 20


def test_a_release_that_reads_ease_and_leaf_gives_their_reasons(fitted, visible):
    """Pruning leaves these of their kinds: item_knn and leaf_affinity, which name the same, are not read."""
    signals = fitted.recommender.signals.only(SignalsConfig(candidates=20, sources=("popularity", "ease", "leaf")))
    ranker = fixed_ranker(signals.names, 3)
    leaf, catalogue = visible.catalogue.leaf, visible.catalogue
    for name, code in (("ease", "together"), ("leaf", "category")):
        only = replace(
            ranker, linear=replace(ranker.linear, weight=np.array([n == name for n in signals.signals], float))
        )
        recommender = replace(fitted.recommender, signals=signals, ranker=only)
        ((_, ranked),) = list(recommender.ranked(visible.histories, 5))
        said = explain_products(recommender, catalogue, visible.histories, ranked)
        codes, texts = said.codes, said.texts
        assert codes.count(code) > 500
        assert "People met it with items of yours" not in texts
        for row in np.flatnonzero(np.array(codes) == "category"):
            user, item = row // 5, ranked.found.items[row]
            met = np.setdiff1d(visible.histories.of(user), [item])
            n = int((leaf[met] == leaf[item]).sum())
            said = "another item was" if n == 1 else f"{n} items were"
            assert texts[row] == f"From {catalogue.leaves[leaf[item]]}, of which {said} met before"


def test_rows_of_the_user_model_name_an_item_whose_loss_is_felt(fitted, visible):
    small = SequenceConfig(embedding_size=8, layers=1, max_history=8, epochs=2, validation_users=50)
    config = SignalsConfig(candidates=20, sources=("popularity", "sequence"))
    signals = Signals.fit(visible, config, settings=SourcesConfig(sequence=small))
    ranker = fixed_ranker(signals.names, 2)
    ranker = replace(ranker, linear=replace(ranker.linear, weight=np.array([0.0, 1.0])))
    recommender = replace(fitted.recommender, signals=signals, ranker=ranker)
    ((_, ranked),) = list(recommender.ranked(visible.histories.select(np.arange(40)), 10))
    said = explain_products(recommender, visible.catalogue, visible.histories.select(np.arange(40)), ranked)
    users = np.repeat(np.arange(40), np.diff(ranked.found.indptr))
    rows = np.flatnonzero(np.array(said.codes) == "next")
    assert len(rows) > 20
    assert "together" not in said.codes
    for row in rows:
        assert said.texts[row].startswith("Often chosen next after ")
        assert len(said.evidence[row])
        assert set(said.evidence[row].tolist()) <= set(visible.histories.of(users[row]).tolist()) - {
            int(ranked.found.items[row])
        }


def test_an_item_met_twice_is_no_other_item(fitted, visible):
    """Nothing but the item itself was met, so that nothing else can be named."""
    twice = replace(
        empty_histories(1, 96, timed=True), indptr=np.array([0, 2]), items=np.array([7, 7], np.int32),
        times=np.full(2, visible.now), events=np.full(2, 3, np.uint8),
    )  # fmt: skip
    ranked = replace(
        next(iter(fitted.recommender.ranked(twice, 1)))[1],
        found=Candidates(np.array([0, 1]), np.array([7], np.int32), np.array([0.1], np.float32)),
    )
    codes = explain_products(fitted.recommender, visible.catalogue, twice, ranked).codes
    assert set(codes) <= {"repeat", "together", "category", "popular"}


def test_deleting_the_named_brands_items_takes_the_reason_away(fitted, explained, visible):
    rows = explained.filter(code="brand")
    for user, item, text in rows.head(20).select("user", "item", "text").iter_rows():
        brand = visible.catalogue.brand[item]
        assert visible.catalogue.brands[brand] in text
        alone = visible.histories.select(np.array([user]))
        assert pair_score(fitted, "brand", alone, item) > 0
        others = np.flatnonzero(visible.catalogue.brand == brand)
        assert pair_score(fitted, "brand", without(alone, others), item) == 0
        assert np.isin(np.setdiff1d(alone.items, [item]), others).any()  # the item itself is no evidence


def test_a_stranger_is_told_how_many_met_it(fitted, visible):
    nobody = empty_histories(1, 96, timed=True)
    ((_, ranked),) = list(fitted.recommender.ranked(nobody, 3))
    said = explain_products(fitted.recommender, visible.catalogue, nobody, ranked)
    codes, texts = said.codes, said.texts
    assert codes == ["popular"] * 3
    users = np.asarray(visible.histories.matrix().sum(axis=0)).ravel()[ranked.found.items]
    assert texts == [f"Met by {int(n)} people" for n in users]


def test_what_nobody_met_is_new(fitted, visible):
    facts = fitted.recommender.signals.facts
    signals = fitted.recommender.signals
    cold = replace(facts, users=np.zeros_like(facts.users))
    recommender = replace(
        fitted.recommender, signals=type(signals)(signals.signals, signals.config, cold, signals.settings)
    )
    nobody = empty_histories(1, 96, timed=True)
    ranked = replace(
        next(iter(recommender.ranked(nobody, 1)))[1],
        found=Candidates(np.array([0, 1]), np.array([5], np.int32), np.array([0.1], np.float32)),
    )
    said = explain_products(recommender, visible.catalogue, nobody, ranked)
    assert (said.codes, said.texts) == (["new"], ["New: nobody had met it at the last training"])
    assert len(said.evidence[0]) == 0


def test_a_path_through_the_graph_is_told_where_the_graph_is_read(visible):
    linked = pl.DataFrame({"head": ["B-oak-soap-small"], "relation": ["compatible_with"], "tail": ["P-oak-toy-large"]})
    catalogue = replace(visible.catalogue, relations=linked)
    seen = replace(visible, catalogue=catalogue)
    fitted = fit_live(
        seen,
        signals=SignalsConfig(candidates=20, sources=("graph", "popularity")),
        ranking=RankingConfig(trees={"rounds": 2}),
        live=LiveConfig(users=60, pruned=False),
    )
    soap, toy = (catalogue.items.row(item) for item in ("B-oak-soap-small", "P-oak-toy-large"))
    history = visible.histories.select(np.array([0]))
    lone = replace(
        history,
        indptr=np.array([0, 2], np.int64),
        items=np.array([soap, catalogue.items.row("G-sea-pot-small")], np.int32),
        times=history.times[:2],
        events=history.events[:2],
    )
    ((_, ranked),) = list(fitted.recommender.ranked(lone, 20, np.sort(np.array([toy]))))
    said = explain_products(fitted.recommender, catalogue, lone, ranked)
    assert said.codes == ["path"]
    assert said.texts == ["Compatible with: oak soap small, bought before"]
    assert said.evidence[0].tolist() == [soap]


@pytest.mark.parametrize("theme", ["attribute", "path"])
def test_a_path_through_an_attribute_is_told_as_one(visible, theme):
    """Two items have a colour of their own; without it they share their brand, which is no attribute."""
    catalogue = visible.catalogue
    soap, toy = (catalogue.items.row(item) for item in ("B-oak-soap-small", "P-oak-toy-large"))
    colour = [("teal" if row in (soap, toy) else None) if theme == "attribute" else None for row in range(96)]
    frame = catalogue.frame.with_columns(pl.Series("colour", colour, dtype=pl.String))
    catalogue = replace(catalogue, frame=frame)
    fitted = fit_live(
        replace(visible, catalogue=catalogue),
        signals=SignalsConfig(candidates=20, sources=("graph", "popularity")),
        ranking=RankingConfig(trees={"rounds": 2}),
        live=LiveConfig(users=60, pruned=False),
    )
    history = visible.histories.select(np.array([0]))
    lone = replace(
        history,
        indptr=np.array([0, 2], np.int64),
        items=np.array([soap, catalogue.items.row("G-sea-pot-small")], np.int32),
        times=history.times[:2],
        events=history.events[:2],
    )
    recommender = only_of(fitted, "graph", 1.0)
    ((_, ranked),) = list(recommender.ranked(lone, 20, np.array([toy])))
    said = explain_products(recommender, catalogue, lone, ranked)
    assert (said.codes, said.evidence[0].tolist()) == ([theme], [soap])
    if theme == "attribute":
        assert said.texts == ["Like oak soap small, bought before: colour teal"]


def test_several_items_are_told_where_they_are_felt_together_and_none_alone(fitted, visible, monkeypatch):
    """One item alone is never felt here; of several it is asked in earnest."""
    earnest = Case.felt

    def deaf_to_one(case, rows, evidence):
        several = np.array([len(items) > 1 for items in evidence], np.bool_)
        return earnest(case, rows, evidence) & several

    histories = visible.histories.select(np.arange(40))
    ((_, ranked),) = list(fitted.recommender.ranked(histories, 20))
    monkeypatch.setattr(Case, "felt", deaf_to_one)
    said = explain_products(fitted.recommender, visible.catalogue, histories, ranked)
    users = np.repeat(np.arange(40), 20)
    rows = [
        k for k, text in enumerate(said.texts) if " and " in text and len(said.evidence[k]) and said.codes[k] != "brand"
    ]
    assert len(rows) > 5
    for row in rows:
        gone = said.evidence[row]
        assert 2 <= len(gone) <= 3
        assert set(gone.tolist()) <= set(histories.of(int(users[row])).tolist())
        assert ranked.found.items[row] not in gone
        assert losses(fitted.recommender, histories, ranked, np.array([row]), [gone]).drop[0] > 0
    monkeypatch.setattr(Case, "felt", lambda case, rows, evidence: np.zeros(len(rows), np.bool_))
    said = explain_products(fitted.recommender, visible.catalogue, histories, ranked)
    assert set(said.codes) <= {"repeat", "taste", "popular", "new"}


def only_of(fitted, name: str, weight: float):
    """The recommender, ordering by one column of its features."""
    signals = fitted.recommender.signals
    ranker = fixed_ranker(signals.names, len(signals.names))
    column = np.array([weight if n == name else 0.0 for n in signals.names])
    return replace(fitted.recommender, ranker=replace(ranker, linear=replace(ranker.linear, weight=column)))


def test_the_best_candidate_falls_with_the_rest(fitted, visible):
    """Scored by the distance from the best alone, the best of a list loses nothing, whatever is taken out."""
    recommender, histories = only_of(fitted, "segments_gap", 1.0), visible.histories.select(np.arange(40))
    ((_, ranked),) = list(recommender.ranked(histories, 10))
    first, met = ranked.found.indptr[:-1].astype(np.intp), histories.matrix()
    gone = [met.indices[met.indptr[user] : met.indptr[user] + 3].astype(np.int32) for user in range(40)]
    lost = losses(recommender, histories, ranked, first, gone)
    plain = only_of(fitted, "segments", 1.0)
    assert (losses(plain, histories, ranked, first, gone).drop != 0).any()
    assert np.median(np.abs(lost.drop)) < 0.25 * np.median(np.abs(losses(plain, histories, ranked, first, gone).drop))


def test_losses_are_those_of_ranking_again(fitted, visible):
    """A sum of signals: the drop is the difference of the two sums, and no other row of the list has a say in it."""
    recommender, histories = fitted.recommender, visible.histories.select(np.arange(20))
    linear = replace(recommender.ranker, trees=None, share=0.0, spread=(1.0, 1.0))
    recommender = replace(recommender, ranker=linear)
    ((_, ranked),) = list(recommender.ranked(histories, 10))
    rows = np.arange(0, 200, 7)
    gone = [histories.of(int(row // 10))[:1] for row in rows]
    lost = losses(recommender, histories, ranked, rows, gone)
    for row, items, drop in zip(rows, gone, lost.drop, strict=True):
        left = without(histories.select(np.array([row // 10])), items)
        one = np.array([0, 1], np.int64), ranked.found.items[row : row + 1]
        after = linear.score(recommender.signals.features(left, *one))[0]
        assert drop == pytest.approx(linear.score(ranked.features[row : row + 1])[0] - after, abs=1e-4)


def test_what_speaks_against_an_item_is_no_reason_for_it(fitted, visible):
    recommender, histories = only_of(fitted, "repeat", -1.0), visible.histories.select(np.arange(20))
    matrix = histories.matrix()
    ends, items = np.arange(21, dtype=np.int64), matrix.indices[matrix.indptr[:-1]].astype(np.int32)
    features = recommender.signals.features(histories, ends, items)
    ranked = replace(
        next(iter(recommender.ranked(histories, 1)))[1],
        found=Candidates(ends, items, np.full(20, 0.1, np.float32)),
        features=features,
    )
    assert set(explain_products(fitted.recommender, visible.catalogue, histories, ranked).codes) == {"repeat"}
    assert "repeat" not in explain_products(recommender, visible.catalogue, histories, ranked).codes


def test_people_of_like_taste_are_told_with_what_makes_them_alike(fitted, visible):
    """A release of taste alone names the items of the history by whose loss a row falls."""
    signals = fitted.recommender.signals.only(SignalsConfig(candidates=20, sources=("popularity", "segments")))
    ranker = fixed_ranker(signals.names, 2)
    linear = replace(ranker.linear, weight=np.array([float(name == "segments") for name in signals.signals]))
    recommender = replace(fitted.recommender, signals=signals, ranker=replace(ranker, linear=linear))
    histories = visible.histories.select(np.arange(60))
    ((_, ranked),) = list(recommender.ranked(histories, 10))
    said = explain_products(recommender, visible.catalogue, histories, ranked)
    named = np.array([row for row, items in enumerate(said.evidence) if len(items)])
    assert len(named) > 50
    lost = losses(recommender, histories, ranked, named, [said.evidence[row] for row in named])
    assert (lost.drop > 0).all()
    titles = visible.catalogue.frame["title"]
    for row in named:
        assert said.codes[row] == "taste"
        assert said.texts[row].startswith(f"Met by people who like such things as {titles[int(said.evidence[row][0])]}")
