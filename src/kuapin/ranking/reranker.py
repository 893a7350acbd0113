"""What makes a list fit to show: rules, safety and diversity, on the ranker's order and before the cut to n."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories, slices_of
from kuapin.observation import stage
from kuapin.ranking.bound_rules import BoundRule, Rules
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.exploration import SPARE, Exploration, reach
from kuapin.ranking.greedy import Dial, Mask, Share, Spread, fill
from kuapin.ranking.phrases import Language
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.rules import Boost, Pin, Quota
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.members import members
from kuapin.retrieval.selection import allowed, rows_of
from kuapin.retrieval.source import Candidates
from kuapin.retrieval.sources.content import Content

AT_ONCE = 64
"""Users whose items are told apart at a time."""
PAIRS = 1_000_000
"""Users times items that rules about users look at together, some 40 bytes each; one user at least."""


@dataclass(frozen=True)
class Reranked(Ranked):
    """Lists as they are shown.

    Attributes:
        by_rule: of every row, the name of the rule that put it there; ``None``: it stands there by its worth.
        propensity: float64 (len(found.items),), the probability with which every row came to its place; ``None``:
            nothing is tried.
    """

    by_rule: tuple[str | None, ...] = ()
    propensity: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Reranker:
    """A recommender with what a shop wants of its lists.

    Attributes:
        recommender: gives the order.
        catalogue: its items, with their present availability.
        rules: of the shop.
        diversity: of all lists, unless a call says otherwise.
        penalty: float64 (n_items,), log odds that are taken off an item's score in the order; ``None``: nothing.
        blocked: bool (n_items,), what is never shown; ``None``: nothing.
        language: of the reasons.
        exploration: tries items in some places; ``None``: in none.
    """

    recommender: Recommender
    catalogue: Catalogue
    rules: Rules = field(default_factory=Rules)
    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    penalty: NDArray[np.float64] | None = None
    blocked: Mask | None = None
    language: Language = "en"
    exploration: Exploration | None = None

    def shown(self, now: datetime | None = None) -> Mask:
        """Which items may be shown to somebody: neither blocked nor hidden by a rule from all, bool (n_items,)."""
        mask = self.rules.at(now or datetime.now(UTC)).shown(len(self.catalogue))
        return mask if self.blocked is None else mask & ~self.blocked

    @property
    def doubt(self) -> NDArray[np.float64]:
        """What safety takes off the log odds of every item, float64 (n_items,)."""
        return np.zeros(len(self.catalogue)) if self.penalty is None else self.penalty

    def audiences(
        self,
        histories: Histories,
        who: NDArray[np.integer],
        items: NDArray[np.integer] | None = None,
        now: datetime | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.integer] | None]]:
        """Users who may be shown the same items, with these items: every user once.

        Args:
            histories: of the users.
            who: int (n_users,), rows of the users' table; below 0: unknown.
            items: ascending rows of the items that are ``shown``; ``None``: all.
            now: for rules with a time; ``None``: the present.

        Yields:
            Numbers of the users, ascending, and rows of the items.
        """
        rules, n_items = self.rules.at(now or datetime.now(UTC)), len(self.catalogue)
        if not rules.by_user() or not len(who):
            yield np.arange(len(who)), items
            return
        may = np.ones(n_items, np.bool_) if items is None else allowed(items, n_items)
        for first in range(0, len(who), AT_ONCE):
            users = np.arange(first, min(first + AT_ONCE, len(who)))
            some = max(PAIRS // max(n_items, 1), 1)
            parts = [users[k : k + some] for k in range(0, len(users), some)]
            hidden = (rules.hidden(histories.select(part), np.maximum(who[part], -1), n_items) for part in parts)
            masks = np.concatenate([np.packbits(may & ~one, axis=1) for one in hidden])
            alike, of = np.unique(masks, axis=0, return_inverse=True)
            for number, mask in enumerate(alike):
                yield users[of == number], rows_of(np.unpackbits(mask, count=n_items) > 0)

    def ranked(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        diversity: DiversityConfig | None = None,
        *,
        who: NDArray[np.integer] | None = None,
        now: datetime | None = None,
        page: int | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], Reranked]]:
        """As ``Recommender.ranked``, after rules, safety and diversity.

        A list has ``n`` items wherever so many may be shown to its user. Scores are the ranker's: where a rule, a
        penalty or the dial changes the order they need not fall.

        Args:
            histories: of the users.
            n: length of the lists.
            items: ascending rows that may be recommended, of those that are ``shown``; ``None``: all.
            diversity: ``None``: the shop's.
            who: int (n_users,), rows of the users' table, for rules about users; -1 or ``None``: unknown. So is what
                lies below, a number by which a place that tries knows somebody again.
            now: for rules with a time; ``None``: the present.
            page: places that are seen together, see ``Exploration.choose``.
        """
        spread, now = diversity or self.diversity, now or datetime.now(UTC)
        rules = self.rules.at(now)
        who = np.full(len(histories), -1, np.int64) if who is None else np.asarray(who)
        names, who = who, np.maximum(who, -1)
        shown = self.shown(now)
        if not shown.all():
            items = rows_of(shown if items is None else shown & allowed(items, len(shown)))
        idle = spread.idle and not any(not one.hides or one in rules.by_user() for one in rules.bound)
        tries = self.exploration is not None and len(self.exploration.places(n)) > 0
        if idle and not tries and (self.penalty is None or not self.penalty.any()):
            for users, plain in self.recommender.ranked(histories, n, items, spread.per_category):
                yield users, Reranked(plain.found, plain.features, (None,) * len(plain.found.items))
            return
        moved = tries or not spread.idle or any(not one.hides for one in rules.bound)
        depth = reach(n) if moved else SPARE * n
        # Floors, boosts and the dial choose among more than what was proposed, and a place that tries among the same
        # however long the list is; all else is content with n
        wide = tries or bool(
            spread.categories or spread.brands or spread.leaves or spread.discovery or rules.of_kind(Boost)
        )
        for users, pool in self.recommender.ranked(histories, depth, items, spread.per_category, depth if wide else n):
            ask = _Ask(histories.select(users), who[users], names[users], n, items, spread, rules, now, page)
            yield users, self._listed(ask, pool, depth)

    def _listed(self, ask: "_Ask", pool: Ranked, depth: int) -> Reranked:
        """The lists of a block of users; those that come out short are asked for again among more candidates."""
        wanted = self._with_wanted(ask, pool)
        with stage("list"):
            listed = self._chosen(ask, wanted)
        # The first pool is filled up to n alone; deeper ones are full, or there is nothing left
        full = np.diff(pool.found.indptr) >= (ask.n if depth <= reach(ask.n) else depth)
        short = np.flatnonzero((np.diff(listed.found.indptr) < ask.n) & full)
        if len(short) == 0:
            return listed
        deeper = depth * 4
        again = ask.of(short)
        blocks = list(self.recommender.ranked(again.histories, deeper, ask.items, ask.diversity.per_category))
        parts = [(short[users], self._listed(again.of(users), more, deeper)) for users, more in blocks]
        rest = np.setdiff1d(np.arange(len(ask.who)), short)
        return _merged([(rest, _taken(listed, rest)), *parts])

    def _with_wanted(self, ask: "_Ask", pool: Ranked) -> Ranked:
        """The candidates with those that a rule asks for, which the sources may not have proposed."""
        for one in (*ask.rules.of_kind(Pin), *ask.rules.of_kind(Quota)):
            some = 1 if isinstance(one.rule, Pin) else _share(one, one.items).at_least
            if not some:
                continue
            rows = np.flatnonzero(one.items)
            rows = rows if ask.items is None else np.intersect1d(rows, ask.items)
            rows = rows[self.catalogue.available[rows]]
            if len(rows):
                extra = [block for _, block in self.recommender.ranked(ask.histories, 2 * min(some, ask.n), rows)]
                pool = _joined(pool, extra)
        return pool

    def _chosen(self, ask: "_Ask", pool: Ranked) -> Reranked:
        found, users = pool.found, np.repeat(np.arange(len(ask.who)), np.diff(pool.found.indptr))
        place = np.arange(len(users)) - found.indptr[:-1][users]
        shape = (len(ask.who), int(place.max(initial=-1)) + 1)
        rows = np.zeros(shape, np.int32)
        rows[users, place] = found.items
        present = np.zeros(shape, np.bool_)
        present[users, place] = ~self._hidden(ask, found)
        value = np.full(shape, -np.inf)
        value[users, place] = self._worth(ask, found, users)
        # best first: what a boost lifted moves up, equals stay in the ranker's order
        order = np.argsort(-value, axis=1, kind="stable")
        rows, present, value = (np.take_along_axis(one, order, axis=1) for one in (rows, present, value))
        quotas = ask.rules.of_kind(Quota)
        pinned, pin = _pinned(ask, rows, present)
        spreads = self._spreads(ask.diversity, rows)
        shares = [_share(one, one.items[rows] & one.of(ask.who)[:, None]) for one in quotas]
        dial = self._dial(ask, rows) if ask.diversity.discovery and rows.size else None
        chosen, cause = fill(value, present, ask.n, pinned=pinned, spreads=spreads, shares=shares, dial=dial)
        counted = np.stack([*(s.codes for s in spreads), *(s.members for s in shares), np.zeros_like(rows)], axis=-1)
        chosen, propensity = self._tried(ask, chosen, rows, present, value, counted, (pin >= 0) | (cause >= 0), order)
        asked, slot = np.nonzero(chosen >= 0)
        origin = found.indptr[:-1][asked] + order[asked, chosen[asked, slot]]
        named = [*(one.rule.name for one in ask.rules.of_kind(Pin)), *(one.rule.name for one in quotas), None]
        number = np.where(pin >= 0, pin, np.where(cause >= 0, cause + len(named) - 1 - len(quotas), -1))
        indptr = np.concatenate(([0], np.cumsum((chosen >= 0).sum(axis=1)))).astype(np.int64)
        shown = Candidates(indptr, found.items[origin], found.scores[origin])
        told = tuple(named[k] for k in number[asked, slot])
        return Reranked(shown, pool.features[origin], told, None if propensity is None else propensity[asked, slot])

    def _tried(
        self,
        ask: "_Ask",
        chosen: NDArray[np.intp],
        rows: NDArray[np.int32],
        present: Mask,
        value: NDArray[np.float64],
        counted: NDArray[np.integer],
        fixed: Mask,
        rank: NDArray[np.intp],
    ) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
        """The lists with some places tried, and the probability of what every place holds."""
        if self.exploration is None:
            return chosen, None
        tried, propensity = chosen.copy(), np.ones(chosen.shape)
        for user, own in enumerate(chosen):
            free = present[user].copy()
            free[own[own >= 0]] = False
            rng = self.exploration.rng(ask.histories, user, int(ask.names[user]), ask.now)
            of_user = free, rows[user], expit(value[user]), counted[user], fixed[user], rank[user]
            tried[user], propensity[user] = self.exploration.choose(own, *of_user, rng, ask.page)
        return tried, propensity

    def _hidden(self, ask: "_Ask", found: Candidates) -> Mask:
        hidden = np.zeros(len(found.items), np.bool_)
        for one in ask.rules.by_user():
            hidden |= one.hidden(ask.histories, ask.who, found.indptr, found.items)
        return hidden

    def _worth(self, ask: "_Ask", found: Candidates, users: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log odds of every candidate, with boosts and penalties."""
        scores = found.scores.astype(np.float64)
        worth = scores if self.recommender.calibration is None else logit(np.clip(scores, 1e-9, 1 - 1e-9))
        if self.penalty is not None:
            worth = worth - self.penalty[found.items]
        for one in ask.rules.of_kind(Boost):
            if isinstance(one.rule, Boost):
                meant = one.items[found.items] & one.of(ask.who)[users]
                worth = worth + np.where(meant, np.log(one.rule.factor), 0.0)
        return np.asarray(worth, np.float64)

    def _spreads(self, wanted: DiversityConfig, rows: NDArray[np.int32]) -> list[Spread]:
        catalogue = self.catalogue
        groups = (
            (catalogue.category, wanted.per_category, wanted.categories),
            (catalogue.brand, wanted.per_brand, wanted.brands),
            (catalogue.leaf, wanted.per_leaf, wanted.leaves),
        )
        return [Spread(code[rows], cap, floor) for code, cap, floor in groups if cap is not None or floor is not None]

    def _dial(self, ask: "_Ask", rows: NDArray[np.int32]) -> Dial:
        """Near is what reads alike, without texts the same shelf; familiar is what was met, and less so its shelf."""
        leaf, users = self.catalogue.leaf, np.arange(len(rows))[:, None]
        d, kind = ask.diversity.discovery, self.catalogue.category[rows]
        met = ask.histories.matrix()
        on_shelf = (met @ members(leaf)).toarray()
        share = on_shelf / np.maximum(on_shelf.max(axis=1, keepdims=True), 1)
        had = np.asarray(met[users.repeat(rows.shape[1], 1).ravel(), rows.ravel()]).reshape(rows.shape) > 0
        familiar = np.where(had, 1.0, share[users, leaf[rows]])
        texts = self.recommender.signals.signals.get(TEXTS)
        if texts is not None and isinstance(texts.source, Content):
            vectors = texts.source.vectors[texts.source.text_of[rows]]  # (n_users, depth, d)
            return Dial(d, kind, familiar, lambda pick: np.einsum("udk,uk->ud", vectors, vectors[users[:, 0], pick]))
        return Dial(d, kind, familiar, lambda pick: leaf[rows] == leaf[rows[users[:, 0], pick]][:, None])


