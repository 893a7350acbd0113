import numpy as np
import pytest

from kuapin.errors import InputError
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.opening import opened
from kuapin.ranking.ranker import RankingConfig, fixed_ranker
from kuapin.ranking.recommender import Recommender, fit_launch
from kuapin.ranking.replays import ReplayConfig
from kuapin.ranking.signals import Signals, SignalsConfig, opening_config
from kuapin.retrieval.sources.als import AlsConfig
from kuapin.retrieval.sources.item_knn import ItemKnnConfig
from kuapin.retrieval.sources.popularity import PopularityConfig
from kuapin.retrieval.sources.ridge import RidgeConfig
from kuapin.retrieval.sources.segments import SegmentsConfig
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.sequence.settings import SequenceConfig

SIGNALS = SignalsConfig(
    candidates=20, sources=("popularity_30d", "item_knn", "als", "repeat", "adapted", "ridge", "segments")
)
SOURCES = SourcesConfig(
    als=AlsConfig(embedding_size=3, epochs=2),
    ridge=RidgeConfig(embedding_size=5),
    segments=SegmentsConfig(segments=2),
    item_knn=ItemKnnConfig(neighbours=2),
    popularity=PopularityConfig(window_days=1),
)


def pets_of(visible):
    return np.flatnonzero(visible.catalogue.category == visible.catalogue.categories.index("Pets")).astype(np.int32)


def check(signals: Signals) -> None:
    """The sources are as ``SOURCES`` says: small factors, two neighbours, few items in a window of a day."""
    assert signals.signals["als"].source.factors.shape[1] == 3
    assert len(signals.signals["segments"].source.centres) <= 2
    assert signals.signals["ridge"].source.factors.shape[1] == 5
    assert np.diff(signals.signals["item_knn"].source.similarity.indptr).max() == 2
    assert np.count_nonzero(signals.signals["popularity_30d"].source.scores) < 40


def test_the_settings_of_sources_reach_the_live_shop_and_its_release(visible, tmp_path):
    fitted = fit_live(
        visible, signals=SIGNALS, ranking=RankingConfig(), live=LiveConfig(users=60, pruned=False), sources=SOURCES
    )
    check(fitted.recommender.signals)
    fitted.recommender.save(tmp_path)
    again = Recommender.load(tmp_path, visible.catalogue)
    check(again.signals)
    assert again.signals.settings == SOURCES
    assert again.signals.signals["als"].source.config == SOURCES.als  # folding in a user needs it
    one, other = (r.rank(visible.histories, 10) for r in (fitted.recommender, again))
    assert one.scores.tobytes() == other.scores.tobytes()


def test_the_settings_of_sources_reach_launches_and_their_replays(visible, monkeypatch):
    fits = []
    real = Signals.fit
    monkeypatch.setattr(Signals, "fit", lambda *a, **k: fits.append(real(*a, **k)) or fits[-1])
    pets = pets_of(visible)
    replays = ReplayConfig(groups=2, users=30, folds=2, own_users=40)
    fit_launch(visible, pets, 1.0, signals=SIGNALS, ranking=RankingConfig(), replays=replays, sources=SOURCES)
    assert len(fits) >= 4
    for signals in fits:
        check(signals)


@pytest.mark.parametrize("field", ["sources", "proposers"])
def test_a_source_that_does_not_exist_is_refused(field):
    with pytest.raises(ValueError, match=r"there is no source 'eas'; there are repeat, popularity, .*lexical"):
        SignalsConfig(**{field: ("repeat", "eas")})


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ({"proposers": ("brand",)}, r"'brand' cannot be one of the proposers; repeat, popularity, .*lexical can"),
        ({"sources": ("repeat",), "proposers": ("ease",)}, r"'ease' is one of the proposers and none of the sources"),
    ],
)
def test_what_cannot_propose_is_no_proposer(names, rule):
    with pytest.raises(ValueError, match=rule):
        SignalsConfig(**names)


def test_sources_that_propose_nothing_still_give_full_lists(visible):
    """In the order of the ranker, which knows brands alone."""
    signals = Signals.fit(visible, SignalsConfig(sources=("brand",)))
    assert signals.propose(visible.histories, None)[0][-1] == 0
    found = Recommender(signals, fixed_ranker(signals.names, 1)).rank(visible.histories, 10)
    assert np.diff(found.indptr).tolist() == [10] * len(visible.histories)
    best = signals.signals["brand"].source.top(visible.histories, 10)
    assert found.items.tolist() == best.items.tolist()


def test_the_user_model_is_trained_where_enough_people_came_back(visible, tmp_path):
    short = SequenceConfig(
        embedding_size=8, layers=1, heads=1, epochs=1, batch_size=64, least_users=10, most_repeated=1.0
    )
    config = SourcesConfig(sequence=short)
    few = SourcesConfig(sequence=short.model_copy(update={"least_users": 10_000}))
    again = SourcesConfig(sequence=short.model_copy(update={"most_repeated": 0.0}))
    assert "sequence" not in Signals.fit(visible, SignalsConfig(), settings=few).signals
    assert "sequence" not in Signals.fit(visible, SignalsConfig(), settings=again).signals
    assert "sequence" not in Signals.fit(opened(visible, pets_of(visible)), SignalsConfig(), settings=config).signals
    live = LiveConfig(users=60, pruned=False)
    fitted = fit_live(visible, signals=SignalsConfig(), ranking=RankingConfig(), live=live, sources=config)
    fitted.recommender.save(tmp_path)
    again = Recommender.load(tmp_path, visible.catalogue)
    one, other = (r.rank(visible.histories, 10) for r in (fitted.recommender, again))
    assert "sequence" in again.signals.signals
    assert one.scores.tobytes() == other.scores.tobytes()


def test_an_opening_does_without_the_user_model_though_it_is_named(visible):
    """Refitted in a replay it would go on from weights that saw what the replay hides."""
    pets = pets_of(visible)
    with pytest.warns(UserWarning, match=r"\[signals\] sources: sequence is left out where a category opens"):
        found = opening_config(opened(visible, pets), SignalsConfig(sources=("sequence", "adapted")), counted=True)
    assert found.sources == ("adapted", "predicted_popularity")
    with pytest.warns(UserWarning, match="left out"):
        fitted = Signals.fit(opened(visible, pets), SignalsConfig(sources=("sequence", "item_knn")))
    assert list(fitted.signals) == ["item_knn"]
    with pytest.raises(InputError, match=r"names sequence alone, which does not read a category that opens\. Name"):
        Signals.fit(opened(visible, pets), SignalsConfig(sources=("sequence",)))
