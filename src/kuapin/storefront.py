"""All surfaces but the list of products: how they lie in a release, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.baskets import COLUMNS, DAY, build_baskets
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.data.offers import COUPON_COLUMN, build_offers
from kuapin.data.store import TableStore
from kuapin.errors import InputError
from kuapin.progress import SILENT, Progress
from kuapin.ranking.completion import Completion, CompletionConfig, fit_completion
from kuapin.ranking.growth import Growth
from kuapin.ranking.live import queries_of
from kuapin.ranking.recommender import TEXTS, Recommender
from kuapin.ranking.response import Response, ResponseConfig, Setting, price_sensitivity, read_redemptions
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.content import Content
from kuapin.surfaces import brands as brands_surface
from kuapin.surfaces import bundles as bundles_surface
from kuapin.surfaces import campaigns as campaigns_surface
from kuapin.surfaces import trends as trends_surface
from kuapin.surfaces.brands import Brands
from kuapin.surfaces.bundles import COMPLETES, REPLACES, Bundles, links_of
from kuapin.surfaces.campaigns import Campaigns
from kuapin.surfaces.trends import Trends

if TYPE_CHECKING:
    from kuapin.config import Config
    from kuapin.data.vocabulary import Vocabulary
    from kuapin.model import Model

SURFACES = (bundles_surface.NAME, brands_surface.NAME, campaigns_surface.NAME, trends_surface.NAME)
"""What can be asked for a user, beside the list of products."""
OF_RESPONSES = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT, c.VALUE, "quantity", c.CAMPAIGN_ID, COUPON_COLUMN)
"""What the response to offers reads of the log."""
FOLDER = "surfaces"
"""In a release: what the surfaces learnt, a folder each."""


@dataclass(frozen=True)
class Learned:
    """What the surfaces learn in training.

    Attributes:
        bundles: completes baskets; ``None``: the log has none.
        brands: ranks brands; ``None``: no item that anybody met has one.
        campaigns: who uses an offer; ``None``: the shop has no campaigns.
        trends: whether next week brings more; ``None``: the log has no times.
    """

    bundles: Completion | None
    brands: Brands | None
    campaigns: Response | None
    trends: Growth | None

    def save(self, folder: Path) -> None:
        """Write a folder each into a release's draft."""
        if self.bundles is not None:
            (folder / bundles_surface.NAME).mkdir(parents=True)
            self.bundles.save(folder / bundles_surface.NAME)
        if self.brands is not None:
            self.brands.save(folder / brands_surface.NAME)
        if self.campaigns is not None:
            self.campaigns.save(folder / campaigns_surface.NAME)
        if self.trends is not None:
            self.trends.save(folder / trends_surface.NAME)


def fit_surfaces(
    visible: Visible,
    recommender: Recommender,
    store: TableStore,
    users: "Vocabulary",
    config: "Config",
    *,
    progress: Progress = SILENT,
) -> Learned:
    """Learn what the surfaces need beside the recommender.

    Args:
        visible: the whole log, in the items of its catalogue.
        recommender: fitted on it; the response to offers reads its text vectors, which the release keeps.
        store: the shop's tables, for what histories do not hold.
        users: user_id ↔ row of the histories.
        config: of the shop.
        progress: told of the steps.
    """
    baskets = build_baskets(store.read(c.INTERACTIONS, COLUMNS), visible.catalogue.items, users)
    together = int(np.count_nonzero(baskets.histories.lengths > 1))
    branded = bool((visible.catalogue.brand[visible.histories.items] >= 0).any())
    completion = CompletionConfig(seed=config.seed, ranking=config.ranking)
    promoted = store.read(c.CAMPAIGNS).height > 0
    timed = visible.histories.timed and len(visible.histories.items) > 0
    return Learned(
        bundles=fit_completion(visible, baskets, completion, progress) if together else None,
        brands=Brands.fit(visible, config.signals, config.ranking, config.live, progress) if branded else None,
        campaigns=_response(visible, recommender, store, users, config.seed, progress) if promoted else None,
        trends=_growth(visible, config.seed, progress) if timed else None,
    )


