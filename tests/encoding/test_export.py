"""Poolings, projections and prefixes of sentence-transformers folders, on a tiny random model, against that library."""

import json
import logging
import shutil
import warnings

import numpy as np
import pytest

from kuapin.encoding.backbone import BUNDLED, find_folder
from kuapin.encoding.export import quietly
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig

pytestmark = pytest.mark.model

TEXTS = ["red pen", "a blue pen for children and a ruler", "", "serum"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A BERT of two layers with random weights and MiniLM's tokenizer."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("tiny")
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    source = find_folder(next(iter(BUNDLED)))
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy2(source / name, folder / name)
    return folder


def sentence_transformers_vectors(folder, pooling, prefix=""):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

    words = Transformer(str(folder))
    pooled = Pooling(words.get_embedding_dimension(), pooling)
    model = SentenceTransformer(modules=[words, pooled, Dense(32, 8), Normalize()], device="cpu")
    target = folder.parent / f"{folder.name}-{pooling}"
    model.save(str(target))
    if prefix:
        path = target / "config_sentence_transformers.json"
        said = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**said, "prompts": {"passage": prefix}}), encoding="utf-8")
    return target, model.encode([prefix + text for text in TEXTS])


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken", "max"])
def test_poolings_and_projections_agree_with_sentence_transformers(tiny, tmp_path, pooling):
    folder, expected = sentence_transformers_vectors(tiny, pooling, prefix="passage: " if pooling == "mean" else "")
    for engine in ("torch", "openvino"):
        config = EncodingConfig(backbone=str(folder), engine=engine, precision="f32")
        vectors = open_encoder(config, tmp_path, TEXTS).encode(TEXTS)
        assert vectors.shape == (len(TEXTS), 8)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_plain_transformers_folder_is_mean_pooled_and_quantised(tiny, tmp_path):
    config = EncodingConfig(backbone=str(tiny), engine="openvino", precision="int8")
    texts = [f"{colour} pen number {n}" for n in range(10) for colour in ("red", "blue", "green")]
    encoder = open_encoder(config, tmp_path, texts)
    assert encoder.description.pooling == "mean"
    vectors = encoder.encode(texts)
    exact = open_encoder(config.model_copy(update={"precision": "f32"}), tmp_path, texts).encode(texts)
    assert (vectors * exact).sum(axis=1).min() > 0.98


def test_whoever_is_quiet_last_undoes_it():
    """As threads do, neither within the other."""
    pytest.importorskip("transformers")
    before = logging.getLogger().level, list(warnings.filters)
    first, second = quietly(), quietly()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert logging.getLogger().level == logging.ERROR
    second.__exit__(None, None, None)
    assert (logging.getLogger().level, list(warnings.filters)) == before
