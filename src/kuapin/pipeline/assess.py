"""Which items of a shop may stand in its lists: decided at training, with the shop's own encoder and labels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.dataset import build_catalogue
from kuapin.data.vocabulary import Vocabulary
from kuapin.encoding.cache import VectorCache, text_key
from kuapin.encoding.compiled import hash_folder
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import cached_vectors, fill
from kuapin.progress import SILENT, Progress
from kuapin.ranking.safety import ALLOW, TASK, Examples, Opinion, decide, example_titles, languages_of, texts_of
from kuapin.ranking.safety_classifier import LONGEST, TextClassifier
from kuapin.ranking.safety_judge import Judge
from kuapin.text.template import render, render_titles


def assess(
    items: pl.DataFrame,
    labels: pl.DataFrame,
    encoder: Encoder,
    config: Config,
    vectors: NDArray[np.float32],
    folder: Path,
) -> pl.DataFrame:
    """The decision on every item, with its reason: the columns of ``ranking.safety.SCHEMA``; see ``judged``."""
    return judged(items, labels, encoder, config, vectors, folder)[0]


def judged(
    items: pl.DataFrame,
    labels: pl.DataFrame,
    encoder: Encoder,
    config: Config,
    vectors: NDArray[np.float32],
    folder: Path,
    progress: Progress = SILENT,
) -> tuple[pl.DataFrame, Judge]:
    """The decision on every item, and what judges items that come later.

    Args:
        items: the items table.
        labels: the labels table; what people said under the task ``safety`` teaches the classifier.
        encoder: of the shop.
        config: of the shop.
        vectors: float32 (n_items, d), text vectors of the items; taken for the titles' where titles are not read apart.
        folder: the cache of vectors, which has the titles' from the training, and of what the shop's
            text-classification model said.
        progress: told of the texts that this model reads.
    """
    alone = config.text.title_alone
    read = alone or config.text
    titles = render_titles(items, config.text) if alone else render(items, config.text)
    of_titles = vectors.copy()
    if alone:
        titled = (titles != "").to_numpy()
        of_titles[titled] = cached_vectors(encoder, alone, titles.filter(titled).to_list(), folder)
    harmful, harmless = example_titles(languages_of(titles))
    examples = Examples(*(cached_vectors(encoder, read, part, folder) for part in (harmful, harmless)))
    mine = labels.filter(pl.col(c.TASK) == TASK)
    said = np.full(items.height, -1, np.int8)
    rows = Vocabulary(items[c.ITEM_ID], "item").rows(mine[c.ITEM_ID])
    said[rows[rows >= 0]] = (mine[c.LABEL] != ALLOW).to_numpy()[rows >= 0]
    catalogue = build_catalogue(items)
    judge, margin = Judge.fit(of_titles, examples, said, config.seed, catalogue.leaf, catalogue.leaves)
    classifier = TextClassifier.open(config.safety)
    opinions = None if classifier is None else _opinions(classifier, texts_of(items), folder, progress)
    return decide(items, margin, config.safety, opinions), judge


def _opinions(classifier: TextClassifier, texts: pl.Series, folder: Path, progress: Progress) -> list[Opinion]:
    """What a model says of texts, those alone read that it has not read before."""
    name = hashlib.sha256(json.dumps([hash_folder(classifier.folder), LONGEST]).encode()).hexdigest()[:20]
    cache = VectorCache(folder / name, len(classifier.labels))

    def read(known: list[str]) -> NDArray[np.float32]:
        keys = [text_key(text) for text in known]
        missing = {key: text for key, text in zip(keys, known, strict=True) if key not in cache}
        if missing:
            fill(cache, classifier.logits, missing, progress.step("Classifying texts", len(missing), "texts"))
        return cache.get(keys)

    return classifier.opinions(texts, read)
