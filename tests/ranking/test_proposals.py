from dataclasses import replace

import numpy as np

from kuapin.ranking.proposals import places, proposals, union
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.popularity import Popularity
from kuapin.retrieval.sources.repeat import Repeat


def proposed(visible, n=7, items=None):
    sources = {"repeat": Repeat(), "popularity": Popularity(), "item_knn": ItemKnn()}
    histories = visible.histories.select(np.arange(20))
    found = proposals({name: one.fit(visible) for name, one in sources.items()}, histories, n, items)
    return histories, sources, found


def test_repeat_proposes_what_was_met_and_all_others_the_best_of_what_was_not(visible):
    histories, sources, found = proposed(visible)
    for name, one in found.items():
        scores = sources[name].score(histories)
        for user in range(len(histories)):
            mine = one.items[one.indptr[user] : one.indptr[user + 1]]
            met = np.isin(np.arange(96), histories.of(user))
            allowed = met if name == "repeat" else ~met
            best = np.sort(scores[user][allowed & (scores[user] > 0)])[::-1][:7]
            assert allowed[mine].all()
            np.testing.assert_allclose(scores[user][mine], best, rtol=1e-5)
            np.testing.assert_allclose(one.scores[one.indptr[user] : one.indptr[user + 1]], best, rtol=1e-5)


def test_only_what_may_be_shown_is_proposed(visible):
    items = np.arange(10, 40)
    _, _, found = proposed(visible, items=items)
    for one in found.values():
        assert len(one.items)
        assert np.isin(one.items, items).all()


def test_the_union_and_the_places_in_the_lists(visible):
    histories, _, found = proposed(visible)
    indptr, rows = union(found, len(histories), 96)
    place = places(found, indptr, rows, 96)
    for user in range(len(histories)):
        mine = rows[indptr[user] : indptr[user + 1]]
        lists = {name: one.items[one.indptr[user] : one.indptr[user + 1]].tolist() for name, one in found.items()}
        assert mine.tolist() == sorted(set().union(*lists.values()))
        for name, one in lists.items():
            at = place[name][indptr[user] : indptr[user + 1]]
            assert [one.index(item) if item in one else len(rows) for item in mine] == at.tolist()


def test_a_bot_makes_no_other_search_longer(visible, monkeypatch):
    """Somebody met all of 96 items; the others are searched as if he were not there, and get what they got."""
    asked = []
    real = Popularity.top
    monkeypatch.setattr(Popularity, "top", lambda *a: asked.append((len(a[1]), a[2])) or real(*a))
    source = {"popularity": Popularity().fit(visible)}
    few = visible.histories.select(np.arange(20))
    alone = proposals(source, few, 7, None)["popularity"]
    met = few.lengths.sum()
    crowd = replace(
        few, items=np.append(few.items, np.arange(96, dtype=np.int32)), indptr=np.append(few.indptr, met + 96)
    )
    crowd = replace(crowd, times=np.zeros(met + 96, np.int64), events=np.zeros(met + 96, np.uint8))
    found = proposals(source, crowd, 7, None)["popularity"]
    assert asked[1:] == [(20, asked[0][1]), (1, 7 + 96)]
    assert found.items.tolist() == alone.items.tolist()
    assert np.diff(found.indptr).tolist() == [7] * 20 + [0]
