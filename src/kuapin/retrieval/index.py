"""Nearest items by vector: exact, the reference, and HNSW, a tenth of the time for nearly the same answer."""

from functools import partial
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from kuapin.errors import ModelFolderError
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.selection import Best, top_by_user
from kuapin.retrieval.source import Scores

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]

VECTORS_FILE = "vectors.safetensors"
GRAPH_FILE = "hnsw.usearch"
CONFIG_FILE = "hnsw.json"
BLOCK_BYTES = 64 * 2**20
"""Size of the scores computed at a time."""
DENSE_SHARE = 0.2
"""Above this share of allowed rows, scoring all rows in one sweep is faster than picking the allowed ones out."""


class ItemIndex(Protocol):
    """Finds the items whose vectors have the largest inner product with a query."""

    def __len__(self) -> int:
        """Number of items."""

    def search(self, queries: Scores, n: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """The best ``n`` items of every query.

        Args:
            queries: float32 (q, d).
            n: how many.
            mask: bool (n_items,), the items that may be found; ``None`` means all.

        Returns:
            Item rows int32 (q, n), best first, ties by row, and inner products float32 (q, n). Where fewer than
            ``n`` items may be found, the rest is -1 and -inf; never otherwise.
        """

    def save(self, folder: Path) -> None:
        """Write the index into an existing folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: a file is missing, damaged, or does not fit the others.
        """


class ExactIndex:
    """Inner products with every item, in float32: the reference.

    Args:
        vectors: float32 (n_items, d); kept, not copied where it is contiguous.
    """

    def __init__(self, vectors: Scores) -> None:
        self.vectors = np.ascontiguousarray(vectors, np.float32)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: Scores, n: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """The best ``n`` items of every query; see ``ItemIndex``."""
        queries = np.asarray(queries, np.float32)
        rows = np.full((len(queries), n), -1, np.int32)
        scores = np.full((len(queries), n), -np.inf, np.float32)
        allowed = None if mask is None else np.flatnonzero(mask)
        few = allowed is not None and len(allowed) < DENSE_SHARE * len(self)
        vectors = self.vectors[allowed] if few else self.vectors
        height = max(1, BLOCK_BYTES // (4 * max(len(vectors), 1)))
        for first in range(0, len(queries), height):
            block = queries[first : first + height]
            # One query reads the vectors once, at the speed of memory: a second thread, as in BLAS's matrix-vector
            # product, gains little on a quiet machine and doubles the time on a busy one.
            products = np.vecdot(vectors, block[0])[None] if len(block) == 1 else block @ vectors.T
            if mask is not None and not few:
                np.copyto(products, -np.inf, where=~mask)
            best = top_by_user(partial(_best, products, n), len(block))
            place = np.repeat(np.arange(len(block)), np.diff(best.indptr))
            column = np.arange(len(place)) - best.indptr[place]
            rows[first + place, column] = allowed[best.items] if few and allowed is not None else best.items
            scores[first + place, column] = best.scores
        return rows, scores

    def save(self, folder: Path) -> None:
        """Write ``vectors.safetensors``."""
        save_file({"vectors": self.vectors}, folder / VECTORS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``vectors.safetensors``; see ``ItemIndex``."""
        try:
            return cls(load_file(folder / VECTORS_FILE)["vectors"])
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelFolderError(f"{folder / VECTORS_FILE} cannot be read ({error}). Train again.") from error


def _best(products: Scores, n: int, query: int) -> Best:
    columns = best_columns(products[query], n)
    return columns, products[query, columns]


class HnswConfig(BaseModel):
    """The graph of an HNSW index (Malkov, Yashunin 2018): larger is more exact, slower and bigger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connectivity: int = Field(32, ge=4, le=128, description="Links of an item to others (M).")
    expansion_add: int = Field(128, ge=8, description="Candidates looked at when an item is added (efConstruction).")
    expansion_search: int = Field(128, ge=8, description="Candidates looked at in a search (efSearch).")


class HnswIndex:
    """HNSW over bfloat16 vectors (usearch), the candidates scored again in float32.

    A filtered search goes the cheaper way: few allowed items are scored exactly; of many, more than ``n`` candidates
    are fetched from the graph and the allowed ones kept. Queries for which that leaves fewer than ``n`` are answered
    exactly, so that no filter shortens a list. The graph is built by several threads: two builds differ in the links
    of a few items.

    Args:
        vectors: float32 (n_items, d), kept for the exact scores.
        config: of the graph.
    """

    def __init__(self, vectors: Scores, config: HnswConfig | None = None) -> None:
        from usearch.index import Index

        self.config = config or HnswConfig()
        self.exact = ExactIndex(vectors)
        self.graph = Index(
            ndim=max(self.exact.vectors.shape[1], 1),
            metric="ip",
            dtype="bf16",
            connectivity=self.config.connectivity,
            expansion_add=self.config.expansion_add,
            expansion_search=self.config.expansion_search,
        )
        if len(self):
            self.graph.add(np.arange(len(self), dtype=np.uint64), self.exact.vectors)

    def __len__(self) -> int:
        return len(self.exact)

    def search(self, queries: Scores, n: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """The best ``n`` items of every query; see ``ItemIndex``."""
        queries = np.asarray(queries, np.float32)
        allowed = len(self) if mask is None else int(np.count_nonzero(mask))
        fetched = self._fetched(n, allowed)
        if fetched is None:
            return self.exact.search(queries, n, mask)
        rows = np.full((len(queries), n), -1, np.int32)
        scores = np.full((len(queries), n), -np.inf, np.float32)
        short = []
        for place, keys in enumerate(self._candidates(queries, fetched)):
            keys = keys if mask is None else keys[mask[keys]]
            if len(keys) < min(n, allowed):
                short.append(place)
                continue
            products = self.exact.vectors[keys] @ queries[place]
            columns = best_columns(products, n)
            rows[place], scores[place] = keys[columns], products[columns]
        if short:
            rows[short], scores[short] = self.exact.search(queries[short], n, mask)
        return rows, scores

    def _candidates(self, queries: Scores, count: int) -> list[Rows]:
        """Rows of about ``count`` near items of every query, ascending."""
        if len(queries) == 0:
            return []
        found = self.graph.search(queries, count)
        keys = [found.keys] if len(queries) == 1 else [row[:k] for row, k in zip(found.keys, found.counts, strict=True)]
        return [np.sort(one.astype(np.int32)) for one in keys]

    def _fetched(self, n: int, allowed: int) -> int | None:
        """How many candidates to fetch from the graph; ``None``: scoring the allowed items is cheaper."""
        if allowed <= n:
            return None
        fetched = n + n // 2 if allowed == len(self) else 2 * n * len(self) // allowed
        visited = max(fetched, self.config.expansion_search)
        # Visiting a node of the graph costs about ten times as much as scoring an item.
        return fetched if 10 * visited < allowed else None

    def save(self, folder: Path) -> None:
        """Write ``vectors.safetensors``, ``hnsw.usearch`` and ``hnsw.json``."""
        self.exact.save(folder)
        self.graph.save(str(folder / GRAPH_FILE))
        (folder / CONFIG_FILE).write_text(self.config.model_dump_json(indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the three files; see ``ItemIndex``."""
        from usearch.index import Index

        index = cls.__new__(cls)
        index.exact = ExactIndex.load(folder)
        try:
            index.config = HnswConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())
            graph = Index.restore(str(folder / GRAPH_FILE)) if (folder / GRAPH_FILE).is_file() else None
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelFolderError(f"The HNSW index in {folder} cannot be read ({error}). Train again.") from error
        if graph is None or (graph.size, graph.ndim) != index.exact.vectors.shape:
            raise ModelFolderError(
                f"{folder / GRAPH_FILE} is missing or does not fit {VECTORS_FILE} beside it. Train again."
            )
        graph.expansion_search = index.config.expansion_search  # usearch does not store it
        index.graph = graph
        return index