@dataclass(frozen=True)
class _Ask:
    """What is asked for a block of users."""

    histories: Histories
    who: NDArray[np.integer]
    names: NDArray[np.integer]
    n: int
    items: NDArray[np.integer] | None
    diversity: DiversityConfig
    rules: Rules
    now: datetime
    page: int | None

    def of(self, users: NDArray[np.integer]) -> "_Ask":
        """The same for some of them."""
        return replace(self, histories=self.histories.select(users), who=self.who[users], names=self.names[users])


def _share(one: BoundRule, members: Mask) -> Share:
    quota = one.rule
    if not isinstance(quota, Quota):
        raise TypeError(f"{quota.kind} is no quota")
    return Share(members, quota.at_least or 0, quota.at_most)


def _pinned(ask: _Ask, rows: NDArray[np.int32], present: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The candidate that stands at every place, and the number of the pin that put it there; -1: none."""
    where, which = np.full((len(rows), ask.n), -1, np.intp), np.full((len(rows), ask.n), -1, np.intp)
    for number, one in enumerate(ask.rules.of_kind(Pin)):
        if not isinstance(one.rule, Pin) or one.rule.position > ask.n:
            continue
        found = (rows == np.flatnonzero(one.items)[0]) & present
        users = np.flatnonzero(found.any(axis=1) & one.of(ask.who) & (where[:, one.rule.position - 1] < 0))
        users = users[~(where[users] == np.argmax(found[users], axis=1)[:, None]).any(axis=1)]
        where[users, one.rule.position - 1] = np.argmax(found[users], axis=1)
        which[users, one.rule.position - 1] = number
    return where, which


def _joined(pool: Ranked, extra: list[Ranked]) -> Ranked:
    """The candidates with further ones of the same users, best first; who has one already keeps it."""
    ends = np.concatenate(([0], np.cumsum(np.concatenate([np.diff(one.found.indptr) for one in extra]))))
    more = Ranked(
        Candidates(
            ends.astype(np.int64),
            np.concatenate([one.found.items for one in extra]),
            np.concatenate([one.found.scores for one in extra]),
        ),
        np.concatenate([one.features for one in extra]),
    )
    users, items, scores = (
        np.concatenate([part(one) for one in (pool, more)])
        for part in (_users, lambda one: one.found.items, lambda one: one.found.scores)
    )
    _, first = np.unique(users * (int(items.max(initial=0)) + 1) + items, return_index=True)
    order = first[np.lexsort((first, -scores[first], users[first]))]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(users[order], minlength=len(pool.found.indptr) - 1))))
    features = np.concatenate([pool.features, more.features])[order]
    return Ranked(Candidates(indptr.astype(np.int64), items[order], scores[order]), features)


def _users(ranked: Ranked) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(ranked.found.indptr) - 1, dtype=np.int64), np.diff(ranked.found.indptr))


def _taken(listed: Reranked, users: NDArray[np.integer]) -> Reranked:
    """The lists of some users."""
    _, index = slices_of(listed.found.indptr, users)
    propensity = None if listed.propensity is None else listed.propensity[index]
    told = tuple(listed.by_rule[k] for k in index)
    return Reranked(listed.found.take(users), listed.features[index], told, propensity)


def _merged(parts: list[tuple[NDArray[np.integer], Reranked]]) -> Reranked:
    """The lists of several groups of users as those of all, in the order of the users."""
    users = np.concatenate([rows for rows, _ in parts])
    ends = np.concatenate(([0], np.cumsum(np.concatenate([np.diff(one.found.indptr) for _, one in parts]))))
    whole = Reranked(
        Candidates(
            ends.astype(np.int64),
            np.concatenate([one.found.items for _, one in parts]),
            np.concatenate([one.found.scores for _, one in parts]),
        ),
        np.concatenate([one.features for _, one in parts]),
        tuple(name for _, one in parts for name in one.by_rule),
        _propensities([one for _, one in parts]),
    )
    return _taken(whole, np.argsort(users, kind="stable"))


def _propensities(parts: list[Reranked]) -> NDArray[np.float64] | None:
    known = [one.propensity for one in parts if one.propensity is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
