"""What the ranker reads of a user and an item: every source's score, on scales that carry over between categories."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.observation import tell_candidates
from kuapin.ranking.proposals import everything, proposals, union
from kuapin.ranking.signal_table import Facts, Signal, every_signal, everything_of, possible_signals, signal_names
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Visible
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.sequence.training import worth_training


class SignalsConfig(BaseModel):
    """Which sources the ranker reads and how many candidates they propose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(100, ge=10, description="Items that each proposing source proposes per user.")
    sources: tuple[str, ...] | None = Field(
        None, description="Sources that the ranker reads, by name; not set: all. Openings do without `sequence`."
    )
    proposers: tuple[str, ...] | None = Field(
        None, description="Those of them whose best items become candidates; not set: all that can."
    )

    @field_validator("sources", "proposers")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = [name for name in names or () if name not in signal_names()]
        if unknown:
            raise ValueError(f"there is no source {unknown[0]!r}; there are {', '.join(signal_names())}.")
        if names == ():
            raise ValueError("at least one source is needed; without the line there are all.")
        return names

    @model_validator(mode="after")
    def _able(self) -> Self:
        able = [name for name, signal in every_signal().items() if signal.proposes]
        for name in self.proposers or ():
            if name not in able:
                raise ValueError(f"{name!r} cannot be one of the proposers; {', '.join(able)} can.")
            if self.sources is not None and name not in self.sources:
                raise ValueError(
                    f"{name!r} is one of the proposers and none of the sources. Name it in both or neither."
                )
        return self


TEXTS = "adapted"
"""The source that can tell apart items that nobody has met."""
ARRIVALS = 20
"""Items that came after the training, of which so many are candidates of every user."""
SIDE = ("history", "users", "category_users", "category_share", "price", "price_gap")
"""Side facts: log size of the history, of the item's and of its category's users, the share of the history in the
item's category, log price, and its distance from the history's mean log price."""


