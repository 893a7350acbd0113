"""Leave out the sources that do not pay: every list costs time, and many a shop is served as well by a few sources."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.linear import fit_linear
from kuapin.ranking.lists import Lists, make_lists, ndcg_at_10
from kuapin.ranking.signals import SIDE, Signals, SignalsConfig
from kuapin.ranking.trees import TreesConfig, fit_trees

TOLERANCE = 0.005
"""A source stays if its absence costs more than this share of NDCG@10, and more than one standard error."""
LEAST_LISTS = 40
TREES = TreesConfig(rounds=40)
PROPOSERS_BY_COST = ("als", "lexical", "adapted", "segments", "text_popularity", "item_knn")
READ_BY_COST = ("als", "lexical", "segments", "brand_affinity", "leaf_affinity", "item_knn", "profile")
"""The dearest first. What is not named here costs next to nothing, or is needed elsewhere (the vectors of `adapted`
find similar items and serve categories that nobody has met)."""
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
    lists = make_lists(signals, queries, None, answers)
    if len(lists.useful()) < LEAST_LISTS:
        return signals.config
    crossed = _crossed(lists, np.arange(lists.features.shape[1]), len(signals.signals), seed)
    new = _new(lists, queries, answers)
    full = _quality(lists, new, crossed)
    ranks = _ranks(signals, queries, lists)

    def enough(proposers: list[str], candidates: int) -> bool:
        keep = _proposed(lists, ranks, proposers, candidates)
        return _as_good(_quality(lists, new, crossed, keep), full)

    proposers, candidates = list(ranks), signals.config.candidates
    for name in PROPOSERS_BY_COST:
        fewer = [other for other in proposers if other != name]
        if name in proposers and enough(fewer, candidates):
            proposers = fewer
    for fewer_candidates in FEWER:
        if fewer_candidates < candidates and enough(proposers, fewer_candidates):
            candidates = fewer_candidates
    keep = _proposed(lists, ranks, proposers, candidates)
    lean, lean_new = _only(lists, keep), replace(new, isin=new.isin[keep])
    sources = _read(signals, lean, lean_new, proposers, seed)
    return signals.config.model_copy(
        update={"sources": tuple(sources), "proposers": tuple(proposers), "candidates": candidates}
    )


def _read(signals: Signals, lists: Lists, new: "_New", proposers: list[str], seed: int) -> list[str]:
    """The signals that the small ranker cannot do without, or that cost nothing."""
    names = list(signals.signals)
    every = np.arange(lists.features.shape[1])
    full = _quality(lists, new, _crossed(lists, every, len(names), seed))
    for name in READ_BY_COST:
        if name not in names or name in proposers:
            continue
        fewer = [other for other in names if other != name]
        columns = _columns_of(signals.names, fewer)
        if _as_good(_quality(lists, new, _crossed(lists, columns, len(fewer), seed)), full):
            names = fewer
    return names


@dataclass(frozen=True)
class _New:
    """Which candidates the user has not met, bool (n,), and how many answers are new to each user, int64 (n_users,)."""

    isin: NDArray[np.bool_]
    answers: NDArray[np.int64]


def _new(lists: Lists, queries: Histories, answers: Histories) -> _New:
    met = queries.matrix()
    asked = lists.users * queries.n_items + lists.items
    users = np.repeat(np.arange(len(queries), dtype=np.int64), np.diff(met.indptr))
    wanted = answers.matrix()
    fresh = (wanted - wanted.multiply(met)).tocsr()
    fresh.eliminate_zeros()
    return _New(~np.isin(asked, users * queries.n_items + met.indices), np.diff(fresh.indptr).astype(np.int64))


def _quality(
    lists: Lists, new: _New, scores: NDArray[np.float64], keep: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """NDCG@10 of every user, over all candidates that are kept and over those new to him: float64 (2, n_users)."""
    kept = np.ones(len(scores), np.bool_) if keep is None else keep
    fresh = kept & new.isin
    return np.stack(
        [
            ndcg_at_10(_only(lists, kept), scores[kept]),
            ndcg_at_10(replace(_only(lists, fresh), answers=new.answers), scores[fresh]),
        ]
    )


def _columns_of(columns: tuple[str, ...], names: list[str]) -> NDArray[np.intp]:
    """The columns of some signals and of no signal, in order."""
    signals = {column for column in columns if f"{column}_gap" in columns and column not in SIDE} | set(names)
    gone = {gap for name in signals if name not in names for gap in (name, f"{name}_gap")}
    return np.flatnonzero([column not in gone for column in columns])


def _crossed(lists: Lists, columns: NDArray[np.intp], n_signals: int, seed: int) -> NDArray[np.float64]:
    """Scores of a small ranker for users that it has not seen, float64 (n,)."""
    table = replace(lists, features=lists.features[:, columns])
    half = np.random.default_rng([seed, 21]).permutation(len(lists)) % 2
    scores = np.empty(len(lists.items))
    for one in (0, 1):
        train = table.select(np.flatnonzero(half != one)).useful()
        test = half[lists.users] == one
        linear = fit_linear(train, n_signals)
        trees = fit_trees(train, linear.score(train.features), TREES, seed)
        scores[test] = trees.score(table.features[test], linear.score(table.features[test]))
    return scores


def _ranks(signals: Signals, queries: Histories, lists: Lists) -> dict[str, NDArray[np.int64]]:
    """Place of every candidate in the list of every proposing source, int64 (n,)."""
    ranks = {}
    for column, (name, signal) in enumerate(signals.signals.items()):
        if not signal.proposes:
            continue
        raw = lists.features[:, column]
        if not signal.source.personal:  # its scale may order differently between categories
            raw = signal.source.pairs(queries, lists.indptr, lists.items)
        order = np.lexsort((lists.items, -raw, lists.users))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
        ranks[name] = place
    return ranks


def _proposed(
    lists: Lists, ranks: dict[str, NDArray[np.int64]], proposers: list[str], candidates: int
) -> NDArray[np.bool_]:
    mask = np.zeros(len(lists.items), np.bool_)
    for name in proposers:
        mask |= ranks[name] < candidates
    return mask


def _only(lists: Lists, keep: NDArray[np.bool_]) -> Lists:
    """The lists without the candidates that are not kept."""
    lengths = np.bincount(lists.users[keep], minlength=len(lists))
    return replace(
        lists,
        indptr=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        items=lists.items[keep],
        features=lists.features[keep],
        relevant=lists.relevant[keep],
    )


def _as_good(without: NDArray[np.float64], full: NDArray[np.float64]) -> bool:
    """Whether what users lose, on average, is small or may be chance; in every row of (k, n_users)."""
    loss = full - without
    error = loss.std(axis=1) / np.sqrt(max(loss.shape[1], 1))
    return bool(np.all(loss.mean(axis=1) <= np.maximum(TOLERANCE * full.mean(axis=1), error)))
