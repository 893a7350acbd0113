"""A shop with everything that the console shows: surfaces, rules, doubtful items, two releases, a report, outcomes."""

import json
import shutil
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import pytest

from kuapin.config import Config
from kuapin.data.dataset import build_dataset
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.report import Comparison, Method, Report, to_json
from kuapin.pipeline.surfaces import fit_surfaces
from kuapin.ranking.safety import SCHEMA
from kuapin.serving.service import Service
from kuapin.workspace import Shop
from tests import market, served

RULES = """\
[[pin]]
name = "toys first"
item = "P-snow-toy-large"
position = 1

[[exclude]]
name = "no hoses"
category = ["Garden > hose"]
"""
DOUBTFUL, BLOCKED = "B-oak-soap-small", "H-sea-lamp-large"
EXPECTED = [
    {
        "shot": shot,
        "people": people,
        "interactions": people,
        "best": "transfer",
        "strategies": {
            "transfer": {"ndcg@10": 0.2 + shot, "hit_rate@10": 0.5, "ratio": {"value": 2.0, "low": 1.5, "high": 2.5}},
            "popularity": {"ndcg@10": 0.1 + shot, "hit_rate@10": 0.4, "ratio": {"value": 1.0, "low": 1.0, "high": 1.0}},
        },
    }
    for shot, people in ((0.0, 0), (0.1, 9))
]


def safety(folder: Path, _fitted: object) -> None:
    """Of the items two wait for review."""
    ids = market.items()["item_id"]
    said = {BLOCKED: ("block", "weapon"), DOUBTFUL: ("penalise", "classifier")}
    rows = [
        (
            item,
            *said.get(item, ("pass", None)),
            f"why {item}" if item in said else None,
            0.5 if item in said else -2.0,
            0.0,
        )
        for item in ids
    ]
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(folder / "safety.parquet")


def report() -> Report:
    def one(title: str, ours: float, best: float, **options: object) -> Comparison:
        ratio = Interval(ours / best, 0.9 * ours / best, 1.1 * ours / best)
        results = {
            "Kuapin": {"ndcg@10": Interval(ours, ours - 0.01, ours + 0.01)},
            "EASE": {"ndcg@10": Interval(best, best - 0.01, float("nan"))},
        }
        given = {"protocol": "temporal"} | options
        return Comparison(
            title=title, question="What next?", metric="ndcg@10", users=50, candidates=96, results=results,
            model="Kuapin", baseline="EASE", ratio=ratio, **given,
        )  # fmt: skip

    return Report(
        "A made-up shop",
        "today",
        methods=(Method("Kuapin", "model"), Method("EASE", "baseline")),
        comparisons=(
            one("All next choices", 0.4, 0.2),
            one("Pets", 0.05, 0.1, protocol="launch", shot=0.0),
            one("Pets", 0.2, 0.2, protocol="launch", shot=0.1),
        ),
        categories=(one("Home", 0.3, 0.25),),
    )


@cache
def _template() -> Path:
    shop = Shop.init(Path(mkdtemp()) / "shop")
    day = 86_400
    log = market.log().with_columns(
        (pl.col("user_id") + (pl.col("timestamp") // (9 * day)).cast(pl.String)).alias("basket_id")
    )
    campaigns = pl.DataFrame(
        {
            "campaign_id": ["roses", "all"],
            "title": ["Roses for less", "A tenth off"],
            "start": [1_600_000_000] * 2,
            "end": [1_700_000_000] * 2,
            "brand": ["Rose", "Oak"],
        }
    )
    folder, tables = shop.path.parent, {"items": market.items(), "interactions": log, "campaigns": campaigns}
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    shop.import_files(**{name: folder / f"{name}.parquet" for name in tables})
    config = Config.model_validate({"ranking": {"trees": {"rounds": 5}}, "live": {"users": 60, "pruned": False}})

    def learnt(folder: Path, fitted: object) -> None:
        safety(folder, fitted)
        data = build_dataset(market.items(), log)
        visible = market.visible(data)
        fit_surfaces(visible, fitted.recommender, shop.store, data.users, config).save(folder / "surfaces")

    opened = {"Pets": {"items": 24, "strategy": "transfer", "shot": 0.0, "expected": EXPECTED}}
    served.publish(shop, candidates=40, also=safety)
    served.publish(shop, also=learnt, config={"opened": opened})
    (shop.path / "rules.toml").write_text(RULES)
    (shop.reports / "evaluate-temporal.json").write_text(to_json(report()))
    (shop.reports / "evaluate-temporal.html").write_text("<!DOCTYPE html><title>Whole</title><p>The whole report.</p>")
    (shop.reports / "bench.json").write_text('{"figures": {}}')
    verdict = {
        "category": "Home", "users": 80, "champion": 0.2, "challenger": 0.23, "change": 0.15, "least": 0.01,
        "visible": 0.1, "p": 0.01, "level": 0.05, "decision": "passes", "served_by": "x",
    }  # fmt: skip
    lost = verdict | {"category": "Pets", "users": 90, "change": None, "decision": "too few users"}
    line = {"at": "2026-11-24T02:00:00+00:00", "champion": "r0", "verdicts": [verdict, lost]}
    drift = {"drift": {"categories": 0.3, "texts": 0.02}}
    (shop.models / "challenges.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(line | drift)}\n" + '{"torn')
    return shop.path


@pytest.fixture
def rich(tmp_path) -> Shop:
    """The shop, a copy for every test."""
    return Shop.open(shutil.copytree(_template(), tmp_path / "rich"))


@pytest.fixture
def bare(tmp_path) -> Shop:
    """A shop of which there is nothing to tell but its lists."""
    return served.shop(tmp_path)


def show_and_click(service: Service) -> None:
    """Show one item to two users, of whom one clicks."""
    release, now = service.live.current.model.release, int(time.time())
    row = {"item_id": "B-rose-soap-small", "timestamp": now, "surface": "products", "release": release}
    rows = [
        row | {"event_id": f"{event}{user}", "event": event, "user_id": f"user {user:03d}", "ranking_id": f"r{user}"}
        for event, user in (("impression", 1), ("impression", 2), ("click", 1))
    ]
    service.events.add([rows])
