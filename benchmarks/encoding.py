"""Encoding against sentence-transformers' default ``encode``: texts per second, neighbours kept, cold start, memory.

The peer and every engine of ours encode the same titles in turn, several times over; a ratio is taken within a round,
so that a busy machine slows both down. Agreement is the share of a title's top-10 neighbours (by the peer's float32
vectors) that it keeps.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import (
    Figure,
    data_set,
    interval,
    parse_arguments,
    print_table,
    run_fresh,
    write_result,
)
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig

VARIANTS = {
    "int8": EncodingConfig(engine="openvino", precision="int8"),
    "bf16": EncodingConfig(engine="openvino", precision="bf16"),
    "f32": EncodingConfig(engine="openvino", precision="f32"),
    "onnx_int8": EncodingConfig(engine="onnx", precision="int8"),
    "onnx_f32": EncodingConfig(engine="onnx", precision="f32"),
    "torch_f32": EncodingConfig(engine="torch", precision="f32"),
    "torch_bf16": EncodingConfig(engine="torch", precision="bf16"),
}
QUICK = ("int8", "bf16")
NEIGHBOURS = 10
COLD = """
import sys
from pathlib import Path
from kuapin.encoding.opening import load_encoder
load_encoder(Path(sys.argv[1])).encode(Path(sys.argv[2]).read_text(encoding="utf-8").split("\\n"))
assert "torch" not in sys.modules
"""
Vectors = NDArray[np.float32]


def main() -> None:
    """Measure, print, write ``results/encoding.json``."""
    arguments = parse_arguments(__doc__)
    folder = arguments.folder or data_set("amazon18_arts_office")
    seed = (arguments.seeds or (0,))[0]
    catalogue = pl.read_parquet(folder / "items.parquet")["title"].drop_nulls().unique(maintain_order=True)
    titles = catalogue.sample(min(1000 if arguments.quick else 3000, len(catalogue)), seed=seed).to_list()
    with tempfile.TemporaryDirectory() as scratch:
        encoders = {
            name: open_encoder(config, Path(scratch) / "encoders", catalogue.to_list())
            for name, config in VARIANTS.items()
            if name in QUICK or not arguments.quick
        }
        seconds, vectors = measure(titles, encoders, rounds=3 if arguments.quick else 7)
        figures = compare(seconds, vectors, len(titles))
        figures |= cold_start(encoders["int8"], titles, Path(scratch), repeats=3 if arguments.quick else 7)
    extra = {"set": folder.name, "titles": len(titles), "backbone": "minilm", "seconds": seconds}
    write_result("encoding", figures, seeds=[seed], quick=arguments.quick, extra=extra)


def measure(
    titles: list[str], encoders: dict[str, Encoder], rounds: int
) -> tuple[dict[str, list[float]], dict[str, Vectors]]:
    """Seconds of every round and the vectors of the last, the peer's under ``"peer"``."""
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(Backbone.resolve("minilm").folder), device="cpu")
    encode: dict[str, Callable[[list[str]], Vectors]] = {"peer": peer.encode}
    encode |= {name: encoder.encode for name, encoder in encoders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in encode}
    vectors: dict[str, Vectors] = {}
    for function in encode.values():
        function(titles[:100])  # warm
    for _ in range(rounds):
        for name, function in encode.items():
            started = time.perf_counter()
            vectors[name] = function(titles)
            seconds[name].append(time.perf_counter() - started)
    return seconds, vectors


def compare(seconds: dict[str, list[float]], vectors: dict[str, Vectors], n: int) -> dict[str, Figure]:
    """Ratio, agreement and texts per second of every engine, and the table of them."""
    figures, rows = {}, []
    peer = np.array(seconds["peer"])
    for name in vectors:
        speed = interval(n / np.array(seconds[name]), "texts/s")
        ratio = interval(peer / np.array(seconds[name]), "x")
        kept = agreement(vectors["peer"], vectors[name])
        rows.append([name, speed.value, f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]", f"{kept.value:.4f}"])
        figures[f"{name}.texts_per_s"] = speed
        if name != "peer":
            figures |= {f"{name}.ratio": ratio, f"{name}.agreement": kept}
    print_table("Encoding", ["engine", "texts/s", "ratio to the peer", "neighbours kept"], rows)
    return figures


def agreement(reference: Vectors, vectors: Vectors, n: int = NEIGHBOURS) -> Figure:
    """Share of top-n neighbours kept, with a bootstrap interval over the texts."""
    pairs = zip(nearest(reference, n), nearest(vectors, n), strict=True)
    kept = np.array([len(set(before) & set(after)) / n for before, after in pairs])
    rng = np.random.default_rng(0)
    means = rng.choice(kept, size=(1000, len(kept))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(kept.mean()), float(low), float(high), "share")


def nearest(vectors: Vectors, n: int) -> NDArray[np.int64]:
    """The ``n`` nearest other texts of every text, int64 (n_texts, n), in no order."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argpartition(-similarity, n, axis=1)[:, :n]


def cold_start(encoder: Encoder, titles: list[str], scratch: Path, repeats: int) -> dict[str, Figure]:
    """From the start of a process to its first vector, without torch; and its peak memory while encoding all titles."""
    one, many = scratch / "one.txt", scratch / "many.txt"
    one.write_text(titles[0], encoding="utf-8")
    many.write_text("\n".join(title.replace("\n", " ") for title in titles), encoding="utf-8")
    starts = [run_fresh(COLD, str(encoder.folder), str(one)).seconds for _ in range(repeats)]
    peak = run_fresh(COLD, str(encoder.folder), str(many))
    return {"cold_start_s": interval(starts, "s"), "peak_mb": Figure(peak.mb, unit="MB")}


if __name__ == "__main__":
    main()
