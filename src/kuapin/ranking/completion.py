"""What completes a basket: sources fitted on baskets, and a ranker that learnt to find a hidden item of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin import columns as c
from kuapin.arrays import load_arrays, save_arrays
from kuapin.data.baskets import Baskets
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories, empty_histories
from kuapin.errors import ModelFolderError
from kuapin.progress import SILENT, Progress
from kuapin.ranking.lists import Lists, make_lists
from kuapin.ranking.live import queries_of
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fit_ranker, fixed_ranker
from kuapin.ranking.signal_table import Facts, Signal, against_category, everything_of, log_scale, plain
from kuapin.ranking.signals import Signals, SignalsConfig, facts_of
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Arrays, Candidates, Scores, Visible
from kuapin.retrieval.sources.affinity import LeafAffinity
from kuapin.retrieval.sources.brand import Brand, Leaf
from kuapin.retrieval.sources.complement import Complement
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.item_knn import ItemKnn, ItemKnnConfig
from kuapin.retrieval.sources.lexical import Lexical
from kuapin.retrieval.sources.lift import Lift
from kuapin.retrieval.sources.popularity import DecayedPopularity, Popularity
from kuapin.retrieval.sources.repeat import Due, FadingRepeat, Repeat
from kuapin.retrieval.sources.settings import SourcesConfig

Own = Repeat | FadingRepeat | Due
OWNED = "owned"
"""The ranker of baskets whose owner is known; the other one is ``alone``."""
ALONE = "alone"
DESCRIPTION = "completion.json"
COLD = ("profile", "lexical", "complement")
"""What ranks for a basket of items that nobody has bought with others: texts alone, one standard deviation each.

Weights learnt where items are warm, or in another category, did worse than equal ones (``docs/experiments.md``)."""


class CompletionConfig(BaseModel):
    """How the completion of baskets is learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(100, ge=10, description="Items that each source proposes for a basket.")
    baskets: int = Field(2000, ge=20, description="Baskets of which one item is hidden and asked for.")
    hidden: float = Field(0.1, gt=0, lt=1, description="Share of the baskets, the last, that these are drawn from.")
    max_pairs: int = Field(8_000_000, ge=1, description="Pairs of items kept at most, 8 bytes each.")
    ranking: RankingConfig = Field(RankingConfig(), description="How the rankers are trained.")
    seed: int = Field(0, ge=0, description="Of the draws.")


def basket_signals(visible: Visible, config: CompletionConfig) -> dict[str, Signal]:
    """The sources that read a basket; not fitted."""
    pairs = ItemKnnConfig(max_pairs=config.max_pairs)
    signals = {
        "popularity": Signal(Popularity(), proposes=False, scale=against_category),
        "lift": Signal(Lift(), proposes=True, scale=plain),
        "item_knn": Signal(ItemKnn(pairs), proposes=True, scale=log_scale),
        "leaf": Signal(Leaf(), proposes=False, scale=plain),
        "brand": Signal(Brand(), proposes=False, scale=plain),
        "leaf_affinity": Signal(LeafAffinity(), proposes=False, scale=plain),
    }
    if visible.histories.timed:
        signals["popularity_decayed"] = Signal(DecayedPopularity(), proposes=True, scale=against_category)
    if visible.vectors is not None:
        signals["profile"] = Signal(Content(ContentConfig(pooling="mean", whitened=True)), proposes=True, scale=plain)
        signals["complement"] = Signal(Complement(), proposes=True, scale=plain)
    if visible.texts is not None:
        signals["lexical"] = Signal(Lexical(), proposes=True, scale=plain)
    return signals


@dataclass(frozen=True)
class Completed:
    """What completes some baskets, best first, with what put it in order.

    Attributes:
        found: the lists.
        features: float32 (n, f), in the columns of ``Completion.names``.
    """

    found: Candidates
    features: Scores


