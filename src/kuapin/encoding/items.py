"""The vectors of a catalogue: the one call that everything behind encoding builds on."""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.encoding.cache import VectorCache, text_key
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.progress import SILENT, Progress, Step
from kuapin.text.masking import MASKER_VERSION
from kuapin.text.template import TextConfig, render, render_titles

FLUSH_SECONDS = 5.0
"""At most about so much work is lost when a run is interrupted."""
CHUNK = 2048
"""Texts between two looks at the clock."""
SAMPLED = 1_000
"""Texts at most by which it is judged whether the model can read the language."""
UNREAD = 0.4
"""Share of unknown tokens above which it cannot: Chinese titles under an English model have .6, English ones 0."""


def item_vectors(
    items: pl.DataFrame, text: TextConfig, encoding: EncodingConfig, folder: Path, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Unit-length text vectors of all items, in the order of the rows: float32 (n_items, d).

    Only texts that ``folder`` does not hold yet are encoded; an interrupted run goes on where it was.

    Args:
        items: the items table.
        text: how an item becomes a text.
        encoding: how a text becomes a vector.
        folder: the workspace's ``vectors/``: compiled encoders in ``encoders/``, vectors beside it.
        progress: told of compiling and encoding.

    Raises:
        InputError: the backbone does not exist or lacks a part.
        MissingExtraError: the encoder has to be compiled, which needs the train extra.
    """
    texts = render(items, text)
    encoder = open_encoder(encoding, folder / "encoders", texts.to_list(), progress)
    return encoded(encoder, text, items, texts, folder, progress)


def encoded(
    encoder: Encoder, text: TextConfig, items: pl.DataFrame, texts: pl.Series, folder: Path, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """As ``item_vectors``, of items whose texts are known, by an open encoder: float32 (n_items, d).

    What a category and a brand say is alike for many items; the title by itself tells them apart. So an item is the
    sum of both readings, the title's with its weight, at unit length; one without a title is its text.
    """
    return _with_titles(lambda said, how: cached_vectors(encoder, how, said, folder, progress), text, items, texts)


def encoded_now(encoder: Encoder, text: TextConfig, items: pl.DataFrame) -> NDArray[np.float32]:
    """As ``encoded``, of a few items, without a cache: float32 (n_items, d)."""
    return _with_titles(lambda said, _: encoder.encode(said), text, items, render(items, text))


def _with_titles(
    vectors_of: Callable[[list[str], TextConfig], NDArray[np.float32]],
    text: TextConfig,
    items: pl.DataFrame,
    texts: pl.Series,
) -> NDArray[np.float32]:
    vectors = vectors_of(texts.to_list(), text)
    if text.title_alone is None:
        return vectors
    titles = render_titles(items, text)
    titled = (titles != "").to_numpy()
    if not titled.any():
        return vectors
    alone = vectors_of(titles.filter(titled).to_list(), text.title_alone)
    vectors[titled] += np.float32(text.title_weight) * alone
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)


def cached_vectors(
    encoder: Encoder, text: TextConfig, texts: list[str], folder: Path, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Vectors of masked texts, float32 (n, d), from the cache where it has them.

    Args:
        encoder: encodes what is missing.
        text: the template that wrote the texts; it is part of the key.
        texts: as ``render`` gives them.
        folder: holds the cache.
        progress: told of the texts that are encoded.
    """
    cache = VectorCache(folder / cache_name(encoder, text), encoder.dimension)
    keys = [text_key(one) for one in texts]
    missing = {key: one for key, one in zip(keys, texts, strict=True) if key not in cache}
    if missing:
        _warn_of_unread(encoder, list(missing.values()))
        fill(cache, encoder.encode, missing, progress.step("Encoding texts", len(missing), "texts"))
    return cache.get(keys)


def _warn_of_unread(encoder: Encoder, texts: list[str]) -> None:
    """Say so where the model cannot read the language: Chinese under an English vocabulary is mostly unknown."""
    some = texts[:: len(texts) // SAMPLED + 1]
    unknown = encoder.unknown_share(some)
    if unknown > UNREAD:
        warnings.warn(
            f"{unknown:.0%} of what the texts say is not in the language model's vocabulary: it cannot read them. Set "
            'encoding.backbone = "e5" in kuapin.toml (many languages, Chinese too), or a backbone of their language.',
            stacklevel=2,
        )


def cache_name(encoder: Encoder, text: TextConfig) -> str:
    """The folder of the vectors of one encoder (its engine, precision and longest text included) and one template."""
    parts = [encoder.fingerprint, text.template, text.max_characters, MASKER_VERSION]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def fill(
    cache: VectorCache,
    read: Callable[[list[str]], NDArray[np.float32]],
    missing: Mapping[bytes, str],
    steps: AbstractContextManager[Step],
) -> None:
    """Read texts into a cache, the longest first, and flush every few seconds, whatever ends the loop.

    Args:
        cache: gets the vectors.
        read: texts → float32 (n, d).
        missing: key → text.
        steps: told of every text.
    """
    order = sorted(missing, key=lambda key: len(missing[key]), reverse=True)
    keys: list[bytes] = []
    vectors: list[NDArray[np.float32]] = []

    def flush() -> None:
        if keys:
            cache.add(keys, np.concatenate(vectors))
            keys.clear()
            vectors.clear()

    with steps as step:
        flushed = time.monotonic()
        try:
            for start in range(0, len(order), CHUNK):
                chunk = order[start : start + CHUNK]
                vectors.append(read([missing[key] for key in chunk]))
                keys.extend(chunk)
                step.advance(len(chunk))
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    flush()
                    flushed = time.monotonic()
        finally:
            flush()
