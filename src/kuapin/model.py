"""A live release in memory: external ids in, tables out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, build_catalogue, build_dataset
from kuapin.data.histories import Histories
from kuapin.data.offers import CAMPAIGN, COUPON
from kuapin.data.visitor import check_times, viewed
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError
from kuapin.list_layer import open_reranker
from kuapin.manifest import read_routing
from kuapin.model_folder import Releases
from kuapin.names import offered
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.live import queries_of
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.reranker import Reranker
from kuapin.ranking.signals import TEXTS
from kuapin.release_parts import open_release
from kuapin.retrieval.filters import Filter
from kuapin.retrieval.selection import allowed, rows_of
from kuapin.retrieval.sources.content import Content
from kuapin.storefront import FOLDER, SURFACES, Storefront
from kuapin.surfaces import products as products_surface
from kuapin.surfaces import similar as similar_surface
from kuapin.surfaces.answer import Answer
from kuapin.surfaces.home_strategies import LOGGED as HOME_LOGGED
from kuapin.surfaces.home_strategies import HomeStrategies
from kuapin.surfaces.products import products
from kuapin.surfaces.profile import DUE
from kuapin.surfaces.rule_trial import Trial, change
from kuapin.surfaces.silence import with_a_word
from kuapin.surfaces.similar import SimilarItems
from kuapin.workspace import Shop

LOGGED = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT)
"""Columns of the log that a model reads."""
OF_ITEMS = ("item", DUE)
"""Kinds of rows whose target is an item."""
KEPT = (c.ITEM_ID, c.TITLE, c.CATEGORY, c.BRAND, c.PRICE, c.AVAILABLE)
"""Columns of a release's catalogue, as far as the shop has them, beside what items share in the shop's own."""


class Model:
    """Answers with one release, from the histories that the store held when it was loaded.

    Args:
        release: its version, which every answer names.
        recommender: sources, ranker and scale.
        catalogue: the items that it was trained on, with their present availability.
        users: user_id ↔ row of ``histories``.
        histories: what the users did, in items of ``catalogue``.
        reranker: rules, safety and diversity of the shop; ``None``: the ranker's order is shown.
    """

    def __init__(
        self,
        release: str,
        recommender: Recommender,
        catalogue: Catalogue,
        users: Vocabulary,
        histories: Histories,
        reranker: Reranker | None = None,
    ) -> None:
        self.release = release
        self.recommender = recommender
        self.catalogue = catalogue
        self.users = users
        self.histories = histories
        self.reranker = reranker or Reranker(recommender, catalogue)
        self.storefront: Storefront | None = None

    @classmethod
    def load(cls, shop: Shop, log: pl.DataFrame | None = None, version: str | None = None) -> Self:
        """A release of a shop, every file of it checked; nothing is fitted.

        Args:
            shop: with a release.
            log: user_id, item_id, timestamp and event of what its users did, in place of what the store holds.
            version: which release; ``None``: the live one.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: there is no release, or it is damaged or does not fit.
            InputError: ``rules.toml`` is wrong.
        """
        releases = Releases(shop.models, shop.config.releases)
        folder = releases.open_live() if version is None else releases.open(version)
        recommender, known = open_release(folder, read_routing(folder))
        if log is None:
            log = shop.store.read(c.INTERACTIONS, list(LOGGED))
        users = shop.store.read(c.USERS, [c.USER_ID])
        dataset = build_dataset(known.frame, log, users if users.height else None)
        present = build_catalogue(shop.store.read(c.ITEMS, [c.ITEM_ID, c.AVAILABLE]))
        place = present.items.rows(known.items.ids)
        available = (place >= 0) & (present.available[place] if len(present) else False)
        catalogue = replace(known, available=available)
        shop.people.check(dataset.users.ids)
        people = shop.people.vocabulary(dataset.users)
        reranker = open_reranker(shop, recommender, catalogue, people, folder)
        model = cls(folder.name, recommender, catalogue, people, dataset.histories, reranker)
        config = shop.config
        model.storefront = Storefront(
            model, folder / FOLDER, shop.store, _strategies(shop), config.live.suspects, config.profile.tells
        )
        return model

    def recommend(
        self,
        users: str | Sequence[str] | pl.Series,
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        surface: str = products_surface.NAME,
        explain: bool = False,
        per_category: int | None = None,
        deny: Sequence[str] = (),
        discovery: float | None = None,
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """The best ``n`` items of one user or of many, after the rules of the shop.

        A user whom the shop does not know gets what is popular. What is not available is never shown. A list has
        ``n`` items wherever so many pass the conditions.

        Args:
            users: one id, or several; the table has the lists in this order.
            n: length of a list.
            categories: top-level categories to choose from; ``None``: all.
            surface: what is asked for: ``products``, or one of ``storefront.SURFACES``.
            explain: whether ``reason_code`` and ``reason`` are filled; null otherwise.
            per_category: items of one top-level category at most; more only where a list would be short without them;
                ``None``: as ``[diversity]`` says. For ``products`` alone, and so is ``discovery``.
            deny: ids of items that are not to be shown.
            discovery: from -1, more of the same, to 1, what is new; ``None``: as ``[diversity]`` says.
            now: for rules that have a time; ``None``: the present.

        Returns:
            The columns of ``columns.RECOMMENDATION``; ``rank`` from 1, ``score`` the probability of a purchase (or
            whatever the log records) in the near future, comparable between users and categories. It falls with the
            rank but where a rule or the dial changed the order.

        Raises:
            InputError: an unknown surface, n below 1, a discovery outside -1 to 1, or what is for ``products`` alone
                beside another surface.
            UnknownIdError: a category that no item has.
        """
        ids = _ids(users)
        if surface != products_surface.NAME:
            _refuse_beside(surface, per_category=per_category, discovery=discovery)
            rows = self._rows(categories, deny, now)
            table = self._front(surface).recommend(surface, ids, _checked(n), rows, explain=explain, now=now)
            return with_a_word(table, surface, len(ids))
        answer = self.answer(
            self.histories_of(ids),
            n,
            categories,
            who=self.users.rows(ids),
            surface=surface,
            explain=explain,
            per_category=per_category,
            deny=deny,
            discovery=discovery,
            now=now,
        )
        table = answer.table(ids, self.catalogue.items.ids, surface=surface, release=self.release)
        return with_a_word(table, surface, len(ids))

    def answer(
        self,
        histories: Histories,
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        who: NDArray[np.integer] | None = None,
        surface: str = products_surface.NAME,
        explain: bool = False,
        per_category: int | None = None,
        deny: Sequence[str] = (),
        discovery: float | None = None,
        now: datetime | None = None,
        page: int | None = None,
    ) -> Answer:
        """The lists of ``recommend`` for some histories, in rows of the catalogue instead of a table.

        Args:
            histories: of some people.
            n: length of a list.
            categories: top-level categories to choose from; ``None``: all.
            who: int (n_users,), rows of ``users``; -1 or ``None``: unknown, see ``Reranker.ranked``.
            surface: as in ``recommend``, and so are the others.
            explain: whether there are reasons.
            per_category: items of one top-level category at most.
            deny: ids of items that are not to be shown.
            discovery: from -1 to 1.
            now: for rules that have a time.
            page: places that are seen together, where some of them try items; ``None``: all.

        Raises:
            InputError: an unknown surface, n below 1, or a discovery outside -1 to 1.
            UnknownIdError: a category that no item has.
        """
        if surface != products_surface.NAME:
            raise InputError(f"There is no surface {surface!r} here; there is {products_surface.NAME!r}.")
        mask = self._mask(categories, deny)
        return products(
            self.reranker,
            histories,
            n=_checked(n),
            items=None if mask.all() else rows_of(mask),
            diversity=self._diversity(per_category, discovery),
            who=who,
            now=now,
            explain=explain,
            page=page,
        )

    def histories_of(self, users: Sequence[str] | pl.Series) -> Histories:
        """What users did, as the store held it when the release was loaded; an unknown one did nothing."""
        return queries_of(self.histories, self.users.rows(users))

    def try_rules(
        self,
        user: str | None,
        n: int = 10,
        now: datetime | None = None,
        history: Sequence[str] = (),
        surface: str = products_surface.NAME,
    ) -> Trial:
        """One user's list, and what each rule of the shop changes in it.

        Args:
            user: whose list; ``None``: a visitor's.
            n: its length.
            now: for rules and campaigns, which have their times; ``None``: the present.
            history: items that a visitor met, oldest first.
            surface: whose answer is shown.
        """
        full = self.reranker

        def listed(model: "Model") -> pl.DataFrame:
            if user is None:
                return model.recommend_visitor(history, n, surface=surface, explain=True, now=now)
            return model.recommend(user, n, surface=surface, explain=True, now=now)

        table = listed(self)
        changes = []
        for one in full.rules.bound:
            fewer = replace(full, rules=full.rules.without(one.rule.name))
            other = Model(self.release, self.recommender, self.catalogue, self.users, self.histories, fewer)
            other.storefront = None if self.storefront is None else self.storefront.of(other)
            changes.append(change(one.rule.name, one.rule.kind, one.rule.line, table, listed(other)))
        return Trial(table, tuple(changes))

    def strangers(self, users: str | Sequence[str] | pl.Series) -> pl.Series:
        """Those of the ids about whom there is nothing to go by: unknown, or without a history in these items."""
        ids = _ids(users)
        return ids.filter(self.histories_of(ids).lengths == 0)

    def last_met(self, user: str) -> str | None:
        """The item that a user met last, for which ``similar`` finds others; ``None``: no history in these items."""
        met = self.histories_of([user]).items
        return self.catalogue.items.id(int(met[-1])) if len(met) else None

    def describe(self, items: Sequence[str] | pl.Series) -> pl.DataFrame:
        """What people know items of this release by: item_id, title, brand and top-level category, null where unknown.

        Raises:
            UnknownIdError: the release has no such item.
        """
        return self.catalogue.described(np.array([self.catalogue.items.row(item) for item in items], np.int64))

    def title(self, kind: str, target: str, user: str | None = None) -> str | None:
        """What people know the target of a row by: the title of an item or an offer; ``None``: it has none.

        A coupon of several campaigns has the title of one that the user may use.
        """
        if kind in (CAMPAIGN, COUPON) and self.storefront is not None:
            row = -1 if user is None else int(self.users.rows([user])[0])
            return self.storefront.campaigns.title(target, row)
        row = int(self.catalogue.items.rows([target])[0]) if kind in OF_ITEMS else -1
        return None if row < 0 else self.catalogue.title(row)

    def recommend_visitor(
        self,
        history: Sequence[str],
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        surface: str = products_surface.NAME,
        explain: bool = False,
        per_category: int | None = None,
        deny: Sequence[str] = (),
        times: Sequence[int] | None = None,
        discovery: float | None = None,
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """As ``recommend``, for someone without an id who met ``history`` (item ids, oldest first).

        Ids that the shop lacks are passed over. ``user_id`` is null in the answer. ``times`` are those of the history,
        unix seconds; ``None``: all of it was met just now.

        Raises:
            InputError: as ``visitor``.
        """
        nobody, met = pl.Series([None], dtype=pl.String), self.visitor(history, times)
        if surface != products_surface.NAME:
            _refuse_beside(surface, per_category=per_category, discovery=discovery)
            rows, front = self._rows(categories, deny, now), self._front(surface)
            table = front.recommend(surface, nobody, _checked(n), rows, explain=explain, histories=met, now=now)
            return with_a_word(table, surface, 1)
        answer = self.answer(
            met,
            n,
            categories,
            explain=explain,
            per_category=per_category,
            deny=deny,
            discovery=discovery,
            now=now,
        )
        table = answer.table(nobody, self.catalogue.items.ids, surface=surface, release=self.release)
        return with_a_word(table, surface, 1)

    def visitor(self, history: Sequence[str], times: Sequence[int] | None = None) -> Histories:
        """The history of one person who met some items (ids, oldest first), of which the shop lacks none or some.

        Raises:
            InputError: there is not one time for every item, or one that is no time of anything that was met.
        """
        rows = self.catalogue.items.rows(pl.Series(history, dtype=pl.String))
        if times is not None and self.histories.timed:
            check_times(times)
        when = self.latest + np.arange(len(rows)) if times is None else np.asarray(times, np.int64)
        return viewed(rows, when, len(self.catalogue), timed=self.histories.timed)

    @cached_property
    def latest(self) -> int:
        """When the last interaction of all was, unix seconds; without times, its place in the log."""
        return int(self.histories.times.max(initial=0))

    def similar(
        self,
        item_id: str,
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        user: str | None = None,
        explain: bool = False,
        deny: Sequence[str] = (),
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """The ``n`` items that could best stand in for one, by texts and by who met both; ``user_id`` is ``user``.

        The rules are those for the user; without one, for a stranger.

        Raises:
            UnknownIdError: the shop lacks the item (or did when the release was trained), or a category.
        """
        row, rows = self.catalogue.items.row(item_id), self._rows(categories, deny, now)
        asked = pl.Series([user], dtype=pl.String)
        ((_, may),) = self.reranker.audiences(self.histories_of(asked), self.users.rows(asked), rows, now)
        mask = np.ones(len(self.catalogue), np.bool_) if may is None else allowed(may, len(self.catalogue))
        answer = self.similar_items.similar(
            row,
            _checked(n),
            mask,
            doubt=self.reranker.doubt,
            explain=explain,
            language=self.reranker.language,
        )
        table = answer.table(asked, self.catalogue.items.ids, surface=similar_surface.NAME, release=self.release)
        return with_a_word(table, similar_surface.NAME, 1)

    def bundle(
        self,
        items: str | Sequence[str],
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        user: str | None = None,
        explain: bool = False,
        deny: Sequence[str] = (),
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """The ``n`` items of other kinds that complete an item or a basket; ``user_id`` is ``user``.

        Ids that the shop lacks are passed over; for a basket without a known item the answer is what the user buys,
        or else what is popular.

        Raises:
            InputError: the release has learnt no bundles, for the log has no baskets.
        """
        basket = [items] if isinstance(items, str) else items
        rows = self._rows(categories, deny, now)
        table = self._front("bundles").bundle(basket, user, _checked(n), rows, explain=explain, now=now)
        return with_a_word(table, "bundles", 1)

    def _front(self, surface: str) -> Storefront:
        if surface not in SURFACES:
            names = (products_surface.NAME, *SURFACES)
            raise InputError(f"There is no surface {surface!r}. {offered(surface, names, 'surfaces')}")
        if self.storefront is None:
            raise InputError(f"Release {self.release} has learnt no {surface}. Load it from its shop, or train again.")
        return self.storefront

    def _rows(
        self, categories: Sequence[str] | None, deny: Sequence[str], now: datetime | None
    ) -> NDArray[np.intp] | None:
        mask = self._mask(categories, deny) & self.reranker.shown(now)
        return None if mask.all() else rows_of(mask)

    def products_of(
        self,
        users: pl.Series,
        n: int,
        items: NDArray[np.integer] | None,
        *,
        explain: bool = False,
        discovery: float | None = None,
        histories: Histories | None = None,
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """As ``recommend``, of the items in some ascending rows (``None``: all); nothing is tried.

        ``histories`` are of the users, in their order; ``None``: as the release was loaded with them.
        """
        who, reranker = self.users.rows(users), replace(self.reranker, exploration=None)
        spread = self._diversity(None, discovery)
        met = self.histories_of(users) if histories is None else histories
        answer = products(reranker, met, n=n, items=items, diversity=spread, who=who, now=now, explain=explain)
        return answer.table(users, self.catalogue.items.ids, surface=products_surface.NAME, release=self.release)

    @cached_property
    def similar_items(self) -> SimilarItems:
        """Finds what could stand in for an item.

        Raises:
            InputError: the release has no text vectors.
        """
        signals = self.recommender.signals.signals
        content = signals[TEXTS].source if TEXTS in signals else None
        if not isinstance(content, Content):
            raise InputError("This release has no text vectors, so that it cannot tell similar items. Train again.")
        met = self.histories if self.storefront is None else self.histories.keep(self.storefront.of_people)
        return SimilarItems(content, self.catalogue, met)

    def _diversity(self, per_category: int | None, discovery: float | None) -> DiversityConfig:
        changed: dict[str, float] = {}
        if per_category is not None:
            changed["per_category"] = _checked(per_category, "per_category")
        if discovery is not None:
            if not -1 <= discovery <= 1:
                raise InputError(f"discovery is {discovery:g}; it lies between -1 and 1. Correct it.")
            changed["discovery"] = discovery
        return self.reranker.diversity.model_copy(update=changed)

    def _mask(self, categories: Sequence[str] | None, deny: Sequence[str]) -> NDArray[np.bool_]:
        wanted = None if categories is None else tuple(categories)
        return Filter(categories=wanted, deny=tuple(deny)).mask(self.catalogue)


def _strategies(shop: Shop) -> HomeStrategies | None:
    """How home pages follow each person's responses, from the shop's log; ``None``: they do not."""
    config = shop.config.strategies
    return HomeStrategies.fit(shop.store.read(c.INTERACTIONS, HOME_LOGGED), config) if config.enabled else None


def _ids(users: str | Sequence[str] | pl.Series) -> pl.Series:
    if isinstance(users, str):
        users = [users]
    return users if isinstance(users, pl.Series) else pl.Series(c.USER_ID, users, dtype=pl.String)


def _refuse_beside(surface: str, **given: float | None) -> None:
    """Refuse what shapes the list of products alone."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is for the surface products, not for {surface}. Leave it away.")


def _checked(value: int, name: str = "n") -> int:
    if value < 1:
        raise InputError(f"{name} is {value}; a list has at least 1 item. Correct {name}.")
    return value