@dataclass(frozen=True)
class Completion:
    """Completes baskets.

    Attributes:
        signals: fitted on baskets.
        rankers: ``owned`` reads what the owner bought before as well, ``alone`` does not.
        own: of the owner's earlier purchases: how often, how lately, whether it is due.
    """

    signals: Signals
    rankers: Mapping[str, Ranker]
    own: Mapping[str, Own]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a feature table."""
        return (*self.own, *self.signals.names)

    def lists(
        self,
        baskets: Histories,
        owners: Histories,
        items: NDArray[np.integer] | None,
        answers: Histories | None = None,
    ) -> Lists:
        """Candidates of every basket with their features; items of the basket are none.

        Args:
            baskets: what lies in them.
            owners: what their owners did before; empty where the owner is not known.
            items: ascending rows that may be named; ``None``: all.
            answers: what was hidden.
        """
        n = self.signals.config.candidates
        proposed = self.signals.proposals(baskets, items)
        longer = n + int(baskets.lengths.max(initial=0))
        proposed["own"] = without_met(self.own["own"].top(owners, longer, items), baskets, n)
        lists = make_lists(self.signals, baskets, items, answers, proposed=proposed)
        return lists.with_features(np.column_stack([self._own(owners, lists), lists.features]))

    def _own(self, owners: Histories, lists: Lists) -> Scores:
        facts = self.signals.facts
        columns = [
            log_scale(source.pairs(owners, lists.indptr, lists.items), lists.items, facts)
            for source in self.own.values()
        ]
        return np.column_stack(columns).astype(np.float32)

    def complete(
        self, baskets: Histories, owners: Histories, n: int, items: NDArray[np.integer] | None = None
    ) -> Completed:
        """The ``n`` items that best complete every basket; fewer only where the sources propose fewer."""
        lists = self.lists(baskets, owners, items)
        scores = self._scores(lists, baskets, owners)
        users = lists.users
        order = np.lexsort((lists.items, -scores, users))
        rank = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
        order = order[rank < n]
        indptr = np.concatenate(([0], np.cumsum(np.minimum(lists.lengths, n)))).astype(np.int64)
        found = Candidates(indptr, lists.items[order], scores[order].astype(np.float32))
        return Completed(found, lists.features[order])

    def _scores(self, lists: Lists, baskets: Histories, owners: Histories) -> NDArray[np.float64]:
        cold = self.cold(baskets)[lists.users]
        known = (owners.lengths > 0)[lists.users]
        scores = np.empty(len(lists.items))
        for name, rows in ((OWNED, known & ~cold), (ALONE, ~known & ~cold)):
            features = lists.features[rows]
            scores[rows] = self.rankers[name].score(features)
        scores[cold] = self._by_text(lists, self.learnt(baskets)[lists.users])[cold]
        empty = (baskets.lengths == 0)[lists.users]
        count = self.signals.facts.users  # of baskets
        scores[empty] = np.log((count[lists.items[empty]] + 1) / (count.max(initial=0) + 1))
        return scores

    def learnt(self, baskets: Histories) -> NDArray[np.bool_]:
        """Which baskets hold an item of a category that any basket taught something of, bool (n_baskets,)."""
        facts = self.signals.facts
        taught = facts.users_in_category[facts.category] > 0
        return np.bincount(baskets.users, weights=taught[baskets.items], minlength=len(baskets)) > 0

    def cold(self, baskets: Histories) -> NDArray[np.bool_]:
        """Which baskets hold nothing that was bought with other things, bool (n_baskets,)."""
        beside = np.diff(self.signals.signals["item_knn"].source.similarity.indptr) > 0  # type: ignore[attr-defined]
        warm = np.bincount(baskets.users, weights=beside[baskets.items], minlength=len(baskets))
        return np.asarray(warm == 0)

    def _by_text(self, lists: Lists, learnt: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The sum of what the texts say, each in standard deviations of its list.

        What was learnt of other categories (``complement``) is left out where ``learnt`` (n_candidates,) is false.
        """
        total = np.zeros(len(lists.items))
        users, count = lists.users, np.maximum(lists.lengths, 1)
        for name in COLD:
            if name not in self.signals.signals:
                continue
            values = lists.features[:, self.names.index(name)].astype(np.float64)
            mean = np.bincount(users, weights=values, minlength=len(lists)) / count
            square = np.bincount(users, weights=(values - mean[users]) ** 2, minlength=len(lists)) / count
            far = (values - mean[users]) / np.sqrt(np.maximum(square, 1e-12))[users]
            total += far if name != "complement" else np.where(learnt, far, 0.0)
        return total

    def save(self, folder: Path) -> None:
        """Write the sources, the rankers and what they are set to."""
        for name, signal in self.signals.signals.items():
            save_arrays(folder / f"{name}.safetensors", signal.source.arrays())
        for name, ranker in self.rankers.items():
            ranker.save(folder / name)
        facts = self.signals.facts
        now = self.own["own_due"].arrays()["now"]
        save_arrays(
            folder / "facts.safetensors", {"users": facts.users, "category_mean": facts.category_mean, "now": now}
        )
        kept = {"sources": list(self.signals.signals), "candidates": self.signals.config.candidates}
        (folder / DESCRIPTION).write_text(json.dumps(kept, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> "Completion":
        """Read what ``save`` wrote; nothing is fitted.

        Raises:
            ModelFolderError: a part is missing, or of another catalogue.
        """
        try:
            kept = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            every = basket_signals(everything_of(catalogue), CompletionConfig())
            for name in kept["sources"]:
                every[name].source.restore(load_arrays(folder / f"{name}.safetensors"))
            arrays = load_arrays(folder / "facts.safetensors")
            users, mean = np.asarray(arrays["users"], np.float32), np.asarray(arrays["category_mean"], np.float32)
            facts = Facts(users, mean, catalogue.category, catalogue.price)
            chosen = {name: every[name] for name in kept["sources"]}
            config = SignalsConfig(candidates=int(kept["candidates"]))
            rankers = {name: Ranker.load(folder / name) for name in (OWNED, ALONE)}
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(f"Model folder {folder} cannot be read ({error}). Train again.") from error
        loaded = cls(Signals(chosen, config, facts, SourcesConfig()), rankers, own_sources(int(arrays["now"][0])))
        if len(users) != len(catalogue) or any(ranker.signals != loaded.names for ranker in rankers.values()):
            raise ModelFolderError(f"Model folder {folder}: its parts do not fit together. Train again.")
        return loaded


def own_sources(now: int) -> dict[str, Own]:
    """What is read of the owner's earlier purchases, at a time (unix seconds) or at his latest one."""
    arrays: Arrays = {"now": np.array([now], np.int64)}
    return {"own": Repeat(), "own_fading": FadingRepeat().restore(arrays), "own_due": Due().restore(arrays)}


def fit_completion(
    visible: Visible,
    baskets: Baskets,
    config: CompletionConfig | None = None,
    progress: Progress = SILENT,
) -> Completion:
    """Learn to complete baskets from the last of them, by what lies before these.

    Args:
        visible: the whole log: users' histories, vectors, texts.
        baskets: what was taken together in it.
        config: how.
        progress: told of the steps.
    """
    config = config or CompletionConfig()
    with progress.step("Learning what completes a basket"):
        rng = np.random.default_rng([config.seed, 21])
        late, cut = _latest(baskets, config)
        asked = np.sort(rng.permutation(late[baskets.histories.lengths[late] > 1])[: config.baskets])
        before = baskets.select(np.setdiff1d(np.arange(len(baskets)), late))
        seen = Completion(_signals(visible, before, config, cut), {}, own_sources(cut))
        known = visible.histories
        known = (
            known.keep(known.times < cut) if known.timed else empty_histories(len(known), known.n_items, timed=False)
        )
        owners = queries_of(known, baskets.owner[asked])
        rest, answers = hide_one(baskets.histories.select(asked), rng)
        rankers = {
            OWNED: _ranker(seen, seen.lists(rest, owners, None, answers), config),
            ALONE: _ranker(seen, seen.lists(rest, queries_of(known, np.full(len(asked), -1)), None, answers), config),
        }
        now = int(baskets.times.max(initial=0))
        return Completion(_signals(visible, baskets, config, now), rankers, own_sources(now))


def _latest(baskets: Baskets, config: CompletionConfig) -> tuple[NDArray[np.intp], int]:
    """The baskets to be asked about, and from when on they are; without times any of them, and 0."""
    if not baskets.histories.timed:
        some = np.random.default_rng([config.seed, 22]).permutation(len(baskets))
        return np.sort(some[: int(len(baskets) * config.hidden)]), 0
    cut = int(np.quantile(baskets.times, 1 - config.hidden, method="lower")) if len(baskets) else 0
    return np.flatnonzero(baskets.times >= cut), cut


def hide_one(baskets: Histories, rng: np.random.Generator) -> tuple[Histories, Histories]:
    """Every basket (of at least one item) without one of its items, drawn evenly; and that item alone."""
    place = baskets.indptr[:-1] + rng.integers(0, np.maximum(baskets.lengths, 1))
    hidden = np.zeros(len(baskets.items), np.bool_)
    hidden[place] = True
    return baskets.keep(~hidden), baskets.keep(hidden)


def _signals(visible: Visible, baskets: Baskets, config: CompletionConfig, now: int) -> Signals:
    """The sources, fitted on some baskets; words are those of titles: of shelves and brands the vectors say enough."""
    texts = visible.texts
    if texts is not None and c.TITLE in visible.catalogue.frame.columns:
        texts = visible.catalogue.frame[c.TITLE].fill_null("")
    seen = replace(visible, histories=baskets.histories, now=now, texts=texts)
    signals = basket_signals(seen, config)
    for signal in signals.values():
        signal.source.fit(seen)
    return Signals(signals, SignalsConfig(candidates=config.candidates), facts_of(seen), SourcesConfig())


def _ranker(completion: Completion, lists: Lists, config: CompletionConfig) -> Ranker:
    names, n_signals = completion.names, len(completion.own) + len(completion.signals.signals)
    if len(lists.useful()) < LEAST_LISTS:
        return fixed_ranker(names, n_signals)
    return fit_ranker(lists.useful(), names, n_signals, config.ranking)
