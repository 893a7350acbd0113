"""The projection that whitens: by hand, and in a run that saves, loads and resumes like any other."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.encoding.export import sentence_module
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.errors import InputError
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import load_change
from kuapin.finetuning.reader import open_reader
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.whitening import add_projection, fit_projection
from kuapin.retrieval.whitening import fit_whitening, whiten

torch = pytest.importorskip("torch")
LOOP = TrainingConfig(
    max_steps=4, evaluate_every=100, learning_rate=1e-2, precision="f32", tracker="none", batch_size=8
)


def test_two_axes_by_hand():
    """Points ±2 on the first axis and ±1 on the second: variances 2 and ½; of many, without shrinkage, 1/√2 and √2."""
    four = np.array([[2, 0], [-2, 0], [0, 1], [0, -1]], np.float32) + np.float32(3)
    points = np.tile(four, (100_000, 1))
    found = fit_whitening(points, 1e-9)
    mean, matrix = found.mean, found.axes
    assert mean.tolist() == pytest.approx([3, 3])
    white = (points - mean) @ matrix
    np.testing.assert_allclose(np.abs(white[:4]).max(axis=1), [2**0.5] * 4, rtol=1e-4)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(2), atol=1e-4)
    shrunk = fit_whitening(points, 1.0).axes  # mean variance 1.25
    np.testing.assert_allclose(np.sort(np.abs(shrunk).max(axis=0)), np.sort([3.25**-0.5, 1.75**-0.5]), rtol=1e-4)
    few = fit_whitening(four, 1e-9).axes  # two axes of four points: as shrunk by 1
    np.testing.assert_allclose(np.sort(np.abs(few).max(axis=0)), np.sort([3.25**-0.5, 1.75**-0.5]), rtol=1e-5)


def test_few_vectors_are_not_driven_apart():
    """A plain whitening of fifty points in a hundred dimensions makes all cosines alike."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 100))
    points = (centres.repeat(10, axis=0) + 0.5 * rng.normal(size=(50, 100))).astype(np.float32)
    white = whiten(points)
    cosine = white @ white.T
    own = np.kron(np.eye(5), np.ones((10, 10))).astype(bool) & ~np.eye(50, dtype=bool)
    assert cosine[own].mean() > 0.3  # .03 without


def test_the_projection_gives_what_whitening_the_vectors_gives(bert, material):
    backbone = Backbone.resolve(str(bert))
    tokens, texts = Tokens(backbone, 64), list(dict.fromkeys(material.texts))
    reader = open_reader(backbone)
    reader.eval()
    with torch.inference_mode():
        plain = reader.pooled(**tokens(texts)).numpy()
    add_projection(reader)
    fit_projection(reader, tokens, texts, 0.2, 8)
    with torch.inference_mode():
        np.testing.assert_allclose(reader.vectors(**tokens(texts)).numpy(), whiten(plain, 0.2), atol=2e-4)
        assert reader.pooled(**tokens(texts)).norm(dim=1).mean().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("strategy", ["full", "lora", "head-only"])
def test_a_whitened_run_ends_white_and_loads_again(bert, material, tmp_path, strategy):
    config = FinetuningConfig(strategy=strategy, training=LOOP, whitening={"on": True, "shrinkage": 0.01})
    (tmp_path / "run").mkdir()
    backbone = Backbone.resolve(str(bert))
    done = adapt(material, config, backbone, tmp_path / "run", tmp_path / "new")
    new = Backbone.resolve(str(done.folder))
    assert len(new.dense) == (2 if strategy == "head-only" else 1)
    texts = list(dict.fromkeys(material.texts))
    reader, _, _ = load_change(done.folder / CHANGE, backbone)
    batch = Tokens(backbone, 64)(texts)
    with torch.inference_mode():
        saved = sentence_module(new.folder, new.pooling, new.dense)(**batch).numpy()
        np.testing.assert_allclose(saved, reader.vectors(**batch).numpy(), atol=1e-5)
        pooled = reader.pooled(**batch).numpy()
    np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-3)


