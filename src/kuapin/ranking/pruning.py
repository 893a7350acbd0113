"""Leave out the sources that do not pay: every list costs time, and many a shop is served as well by a few sources."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.linear import Linear, fit_linear, prior_weights
from kuapin.ranking.lists import make_lists
from kuapin.ranking.proposals import places
from kuapin.ranking.signals import SIDE, Signals, SignalsConfig
from kuapin.ranking.trees import Trees, TreesConfig, fit_trees

TOLERANCE = np.array([0.005, 0.02])
"""A source stays if its absence costs more than this share of NDCG@10: over all answers, over those new to the user."""
ERRORS = 1.0
"""Reading a source is dear on every list: it must pay by more than so many standard errors as well. (Proposing is not
judged so: what is not proposed is lost for good.)"""
LEAST_LISTS = 40
SHARP = 0.08
"""Nothing is left out where the judges tell their own NDCG@10 less exactly, the standard error as a share of the mean:
where few find anything, they cannot tell the best source from one that does nothing."""
WRONG = 150
"""So many wrong candidates of a list are enough for the small ranker."""
TREES = TreesConfig(rounds=40)
PROPOSERS_BY_COST = ("sequence", "als", "lexical", "adapted", "segments", "text_popularity", "item_knn", "ease")
READ_BY_COST = (
    "sequence", "als", "lexical", "segments", "brand_affinity", "leaf_affinity", "item_knn", "ease", "profile",
)  # fmt: skip
"""The dearest first. What is not named here costs next to nothing, or is needed elsewhere (the vectors of `adapted`
find similar items and serve categories that nobody has met; popularity proposes what does not suit the user, from which
the ranker learns what does)."""
FEWER = (50, 30)


def prune(signals: Signals, queries: Histories, answers: Histories, seed: int) -> SignalsConfig:
    """Which sources need not propose, which need not be read, and how many candidates are enough.

    Candidates are struck out of full lists, as if a source had not proposed them, and the lists ordered by a small
    ranker of users that it has not seen; the source goes if that costs too little to be worth its time. Then columns
    are left out of the small ranker in the same way. It must hold for all answers, and for those new to the user.

    Args:
        signals: all sources, fitted on what lies before the answers.
        queries: histories of the asked users.
        answers: what was hidden of them.
        seed: of the small rankers.

    Returns:
        The configuration of ``signals`` with ``sources``, ``proposers`` and ``candidates`` set; unchanged where there
        is too little to judge by.
    """
    proposed = signals.proposals(queries, None)
    asked = Asked.of(make_lists(signals, queries, None, answers, proposed=proposed), queries, answers)
    if len(asked.lists.useful()) < LEAST_LISTS:
        return signals.config
    rankers = _rankers(asked, np.arange(asked.lists.features.shape[1]), list(signals.signals), seed)
    full = asked.quality(_crossed(rankers, asked))
    if not _sharp(full[0]):
        return signals.config
    place = places(proposed, asked.lists.indptr, asked.lists.items, queries.n_items)

    def enough(proposers: list[str], candidates: int) -> bool:
        kept = _struck(asked, _proposed(place, proposers, candidates), signals)
        return _as_good(kept.quality(_crossed(rankers, kept)), full)

    proposers, candidates = list(place), signals.config.candidates
    for name in PROPOSERS_BY_COST:
        fewer = [other for other in proposers if other != name]
        if name in proposers and fewer and enough(fewer, candidates):
            proposers = fewer
    for fewer_candidates in FEWER:
        if fewer_candidates < candidates and enough(proposers, fewer_candidates):
            candidates = fewer_candidates
    sources = _read(signals, _struck(asked, _proposed(place, proposers, candidates), signals), proposers, seed)
    return signals.config.model_copy(
        update={"sources": tuple(sources), "proposers": tuple(proposers), "candidates": candidates}
    )


def _read(signals: Signals, asked: Asked, proposers: list[str], seed: int) -> list[str]:
    """The signals that the small ranker cannot do without, or that cost nothing."""
    names = list(signals.signals)
    every = np.arange(asked.lists.features.shape[1])
    full = asked.quality(_crossed(_rankers(asked, every, names, seed), asked))
    for name in READ_BY_COST:
        if name not in names or name in proposers:
            continue
        fewer = [other for other in names if other != name]
        columns = _columns_of(signals.names, fewer)
        without = asked.quality(_crossed(_rankers(asked, columns, fewer, seed), asked))
        if _as_good(without, full, ERRORS):
            names = fewer
    return names


def _columns_of(columns: tuple[str, ...], names: list[str]) -> NDArray[np.intp]:
    """The columns of some signals and of no signal, in order."""
    signals = {column for column in columns if f"{column}_gap" in columns and column not in SIDE} | set(names)
    gone = {gap for name in signals if name not in names for gap in (name, f"{name}_gap")}
    return np.flatnonzero([column not in gone for column in columns])


@dataclass(frozen=True)
class _Small:
    """A small ranker and the users whom it has not seen.

    Attributes:
        users: bool (n_users,), whom it may order lists for.
        columns: of the feature table that it reads.
    """

    linear: Linear
    trees: Trees
    users: NDArray[np.bool_]
    columns: NDArray[np.intp]


def _rankers(asked: Asked, columns: NDArray[np.intp], names: list[str], seed: int) -> list[_Small]:
    """Two, each of one half of the users for the other."""
    half = np.random.default_rng([seed, 21]).permutation(len(asked.lists)) % 2
    small = []
    for one in (0, 1):
        learnt = _thinned(asked.select(np.flatnonzero(half != one)), seed).to_learn_from().useful()
        learnt = learnt.with_features(learnt.features[:, columns])
        linear = fit_linear(learnt, prior_weights(names))
        small.append(
            _Small(linear, fit_trees(learnt, linear.score(learnt.features), TREES, seed), half == one, columns)
        )
    return small


def _crossed(rankers: list[_Small], asked: Asked) -> NDArray[np.float64]:
    """Scores of every candidate by the ranker that has not seen its user, float64 (n,)."""
    scores = np.empty(len(asked.lists.items))
    for small in rankers:
        test = small.users[asked.lists.users]
        table = asked.lists.features[np.ix_(test, small.columns)]
        scores[test] = small.trees.score(table, small.linear.score(table))
    return scores


def _struck(asked: Asked, keep: NDArray[np.bool_], signals: Signals) -> Asked:
    """The lists as they are when only some candidates are proposed: distances are to the best of these."""
    kept = asked.keep(keep)
    features = signals.measure_gaps(kept.lists.features, kept.lists.indptr)
    return replace(kept, lists=kept.lists.with_features(features))


def _thinned(asked: Asked, seed: int) -> Asked:
    """All right candidates and about ``WRONG`` wrong ones a list, drawn evenly."""
    lists = asked.lists
    lot = np.random.default_rng([seed, 22]).random(len(lists.items)) * lists.lengths[lists.users]
    return asked.keep(lists.relevant | (lot < WRONG))


def _proposed(place: dict[str, NDArray[np.int64]], proposers: list[str], candidates: int) -> NDArray[np.bool_]:
    """The candidates that are among the first so many of a proposer, bool (n,)."""
    return np.asarray(np.any([place[name] < candidates for name in proposers], axis=0))


def _sharp(quality: NDArray[np.float64]) -> bool:
    """Whether the mean of a metric (n_users,) is known well enough to judge by."""
    return bool(0 < quality.std() <= SHARP * quality.mean() * np.sqrt(len(quality)))


def _as_good(without: NDArray[np.float64], full: NDArray[np.float64], errors: float = 0.0) -> bool:
    """Whether what users lose, on average, is small or within so many standard errors; in every row of (2, n_users)."""
    loss = full - without
    error = loss.std(axis=1) / np.sqrt(max(loss.shape[1], 1))
    return bool(np.all(loss.mean(axis=1) <= np.maximum(TOLERANCE * full.mean(axis=1), errors * error)))
