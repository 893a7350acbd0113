"""Signals, ranker and scale together: histories in, ordered lists out; and how they lie in a release."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.arrays import load_arrays, save_arrays
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories, empty_histories, slices_of
from kuapin.errors import ModelFolderError
from kuapin.observation import stage
from kuapin.progress import SILENT, Progress
from kuapin.ranking.calibration import Calibration
from kuapin.ranking.diversity import within_cap
from kuapin.ranking.filling import LAST, Filling, Proposed
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fit_ranker, fixed_ranker
from kuapin.ranking.replays import ReplayConfig, launch_lists, opened
from kuapin.ranking.signals import TEXTS, Signals, SignalsConfig, restore_signals
from kuapin.retrieval.selection import allowed, one_after_another
from kuapin.retrieval.source import Candidates, NewItems, Visible
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.settings import SourcesConfig

PROPOSED_AT_ONCE = 8_192
"""Users whose candidates are looked for together: sources that read texts meet a text that many users know once."""
USERS_AT_ONCE = 512
"""Users whose candidates are put in order together: it bounds the memory of their feature table."""
NEIGHBOURS = 20
"""Items from which the popularity of a new one is read."""
SHOWN = 200
"""First items of the popularity list by which its scale for strangers is found."""
PROFILE = "profile"
RANKER = "ranker"
SOURCES = "sources"
DESCRIPTION = "recommender.json"


@dataclass(frozen=True)
class Ranked:
    """The ordered lists of some users with what put them in order.

    Attributes:
        found: the lists.
        features: float32 (len(found.items), f), of every row of the lists.
    """

    found: Candidates
    features: NDArray[np.float32]


def _merged(parts: list[tuple[NDArray[np.intp], Ranked]], n_users: int) -> Ranked:
    """The lists of several groups of users as those of all, in the order of the users."""
    users = np.concatenate([np.repeat(rows, np.diff(ranked.found.indptr)) for rows, ranked in parts])
    order = np.argsort(users, kind="stable")
    indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=n_users)))).astype(np.int64)
    items = np.concatenate([ranked.found.items for _, ranked in parts])[order]
    scores = np.concatenate([ranked.found.scores for _, ranked in parts])[order]
    return Ranked(Candidates(indptr, items, scores), np.concatenate([ranked.features for _, ranked in parts])[order])


@dataclass(frozen=True)
class WithItems:
    """A recommender and its catalogue after items came to them, int32 (k,) rows of these."""

    recommender: "Recommender"
    catalogue: Catalogue
    rows: NDArray[np.int32]


@dataclass(frozen=True)
class Recommender:
    """What a release knows of ranking.

    Attributes:
        signals: fitted on all that was visible.
        ranker: puts their candidates in one order.
        calibration: turns its scores into probabilities; ``None``: lists carry the ranker's scores.
        strangers: turns the logarithm of an item's popularity into the probability that someone without a history
            takes it; ``None``: the ranker orders their lists too.
    """

    signals: Signals
    ranker: Ranker
    calibration: Calibration | None = None
    strangers: Calibration | None = None

    def rank(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The best ``n`` items of every history among ``items`` (ascending rows; ``None``: all), best first.

        A list has ``n`` items wherever so many may be shown: where the sources propose fewer, what reads like the
        history and what is popular comes behind it. A shorter list is the beginning of a longer one.
        """
        return one_after_another([ranked.found for _, ranked in self.ranked(histories, n, items)])

    def ranked(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        per_category: int | None = None,
        least: int | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], Ranked]]:
        """As ``rank``, in blocks of users: the users' rows in ``histories`` and their lists.

        Args:
            histories: of the users.
            n: length of the lists.
            items: ascending rows that may be recommended; ``None``: all.
            per_category: items of one top-level category at most; more only where a list would be shorter than ``n``
                without them.
            least: lists are filled up to this length with what no source proposed; ``None``: to ``n``.
        """
        wanted = n, n if least is None else min(least, n)
        for first in range(0, len(histories), PROPOSED_AT_ONCE):
            stop = min(first + PROPOSED_AT_ONCE, len(histories))
            part = histories.select(np.arange(first, stop))
            with stage("candidates"):
                indptr, rows = self.signals.propose(part, items)
            for block in np.split(np.arange(len(part)), range(USERS_AT_ONCE, len(part), USERS_AT_ONCE)):
                own, index = slices_of(indptr, block)
                with stage("ranking"):
                    ranked = self._block(part.select(block), (own, rows[index]), wanted, items, per_category)
                yield first + block, ranked

    def _block(
        self,
        histories: Histories,
        proposed: Proposed,
        wanted: tuple[int, int],
        items: NDArray[np.integer] | None,
        per_category: int | None,
    ) -> Ranked:
        scale = self.strangers
        strange = (histories.lengths == 0) & (scale is not None)
        parts = []
        if not strange.all():
            known = np.flatnonzero(~strange)
            indptr, index = slices_of(proposed[0], known)
            of_known = indptr, proposed[1][index]
            parts.append((known, self._known(histories.select(known), of_known, wanted, items, per_category)))
        if scale is not None and strange.any():
            unknown = np.flatnonzero(strange)
            parts.append((unknown, self._unknown(histories.select(unknown), scale, wanted[0], items, per_category)))
        return parts[0][1] if len(parts) == 1 else _merged(parts, len(histories))

    def _unknown(
        self,
        histories: Histories,
        scale: Calibration,
        n: int,
        items: NDArray[np.integer] | None,
        per_category: int | None,
    ) -> Ranked:
        """One list, by popularity, for everybody without a history."""
        order = self._first_choice(items)
        category = self.signals.facts.category[order]
        one = order[within_cap(np.arange(len(order)), np.zeros(len(order), np.int64), category, n, per_category)]
        indptr = np.arange(len(histories) + 1, dtype=np.int64) * len(one)
        rows = np.tile(one, len(histories))
        category = self.signals.facts.category[rows]
        shown = scale.shown(scale.logit(log_popularity(self.popularity[rows]), category))
        found = Candidates(indptr, rows, shown.astype(np.float32))
        return Ranked(found, self.signals.features(histories, indptr, rows))

    def _known(
        self,
        histories: Histories,
        proposed: Proposed,
        wanted: tuple[int, int],
        items: NDArray[np.integer] | None,
        per_category: int | None,
    ) -> Ranked:
        n, least = wanted
        parts = self._filling(least, items, per_category).parts(histories, proposed)
        rows = parts.items
        features = self.signals.features(histories.select(parts.users), parts.indptr, rows)
        scores = self.ranker.score(features)
        category = self.signals.facts.category[rows]
        if self.calibration is not None:
            scores = self.calibration.logit(scores, category)
        users, part = (np.repeat(of_part, np.diff(parts.indptr)) for of_part in (parts.users, parts.number))
        within = np.where(part == LAST, np.arange(len(rows)), -scores)
        order = np.lexsort((rows, within, part, users))
        kept = within_cap(order, users, category, n, per_category)
        lengths = np.bincount(users[kept], minlength=len(histories))
        ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        falling = _falling(scores[kept], ends, users[part > 0])
        shown = falling if self.calibration is None else self.calibration.shown(falling)
        return Ranked(Candidates(ends, rows[kept], shown.astype(np.float32)), features[kept])

    def _filling(self, n: int, items: NDArray[np.integer] | None, per_category: int | None) -> Filling:
        each, texts = self.signals.config.candidates, self.signals.signals.get(TEXTS)
        alike = (lambda histories: texts.source.top(histories, each, items)) if texts else None
        return Filling(n, lambda: self._first_choice(items), self.signals.facts.category, per_category, each, alike)

    def _first_choice(self, items: NDArray[np.integer] | None) -> NDArray[np.int32]:
        """The fallback's order of the items that may be shown."""
        if items is None:
            return self.fallback
        return self.fallback[allowed(items, len(self.fallback))[self.fallback]]

    @cached_property
    def fallback(self) -> NDArray[np.int32]:
        """All item rows in the order for someone of whom nothing is known: popularity, then what texts let expect."""
        alike, predicted = self._of_nobody("text_popularity"), self._of_nobody("predicted_popularity")
        return np.lexsort((-predicted, -alike, -self.popularity)).astype(np.int32)

    @cached_property
    def popularity(self) -> NDArray[np.float32]:
        """Of every item: how many people met it, those of long ago counting less where there are times."""
        decayed = "popularity_decayed" in self.signals.signals
        return self._of_nobody("popularity_decayed" if decayed else "popularity")

    def _of_nobody(self, name: str) -> NDArray[np.float32]:
        if name not in self.signals.signals:
            return np.zeros(len(self.signals.facts.users), np.float32)
        nobody = empty_histories(1, len(self.signals.facts.users), timed=False)
        return np.asarray(self.signals.signals[name].source.score(nobody)[0], np.float32)

    def with_items(self, new: pl.DataFrame, catalogue: Catalogue, white: NDArray[np.float32] | None) -> "WithItems":
        """The same recommender with more items, which can be proposed and ranked at once by what they say.

        Args:
            new: the items, as ``Catalogue.with_items`` takes them.
            catalogue: that this recommender knows.
            white: float32 (k, d), whitened vectors of their texts; ``None``: the release reads no texts.

        Raises:
            ModelFolderError: a source cannot take them.
        """
        whole, rows = catalogue.with_items(new)
        facts, category = self.signals.facts, whole.category[rows]
        met = facts.users_in_category
        size = np.maximum(np.bincount(facts.category, minlength=len(met)), 1)
        usual = np.zeros(len(rows), np.float32)
        old = category < len(met)
        usual[old] = (met / size)[category[old]]
        alike = self._alike(white, category, len(catalogue))
        signals = self.signals.with_items(NewItems(rows, whole, white, usual, alike))
        scales = (
            None if one is None else one.with_categories(len(whole.categories))
            for one in (self.calibration, self.strangers)
        )
        return WithItems(Recommender(signals, self.ranker, *scales), whole, rows)

    def _alike(self, white: NDArray[np.float32] | None, category: NDArray[np.integer], n: int) -> NDArray[np.int32]:
        """Rows of the old items nearest to each new one within its category, int32 (k, NEIGHBOURS), -1 behind them."""
        found = np.full((len(category), NEIGHBOURS), -1, np.int32)
        profile = self.signals.signals.get(PROFILE)
        if white is None or profile is None or not isinstance(profile.source, Content):
            return found
        for place, code in enumerate(category):
            rows = np.flatnonzero(self.signals.facts.category[:n] == code)
            cosine = profile.source.vectors[profile.source.text_of[rows]] @ white[place]
            best = rows[np.argsort(-cosine, kind="stable")[:NEIGHBOURS]]
            found[place, : len(best)] = best
        return found

    def save(self, folder: Path) -> None:
        """Write ``ranker/``, ``sources/`` and ``recommender.json`` into a release's draft."""
        self.ranker.save(folder / RANKER)
        for name, signal in self.signals.signals.items():
            save_arrays(folder / SOURCES / f"{name}.safetensors", signal.source.arrays())
        facts = self.signals.facts
        save_arrays(
            folder / SOURCES / "facts.safetensors", {"users": facts.users, "category_mean": facts.category_mean}
        )
        description = {
            "sources": list(self.signals.signals),
            "signals": self.signals.config.model_dump(mode="json"),
            "settings": self.signals.settings.model_dump(mode="json"),
            "calibration": self.calibration.to_json() if self.calibration else None,
            "strangers": self.strangers.to_json() if self.strangers else None,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> "Recommender":
        """Read what ``save`` wrote; nothing is fitted.

        Raises:
            ModelFolderError: a part is missing, or of another catalogue.
        """
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            config = SignalsConfig.model_validate(description["signals"])
            settings = SourcesConfig.model_validate(description["settings"])
            saved = {name: load_arrays(folder / SOURCES / f"{name}.safetensors") for name in description["sources"]}
            facts = load_arrays(folder / SOURCES / "facts.safetensors")
            ranker = Ranker.load(folder / RANKER)
            scales = [
                Calibration.from_json(description[name]) if description[name] else None
                for name in ("calibration", "strangers")
            ]
            signals = restore_signals(saved, facts, catalogue, config, settings)
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(f"Model folder {folder} cannot be read ({error}). Train again.") from error
        if ranker.signals != signals.names or len(signals.facts.users) != len(catalogue):
            raise ModelFolderError(f"Model folder {folder}: its parts do not fit together. Train again.")
        return cls(signals, ranker, *scales)


def _falling(scores: NDArray[np.float64], indptr: NDArray[np.int64], users: NDArray[np.integer]) -> NDArray[np.float64]:
    """Scores in the order of the lists, those of some users cut down to the lowest before them."""
    for user in np.unique(users):
        own = slice(indptr[user], indptr[user + 1])
        scores[own] = np.minimum.accumulate(scores[own])
    return scores


def log_popularity(popularity: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the scale of strangers reads, float64 (n,)."""
    return np.log(np.asarray(popularity, np.float64) + 0.5)


def fit_launch(
    visible: Visible,
    items: NDArray[np.int32],
    shot: float,
    *,
    signals: SignalsConfig,
    ranking: RankingConfig,
    replays: ReplayConfig,
    sources: SourcesConfig | None = None,
    progress: Progress = SILENT,
) -> Recommender:
    """A recommender for a category that has just opened (DESIGN §5.5).

    Args:
        visible: all that may be seen, the category's shots included.
        items: int32, ascending rows of the category, of any level; it opens as one of its own, as in the replays.
        shot: share of the users whose interactions in the category are visible.
        signals: which sources.
        ranking: how the ranker is trained.
        replays: how launches are replayed for its training.
        sources: how the sources are set; ``None``: the defaults.
        progress: told of the replays.
    """
    visible = opened(visible, items)
    fitted = Signals.fit(visible, signals, settings=sources)
    lists = launch_lists(visible, items, shot, signals, replays, fitted, progress)
    columns = fitted.names, len(fitted.signals)
    enough = len(lists.useful()) >= LEAST_LISTS
    return Recommender(fitted, fit_ranker(lists, *columns, ranking) if enough else fixed_ranker(*columns))
