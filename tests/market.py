"""A made-up shop with tastes, repeats and a trend, small enough to train on in a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from kuapin.config import Config
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.model import Model
from kuapin.pipeline.surfaces import fit_surfaces
from kuapin.ranking.bound_rules import Rules
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.rule_binding import Tables, bind
from kuapin.ranking.rules import read_rules
from kuapin.ranking.safety import SCHEMA
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Visible
from kuapin.storefront import FOLDER, Storefront
from kuapin.workspace import Shop

THEMES = ("rose", "oak", "sea", "mint", "snow", "sun")
KINDS = {"Beauty": ("soap", "cream"), "Home": ("candle", "lamp"), "Garden": ("pot", "hose"), "Pets": ("bed", "toy")}
DAY = 86_400
RELATIONS = pl.DataFrame(
    [("H-rose-lamp-large", "clashes_with", "P-rose-bed-small"), ("H-oak-lamp-small", "requires", "G-oak-pot-small")],
    schema=["head", "relation", "tail"],
    orient="row",
)
NOTHING_DECIDED = pl.DataFrame(schema=SCHEMA)
"""What safety says of a shop that nobody looked through."""


def items() -> pl.DataFrame:
    """96 items: every theme in two shelves of four categories, in two sizes."""
    rows = [
        (f"{category[0]}-{theme}-{kind}-{size}", f"{theme} {kind} {size}", f"{category} > {kind}", theme.title(), price)
        for category, kinds in KINDS.items()
        for theme in THEMES
        for kind in kinds
        for size, price in (("small", 5.0), ("large", 9.0))
    ]
    return pl.DataFrame(rows, schema=["item_id", "title", "category", "brand", "price"], orient="row")


def log(n_users: int = 160, length: int = 24, seed: int = 0) -> pl.DataFrame:
    """Users with one theme each, who buy some things again; the times span 200 days."""
    rng = np.random.default_rng(seed)
    table = items()
    theme = table["brand"].str.to_lowercase().to_list()
    rows = []
    for user in range(n_users):
        own = THEMES[user % len(THEMES)]
        liked = np.array([4.0 if t == own else 0.3 for t in theme]) * np.linspace(1.6, 0.4, len(theme))
        staple = rng.choice(len(theme), 2, p=liked / liked.sum())
        times = np.sort(rng.integers(0, 200 * DAY, length)) + 1_600_000_000
        for time in times:
            item = rng.choice(staple) if rng.random() < 0.3 else rng.choice(len(theme), p=liked / liked.sum())
            rows.append((f"user {user:03d}", table["item_id"][int(item)], int(time), "purchase"))
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row")


def dataset(*, timed: bool = True, **options: int) -> Dataset:
    """The tables as arrays; without times the order of the rows stands for them."""
    interactions = log(**options)
    return build_dataset(items(), interactions if timed else interactions.drop("timestamp"))


def visible(data: Dataset) -> Visible:
    """All of it, with vectors that tell themes and kinds apart, in place of a language model's."""
    titles = data.catalogue.frame["title"]
    names = [*THEMES, *(kind for kinds in KINDS.values() for kind in kinds)]
    words = np.array([[word in title.split() for word in names] for title in titles], np.float32)
    noise = np.random.default_rng(1).normal(0, 0.05, words.shape).astype(np.float32)
    vectors = words + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Visible(data.catalogue, data.histories, vectors, int(data.histories.times.max(initial=0)), texts=titles)


def trained(data: Dataset) -> Model:
    """A model of a whole log."""
    fitted = fit_live(
        visible(data),
        signals=SignalsConfig(candidates=20),
        ranking=RankingConfig(trees={"rounds": 10}),
        live=LiveConfig(pruned=False),
    )
    return Model("r1", fitted.recommender, data.catalogue, data.users, data.histories)


def model() -> Model:
    """Trained on all of it; the first six items, of Beauty, are not available."""
    whole = trained(dataset())
    available = np.ones(96, np.bool_)
    available[:6] = False
    return Model("r1", whole.recommender, replace(whole.catalogue, available=available), whole.users, whole.histories)


def with_surfaces(folder: Path) -> Model:
    """The same model with all surfaces; its shop lies in the folder."""
    shop = Shop.init(folder / "shop")
    baskets = log().with_columns(
        (pl.col("user_id") + (pl.col("timestamp") // (9 * DAY)).cast(pl.String)).alias("basket_id")
    )
    campaigns = pl.DataFrame(
        {
            "campaign_id": ["roses", "all", "old"],
            "title": ["Roses for less", "A tenth off", "Long over"],
            "start": [1_600_000_000, 1_600_000_000, 1_500_000_000],
            "end": [1_700_000_000, 1_700_000_000, 1_500_000_001],
            "brand": ["Rose", "Oak", "Oak"],
        }
    )
    relations = pl.DataFrame(
        {"head": ["B-oak-soap-small"], "relation": ["compatible_with"], "tail": ["P-sun-toy-large"]}
    )
    tables = {"items": items(), "interactions": baskets, "campaigns": campaigns, "relations": relations}
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    shop.import_files(**{name: folder / f"{name}.parquet" for name in tables})
    whole = model()
    config = Config.model_validate({"ranking": {"trees": {"rounds": 5}}, "live": {"users": 60, "pruned": False}})
    data = shop.dataset()
    seen = replace(visible(data), now=int(data.histories.times.max()))
    learned = fit_surfaces(seen, whole.recommender, shop.store, data.users, config)
    learned.save(folder / FOLDER)
    whole.storefront = Storefront(whole, folder / FOLDER, shop.store)
    return whole


def rules(model: Model, folder: Path, text: str) -> Rules:
    """Rules, bound: every second user is in the club and of the north, the garden is in the north, stock is 0 to 3."""
    path = folder / "rules.toml"
    path.write_text(text)
    items = model.catalogue.frame.select("item_id", stock=pl.int_range(pl.len()) % 4).with_columns(
        region=pl.when(pl.col("item_id").str.starts_with("G")).then(pl.lit("north"))
    )
    even = pl.int_range(pl.len()) % 2 == 0
    users = model.users.ids.alias("user_id").to_frame()
    users = users.with_columns(club=even, region=pl.when(even).then(pl.lit("north")).otherwise(pl.lit("south")))
    tables = Tables(model.catalogue, items, users, RELATIONS, tuple(items.columns), tuple(users.columns))
    return bind(path, read_rules(path), tables)


def changed(model: Model, **reranker: object) -> Model:
    """The same model with another list layer: rules, penalties, what is blocked."""
    other = replace(model.reranker, **reranker)
    same = Model(model.release, model.recommender, model.catalogue, model.users, model.histories, other)
    same.storefront = model.storefront and model.storefront.of(same)
    return same
