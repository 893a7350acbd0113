"""Every signal: a source, whether it proposes, and the scale on which the ranker reads its scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, build_catalogue
from kuapin.data.histories import empty_histories
from kuapin.retrieval.source import Scores, Source, Visible
from kuapin.retrieval.sources.adapted import Adapted
from kuapin.retrieval.sources.affinity import BrandAffinity, LeafAffinity
from kuapin.retrieval.sources.als import Als
from kuapin.retrieval.sources.brand import Brand, Leaf
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.ease import Ease, EaseConfig
from kuapin.retrieval.sources.graph import Graph
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.lexical import Lexical
from kuapin.retrieval.sources.popularity import DecayedPopularity, Popularity, RecentPopularity
from kuapin.retrieval.sources.predicted_popularity import PredictedPopularity
from kuapin.retrieval.sources.repeat import Due, FadingRepeat, LatestRepeat, Repeat
from kuapin.retrieval.sources.ridge import Ridge
from kuapin.retrieval.sources.segments import Segments
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.retrieval.sources.text_popularity import TextPopularity

EASE = EaseConfig(max_items=3_000, l2=500.0)
"""The ranker's own, whatever ``[sources.ease]`` says: larger ones take time on every list, and rank hardly better
(``docs/experiments.md``)."""
PROFILE = ContentConfig(pooling="mean", whitened=True)


@dataclass(frozen=True)
class Signal:
    """A source as the ranker sees it.

    Attributes:
        source: scores items for histories.
        proposes: whether its best items become candidates.
        scale: brings its raw scores (n,) of the items (n,) to a scale that does not depend on the size of the category.
    """

    source: Source
    proposes: bool
    scale: Callable[[Scores, NDArray[np.int32], "Facts"], Scores]


@dataclass(frozen=True)
class Facts:
    """Counts over what is visible; arrays have shape (n_items,).

    Attributes:
        users: float32, distinct users of the item.
        category_mean: float32, mean of ``users`` over the item's category.
        category: int32 code of the top-level category.
        price: float32, NaN where unknown.
    """

    users: Scores
    category_mean: Scores
    category: NDArray[np.int32]
    price: Scores

    @cached_property
    def users_in_category(self) -> NDArray[np.float64]:
        """Sum of ``users`` over every category, float64 (n_categories,)."""
        n = int(self.category.max(initial=0)) + 1
        return np.asarray(np.bincount(self.category, weights=self.users, minlength=n), np.float64)

    @cached_property
    def log_price(self) -> Scores:
        """float32, NaN where the price is unknown or not above 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(self.price > 0, np.log(self.price), np.nan), np.float32)


def plain(scores: Scores, items: NDArray[np.int32], facts: Facts) -> Scores:
    """The scores as they come."""
    return scores


def against_category(scores: Scores, items: NDArray[np.int32], facts: Facts) -> Scores:
    """Popularity against the category's mean item, in logarithms; half a user is added to both."""
    return np.log((scores + 0.5) / (facts.category_mean[items] + 0.5)).astype(np.float32)


def log_scale(scores: Scores, items: NDArray[np.int32], facts: Facts) -> Scores:
    """Scores ≥ 0 in logarithms, those far below 1 still told apart."""
    return np.log1p(np.maximum(scores, 0.0) * 20.0).astype(np.float32)


def log1p_scale(scores: Scores, items: NDArray[np.int32], facts: Facts) -> Scores:
    """Scores ≥ 0 in logarithms."""
    return np.log1p(np.maximum(scores, 0.0)).astype(np.float32)


def possible_signals(visible: Visible, settings: SourcesConfig) -> dict[str, Signal]:
    """Every signal for which there is something to learn from; not fitted."""
    signals = {
        "repeat": Signal(Repeat(settings.repeat), proposes=True, scale=log_scale),
        "popularity": Signal(Popularity(settings.popularity), proposes=True, scale=against_category),
        "item_knn": Signal(ItemKnn(settings.item_knn), proposes=True, scale=log_scale),
        "brand": Signal(Brand(), proposes=False, scale=plain),
        "leaf": Signal(Leaf(), proposes=False, scale=plain),
        "brand_affinity": Signal(BrandAffinity(), proposes=False, scale=plain),
        "leaf_affinity": Signal(LeafAffinity(), proposes=False, scale=plain),
        "ease": Signal(Ease(EASE), proposes=True, scale=log_scale),
        "ridge": Signal(Ridge(settings.ridge), proposes=True, scale=log1p_scale),
        "als": Signal(Als(settings.als), proposes=True, scale=plain),
        "sequence": Signal(Sequence(settings.sequence), proposes=True, scale=plain),
    }
    if visible.histories.timed:
        signals["popularity_30d"] = Signal(RecentPopularity(settings.popularity), proposes=True, scale=against_category)
        signals["popularity_decayed"] = Signal(
            DecayedPopularity(settings.popularity), proposes=False, scale=against_category
        )
        for source in (FadingRepeat(), LatestRepeat(), Due()):
            signals[source.name] = Signal(source, proposes=False, scale=log_scale)
    signals["graph"] = Signal(Graph(settings.graph), proposes=True, scale=log1p_scale)
    if visible.vectors is not None:
        signals["profile"] = Signal(Content(PROFILE), proposes=False, scale=plain)
        signals["adapted"] = Signal(Adapted(), proposes=True, scale=plain)
        signals["text_popularity"] = Signal(TextPopularity(), proposes=True, scale=plain)
        signals["predicted_popularity"] = Signal(PredictedPopularity(), proposes=True, scale=log1p_scale)
        signals["segments"] = Signal(Segments(settings.segments), proposes=True, scale=plain)
    if visible.texts is not None:
        signals["lexical"] = Signal(Lexical(), proposes=True, scale=plain)
    return signals


@cache
def every_signal() -> Mapping[str, Signal]:
    """All of them, on a shop without items: to ask what there is, not to be fitted."""
    catalogue = build_catalogue(pl.DataFrame(schema={c.ITEM_ID: pl.String}))
    return possible_signals(everything_of(catalogue), SourcesConfig())


def signal_names() -> tuple[str, ...]:
    """The names of all signals."""
    return tuple(every_signal())


def everything_of(catalogue: Catalogue) -> Visible:
    """Nothing to learn from, but of every kind that a source may ask for."""
    nobody = empty_histories(0, len(catalogue), timed=True)
    return Visible(catalogue, nobody, np.empty((0, 1), np.float32), 0, pl.Series(dtype=pl.String))
