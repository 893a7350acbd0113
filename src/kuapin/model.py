"""A live release in memory: external ids in, tables out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, build_catalogue, build_dataset
from kuapin.data.histories import Histories
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError, ModelFolderError
from kuapin.manifest import part_of, read_routing
from kuapin.model_folder import Releases
from kuapin.ranking.live import queries_of
from kuapin.ranking.recommender import TEXTS, Recommender
from kuapin.retrieval.filters import Filter
from kuapin.retrieval.sources.content import Content
from kuapin.surfaces import products as products_surface
from kuapin.surfaces import similar as similar_surface
from kuapin.surfaces.answer import Answer, best_of
from kuapin.surfaces.products import products
from kuapin.surfaces.similar import SimilarItems
from kuapin.workspace import Shop

CATALOGUE = "catalogue.parquet"
"""In a release: what was known of its items, in row order."""
LOGGED = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT)
"""Columns of the log that a model reads."""
KEPT = (c.ITEM_ID, c.TITLE, c.CATEGORY, c.BRAND, c.PRICE, c.AVAILABLE)
"""Columns of it, as far as the shop has them."""


class Model:
    """Answers with one release, from the histories that the store held when it was loaded.

    Where the release routes some categories to parts of their own (one that opened lately, or one that kept what it
    had), a list is the best of what the parts say of their categories; all scores are probabilities.

    Args:
        release: its version, which every answer names.
        recommender: sources, ranker and scale.
        catalogue: the items that it was trained on, with their present availability.
        users: user_id ↔ row of ``histories``.
        histories: what the users did, in items of ``catalogue``.
        parts: top-level category → the model that serves it in place of this one; each has a catalogue of its own.
    """

    def __init__(
        self,
        release: str,
        recommender: Recommender,
        catalogue: Catalogue,
        users: Vocabulary,
        histories: Histories,
        parts: Mapping[str, Self] | None = None,
    ) -> None:
        self.release = release
        self.recommender = recommender
        self.catalogue = catalogue
        self.users = users
        self.histories = histories
        self.parts = dict(parts or {})

    @classmethod
    def load(cls, shop: Shop, log: pl.DataFrame | None = None) -> Self:
        """The live release of a shop, every file of it checked; nothing is fitted.

        Args:
            shop: with a release.
            log: user_id, item_id, timestamp and event of what its users did, in place of what the store holds.

        Raises:
            ModelFolderError: there is no release, or it is damaged or does not fit.
        """
        folder = Releases(shop.models, shop.config.releases).open_live()
        tables = _Tables(
            log if log is not None else shop.store.read(c.INTERACTIONS, list(LOGGED)),
            shop.store.read(c.USERS, [c.USER_ID]),
            build_catalogue(shop.store.read(c.ITEMS, [c.ITEM_ID, c.AVAILABLE])),
        )
        routing = read_routing(folder)
        places = {category: part_of(routing.of(category)) for category in routing.categories}
        own = part_of(routing.default)
        opened = {place: cls._read(folder, place, tables) for place in {own, *places.values()}}
        whole = opened[own]
        whole.parts = {category: opened[place] for category, place in places.items() if place != own}
        return whole

    @classmethod
    def _read(cls, folder: Path, part: str, tables: "_Tables") -> Self:
        """One part of a release, by the path inside it."""
        inside = folder / part
        try:
            frame = pl.read_parquet(inside / CATALOGUE)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise ModelFolderError(f"Model folder {inside}: {CATALOGUE} cannot be read. Train again.") from error
        dataset = build_dataset(frame, tables.log, tables.users if tables.users.height else None)
        present = tables.present
        place = present.items.rows(dataset.catalogue.items.ids)
        available = (place >= 0) & (present.available[place] if len(present) else False)
        catalogue = replace(dataset.catalogue, available=available)
        return cls(folder.name, Recommender.load(inside, catalogue), catalogue, dataset.users, dataset.histories)

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
            surface: what is asked for; ``products``.
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
        if surface != products_surface.NAME:
            raise InputError(f"There is no surface {surface!r} for a user; there is {products_surface.NAME!r}.")
        ids = _ids(users)
        return self._answered(lambda model: model.queries(ids), ids, n, categories, explain, per_category, deny)

    def strangers(self, users: str | Sequence[str] | pl.Series) -> pl.Series:
        """Those of the ids about whom there is nothing to go by: unknown, or without a history in these items."""
        ids = _ids(users)
        return ids.filter(np.all([model.queries(ids).lengths == 0 for model in self.serving], axis=0))

    @property
    def serving(self) -> list[Self]:
        """This model, for all categories that are not routed, and those of the parts, each once."""
        return [self, *dict.fromkeys(self.parts.values())]

    def serving_of(self, category: str) -> Self:
        """The model that serves a top-level category, whether it has such items or not."""
        return self.parts.get(category, self)

    def queries(self, ids: pl.Series) -> Histories:
        """The histories of users in the items of this model (not of its parts); empty for an unknown user."""
        return queries_of(self.histories, self.users.rows(ids))

    def describe(self, items: Sequence[str] | pl.Series) -> pl.DataFrame:
        """What people know items of this release by: item_id, title, brand and top-level category, null where unknown.

        Raises:
            UnknownIdError: the release has no such item.
        """
        ids = pl.Series(c.ITEM_ID, items, dtype=pl.String)
        of = [self._of(item) for item in ids]
        if any(model is not self for model in of):
            said = [model._described(ids.filter(pl.Series([one is model for one in of]))) for model in self.serving]
            order = {item: number for number, item in enumerate(pl.concat(said)[c.ITEM_ID])}
            return pl.concat(said)[[order[item] for item in ids]]
        return self._described(ids)

    def _described(self, ids: pl.Series) -> pl.DataFrame:
        catalogue = self.catalogue
        rows = [catalogue.items.row(item) for item in ids]
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
        nobody = pl.Series([None], dtype=pl.String)
        return self._answered(
            lambda model: model._visited(history, times), nobody, n, categories, explain, per_category, deny
        )

    def _visited(self, history: Sequence[str], times: Sequence[int] | None) -> Histories:
        rows = self.catalogue.items.rows(pl.Series(history, dtype=pl.String))
        now = int(self.histories.times.max(initial=0))
        when = np.asarray(times if times is not None else now + np.arange(len(rows)), np.int64)
        known = rows >= 0
        rows = rows[known]
        return Histories(
            np.array([0, len(rows)], np.int64),
            rows,
            when[known],
            np.full(len(rows), c.EVENTS.index("view"), np.uint8),
            len(self.catalogue),
            self.histories.timed,
        )

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
        of = self._of(item_id)
        if of is not self:
            return of.similar(item_id, n, categories, explain=explain, deny=deny)
        row = self.catalogue.items.row(item_id)
        answer = self._similar.similar(row, _checked(n), self._mask(categories, deny), explain=explain)
        nobody = pl.Series([None], dtype=pl.String)
        return answer.table(nobody, self.catalogue.items.ids, surface=similar_surface.NAME, release=self.release)

    @cached_property
    def _similar(self) -> SimilarItems:
        signals = self.recommender.signals.signals
        content = signals[TEXTS].source if TEXTS in signals else None
        if not isinstance(content, Content):
            raise InputError("This release has no text vectors, so that it cannot tell similar items. Train again.")
        return SimilarItems(content, self.catalogue)

    def _of(self, item_id: str) -> Self:
        """The model that serves an item: this one, too, for an id that none knows."""
        known = [model for model in self.serving if item_id in model.catalogue.items]
        routed = [model for model in known if model is self.serving_of(model._category(item_id))]
        return (routed or known or [self])[0]

    def _category(self, item_id: str) -> str:
        return str(self.catalogue.categories[self.catalogue.category[self.catalogue.items.row(item_id)]])

    def _answered(
        self,
        asked: Callable[[Self], Histories],
        ids: pl.Series,
        n: int,
        categories: Sequence[str] | None,
        explain: bool,  # noqa: FBT001
        per_category: int | None,
        deny: Sequence[str],
    ) -> pl.DataFrame:
        """The answers of all models that serve what is wanted, as one."""
        shares = self._routed(categories)
        starts = np.cumsum([0, *(len(model.catalogue) for model, _ in shares)])
        answers = [
            replace(answer, items=answer.items + np.int32(start))
            for (model, of), start in zip(shares, starts, strict=False)
            for answer in [model._products(asked(model), n, of, explain, per_category, deny)]
        ]
        items = pl.concat([model.catalogue.items.ids for model, _ in shares])
        whole = answers[0]
        if len(answers) > 1:
            names = {name: code for code, name in enumerate({*self.catalogue.categories, *self.parts})}
            codes = [
                np.array([names.get(name, -1) for name in model.catalogue.categories])[model.catalogue.category]
                for model, _ in shares
            ]
            whole = best_of(answers, np.concatenate(codes), n, per_category)
        return whole.table(ids, items, surface=products_surface.NAME, release=self.release)

    def _routed(self, categories: Sequence[str] | None) -> list[tuple[Self, Sequence[str] | None]]:
        """Models and the categories that each is asked for; ``None``: all that it has."""
        if not self.parts:
            return [(self, categories)]
        rest = [name for name in self.catalogue.categories if name not in self.parts]
        wanted = [*rest, *self.parts] if categories is None else categories
        shares: dict[Self, list[str]] = {}
        for name in wanted:
            shares.setdefault(self.serving_of(name), []).append(name)
        return list(shares.items())

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


@dataclass(frozen=True)
class _Tables:
    """What every part of a release is opened with: the log, the users, and which items there are today."""

    log: pl.DataFrame
    users: pl.DataFrame
    present: Catalogue


def _ids(users: str | Sequence[str] | pl.Series) -> pl.Series:
    if isinstance(users, str):
        users = [users]
    return users if isinstance(users, pl.Series) else pl.Series(c.USER_ID, users, dtype=pl.String)


def _checked(value: int, name: str = "n") -> int:
    if value < 1:
        raise InputError(f"{name} is {value}; a list has at least 1 item. Correct {name}.")
    return value
