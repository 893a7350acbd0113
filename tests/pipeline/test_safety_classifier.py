"""A shop's text-classification model reads the catalogue at training, and what comes later."""

import numpy as np
import polars as pl
import pytest

from kuapin.arrivals import Arrivals
from kuapin.config import Config
from kuapin.errors import InputError, ModelFolderError
from kuapin.pipeline import assess as assessing
from kuapin.pipeline.assess import assess
from kuapin.pipeline.train import train
from kuapin.progress import Silent
from kuapin.ranking.safety import SCHEMA, SafetyConfig
from kuapin.ranking.safety_classifier import TextClassifier
from kuapin.workspace import Shop
from tests import market
from tests.classifier import tiny

NO_LABELS = pl.DataFrame(schema=dict.fromkeys(["item_id", "task", "label"], pl.String))
EVERYTHING = {"block_above": 99.0, "doubt_above": 98.0, "classifier_above": 1e-9}


@pytest.fixture
def folder(tmp_path):
    return tiny(tmp_path / "judge", ["fine", "rude"])


def shop_with(tmp_path, classifier) -> Shop:
    shop = Shop.init(tmp_path / "shop")
    said = f'[safety]\nclassifier = "{classifier}"\nclassifier_labels = ["rude"]\nclassifier_above = 1e-9'
    path = shop.path / "kuapin.toml"
    head, _, rest = path.read_text(encoding="utf-8").partition("[safety]")
    path.write_text(head + said + "\n\n[" + rest.partition("\n[")[2], encoding="utf-8")
    return Shop.open(shop.path)


def test_the_catalogue_is_read_at_training(folder, tmp_path, monkeypatch):
    vectors = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    monkeypatch.setattr(assessing, "cached_vectors", lambda _, __, texts, ___: vectors[: len(texts)])
    settings = {"classifier": str(folder), "classifier_labels": ("rude",), **EVERYTHING}
    items = market.items().head(5)
    made = assess(items, NO_LABELS, None, Config(safety=SafetyConfig(**settings)), vectors[:5], tmp_path)
    assert made["decision"].to_list() == ["block"] * 5
    assert made["code"].unique().to_list() == [str(folder)]
    assert made["reason"].str.contains(r"reads it as rude \(0\.\d\d\)$").all()


def test_what_was_read_is_not_read_again(folder, tmp_path, monkeypatch):
    read, real, steps = [], TextClassifier.logits, []

    class Noted(Silent):
        def step(self, title, total=None, unit=""):
            steps.append((title, total, unit))
            return super().step(title, total, unit)

    monkeypatch.setattr(TextClassifier, "logits", lambda self, texts: read.extend(texts) or real(self, texts))
    texts = pl.Series(["oak lamp", "mint soap", "oak lamp", "a cruel knife"])
    config = SafetyConfig(classifier=str(folder), classifier_labels=("rude",))
    judge = TextClassifier.open(config)
    first = assessing._opinions(judge, texts[:3], tmp_path / "vectors", Noted())
    assert first == [pytest.approx(one) for one in judge.opinions(texts[:3])]
    assert sorted(read) == 2 * ["mint soap"] + 2 * ["oak lamp"]
    read.clear()
    again = assessing._opinions(judge, texts, tmp_path / "vectors", Noted())
    assert read == ["a cruel knife"]
    assert again[:3] == first
    assert steps == [("Classifying texts", 2, "texts"), ("Classifying texts", 1, "texts")]
    other = TextClassifier.open(config.model_copy(update={"classifier": str(tiny(tmp_path / "b", ["rude", "fine"]))}))
    assessing._opinions(other, texts, tmp_path / "vectors", Noted())
    assert len(read) == 4


def test_an_item_that_comes_later_is_read_as_well(folder, tmp_path):
    arrivals = Arrivals(shop_with(tmp_path, folder), tmp_path / "r1")
    made = arrivals._decided(market.items().head(2), None)
    assert made.select("decision", "code").rows() == [("block", str(folder))] * 2


def test_no_item_comes_in_unread(tmp_path):
    arrivals = Arrivals(shop_with(tmp_path, tmp_path / "nowhere"), tmp_path / "r1")
    with pytest.raises(
        ModelFolderError, match=r"^Release r1 takes no new items here: safety\.classifier '\S+/nowhere'"
    ):
        arrivals._decided(market.items().head(2), None)


def test_where_nothing_came_no_model_is_wanted(tmp_path):
    arrivals = Arrivals(shop_with(tmp_path, tmp_path / "nowhere"), tmp_path / "r1")
    assert arrivals.decided(market.items().head(0)).equals(pl.DataFrame(schema=SCHEMA))


def test_a_missing_model_is_told_before_anything_is_encoded(tmp_path, monkeypatch):
    shop = shop_with(tmp_path, tmp_path / "nowhere")
    market.items().write_parquet(tmp_path / "items.parquet")
    market.log(n_users=5).write_parquet(tmp_path / "log.parquet")
    shop.import_files(items=tmp_path / "items.parquet", interactions=tmp_path / "log.parquet")
    monkeypatch.setattr("kuapin.pipeline.train.open_encoder", lambda *_: pytest.fail("encoded first"))
    with pytest.raises(InputError, match=r"^safety\.classifier '\S+/nowhere': there is no such folder"):
        train(shop)