def _growth(visible: Visible, seed: int, progress: Progress) -> Growth:
    with progress.step("Learning what grows"):
        counts = weekly(visible.histories, visible.now + 1)
        return Growth.fit(counts, visible.catalogue.category, GrowthConfig(seed=seed))


def _response(
    visible: Visible, recommender: Recommender, store: TableStore, users: "Vocabulary", seed: int, progress: Progress
) -> Response:
    with progress.step("Learning who uses an offer"):
        setting = _setting(visible.catalogue, visible.histories, recommender, store, users)
        return Response.fit(setting, ResponseConfig(seed=seed))


def _setting(
    catalogue: Catalogue,
    histories: Histories,
    recommender: Recommender,
    store: TableStore,
    users: "Vocabulary",
) -> Setting:
    """What the response to offers is read from, as the tables have it now."""
    texts = recommender.signals.signals.get(TEXTS)
    vectors = texts.source.vectors[texts.source.text_of] if texts and isinstance(texts.source, Content) else None
    log = store.read(c.INTERACTIONS, OF_RESPONSES)
    offers = build_offers(store.read(c.CAMPAIGNS), store.read(c.RELATIONS), catalogue, users)
    used = read_redemptions(log, offers, users)
    return Setting(catalogue, histories, offers, used, price_sensitivity(log, users), vectors)


