"""All surfaces but the list of products: how they lie in a release, and what they answer."""

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.counts import counted
from kuapin.data.baskets import DAY
from kuapin.data.dataset import Catalogue, build_catalogue
from kuapin.data.histories import Histories
from kuapin.data.offers import COUPON_COLUMN, build_offers
from kuapin.data.store import TableStore
from kuapin.data.suspects import SuspectsConfig, find_suspects
from kuapin.data.user_groups import groups_by_row
from kuapin.errors import InputError, ModelFolderError
from kuapin.home_pages import home_pages
from kuapin.ranking.completion import Completion
from kuapin.ranking.growth import Growth
from kuapin.ranking.live import queries_of
from kuapin.ranking.phrases import Language
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.response import Response, ResponseConfig, Setting, price_sensitivity, read_redemptions
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.selection import allowed
from kuapin.retrieval.sources.content import Content
from kuapin.shop_clock import ShopClock
from kuapin.surfaces import brands as brands_surface
from kuapin.surfaces import bundles as bundles_surface
from kuapin.surfaces import campaigns as campaigns_surface
from kuapin.surfaces import home as home_surface
from kuapin.surfaces import profile as profile_surface
from kuapin.surfaces import similar as similar_surface
from kuapin.surfaces import trends as trends_surface
from kuapin.surfaces.answer import in_order, join
from kuapin.surfaces.asked import Asked
from kuapin.surfaces.brands import Brands
from kuapin.surfaces.bundles import COMPLETES, REPLACES, Bundles, links_of
from kuapin.surfaces.campaigns import Campaigns
from kuapin.surfaces.home_strategies import HomeStrategies
from kuapin.surfaces.profile import Profiles
from kuapin.surfaces.trends import Trends

if TYPE_CHECKING:
    from kuapin.data.vocabulary import Vocabulary
    from kuapin.model import Model

SURFACES = (
    bundles_surface.NAME,
    similar_surface.NAME,
    brands_surface.NAME,
    campaigns_surface.NAME,
    trends_surface.NAME,
    profile_surface.NAME,
    home_surface.NAME,
)
"""What can be asked for a user, beside the list of products."""
OF_RESPONSES = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT, c.VALUE, "quantity", c.CAMPAIGN_ID, COUPON_COLUMN)
"""What the response to offers reads of the log."""
FOLDER = "surfaces"
"""In a release: what the surfaces learnt, a folder each."""
LEARNT = "learnt.json"
"""In that folder: how many items there were."""


