"""Who answers an offer: a person's purchases, responses and prices against an offer's items, as a probability."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.special import expit

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.data.offers import CAMPAIGN, COUPON_COLUMN, Offers
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import ModelFolderError
from kuapin.ranking.forest_files import read_forest, unreadable, write_forest
from kuapin.retrieval.members import members
from kuapin.retrieval.sources.lexical import words

if TYPE_CHECKING:
    import lightgbm

DAY = 86_400
FILES = "response"
NAMES = (
    "bought",
    "bought_lately",
    "bought_items",
    "share",
    "shelf",
    "brand",
    "texts",
    "own_text",
    "purchases",
    "redeemed",
    "redeemed_rate",
    "sensitivity",
    "targets",
    "popularity",
    "offer_redeemed",
    "type_rate",
    "days",
)
"""Features of a person and an offer.

Of the person's purchases: of the offer's items (all, in the last 90 days, distinct items; share of all purchases), of
their shelves and brands, how near the texts are, and the offer's own text, how many in all; of his responses:
redemptions, and per campaign received; share of purchases below the item's usual price. Of the offer: items, their
mean buyers, past redemptions, those of the campaigns of its type per person reached; how long it runs."""


class ResponseConfig(BaseModel):
    """How the response to offers is learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(150, ge=1, description="Trees.")
    leaves: int = Field(15, ge=2, description="Leaves of a tree at most.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Share of every tree that is taken.")
    lately_days: float = Field(90.0, gt=0, description="How many days count as lately.")
    least: int = Field(20, ge=1, description="Redemptions below which nothing is learnt: purchases of targets rank.")
    seed: int = Field(0, ge=0, description="Of the trees.")


@dataclass(frozen=True)
class Redemptions:
    """Every use of an offer, n in all.

    Attributes:
        user: int32 (n,).
        offer: int32 (n,), row in ``Offers``.
        time: int64 (n,), unix seconds.
    """

    user: NDArray[np.int32]
    offer: NDArray[np.int32]
    time: NDArray[np.int64]

    def before(self, time: int) -> "Redemptions":
        """Those before a time."""
        old = self.time < time
        return Redemptions(self.user[old], self.offer[old], self.time[old])


def read_redemptions(log: pl.DataFrame, offers: Offers, users: Vocabulary) -> Redemptions:
    """The ``redeem`` events of a log that name a known campaign, and coupon where the campaign has coupons."""
    none = np.empty(0, np.int32)
    if c.CAMPAIGN_ID not in log.columns or c.EVENT not in log.columns:
        return Redemptions(none, none, none.astype(np.int64))
    some = log.filter(pl.col(c.EVENT) == "redeem", pl.col(c.CAMPAIGN_ID).is_not_null())
    code = pl.col(COUPON_COLUMN).cast(pl.String) if COUPON_COLUMN in log.columns else pl.lit(None, pl.String)
    time = pl.col(c.TIMESTAMP) if c.TIMESTAMP in log.columns else pl.lit(0)
    said = some.select(
        pl.Series("user", users.rows(some[c.USER_ID])),
        pl.col(c.CAMPAIGN_ID),
        pl.coalesce(pl.format("coupon:{}", code), pl.col(c.CAMPAIGN_ID)).alias("offer_id"),
        time.fill_null(0).cast(pl.Int64).alias("time"),
    )
    rows = offers.table.select("offer_id", c.CAMPAIGN_ID).with_row_index("offer")
    whole = offers.table.with_row_index("offer").filter(pl.col(c.KIND) == CAMPAIGN)
    whole = whole.select(c.CAMPAIGN_ID, pl.col("offer").alias("whole"))
    found = said.join(rows, on=["offer_id", c.CAMPAIGN_ID], how="left").join(whole, on=c.CAMPAIGN_ID, how="left")
    found = found.with_columns(pl.coalesce("offer", "whole").alias("offer"))
    found = found.filter(pl.col("offer").is_not_null(), pl.col("user") >= 0)
    return Redemptions(
        found["user"].to_numpy().astype(np.int32),
        found["offer"].to_numpy().astype(np.int32),
        found["time"].to_numpy().astype(np.int64),
    )


