"""From lists with places that try, over impressions and clicks, to what another release would have earned."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.data.identity import with_event_ids
from kuapin.errors import InputError
from kuapin.model import Model
from kuapin.pipeline.off_policy import evaluate_off_policy
from kuapin.workspace import Shop
from tests import market, served

SHOWN_AT = 1_600_000_000 + 201 * market.DAY
NOW = datetime.fromtimestamp(SHOWN_AT, UTC)


def worth(item: str) -> float:
    """What a click is worth: known, and unlike what the release thinks."""
    return 0.7 if item.endswith("small") else 0.2


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    made = served.shop(tmp_path_factory.mktemp("tried"))
    (made.path / "kuapin.toml").write_text("[exploration]\nshare = 0.5\nprior = 2\n")
    return Shop.open(made.path)


@pytest.fixture(scope="module")
def shown(shop) -> pl.DataFrame:
    model = Model.load(shop)
    return model.recommend(model.users.ids, 20, now=NOW)


@pytest.fixture(scope="module")
def clicked(shop, shown) -> Shop:
    rng = np.random.default_rng(3)
    impressions = shown.select(
        "user_id",
        pl.col("target_id").alias("item_id"),
        pl.lit("impression").alias("event"),
        pl.lit(SHOWN_AT).cast(pl.Int64).alias("timestamp"),
        ("list of " + pl.col("user_id")).alias("ranking_id"),
        pl.col("rank").cast(pl.Int64).alias("position"),
        "propensity",
    )
    good = rng.random(impressions.height) < np.array([worth(item) for item in impressions["item_id"]])
    clicks = impressions.filter(pl.Series(good)).with_columns(
        pl.lit("click").alias("event"),
        pl.col("timestamp") + 5,
        pl.lit(None, pl.Float64).alias("propensity"),
        pl.lit(None, pl.Int64).alias("position"),
    )
    log = pl.concat([market.log(), impressions, clicks], how="diagonal")
    shop.store.write({"interactions": with_event_ids(log)})
    return shop


def test_the_truth_is_covered_and_the_log_itself_is_not_it(clicked, shown):
    model = Model.load(clicked)
    model.reranker = model.reranker.__class__(model.recommender, model.catalogue, penalty=model.reranker.penalty)
    own = model.recommend(model.users.ids, 20)
    tried = (shown["propensity"] < 1).to_numpy()
    truth = float(np.mean([worth(item) for item in own["target_id"].to_numpy()[tried]]))
    found = evaluate_off_policy(clicked)
    assert found.choices == tried.sum() == 1600
    for one in (found.ips, found.snips, found.dr):
        assert one.low <= truth <= one.high
        assert one.high - one.low < 0.2
    assert found.covered.low <= 1 <= found.covered.high
    as_shown = float(np.mean([worth(item) for item in shown["target_id"].to_numpy()[tried]]))
    assert found.logged.low <= as_shown <= found.logged.high


def test_the_command_line_says_the_same(clicked, capfd):
    capfd.readouterr()
    assert run(app, ["evaluate", str(clicked.path), "--protocol", "off-policy", "--json", "-"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["dr"]["value"] == pytest.approx(evaluate_off_policy(clicked).dr.value)
    assert run(app, ["evaluate", str(clicked.path), "--protocol", "off-policy", "-q"]) == 0
    assert "doubly robust" in capfd.readouterr().out


def test_a_log_without_propensities_is_told_what_to_do(tmp_path, capfd):
    shop = served.shop(tmp_path)
    with pytest.raises(InputError, match="no impression of a list of products that came after"):
        evaluate_off_policy(shop)
    assert run(app, ["evaluate", str(shop.path), "--release", "r1"]) == 2
    assert "--release and --success belong to --protocol off-policy" in capfd.readouterr().err