def setting_of(
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


_ROW = "row"
_KEPT = ("bundles", "brands", "promoted", "campaigns", "trends", "profiles", "searches", "groups", "of_people")
"""Parts that rest on the log, or on the items of training: what is put later counts when the release is loaded anew."""


@dataclass
class Storefront:
    """Answers with what a release learnt of the surfaces; a part is read when it is first asked for.

    Attributes:
        model: the release in memory.
        folder: the release's ``surfaces/``.
        store: the shop's tables: relations and campaigns count as they are now.
        strategies: how home pages follow each person's responses; ``None``: they are mixed alike for all.
        suspects: what of the histories is no person's doing, where the people of two items are compared.
        tells: columns of the users table that profiles may repeat.
        loaded_at: when the release was loaded, unix seconds.
    """

    model: "Model"
    folder: Path
    store: TableStore
    strategies: HomeStrategies | None = None
    suspects: SuspectsConfig = field(default_factory=SuspectsConfig)
    tells: Sequence[str] = ()
    loaded_at: float = field(default_factory=time.time)

    @property
    def language(self) -> Language:
        """Of the reasons, as of those of the products."""
        return self.model.reranker.language

    def of(self, model: "Model") -> "Storefront":
        """The same of a model with more items, or other ones in stock; what was read of the log is not read again."""
        other = replace(self, model=model)
        other.__dict__ |= {name: self.__dict__[name] for name in _KEPT if name in self.__dict__}
        return other

    def recommend(
        self,
        surface: str,
        ids: pl.Series,
        n: int,
        items: NDArray[np.integer] | None,
        *,
        explain: bool,
        histories: Histories | None = None,
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """The answer of one surface to some users; what a rule hides from one of them is not shown to this one.

        Args:
            surface: its name.
            ids: of the users.
            n: rows a user.
            items: ascending rows of the items that may be shown; ``None``: all.
            explain: whether every row gets its reason.
            histories: of the users, in the order of the ids; ``None``: as the release was loaded with them.
            now: for rules and campaigns, which have their times; ``None``: the present.
        """
        if histories is None:
            histories = queries_of(self.model.histories, self.model.users.rows(ids))
        asked = Asked(histories=histories, ids=ids, n=n, items=items, now=now, explain=explain)
        if surface == home_surface.NAME:  # its parts keep the rules
            return home_pages(self, asked)
        return in_order(ids, [self.answer(surface, part) for part in self.audiences(asked)])

    def audiences(self, asked: Asked) -> Iterator[Asked]:
        """The users who may be shown the same items, by the rules of the shop."""
        who = self.model.users.rows(asked.ids)
        for users, items in self.model.reranker.audiences(asked.histories, who, asked.items, asked.now):
            yield asked.of(users, items)

    def answer(self, surface: str, asked: Asked) -> pl.DataFrame:
        """The answer of one surface to users who may be shown the same items."""
        answers = {
            bundles_surface.NAME: lambda asked: self._bundles_of(last_baskets(asked.histories), asked),
            similar_surface.NAME: self._similar_of,
            brands_surface.NAME: self._brands_of,
            campaigns_surface.NAME: self._campaigns_of,
            trends_surface.NAME: self._trends_of,
            profile_surface.NAME: self._profiles_of,
        }
        return answers[surface](asked)

    def bundle(
        self,
        basket: Sequence[str],
        user: str | None,
        n: int,
        items: NDArray[np.integer] | None,
        *,
        explain: bool,
        now: datetime | None = None,
    ) -> pl.DataFrame:
        """What completes a basket (item ids; those the shop lacks are passed over) of a user, or of nobody known.

        For the rules, what lies in the basket is what the user has.
        """
        rows = self.model.catalogue.items.rows(pl.Series(basket, dtype=pl.String))
        _tell_unknown(basket, rows)
        rows = np.unique(rows[rows >= 0]).astype(np.int32)
        times = np.full(len(rows), int(self.model.histories.times.max(initial=0)))
        one = Histories(
            np.array([0, len(rows)], np.int64),
            rows,
            times,
            np.zeros(len(rows), np.uint8),
            len(self.model.catalogue),
            self.model.histories.timed,
        )
        ids = pl.Series([user], dtype=pl.String)
        who = self.model.users.rows(ids)
        owners = queries_of(self.model.histories, who)
        has = replace(
            one,
            indptr=owners.indptr + one.indptr,
            items=np.concatenate([owners.items, one.items]),
            times=np.concatenate([owners.times, one.times]),
            events=np.concatenate([owners.events, one.events]),
        )
        ((_, may),) = self.model.reranker.audiences(has, who, items, now)
        return self._bundles_of(one, Asked(histories=owners, ids=ids, n=n, items=may, now=now, explain=explain))

    def _bundles_of(self, baskets: Histories, asked: Asked) -> pl.DataFrame:
        answer = self.bundles.complete(
            self._known(baskets),
            self._known(asked.histories),
            asked.n,
            self._shown(asked.items),
            doubt=self._doubt,
            explain=asked.explain,
            language=self.language,
        )
        name, release = bundles_surface.NAME, self.model.release
        return answer.table(asked.ids, self.trained.items.ids, surface=name, release=release)

    @cached_property
    def bundles(self) -> Bundles:
        """The surface ``bundles``."""
        folder = self._part(bundles_surface.NAME, "baskets: purchases of one basket_id, session_id or day")
        relations, catalogue = self.store.read(c.RELATIONS), self.trained
        links = (links_of(relations, catalogue, names) for names in (COMPLETES, REPLACES))
        return Bundles(Completion.load(folder, catalogue), catalogue, *links)

    def _brands_of(self, asked: Asked) -> pl.DataFrame:
        answer, kinds = self.brands.brands(
            self._known(asked.histories),
            asked.n,
            self._shown(asked.items),
            explain=asked.explain,
            language=self.language,
        )
        names, release = self.brands.catalogue.items.ids, self.model.release
        table = answer.table(asked.ids, names, surface=brands_surface.NAME, release=release)
        return table.with_columns(kinds.alias(c.KIND))

    @cached_property
    def brands(self) -> Brands:
        """The surface ``brands``."""
        folder = self._part(brands_surface.NAME, "items with a brand that somebody met")
        return Brands.load(folder, self.trained)

    def _campaigns_of(self, asked: Asked) -> pl.DataFrame:
        surface = replace(self.campaigns, now=self.clock if asked.now is None else int(asked.now.timestamp()))
        users, say = self.model.users.rows(asked.ids), self.language
        answer = surface.campaigns(users, asked.n, asked.items, explain=asked.explain, language=say)
        offers, release = self.campaigns.setting.offers.table, self.model.release
        name = campaigns_surface.NAME
        return answer.table(asked.ids, offers["offer_id"], surface=name, release=release, kind=offers[c.KIND])

    @cached_property
    def campaigns(self) -> Campaigns:
        """The surface ``campaigns``, at the time of its loading; campaigns that came after the training are in it."""
        model, folder = self.model, self.folder / campaigns_surface.NAME
        if not self.promoted:
            raise InputError("The shop has no campaigns. Import a table of campaigns; nothing needs to be trained.")
        if self.lateness:
            warnings.warn(self.lateness, stacklevel=2)
        setting = setting_of(model.catalogue, model.histories, model.recommender, self.store, model.users)
        idle = setting.offers.table["offer_id"].filter(~setting.offers.for_some(None))
        if idle.len():
            some = ", ".join(map(repr, idle.head(3))) + (" …" if idle.len() > 3 else "")
            warnings.warn(
                f"{counted(idle.len(), 'offer')} for no item of release {model.release}, shown to nobody: {some}. "
                "Correct the targets, or train again where the items are new.",
                stacklevel=2,
            )
        if folder.is_dir():
            return Campaigns(Response.load(folder), setting, self.clock)
        warnings.warn(
            f"Release {model.release} has learnt nothing of campaigns: what people buy of their items, shelves and "
            "brands ranks them until the next training.",
            stacklevel=2,
        )
        return Campaigns(Response(None, ResponseConfig()), setting, self.clock)

    @cached_property
    def promoted(self) -> bool:
        """Whether the shop has campaigns, of whatever time."""
        return self.store.read(c.CAMPAIGNS, [c.CAMPAIGN_ID]).height > 0

    @property
    def clock(self) -> int:
        """The shop's time, unix seconds."""
        return self._clock.now()

    @property
    def lateness(self) -> str | None:
        """In words which date campaigns go by; ``None``: the present, or there are none."""
        return self._clock.lateness() if self.promoted else None

    @cached_property
    def _clock(self) -> ShopClock:
        return ShopClock.of(self.model.histories, self.loaded_at)

    def _trends_of(self, asked: Asked) -> pl.DataFrame:
        met = _in_items(asked.histories, len(self.trends.catalogue))
        answer = self.trends.trends(
            met, asked.n, asked.items, doubt=self._doubt, explain=asked.explain, language=self.language
        )
        targets, name, release = self.trends.targets, trends_surface.NAME, self.model.release
        table = answer.table(asked.ids, targets["id"], surface=name, release=release, kind=targets[c.KIND])
        return table.with_columns(targets.select(c.GROWN)[answer.items])

    @cached_property
    def trends(self) -> Trends:
        """The surface ``trends``; the time is that of the newest interaction."""
        model, folder = self.model, self._part(trends_surface.NAME, "interactions with times")
        searches = self.searches.drop_nulls().with_columns(day=pl.col(c.TIMESTAMP) // DAY)
        queries = searches.unique([_ROW, c.QUERY, "day"], maintain_order=True)  # said again is no trend
        now = int(model.histories.times.max(initial=0)) + 1
        people = model.histories.keep(self.of_people)  # a robot's burst is no trend
        return Trends(Growth.load(folder), model.catalogue, people, now, queries.select(c.QUERY, c.TIMESTAMP))

    @cached_property
    def of_people(self) -> NDArray[np.bool_]:
        """Which interactions of the model's histories are people's doing."""
        return find_suspects(self.model.histories, self.suspects).kept

    def _similar_of(self, asked: Asked) -> pl.DataFrame:
        """What could stand in for the item that a user met last; nothing for someone without a history."""
        histories, n_items = asked.histories, len(self.model.catalogue)
        mask = np.ones(n_items, np.bool_) if asked.items is None else allowed(asked.items, n_items)
        parts = []
        for user in np.flatnonzero(histories.lengths):
            last = int(histories.items[histories.indptr[user + 1] - 1])
            one = self.model.similar_items.similar(
                last, asked.n, mask, doubt=self._doubt, explain=asked.explain, language=self.language
            )
            parts.append(replace(one, asked=np.full(len(one.items), user, np.int64)))
        name, release = similar_surface.NAME, self.model.release
        return join(parts).table(asked.ids, self.model.catalogue.items.ids, surface=name, release=release)

    def _profiles_of(self, asked: Asked) -> pl.DataFrame:
        searched, met = self._searches(asked.ids), _in_items(asked.histories, len(self.profiles.catalogue))
        told = [self._told(row) for row in self.model.users.rows(asked.ids).tolist()]
        said = [
            self.profiles.profile(
                met.select(np.array([row])), searched[row], told[row], asked.items, self.language, asked.n
            )
            for row in range(len(asked.ids))
        ]
        return profile_surface.table(list(zip(asked.ids, said, strict=True)), asked.n, self.model.release)

    def _searches(self, ids: pl.Series) -> list[pl.DataFrame]:
        rows = self.model.users.rows(ids)
        place = self.searches[_ROW]
        first, last = (place.search_sorted(pl.Series(rows, dtype=pl.Int32), side=side) for side in ("left", "right"))
        spans = zip(rows, first, last, strict=True)
        return [self.searches[a : b if row >= 0 else a] for row, a, b in spans]

    def _told(self, row: int) -> dict[str, str]:
        """Column of the users table → what it says of a user; nothing of one that is not known (row -1)."""
        told = self.groups.row(row, named=True) if row >= 0 and self.groups.width else {}
        return {name: value for name, value in told.items() if value is not None}

    @cached_property
    def groups(self) -> pl.DataFrame:
        """What the users table says in the columns that are told, a row a user; read once."""
        users = self.store.read(c.USERS, [c.USER_ID, *self.tells])
        for name in self.tells:
            if name not in users.columns:
                warnings.warn(f"[profile] tells: the users table has no column {name!r}. Correct it.", stacklevel=2)
        return groups_by_row(users, self.model.users)

    @cached_property
    def searches(self) -> pl.DataFrame:
        """Row of the user, query and time of every search, by user: the log is read once, and not for each who asks."""
        log = self.store.read(c.INTERACTIONS, [c.USER_ID, c.QUERY, c.TIMESTAMP])
        schema = {c.QUERY: pl.String, c.TIMESTAMP: pl.Int64}
        log = log.with_columns(
            pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in log.columns
        )
        log = log.filter(pl.col(c.QUERY).is_not_null())
        rows = pl.Series(_ROW, self.model.users.rows(log[c.USER_ID]), dtype=pl.Int32)
        return log.select(rows, c.QUERY, c.TIMESTAMP).sort(_ROW, maintain_order=True)

    @cached_property
    def profiles(self) -> Profiles:
        """The surface ``profile``; the time is that of the newest interaction."""
        model = self.model
        return Profiles(model.catalogue, model.histories, int(model.histories.times.max(initial=0)))

    @cached_property
    def trained(self) -> Catalogue:
        """The items that training knew, which are the first of the release; bundles and brands know no others."""
        whole = self.model.catalogue
        try:
            n_items = int(json.loads((self.folder / LEARNT).read_text(encoding="utf-8"))["items"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(f"Model folder {self.folder}: {LEARNT} cannot be read. Train again.") from error
        if n_items == len(whole):
            return whole
        return replace(build_catalogue(whole.frame.head(n_items)), available=whole.available[:n_items])

    @property
    def _doubt(self) -> NDArray[np.float64]:
        return self.model.reranker.doubt

    def _known(self, histories: Histories) -> Histories:
        return _in_items(histories, len(self.trained))

    def _shown(self, items: NDArray[np.integer] | None) -> NDArray[np.integer] | None:
        return items if items is None else items[items < len(self.trained)]

    def _part(self, name: str, needs: str) -> Path:
        if not (self.folder / name).is_dir():
            raise InputError(
                f"Release {self.model.release} has learnt no {name}. They need {needs}. Import these, then train again."
            )
        return self.folder / name


def _tell_unknown(basket: Sequence[str], rows: NDArray[np.integer]) -> None:
    unknown = [repr(item) for item, row in zip(basket, rows, strict=True) if row < 0]
    if unknown:
        rest = "the rest of the basket counts" if len(unknown) < len(basket) else "the basket counts as empty"
        warnings.warn(f"This release knows no item {', '.join(unknown)}; {rest}.", stacklevel=2)


def _in_items(histories: Histories, n_items: int) -> Histories:
    """The histories in the first items alone."""
    return replace(histories.keep(histories.items < n_items), n_items=n_items)


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
