import numpy as np
import polars as pl
import pytest

from kuapin.config import Config
from kuapin.data.dataset import build_dataset
from kuapin.pipeline.report_material import Learning, Material
from kuapin.ranking.live import LiveConfig
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.replays import ReplayConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.ranking.trees import TreesConfig
from kuapin.retrieval.whitening import whiten

TASTES, EACH, USERS = 4, 10, 160
LEARNING = Learning(
    SignalsConfig(candidates=20),
    RankingConfig(trees=TreesConfig(rounds=2)),
    ReplayConfig(groups=2, users=30, folds=2, own_users=40),
    LiveConfig(users=60),
)


def made_up(*, timed=True, seed=0, times_of=None):
    """Three categories of items in four tastes; a user keeps to one taste, and so do the texts.

    Item ``Home-2-7`` is the seventh of taste 2 in Home; what text and history tell of a user is the same thing.
    """
    rng = np.random.default_rng(seed)
    ids, taste_of, paths = [], [], []
    for category in ("Beauty", "Home", "Toys"):
        for taste in range(TASTES):
            ids += [f"{category}-{taste}-{k}" for k in range(EACH)]
            taste_of += [taste] * EACH
            paths += [f"{category} > Shelf {taste}"] * EACH
    taste_of = np.array(taste_of)
    items = pl.DataFrame({"item_id": ids, "title": ids, "category": paths})
    users, chosen, times = [], [], []
    for user in range(USERS):
        own = np.flatnonzero(taste_of == user % TASTES)
        n = rng.integers(12, 20)
        users += [f"u{user:03d}"] * n
        chosen += [ids[k] for k in rng.choice(own, n)]
        times += np.sort(rng.integers(0, 1_000_000, n)).tolist()
    log = pl.DataFrame({"user_id": users, "item_id": chosen, "timestamp": times})
    dataset = build_dataset(items, log if timed else log.drop("timestamp"))
    centres = rng.standard_normal((TASTES, 16))
    vectors = centres[taste_of] + 0.4 * rng.standard_normal((len(ids), 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Material(dataset, items["title"].alias("text"), vectors, whiten(vectors), Config(), LEARNING)


@pytest.fixture(scope="session")
def material():
    """A timed shop."""
    return made_up()


@pytest.fixture(scope="session")
def untimed():
    """The same without times."""
    return made_up(timed=False)