@dataclass
class Storefront:
    """Answers with what a release learnt of the surfaces; a part is read when it is first asked for.

    Attributes:
        model: the release in memory.
        folder: the release's ``surfaces/``.
        store: the shop's tables: relations and campaigns count as they are now.
    """

    model: "Model"
    folder: Path
    store: TableStore

    def recommend(
        self, surface: str, ids: pl.Series, n: int, items: NDArray[np.integer] | None, *, explain: bool
    ) -> pl.DataFrame:
        """The answer of one surface to some users.

        Args:
            surface: its name.
            ids: of the users.
            n: rows a user.
            items: ascending rows of the items that may be shown; ``None``: all.
            explain: whether every row gets its reason.
        """
        histories = queries_of(self.model.histories, self.model.users.rows(ids))
        if surface == brands_surface.NAME:
            return self._brands_of(histories, ids, n, items, explain=explain)
        if surface == campaigns_surface.NAME:
            return self._campaigns_of(ids, n, explain=explain)
        if surface == trends_surface.NAME:
            return self._trends_of(histories, ids, n, items, explain=explain)
        return self._bundles_of(last_baskets(histories), histories, ids, n, items, explain=explain)

    def bundle(
        self, basket: Sequence[str], user: str | None, n: int, items: NDArray[np.integer] | None, *, explain: bool
    ) -> pl.DataFrame:
        """What completes a basket (item ids; those the shop lacks are passed over) of a user, or of nobody known."""
        rows = self.model.catalogue.items.rows(pl.Series(basket, dtype=pl.String))
        rows = np.unique(rows[rows >= 0]).astype(np.int32)
        now = np.full(len(rows), int(self.model.histories.times.max(initial=0)))
        one = Histories(
            np.array([0, len(rows)], np.int64),
            rows,
            now,
            np.zeros(len(rows), np.uint8),
            len(self.model.catalogue),
            self.model.histories.timed,
        )
        ids = pl.Series([user], dtype=pl.String)
        owners = queries_of(self.model.histories, self.model.users.rows(ids))
        return self._bundles_of(one, owners, ids, n, items, explain=explain)

    def _bundles_of(
        self,
        baskets: Histories,
        owners: Histories,
        ids: pl.Series,
        n: int,
        items: NDArray[np.integer] | None,
        *,
        explain: bool,
    ) -> pl.DataFrame:
        answer = self.bundles.complete(baskets, owners, n, items, explain=explain)
        name, release = bundles_surface.NAME, self.model.release
        return answer.table(ids, self.model.catalogue.items.ids, surface=name, release=release)

    @cached_property
    def bundles(self) -> Bundles:
        """The surface ``bundles``."""
        folder = self._part(bundles_surface.NAME, "baskets: purchases of one basket_id, session_id or day")
        relations, catalogue = self.store.read(c.RELATIONS), self.model.catalogue
        links = (links_of(relations, catalogue, names) for names in (COMPLETES, REPLACES))
        return Bundles(Completion.load(folder, catalogue), catalogue, *links)

    def _brands_of(
        self, histories: Histories, ids: pl.Series, n: int, items: NDArray[np.integer] | None, *, explain: bool
    ) -> pl.DataFrame:
        answer, kinds = self.brands.brands(histories, n, items, explain=explain)
        names, release = self.brands.catalogue.items.ids, self.model.release
        table = answer.table(ids, names, surface=brands_surface.NAME, release=release)
        return table.with_columns(kinds.alias(c.KIND))

    @cached_property
    def brands(self) -> Brands:
        """The surface ``brands``."""
        folder = self._part(brands_surface.NAME, "items with a brand that somebody met")
        return Brands.load(folder, self.model.catalogue)

    def _campaigns_of(self, ids: pl.Series, n: int, *, explain: bool) -> pl.DataFrame:
        answer = self.campaigns.campaigns(self.model.users.rows(ids), n, explain=explain)
        offers, release = self.campaigns.setting.offers.table, self.model.release
        name = campaigns_surface.NAME
        return answer.table(ids, offers["offer_id"], surface=name, release=release, kind=offers[c.KIND])

    @cached_property
    def campaigns(self) -> Campaigns:
        """The surface ``campaigns``; the time is that of the newest interaction."""
        folder = self._part(campaigns_surface.NAME, "a table of campaigns")
        model = self.model
        setting = _setting(model.catalogue, model.histories, model.recommender, self.store, model.users)
        return Campaigns(Response.load(folder), setting, int(model.histories.times.max(initial=0)))

    def _trends_of(
        self, histories: Histories, ids: pl.Series, n: int, items: NDArray[np.integer] | None, *, explain: bool
    ) -> pl.DataFrame:
        answer, names, kinds = self.trends.trends(histories, n, items, explain=explain)
        return answer.table(ids, names, surface=trends_surface.NAME, release=self.model.release, kind=kinds)

    @cached_property
    def trends(self) -> Trends:
        """The surface ``trends``; the time is that of the newest interaction."""
        model, folder = self.model, self._part(trends_surface.NAME, "interactions with times")
        log = self.store.read(c.INTERACTIONS, [c.QUERY, c.TIMESTAMP])
        searched = c.QUERY in log.columns and c.TIMESTAMP in log.columns
        queries = log.drop_nulls() if searched else pl.DataFrame(schema={c.QUERY: pl.String, c.TIMESTAMP: pl.Int64})
        now = int(model.histories.times.max(initial=0)) + 1
        return Trends(Growth.load(folder), model.catalogue, model.histories, now, queries)

    def _part(self, name: str, needs: str) -> Path:
        if not (self.folder / name).is_dir():
            raise InputError(
                f"Release {self.model.release} has learnt no {name}. They need {needs}. Import these, then train again."
            )
        return self.folder / name


def last_baskets(histories: Histories) -> Histories:
    """Of every user what he met on his last day (without times: the last item), each item once."""
    keep = np.zeros(len(histories.items), np.bool_)
    for user in np.flatnonzero(histories.lengths):
        own = slice(histories.indptr[user], histories.indptr[user + 1])
        last = histories.times[own.stop - 1]
        same = histories.times[own] // DAY == last // DAY if histories.timed else histories.times[own] == last
        first = np.unique(histories.items[own][same], return_index=True)[1]
        keep[own.start + np.flatnonzero(same)[first]] = True
    return histories.keep(keep)
