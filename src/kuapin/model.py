"""A live release in memory: external ids in, tables out."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, build_catalogue, build_dataset
from kuapin.data.histories import Histories
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError, ModelFolderError
from kuapin.model_folder import Releases
from kuapin.names import offered
from kuapin.ranking.live import queries_of
from kuapin.ranking.recommender import TEXTS, Recommender
from kuapin.retrieval.filters import Filter
from kuapin.retrieval.sources.content import Content
from kuapin.storefront import FOLDER, SURFACES, Storefront
from kuapin.surfaces import products as products_surface
from kuapin.surfaces import similar as similar_surface
from kuapin.surfaces.answer import Answer
from kuapin.surfaces.products import products
from kuapin.surfaces.similar import SimilarItems
from kuapin.workspace import Shop

CATALOGUE = "catalogue.parquet"
"""In a release: what was known of its items, in row order."""
KEPT = (c.ITEM_ID, c.TITLE, c.CATEGORY, c.BRAND, c.PRICE, c.AVAILABLE)
"""Columns of it, as far as the shop has them."""


class Model:
    """Answers with one release, from the histories that the store held when it was loaded.

    Args:
        release: its version, which every answer names.
        recommender: sources, ranker and scale.
        catalogue: the items that it was trained on, with their present availability.
        users: user_id ↔ row of ``histories``.
        histories: what the users did, in items of ``catalogue``.
    """

    def __init__(
        self, release: str, recommender: Recommender, catalogue: Catalogue, users: Vocabulary, histories: Histories
    ) -> None:
        self.release = release
        self.recommender = recommender
        self.catalogue = catalogue
        self.users = users
        self.histories = histories
        self.storefront: Storefront | None = None

    @classmethod
    def load(cls, shop: Shop) -> Self:
        """The live release of a shop, every file of it checked; nothing is fitted.

        Raises:
            ModelFolderError: there is no release, or it is damaged or does not fit.
        """
        folder = Releases(shop.models, shop.config.releases).open_live()
        try:
            frame = pl.read_parquet(folder / CATALOGUE)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise ModelFolderError(f"Model folder {folder}: {CATALOGUE} cannot be read. Train again.") from error
        log = shop.store.read(c.INTERACTIONS, [c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT])
        users = shop.store.read(c.USERS, [c.USER_ID])
        dataset = build_dataset(frame, log, users if users.height else None)
        present = build_catalogue(shop.store.read(c.ITEMS, [c.ITEM_ID, c.AVAILABLE]))
        place = present.items.rows(dataset.catalogue.items.ids)
        available = (place >= 0) & (present.available[place] if len(present) else False)
        catalogue = replace(dataset.catalogue, available=available)
        model = cls(folder.name, Recommender.load(folder, catalogue), catalogue, dataset.users, dataset.histories)
        model.storefront = Storefront(model, folder / FOLDER, shop.store)
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
    ) -> pl.DataFrame:
        """The best ``n`` items of one user or of many.

        A user whom the shop does not know gets what is popular. What is not available is never shown. A list has
        ``n`` items wherever so many pass the conditions.

        Args:
            users: one id, or several; the table has the lists in this order.
            n: length of a list.
            categories: top-level categories to choose from; ``None``: all.
            surface: what is asked for: ``products``, or one of ``storefront.SURFACES``.
            explain: whether ``reason_code`` and ``reason`` are filled; null otherwise.
            per_category: items of one top-level category at most; more only where a list would be short without them.
            deny: ids of items that are not to be shown.

        Returns:
            The columns of ``columns.RECOMMENDATION``; ``rank`` from 1, ``score`` the probability of a purchase (or
            whatever the log records) in the near future, comparable between users and categories.

        Raises:
            InputError: an unknown surface, or n below 1.
            UnknownIdError: a category that no item has.
        """
        ids = _ids(users)
        if surface != products_surface.NAME:
            return self._front(surface).recommend(
                surface, ids, _checked(n), self._rows(categories, deny), explain=explain
            )
        answer = self._products(
            queries_of(self.histories, self.users.rows(ids)), n, categories, explain, per_category, deny
        )
        return answer.table(ids, self.catalogue.items.ids, surface=surface, release=self.release)

    def strangers(self, users: str | Sequence[str] | pl.Series) -> pl.Series:
        """Those of the ids about whom there is nothing to go by: unknown, or without a history in these items."""
        ids = _ids(users)
        return ids.filter(queries_of(self.histories, self.users.rows(ids)).lengths == 0)

    def describe(self, items: Sequence[str] | pl.Series) -> pl.DataFrame:
        """What people know items of this release by: item_id, title, brand and top-level category, null where unknown.

        Raises:
            UnknownIdError: the release has no such item.
        """
        catalogue = self.catalogue
        rows = [catalogue.items.row(item) for item in items]
        frame = catalogue.frame[rows]
        top = pl.Series(c.CATEGORY, [catalogue.categories[code] for code in catalogue.category[rows]], dtype=pl.String)
        said = (
            frame[name] if name in frame.columns else pl.lit(None, pl.String).alias(name) for name in (c.TITLE, c.BRAND)
        )
        return frame.select(c.ITEM_ID, *said, top)

    def recommend_visitor(
        self,
        history: Sequence[str],
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        explain: bool = False,
        per_category: int | None = None,
        deny: Sequence[str] = (),
        times: Sequence[int] | None = None,
    ) -> pl.DataFrame:
        """As ``recommend``, for someone without an id who met ``history`` (item ids, oldest first).

        Ids that the shop lacks are passed over. ``user_id`` is null in the answer. ``times`` are those of the history,
        unix seconds; ``None``: all of it was met just now.
        """
        rows = self.catalogue.items.rows(pl.Series(history, dtype=pl.String))
        now = int(self.histories.times.max(initial=0))
        when = np.asarray(times if times is not None else now + np.arange(len(rows)), np.int64)
        known = rows >= 0
        rows = rows[known]
        met = Histories(
            np.array([0, len(rows)], np.int64),
            rows,
            when[known],
            np.full(len(rows), c.EVENTS.index("view"), np.uint8),
            len(self.catalogue),
            self.histories.timed,
        )
        answer = self._products(met, n, categories, explain, per_category, deny)
        nobody = pl.Series([None], dtype=pl.String)
        return answer.table(nobody, self.catalogue.items.ids, surface=products_surface.NAME, release=self.release)

    def similar(
        self,
        item_id: str,
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        explain: bool = False,
        deny: Sequence[str] = (),
    ) -> pl.DataFrame:
        """The ``n`` items that could best stand in for one, by what their texts say; ``user_id`` is null.

        Raises:
            UnknownIdError: the shop lacks the item (or did when the release was trained), or a category.
        """
        row = self.catalogue.items.row(item_id)
        answer = self.similar_items.similar(row, _checked(n), self._mask(categories, deny), explain=explain)
        nobody = pl.Series([None], dtype=pl.String)
        return answer.table(nobody, self.catalogue.items.ids, surface=similar_surface.NAME, release=self.release)

    def bundle(
        self,
        items: str | Sequence[str],
        n: int = 10,
        categories: Sequence[str] | None = None,
        *,
        user: str | None = None,
        explain: bool = False,
        deny: Sequence[str] = (),
    ) -> pl.DataFrame:
        """The ``n`` items of other kinds that complete an item or a basket; ``user_id`` is ``user``.

        Ids that the shop lacks are passed over; for a basket without a known item the answer is what the user buys,
        or else what is popular.

        Raises:
            InputError: the release has learnt no bundles, for the log has no baskets.
        """
        basket = [items] if isinstance(items, str) else items
        rows = self._rows(categories, deny)
        return self._front("bundles").bundle(basket, user, _checked(n), rows, explain=explain)

    def _front(self, surface: str) -> Storefront:
        if surface not in SURFACES:
            names = (products_surface.NAME, *SURFACES)
            raise InputError(f"There is no surface {surface!r}. {offered(surface, names, 'surfaces')}")
        if self.storefront is None:
            raise InputError(f"Release {self.release} has learnt no {surface}. Load it from its shop, or train again.")
        return self.storefront

    def _rows(self, categories: Sequence[str] | None, deny: Sequence[str]) -> NDArray[np.intp] | None:
        mask = self._mask(categories, deny)
        return None if mask.all() else np.flatnonzero(mask)

    def products_of(
        self, users: pl.Series, n: int, items: NDArray[np.integer] | None, *, explain: bool = False
    ) -> pl.DataFrame:
        """As ``recommend``, of the items in some ascending rows (``None``: all)."""
        histories = queries_of(self.histories, self.users.rows(users))
        answer = products(self.recommender, self.catalogue, histories, n=n, items=items, explain=explain)
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
        return SimilarItems(content, self.catalogue)

    def _products(
        self,
        histories: Histories,
        n: int,
        categories: Sequence[str] | None,
        explain: bool,  # noqa: FBT001
        per_category: int | None,
        deny: Sequence[str],
    ) -> Answer:
        mask = self._mask(categories, deny)
        return products(
            self.recommender,
            self.catalogue,
            histories,
            n=_checked(n),
            items=None if mask.all() else np.flatnonzero(mask),
            per_category=None if per_category is None else _checked(per_category, "per_category"),
            explain=explain,
        )

    def _mask(self, categories: Sequence[str] | None, deny: Sequence[str]) -> NDArray[np.bool_]:
        wanted = None if categories is None else tuple(categories)
        return Filter(categories=wanted, deny=tuple(deny)).mask(self.catalogue)


def _ids(users: str | Sequence[str] | pl.Series) -> pl.Series:
    if isinstance(users, str):
        users = [users]
    return users if isinstance(users, pl.Series) else pl.Series(c.USER_ID, users, dtype=pl.String)


def _checked(value: int, name: str = "n") -> int:
    if value < 1:
        raise InputError(f"{name} is {value}; a list has at least 1 item. Correct {name}.")
    return value