def price_sensitivity(log: pl.DataFrame, users: Vocabulary, least: int = 5) -> NDArray[np.float32]:
    """Share of every user's purchases that cost less than 95 % of the item's usual price (the median of the log).

    Args:
        log: with ``value`` (what was paid) and, where it has it, ``quantity``.
        users: of the shop.
        least: purchases below which nothing is said.

    Returns:
        float32 (n_users,), NaN where nothing is known.
    """
    share = np.full(len(users), np.nan, np.float32)
    if c.VALUE not in log.columns:
        return share
    count = pl.col("quantity").cast(pl.Float64) if "quantity" in log.columns else pl.lit(1.0)
    paid = (
        log.filter(pl.col(c.VALUE) > 0, count > 0, pl.col(c.ITEM_ID).is_not_null())
        .select(c.USER_ID, c.ITEM_ID, (pl.col(c.VALUE) / count).alias("price"))
        .with_columns((pl.col("price") < 0.95 * pl.col("price").median().over(c.ITEM_ID)).alias("less"))
        .group_by(c.USER_ID)
        .agg(pl.col("less").mean(), pl.len())
        .filter(pl.col("len") >= least)
    )
    rows = users.rows(paid[c.USER_ID])
    share[rows[rows >= 0]] = paid["less"].to_numpy()[rows >= 0]
    return share


