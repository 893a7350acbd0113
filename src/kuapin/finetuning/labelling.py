"""Which labels would teach a classifier most, and which it may give itself: active learning and pseudo-labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.extras import require
from kuapin.finetuning.change import Change
from kuapin.finetuning.objective import batches, to_device
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.tokens import Tokens

Matrix = NDArray[np.float32]
POOL = 10
"""Candidates for every item that is suggested: the least sure ones, of which the most different are taken."""


def classified(
    reader: Reader, change: Change, tokens: Tokens, titles: Sequence[str], batch_size: int = 64
) -> tuple[Matrix, Matrix]:
    """What a tuned classifier says of titles.

    Args:
        reader: as ``load_change`` gives it.
        change: of the reader; its facts name labels and kind.
        tokens: of its backbone.
        titles: n of them.
        batch_size: titles at a time.

    Returns:
        Probabilities float32 (n, labels), rows summing to 1 unless the kind is multi-label; unit vectors (n, d).
    """
    torch = require("torch", "train")
    order = sorted(range(len(titles)), key=lambda place: len(titles[place]))
    said = np.empty((len(titles), len(change.facts["labels"])), np.float32)
    vectors: Matrix | None = None
    with torch.inference_mode():
        for part in batches(order, batch_size):
            batch = to_device(tokens([titles[place] for place in part]), reader)
            pooled = reader.pooled(**batch)
            logits = reader.head(pooled).float()
            if change.facts["kind"] == "multi-class":
                chances = logits.softmax(dim=1)
            else:
                chances = logits.sigmoid()
                if change.facts["kind"] == "binary":
                    chances = torch.cat([1 - chances, chances], dim=1)
            said[part] = chances.cpu().numpy()
            unit = torch.nn.functional.normalize(pooled.float(), dim=1).cpu().numpy()
            vectors = np.empty((len(titles), unit.shape[1]), np.float32) if vectors is None else vectors
            vectors[part] = unit
    return said, np.empty((0, 0), np.float32) if vectors is None else vectors


def margins(chances: Matrix, kind: str) -> NDArray[np.float32]:
    """How sure a classifier is, float32 (n,), 0 where it cannot tell.

    The difference of the two greatest probabilities (Scheffer et al. 2001); of multi-label the least |2 p − 1|.

    Args:
        chances: float32 (n, labels).
        kind: of the labels.
    """
    if kind == "multi-label":
        return np.asarray(np.abs(2 * chances - 1).min(axis=1))
    best = np.partition(chances, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def spread(vectors: Matrix, known: NDArray[np.integer], candidates: NDArray[np.integer], n: int) -> NDArray[np.intp]:
    """Candidates that lie far from what is labelled and from each other (k-centre greedy, Sener and Savarese 2018).

    Args:
        vectors: unit vectors float32 (items, d).
        known: rows that are labelled already.
        candidates: rows to choose from, the most wanted first; of equal distances the first is taken.
        n: how many.

    Returns:
        Rows, in the order in which they were chosen.
    """
    own = vectors[candidates]
    near = (own @ vectors[known].T).max(axis=1) if len(known) else np.full(len(candidates), -2.0)
    chosen: list[int] = []
    for _ in range(min(n, len(candidates))):
        place = int(np.argmin(near))
        chosen.append(place)
        near = np.maximum(near, own @ own[place])
        near[chosen] = np.inf
    return np.asarray(candidates)[chosen]


def worth_labelling(
    chances: Matrix, kind: str, vectors: Matrix, known: NDArray[np.integer], free: NDArray[np.integer], n: int
) -> NDArray[np.intp]:
    """The items whose labels would teach most: the ``POOL`` · n least sure, thinned out to the n most different.

    Args:
        chances: float32 (items, labels).
        kind: of the labels.
        vectors: unit vectors float32 (items, d).
        known: rows that are labelled.
        free: rows that are not.
        n: how many.
    """
    order = np.argsort(margins(chances[free], kind), kind="stable")
    return spread(vectors, known, np.asarray(free)[order[: POOL * n]], n)