class Signals:
    """The fitted sources, and the features made of them.

    A feature table has one column a signal, then for every personal signal its distance from the user's best candidate
    (what counts is relative to what else could be shown), then ``SIDE``.
    """

    def __init__(
        self, signals: Mapping[str, Signal], config: SignalsConfig, facts: Facts, settings: SourcesConfig
    ) -> None:
        self.signals = dict(signals)
        self.config = config
        self.facts = facts
        self.settings = settings
        self.arrivals = np.empty(0, np.int32)
        """Ascending rows of items that came after the fit."""

    @classmethod
    def fit(
        cls,
        visible: Visible,
        config: SignalsConfig,
        like: Self | None = None,
        *,
        settings: SourcesConfig | None = None,
        anew: bool = False,
    ) -> Self:
        """Fit every source on what is visible.

        Args:
            visible: all that may be learnt from.
            config: which sources.
            like: signals of the same catalogue: the same are fitted, those of them that do not learn from interactions
                are taken over.
            settings: of the sources; ``None``: those of ``like``, else the defaults.
            anew: the catalogue of ``like`` may have been a shorter one, so that nothing is taken over.
        """
        settings = settings or (like.settings if like is not None else SourcesConfig())
        if like is None:
            signals = _signals(visible, config, settings)
        else:
            same = _chosen(possible_signals(visible, settings), config)
            signals = {name: same[name] if anew or old.source.learns else old for name, old in like.signals.items()}
        for name, signal in signals.items():
            if like is not None and signal.source.learns:
                signal.source.refit(visible, like.signals[name].source)
            elif like is None or anew:
                signal.source.fit(visible)
        return cls(signals, config, facts_of(visible), settings)

    def only(self, config: SignalsConfig) -> "Signals":
        """The same fitted sources, those alone that ``config`` names; they are not fitted again."""
        return Signals(_chosen(self.signals, config), config, self.facts, self.settings)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a feature table."""
        gaps = tuple(f"{name}_gap" for name, signal in self.signals.items() if signal.source.personal)
        return (*self.signals, *gaps, *SIDE)

    def propose(
        self, histories: Histories, items: NDArray[np.integer] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The union of what the proposing sources propose: indptr int64 (n_users + 1,), item rows int32, ascending."""
        return union(self.proposals(histories, items), len(histories), histories.n_items)

    def proposals(self, histories: Histories, items: NDArray[np.integer] | None) -> dict[str, Candidates]:
        """What each proposing source proposes, by name; see ``ranking/proposals.py``."""
        proposing = {name: signal.source for name, signal in self.signals.items() if signal.proposes}
        found = proposals(proposing, histories, self.config.candidates, items)
        new = self.arrivals if items is None else np.intersect1d(self.arrivals, items)
        if len(new) and TEXTS in self.signals:
            # Of what nobody has met, none of the others may speak: those that read most like the history are looked at
            found["arrivals"] = (
                everything(new, len(histories))
                if len(new) <= ARRIVALS
                else proposals({TEXTS: self.signals[TEXTS].source}, histories, ARRIVALS, new)[TEXTS]
            )
        tell_candidates({name: len(one.items) for name, one in found.items()})
        return found

    def with_items(self, new: NewItems) -> "Signals":
        """The same fitted sources with more items; what is learnt stays as it is.

        Raises:
            ModelFolderError: a source cannot take them.
        """
        signals = {name: replace(one, source=one.source.with_items(new)) for name, one in self.signals.items()}
        users = new.padded(self.facts.users)
        mean = new.padded(self.facts.category_mean)
        mean[new.rows] = new.usual
        facts = replace(
            self.facts,
            users=users,
            category_mean=mean,
            category=new.catalogue.category,
            price=new.catalogue.price,
        )
        other = Signals(signals, self.config, facts, self.settings)
        fresh = new.rows[new.rows >= len(self.facts.users)]
        other.arrivals = np.union1d(self.arrivals, fresh).astype(np.int32)
        return other

    def features(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """The feature table of given pairs, float32 (n, len(names))."""
        table = np.empty((len(items), len(self.names)), np.float32)
        for column, signal in enumerate(self.signals.values()):
            raw = signal.source.pairs(histories, indptr, items)
            table[:, column] = signal.scale(np.asarray(raw, np.float32), items, self.facts)
        table[:, -len(SIDE) :] = _side(histories, indptr, items, self.facts)
        return self.measure_gaps(table, indptr)

    def measure_gaps(self, table: Scores, indptr: NDArray[np.int64]) -> Scores:
        """Write the distances to the user's best candidate into a feature table: anew where candidates are struck."""
        personal = [column for column, signal in enumerate(self.signals.values()) if signal.source.personal]
        values = table[:, personal]
        table[:, len(self.signals) : len(self.signals) + len(personal)] = values - _best_of_user(values, indptr)
        return table


def facts_of(visible: Visible) -> Facts:
    """Count what is visible."""
    users = np.asarray(visible.histories.matrix().sum(axis=0), np.float32).ravel()
    category = visible.catalogue.category
    size = np.maximum(np.bincount(category), 1)
    mean = (np.bincount(category, weights=users, minlength=len(size)) / size)[category]
    return Facts(users, mean.astype(np.float32), category, visible.catalogue.price)


RUNNING_ONLY = ("leaf", "ease", "repeat_fading", "repeat_latest", "due", "sequence")
"""Signals of the running shop alone: what they read is of items met before, or costs more than it gives a launch."""
OPENING_ONLY = {"ridge": 1, "als": 1_000}
"""Signals of a category that opens → people who must have been there: fewer tell ALS nothing that others do not say."""

USER_MODEL = "sequence"
"""Never read where a category opens: refitted in a replay it would go on from weights that saw what the replay hides,
and one of its own for each takes too long."""
NAMED_ONLY = ("predicted_popularity",)
"""Signals that are fitted where a configuration names them, and never by default; openings name them."""
ON_REQUEST = ("graph",)
"""Likewise, and openings do not name them either: what they add was measured (``docs/experiments.md``)."""


def _signals(visible: Visible, config: SignalsConfig, settings: SourcesConfig) -> dict[str, Signal]:
    """The signals that a configuration names, or else those that have something to say here; not fitted.

    Raises:
        InputError: a category opens, and ``USER_MODEL`` is all that is named.
    """
    table = possible_signals(visible, settings)
    if visible.opening is not None and USER_MODEL in (config.sources or ()):
        if config.sources == (USER_MODEL,):
            raise InputError(
                f"[signals] sources names {USER_MODEL} alone, which does not read a category that opens. Name others, "
                "or drop the line."
            )
        warnings.warn(f"[signals] sources: {USER_MODEL} is left out where a category opens.", stacklevel=2)
        del table[USER_MODEL]
    if config.sources is None:
        been = 0
        if visible.opening is not None:
            been = int(np.count_nonzero(np.diff(visible.histories.matrix()[:, visible.opening].indptr)))
        idle = {*NAMED_ONLY, *ON_REQUEST, *(RUNNING_ONLY if visible.opening is not None else ())}
        idle |= {name for name, least in OPENING_ONLY.items() if been < least}
        begun = settings.sequence.start is not None
        if visible.opening is None and not begun and not worth_training(visible.histories, settings.sequence):
            idle.add("sequence")
        table = {name: signal for name, signal in table.items() if name not in idle}
    return _chosen(table, config)


def opening_config(visible: Visible, config: SignalsConfig, *, counted: bool) -> SignalsConfig:
    """A configuration with its sources spelt out where a category opens: the same in every opening of a shop.

    Where none are named they are those that any opening has, ``NAMED_ONLY`` among them, with the ridge where people
    have been there; ALS, which some openings would have, takes more time than it brings.

    Args:
        visible: of an opening.
        config: which sources.
        counted: whether people have been in the category, so that a regression into it has something to learn from.
    """
    names = list(_signals(visible, config, SourcesConfig()))
    if config.sources is None:
        names = [name for name in names if name not in OPENING_ONLY] + (["ridge"] if counted else [])
    if visible.vectors is not None:
        names += NAMED_ONLY
    return config.model_copy(update={"sources": tuple(dict.fromkeys(names))})


def _chosen(signals: Mapping[str, Signal], config: SignalsConfig) -> dict[str, Signal]:
    """The signals that a configuration names, those proposing that it lets."""
    read = {name: one for name, one in signals.items() if config.sources is None or name in config.sources}
    if config.proposers is None:
        return read
    return {name: replace(one, proposes=one.proposes and name in config.proposers) for name, one in read.items()}


def _best_of_user(values: Scores, indptr: NDArray[np.int64]) -> Scores:
    """The greatest values of the user of every pair, float32 (n, k), of values (n, k)."""
    filled = np.flatnonzero(np.diff(indptr))
    best = np.maximum.reduceat(values, indptr[filled], axis=0) if len(filled) else values[:0]
    return np.repeat(best, np.diff(indptr)[filled], axis=0)


def _side(histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32], facts: Facts) -> Scores:
    users = np.repeat(np.arange(len(histories)), np.diff(indptr))
    category = facts.category[items]
    n_categories = int(facts.category.max(initial=0)) + 1
    lengths = np.maximum(histories.lengths, 1)
    owner = histories.users
    kind = owner.astype(np.int64) * n_categories + facts.category[histories.items]
    met = np.bincount(kind, minlength=len(histories) * n_categories).reshape(len(histories), n_categories)
    in_category, log_price = facts.users_in_category, facts.log_price
    price = log_price[histories.items]
    priced = ~np.isnan(price)
    paid = np.bincount(owner[priced], weights=price[priced], minlength=len(histories))
    known = np.bincount(owner[priced], minlength=len(histories))
    usual = np.where(known > 0, paid / np.maximum(known, 1), np.nan)
    return np.column_stack(
        [
            np.log1p(histories.lengths)[users],
            np.log1p(facts.users[items] * facts.learnt),
            np.log1p(in_category * facts.learnt)[category],
            met[users, category] / lengths[users],
            log_price[items],
            log_price[items] - usual[users],
        ]
    ).astype(np.float32)


def restore_signals(
    saved: Mapping[str, Arrays], facts: Arrays, catalogue: Catalogue, config: SignalsConfig, settings: SourcesConfig
) -> Signals:
    """Signals out of a release, without fitting.

    Args:
        saved: name of a signal → the arrays of its source, in the order of the columns.
        facts: `users`, `category_mean` and `learnt`, as in ``Facts``.
        catalogue: the one that they were fitted on.
        config: the one that they were fitted with.
        settings: likewise.
    """
    every = _chosen(possible_signals(everything_of(catalogue), settings), config)
    signals = {}
    for name, arrays in saved.items():
        every[name].source.restore(arrays)
        signals[name] = every[name]
    users, mean = np.asarray(facts["users"], np.float32), np.asarray(facts["category_mean"], np.float32)
    learnt = float(facts["learnt"][0]) if "learnt" in facts else 1.0
    return Signals(signals, config, Facts(users, mean, catalogue.category, catalogue.price, learnt), settings)