def test_titles_stand_for_items_where_asked(material):
    short = replace(material, titles=("", *material.titles[1:])).titles_as_texts()
    assert short.texts[0] == material.texts[0]
    assert short.texts[1] == material.titles[1] != material.texts[1]


@pytest.mark.parametrize("strategy", ["top-layers", "lora"])
def test_without_a_step_pooling_and_whitening_are_all_that_is_new(bert, material, tmp_path, strategy):
    """What is written is the start's own ends, each whitened; the search is told how good that is."""
    loop = LOOP.model_copy(update={"max_steps": 0, "soup": 3})
    config = FinetuningConfig(strategy=strategy, training=loop, pooling="ends", whitening={"on": True})
    (tmp_path / "run").mkdir()
    told = []
    done = adapt(
        material, config, Backbone.resolve(str(bert)), tmp_path / "run", tmp_path / "new",
        watch=lambda *seen: told.append(seen),
    )  # fmt: skip
    outcome = done.outcome
    assert (outcome.steps, outcome.planned, outcome.averaged) == (0, 0, 1)
    assert outcome.after.values == pytest.approx(outcome.before.values)
    ((step, metrics),) = outcome.curve
    assert told == [(step, metrics["mrr"])] == [(0, metrics["mrr"])]
    start, new = (open_reader(Backbone.resolve(str(folder))) for folder in (bert, done.folder))
    for name, weights in start.backbone.state_dict().items():
        torch.testing.assert_close(new.backbone.state_dict()[name], weights)
    texts, new_backbone = list(dict.fromkeys(material.texts)), Backbone.resolve(str(done.folder))
    assert (new_backbone.pooling, len(new_backbone.dense)) == ("ends", 1)
    new.eval()
    with torch.inference_mode():
        white = new.pooled(**Tokens(new_backbone, 64)(texts)).numpy()
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("strategy", ["full", "lora", "prefix", "bottleneck"])
def test_both_ends_are_read_saved_and_exported(bert, material, tmp_path, strategy):
    config = FinetuningConfig(strategy=strategy, training=LOOP, pooling="ends", whitening={"on": True})
    (tmp_path / "run").mkdir()
    backbone = Backbone.resolve(str(bert))
    done = adapt(material, config, backbone, tmp_path / "run", tmp_path / "new")
    new = Backbone.resolve(str(done.folder))
    assert new.pooling == "ends"
    texts = list(dict.fromkeys(material.texts))[:40]
    reader, _, _ = load_change(done.folder / CHANGE, backbone)
    with torch.inference_mode():
        tuned = reader.vectors(**Tokens(new, 32)(texts)).numpy()
    assert tuned.shape == (len(texts), 32)
    chosen = EncodingConfig(backbone=str(done.folder), precision="f32", threads=1)
    np.testing.assert_allclose(open_encoder(chosen, tmp_path / "encoders", texts).encode(texts), tuned, atol=1e-3)


def test_the_ends_are_the_means_of_embeddings_and_last_layer(bert):
    backbone = replace(Backbone.resolve(str(bert)), pooling="ends")
    reader = open_reader(backbone)
    reader.eval()
    batch = Tokens(backbone, 64)(["rose soap", "oak lamp tall"])
    with torch.inference_mode():
        states = reader.backbone(**batch, output_hidden_states=True).hidden_states
        n = int(batch["attention_mask"][0].sum())
        expected = torch.cat([states[0][0, :n].mean(dim=0), states[2][0, :n].mean(dim=0)])
        torch.testing.assert_close(reader.pooled(**batch)[0], expected)


def test_another_pooling_is_refused_where_projections_stand_behind_the_backbone(bert, material, tmp_path):
    (tmp_path / "run").mkdir()
    config = FinetuningConfig(strategy="head-only", training=LOOP)
    adapt(material, config, Backbone.resolve(str(bert)), tmp_path / "run", tmp_path / "new")
    (tmp_path / "again").mkdir()
    with pytest.raises(InputError, match="has projections that were made for mean"):
        adapt(
            material,
            config.model_copy(update={"pooling": "ends"}),
            Backbone.resolve(str(tmp_path / "new")),
            tmp_path / "again",
            tmp_path / "newer",
        )