@dataclass(frozen=True)
class Setting:
    """All that features are read from.

    Attributes:
        catalogue: the items.
        histories: purchases of all users.
        offers: of the shop.
        redemptions: of them.
        sensitivity: float32 (n_users,), see :func:`price_sensitivity`.
        vectors: float32 (n_items, d) text vectors, or ``None``.
    """

    catalogue: Catalogue
    histories: Histories
    offers: Offers
    redemptions: Redemptions
    sensitivity: NDArray[np.float32]
    vectors: NDArray[np.float32] | None

    @cached_property
    def buyers(self) -> NDArray[np.float32]:
        """People who bought each item, float32 (n_items,)."""
        if not len(self.histories):
            return np.zeros(0, np.float32)
        return np.asarray(self.histories.matrix().sum(axis=0), np.float32).ravel()

    @cached_property
    def spoken_of(self) -> NDArray[np.float32] | None:
        """What the own text of every offer speaks of, float32 (n_offers, d) of unit length, 0 where it names nothing.

        A word stands for the mean vector of the items that have it in their title, and counts the more, the fewer these
        are: so a campaign is read on its first day, without a language model at hand. ``None``: there are no vectors.
        """
        frame, texts = self.catalogue.frame, self.offers.table[c.TEXT].fill_null("")
        if self.vectors is None or c.TITLE not in frame.columns:
            return None
        told, titles = words(texts), words(frame[c.TITLE].fill_null(""))
        known = told["word"].unique().sort()
        # a letter or a number names no subject: campaign 13 of type A is not for 13 oz of vitamin A
        known = known.filter((known.str.len_chars() > 1) & ~known.str.contains(r"^\p{N}+$"))
        told = told.filter(pl.col("word").is_in(known.implode())).unique()
        titles = titles.filter(pl.col("word").is_in(known.implode())).unique()
        of_word, of_offer = (
            sparse.csr_matrix(
                (np.ones(table.height, np.float32), (table["row"], known.search_sorted(table["word"]))),
                shape=(n, known.len()),
            )
            for table, n in ((titles, frame.height), (told, texts.len()))
        )
        items = np.maximum(np.asarray(of_word.sum(axis=0)).ravel(), 1.0)
        rarity = np.log(frame.height / items) / items
        return _unit(np.asarray(of_offer @ (rarity[:, None] * (of_word.T @ self.vectors)), np.float32))

    def features(
        self,
        users: NDArray[np.integer],
        offers: NDArray[np.integer],
        now: int,
        lately_days: float,
        known: int | None = None,
    ) -> NDArray[np.float32]:
        """What is known at a time: float32 (users, offers, len(NAMES)).

        Args:
            users: rows; -1 for a stranger.
            offers: rows.
            now: unix seconds; later purchases and redemptions are not read.
            lately_days: of ``bought_lately``.
            known: redemptions from then on are not read either; ``None``: as ``now``.
        """
        from kuapin.ranking.live import queries_of

        past = queries_of(self.histories, users)
        past = past.keep(past.times < now) if past.timed else past
        counts = past.matrix(binary=False)
        targets = self.offers.targets[offers]
        size = np.maximum(np.asarray(targets.sum(axis=1)).ravel(), 1.0)
        table = np.full((len(users), len(offers), len(NAMES)), np.nan, np.float32)

        def put(name: str, values: NDArray[np.floating]) -> None:
            table[:, :, NAMES.index(name)] = values

        bought = (counts @ targets.T).toarray()
        lately = past.keep(past.times >= now - lately_days * DAY).matrix(binary=False) if past.timed else counts
        total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
        put("bought", np.log1p(bought))
        put("bought_lately", np.log1p((lately @ targets.T).toarray()))
        put("bought_items", np.log1p((past.matrix() @ targets.T).toarray()))
        put("share", bought / total[:, None])
        for name, group in (("shelf", self.catalogue.leaf), ("brand", self.catalogue.brand)):
            of = members(group)
            weight = (targets @ of).multiply(1 / size[:, None]).tocsr()
            met = (counts @ of).tocsr()
            met.data = np.log1p(met.data)
            put(name, (met @ weight.T).toarray())
        if self.vectors is not None:
            profile, said = _unit(counts @ self.vectors), _unit(targets @ self.vectors)
            put("texts", profile @ said.T)
            if self.spoken_of is not None:
                own = self.spoken_of[offers]
                put("own_text", np.where(own.any(axis=1), profile @ own.T, np.nan))
        put("purchases", np.log1p(total)[:, None])
        self._put_responses(put, users, offers, min(now, known) if known is not None else now)
        safe = np.maximum(users, 0)
        put("sensitivity", np.where(users >= 0, self.sensitivity[safe], np.nan)[:, None])
        put("targets", np.log1p(size)[None])
        put("popularity", np.log1p((targets @ self.buyers) / size)[None])
        put("days", np.log1p(np.clip((self.offers.end - self.offers.start)[offers] / DAY, 0, 365))[None])
        return table

    def _put_responses(self, put: Any, users: NDArray[np.integer], offers: NDArray[np.integer], known: int) -> None:
        past = self.redemptions.before(known)
        each = np.bincount(past.user, minlength=len(self.histories) + 1)[users]
        each[users < 0] = 0
        begun = np.zeros(self.offers.received.shape[1], np.float32)
        begun[self.offers.campaign[self.offers.start < known]] = 1
        got = np.zeros(len(users))
        got[users >= 0] = self.offers.received[users[users >= 0]] @ begun
        put("redeemed", np.log1p(each)[:, None])
        put("redeemed_rate", (each / (got + 1))[:, None])
        names = self.offers.table["offer_id"].to_numpy()
        _, code = np.unique(names, return_inverse=True)
        of_offer = np.bincount(code[past.offer], minlength=int(code.max(initial=0)) + 1)[code]
        put("offer_redeemed", np.log1p(of_offer[offers])[None])
        _, kind = np.unique(self.offers.table["type"].fill_null("").to_numpy(), return_inverse=True)
        used = np.bincount(kind[past.offer], minlength=int(kind.max(initial=0)) + 1)
        sent = np.asarray(self.offers.received.sum(axis=0)).ravel() * begun
        first = np.unique(self.offers.campaign, return_index=True)[1]
        reached = np.bincount(kind[first], weights=sent[self.offers.campaign[first]], minlength=len(used))
        put("type_rate", (used / (reached + 1))[kind[offers]][None])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


