"""Vectors of a catalogue and their cache, with an encoder that counts what it is asked."""

import hashlib
import warnings

import numpy as np
import polars as pl
import pytest

from kuapin.encoding import items as items_module
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import cached_vectors, encoded, item_vectors
from kuapin.encoding.settings import Description, EncodingConfig
from kuapin.text.template import TextConfig, render

TEXT = TextConfig(template="{title}")


class CountingEncoder(Encoder):
    """Random vectors by the hash of the text: the cache's own part is what is tested here."""

    def __init__(self, folder, precision="f32", fail_after=None):
        description = Description(
            backbone="test", weights_hash="w", graph_hash="g", pooling="mean", projections=0, prefix="",
            max_length=8, pad_id=0, dimension=4, engine="openvino", precision=precision, reason="test",
        )  # fmt: skip
        super().__init__(folder, description)
        self.asked = []
        self.fail_after = fail_after

    def _encode_window(self, texts, out, step):
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked += texts
        for row, text in enumerate(texts):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
            out[row] = np.random.default_rng(seed).standard_normal(4)
            out[row] /= np.linalg.norm(out[row])

    def save(self, folder):
        raise NotImplementedError


def titles(n):
    return [f"title {number}" for number in range(n)]


def test_a_second_run_encodes_nothing(tmp_path):
    first, second = CountingEncoder(tmp_path), CountingEncoder(tmp_path)
    one = cached_vectors(first, TEXT, [*titles(5), "title 0"], tmp_path)
    two = cached_vectors(second, TEXT, [*titles(5), "title 0"], tmp_path)
    assert sorted(first.asked) == titles(5)
    assert second.asked == []
    assert np.array_equal(one, two)
    assert np.array_equal(one[0], one[5])
    assert np.array_equal(one, CountingEncoder(tmp_path).encode([*titles(5), "title 0"]))


def test_only_a_changed_text_is_encoded(tmp_path):
    cached_vectors(CountingEncoder(tmp_path), TEXT, titles(5), tmp_path)
    encoder = CountingEncoder(tmp_path)
    cached_vectors(encoder, TEXT, [*titles(4), "another"], tmp_path)
    assert encoder.asked == ["another"]


@pytest.mark.parametrize(
    ("precision", "text"),
    [
        ("int8", TEXT),
        ("f32", TextConfig(template="{title}, {brand}")),
        ("f32", TextConfig(template="{title}", max_characters=99)),
    ],
)
def test_another_precision_or_template_shares_nothing(tmp_path, precision, text):
    cached_vectors(CountingEncoder(tmp_path), TEXT, titles(3), tmp_path)
    encoder = CountingEncoder(tmp_path, precision)
    cached_vectors(encoder, text, titles(3), tmp_path)
    assert sorted(encoder.asked) == titles(3)


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(items_module, "CHUNK", 10)
    with pytest.raises(KeyboardInterrupt):
        cached_vectors(CountingEncoder(tmp_path, fail_after=30), TEXT, titles(100), tmp_path)
    encoder = CountingEncoder(tmp_path)
    vectors = cached_vectors(encoder, TEXT, titles(100), tmp_path)
    assert len(encoder.asked) == 70
    assert np.array_equal(vectors, CountingEncoder(tmp_path).encode(titles(100)))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other size"])
def test_a_damaged_shard_is_left_out_and_encoded_again(tmp_path, damage):
    expected = cached_vectors(CountingEncoder(tmp_path), TEXT, titles(50), tmp_path)
    (shard,) = tmp_path.rglob("*.safetensors")
    content = shard.read_bytes()
    if damage == "other size":
        from safetensors.numpy import save

        shard.write_bytes(save({"hashes": np.zeros((1, 16), np.uint8)}))
    else:
        flipped = content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]
        shard.write_bytes({"truncated": content[:-10], "flipped": flipped, "empty": b""}[damage])
    encoder = CountingEncoder(tmp_path)
    with pytest.warns(UserWarning, match=r"safetensors: left out, .* encoded again"):
        vectors = cached_vectors(encoder, TEXT, titles(50), tmp_path)
    assert sorted(encoder.asked) == sorted(titles(50))
    assert np.array_equal(vectors, expected)
    again = CountingEncoder(tmp_path)
    cached_vectors(again, TEXT, titles(50), tmp_path)
    assert again.asked == []  # the damaged shard was replaced


def test_no_items(tmp_path):
    assert cached_vectors(CountingEncoder(tmp_path), TEXT, [], tmp_path).shape == (0, 4)


def test_a_language_that_the_model_cannot_read_is_told(tmp_path, monkeypatch):
    encoder = CountingEncoder(tmp_path)
    monkeypatch.setattr(encoder, "unknown_share", lambda texts: 0.6 if len(texts) <= 1_000 else 0.0)
    with pytest.warns(UserWarning, match=r"60% of what the texts say .* cannot read them"):
        cached_vectors(encoder, TEXT, titles(3_000), tmp_path)
    monkeypatch.setattr(encoder, "unknown_share", lambda _: 0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached_vectors(encoder, TEXT, titles(3_001), tmp_path)


def test_a_title_is_read_once_more_by_itself(tmp_path):
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["Rose soap", None], "brand": ["Ada", "Bo"]})
    items = items.with_columns(description=pl.lit("Words that the template does not ask for"))
    text = TextConfig(template="{title}, {brand}", title_weight=0.5)
    with pytest.warns(UserWarning, match="1 of 2 have no title"):
        texts = render(items, text)
    encoder = CountingEncoder(tmp_path)
    vectors = encoded(encoder, text, items, texts, tmp_path)
    assert sorted(encoder.asked) == ["Bo", "Rose soap", "Rose soap, Ada"]
    whole, alone = encoder.encode(["Rose soap, Ada"])[0], encoder.encode(["Rose soap"])[0]
    expected = whole + 0.5 * alone
    np.testing.assert_allclose(vectors[0], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_allclose(vectors[1], encoder.encode(["Bo"])[0], rtol=1e-6)  # nothing else speaks for it


@pytest.mark.parametrize(
    "text",
    [
        TextConfig(template="{title}, {brand}", title_weight=0),
        TextConfig(template="{title}"),
        TextConfig(template="{brand}"),
    ],
)
def test_a_title_that_says_nothing_more_is_not_read_again(text, tmp_path):
    items = pl.DataFrame({"item_id": ["a"], "title": ["Rose soap"], "brand": ["Ada"]})
    encoder = CountingEncoder(tmp_path)
    vectors = encoded(encoder, text, items, render(items, text), tmp_path)
    assert len(encoder.asked) == 1
    np.testing.assert_array_equal(vectors, encoder.encode(render(items, text).to_list()))


@pytest.mark.model
def test_item_vectors_end_to_end(tmp_path):
    rows = [
        ("a", "Rose soap"),
        ("b", "Rose soap, call 13812345678"),
        ("c", "Rose soap, call 13987654321"),
        ("d", "Oak table"),
    ]
    items = pl.DataFrame(rows, schema=["item_id", "title"], orient="row")
    config = EncodingConfig(precision="f32")
    vectors = item_vectors(items, TextConfig(), config, tmp_path)
    assert vectors.shape == (4, 384)
    assert np.array_equal(vectors[1], vectors[2])  # what told them apart was personal, and masked
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[3]
    assert np.array_equal(item_vectors(items.reverse(), TextConfig(), config, tmp_path), vectors[::-1])