@dataclass(frozen=True)
class Response:
    """The probability that a person uses an offer.

    Attributes:
        forest: LightGBM; ``None``: too few redemptions, and purchases of the targets rank.
        config: how it was learnt.
        reads: the features that the trees read; an older release knows fewer than ``NAMES``.
    """

    forest: "lightgbm.Booster | None"
    config: ResponseConfig
    reads: tuple[str, ...] = NAMES

    @classmethod
    def fit(cls, setting: Setting, config: ResponseConfig | None = None, until: int | None = None) -> Self:
        """Learn from every campaign that has begun: all who got it, all of its offers, who used which.

        Features are those of the campaign's first day: nothing of its own redemptions is among them.

        Args:
            setting: the shop.
            config: how.
            until: unix seconds; redemptions and campaigns from then on are not seen. ``None``: all are.
        """
        config = config or ResponseConfig()
        offers = setting.offers
        seen = setting.redemptions if until is None else setting.redemptions.before(until)
        if len(seen.user) < config.least:
            return cls(None, config)
        tables, labels = [], []
        for campaign in np.unique(offers.campaign[seen.offer]):
            rows = np.flatnonzero(offers.campaign == campaign)
            users, start = exposed(setting, int(campaign)), int(offers.start[rows[0]])
            if len(users) == 0 or (until is not None and start >= until):
                continue
            tables.append(setting.features(users, rows, start, config.lately_days).reshape(-1, len(NAMES)))
            labels.append(used(seen, users, rows).ravel())
        return cls(_forest(np.concatenate(tables), np.concatenate(labels), config), config)

    def probability(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 (users, offers) from float32 (users, offers, len(NAMES))."""
        flat = features.reshape(-1, len(NAMES))
        if self.forest is None:
            shelf, bought = flat[:, NAMES.index("shelf")], flat[:, NAMES.index("bought")]
            return np.asarray(expit(bought + shelf - 4.0).reshape(features.shape[:2]), np.float64)
        if len(flat) == 0:
            return np.zeros(features.shape[:2])
        read = flat[:, [NAMES.index(name) for name in self.reads]]
        return np.asarray(self.forest.predict(read), np.float64).reshape(features.shape[:2])

    def save(self, folder: Path) -> None:
        """Write ``response.json`` and, where there are trees, ``response.txt``."""
        said = {"features": list(self.reads), "config": self.config.model_dump(mode="json")}
        write_forest(folder, FILES, said, self.forest)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: a file is missing, or reads features that this program does not know.
        """
        said, forest = read_forest(folder, FILES)
        try:
            config, features = ResponseConfig.model_validate(said["config"]), tuple(said["features"])
        except (ValueError, KeyError, TypeError) as error:
            raise unreadable(folder, error) from error
        if unknown := [name for name in features if name not in NAMES]:
            raise ModelFolderError(f"Model folder {folder}: it reads {unknown}, unknown to this program. Train again.")
        return cls(forest, config, features)


def exposed(setting: Setting, campaign: int) -> NDArray[np.intp]:
    """Users whom a campaign was sent to; where nothing is known of that, all who ever did something."""
    column = setting.offers.received[:, [campaign]].toarray().ravel()
    return np.flatnonzero(column if column.any() else setting.histories.lengths)


def used(redemptions: Redemptions, users: NDArray[np.integer], offers: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Who used what, bool (users, offers); both ascending."""
    table = np.zeros((len(users), len(offers)), np.bool_)
    inside = np.isin(redemptions.user, users) & np.isin(redemptions.offer, offers)
    place = np.searchsorted(users, redemptions.user[inside]), np.searchsorted(offers, redemptions.offer[inside])
    table[place] = True
    return table


def _forest(features: NDArray[np.float32], labels: NDArray[np.bool_], config: ResponseConfig) -> "lightgbm.Booster":
    import lightgbm

    parameters = {
        "objective": "binary",
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": 200,
        "lambda_l2": 10.0,
        "feature_fraction": 0.7,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": config.seed,
        "verbose": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(features, labels.astype(np.int8)), config.rounds)
