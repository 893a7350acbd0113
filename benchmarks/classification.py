"""Titles → categories from a few labels: the fine-tuned model against regressions on TF-IDF and frozen vectors.

Default: amazon14_bundles, every item in the deepest category of its path that has 120 items (leaves as such are too
small: two have as many), and Complete Journey, the second level of its product hierarchy, one item a distinct title.
1, 5, 20 and 100 labels a class, five draws. What is tested is in no draw. Macro-F1; intervals by a bootstrap over the
tested titles and over draws at once. No method sees labels beyond the draw: settings are fixed here, nothing is chosen
on held-out labels, and of a training the last step is kept.

Baselines: logistic regression (scikit-learn, C = 10) on TF-IDF of words and word pairs, and on frozen MiniLM vectors.
``best_baseline`` is the better of the two *on the test itself*; ``K.…`` is the mean over both sets, ``SET.K.…`` one of
them. Ours: the preset ``few-labels``, with passes as in ``EPOCHS``; its settings were chosen on other draws and titles,
after a first look at two of these draws (``docs/experiments.md``), and the figures call it by its strategy.
At 100 labels all draws are the same titles: there the single models differ in their seeds alone, and ``ensemble`` is
the mean of what all of them say, so that its interval is over the tested titles. An interrupted run of a clean commit
goes on.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, commit, data_set, parse_arguments, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import complete_journey
from kuapin import columns as c
from kuapin.config import read_preset, validated
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import Vector
from kuapin.extras import require
from kuapin.finetuning.change import assembled
from kuapin.finetuning.labelled import Labelled
from kuapin.finetuning.objective import batches, to_device
from kuapin.finetuning.objectives.item_classification import ItemClassification
from kuapin.finetuning.presets import find_preset
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trainer import fit, planned_steps

PRESET = "few-labels"
SET, LEAST_ITEMS, MOST_CLASSES = "amazon14_bundles", 120, 40
LABELS, DRAWS = (1, 5, 20, 100), 5
TFIDF, FROZEN, TUNED, ENSEMBLE = "tfidf", "frozen", "top-layers", "ensemble"
EPOCHS = {1: 20, 5: 15, 20: 10, 100: 3}
"""Passes over the labels a class: the more labels, the fewer."""
RESAMPLES = 1_000


@dataclass(frozen=True)
class Titles:
    """Titles and their classes.

    Attributes:
        name: of the set.
        titles: distinct.
        classes: int64 (n,), the class of each.
        names: of the classes.
    """

    name: str
    titles: tuple[str, ...]
    classes: NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of the titles and their classes."""
        return hashlib.sha256(repr((self.titles, self.classes.tolist())).encode()).hexdigest()

    def split(self, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places that labels are drawn from, 100 a class, and all others, which are tested."""
        order = np.random.default_rng(seed).permutation(len(self.titles))
        pool = [order[self.classes[order] == k][: max(LABELS)] for k in range(len(self.names))]
        rest = np.setdiff1d(order, np.concatenate(pool))
        return np.sort(np.concatenate(pool)), rest


def rolled_up(paths: Sequence[str | None], least: int) -> list[str | None]:
    """The deepest step of every path that has enough items."""
    steps = [[step.strip() for step in path.split(">")] if path else [] for path in paths]
    counts: dict[tuple[str, ...], int] = {}
    for path in steps:
        for end in range(1, len(path) + 1):
            counts[tuple(path[:end])] = counts.get(tuple(path[:end]), 0) + 1
    kept = [[end for end in range(1, len(path) + 1) if counts[tuple(path[:end])] >= least] for path in steps]
    return [" > ".join(path[: ends[-1]]) if ends else None for path, ends in zip(steps, kept, strict=True)]


def titles_of(name: str, titles: Sequence[str | None], labels: Sequence[str | None]) -> Titles:
    """Distinct titles of the classes with enough of them; a title of two classes is left out."""
    table = pl.DataFrame({"title": titles, "label": labels}, schema={"title": pl.String, "label": pl.String})
    table = table.drop_nulls().unique(maintain_order=True)
    table = table.filter(pl.col("title").is_unique())
    counts = table["label"].value_counts().filter(pl.col("count") >= LEAST_ITEMS).sort(["count", "label"])
    names = sorted(counts["label"].to_list()[-MOST_CLASSES:])
    table = table.filter(pl.col("label").is_in(names))
    classes = np.array([names.index(label) for label in table["label"]], dtype=np.int64)
    return Titles(name, tuple(table["title"].to_list()), classes, tuple(names))


def bundles() -> Titles:
    """Titles of amazon14_bundles."""
    items = pl.read_parquet(data_set(SET) / "items.parquet")
    return titles_of(SET, items[c.TITLE].to_list(), rolled_up(items[c.CATEGORY].to_list(), LEAST_ITEMS))


def journey() -> Titles:
    """Titles of Complete Journey."""
    items = complete_journey().items
    second = items[c.CATEGORY].str.split(c.CATEGORY_SEPARATOR).list.get(1, null_on_oob=True)
    return titles_of("complete_journey", items[c.TITLE].to_list(), second.to_list())


def drawn(data: Titles, pool: NDArray[np.int64], labels: int, draw: int) -> NDArray[np.int64]:
    """So many places of every class."""
    order = np.random.default_rng([draw, labels]).permutation(pool)
    return np.concatenate([order[data.classes[order] == k][:labels] for k in range(len(data.names))])


def by_words(data: Titles, train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    """Classes said by a regression on TF-IDF."""
    text = require("sklearn.feature_extraction.text", "dev")
    model = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    known = model.fit_transform([data.titles[place] for place in train])
    return _regression(known, data.classes[train], model.transform([data.titles[place] for place in test]))


def _regression(known: object, classes: NDArray[np.int64], asked: object) -> NDArray[np.int64]:
    linear = require("sklearn.linear_model", "dev").LogisticRegression(C=10, max_iter=2000)
    return np.asarray(linear.fit(known, classes).predict(asked))


def by_vectors(
    data: Titles, vectors: NDArray[np.float32], train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Classes said by a regression on frozen vectors."""
    return _regression(vectors[train], data.classes[train], vectors[test])


def by_tuning(
    data: Titles, train: NDArray[np.int64], test: NDArray[np.int64], labels: int, seed: int
) -> NDArray[np.float32]:
    """Probabilities that a fine-tuned model says, float32 (tested, classes)."""
    torch = require("torch", "train")
    preset = validated(FinetuningConfig, read_preset(find_preset(PRESET)), PRESET)
    loop = preset.training.model_copy(update={"epochs": EPOCHS[labels], "tracker": "none"})
    config = preset.model_copy(update={"training": loop, "seed": seed})
    objective = _objective(data, train, config)
    backbone = Backbone.resolve("minilm")
    tokens, strategy = Tokens(backbone, config.max_length), make_strategy(config)
    reader = assembled(backbone, ItemClassification, objective.facts, strategy, config, planned_steps(loop, len(train)))
    objective.warm_start(reader, tokens, loop.batch_size)
    with tempfile.TemporaryDirectory() as run:
        fit(reader, objective, strategy, tokens, loop, Path(run))
    reader.eval()
    said = np.empty((len(test), len(data.names)), np.float32)
    order = sorted(range(len(test)), key=lambda place: len(data.titles[test[place]]))
    with torch.inference_mode():
        for part in batches(order, 64):
            batch = to_device(tokens([data.titles[test[place]] for place in part]), reader)
            said[part] = reader.head(reader.pooled(**batch)).softmax(dim=1).cpu().numpy()
    return said


def _objective(data: Titles, train: NDArray[np.int64], config: FinetuningConfig) -> ItemClassification:
    """Trains on the draw; what is held out is a part of it and chooses nothing, as no step but the last is kept."""
    rows = np.sort(train)
    labelled = Labelled(rows, tuple((data.names[data.classes[row]],) for row in rows))
    held = labelled.take(np.arange(0, len(rows), max(1, len(rows) // len(data.names))))
    asked = config.item_classification.model_copy(update={"kind": "multi-class"})
    return ItemClassification.of_split(asked, data.titles, labelled, held, config.seed)


def macro_f1s(said: NDArray[np.int64], wanted: NDArray[np.int64], weight: NDArray[np.float64], n: int) -> Vector:
    """Macro-F1 of every resample.

    Args:
        said: int64 (tested,).
        wanted: int64 (tested,).
        weight: float64 (resamples, tested), how often each title was drawn.
        n: classes.
    """
    hit, told, right = (weight @ _one_hot(codes, n) for codes in (np.where(said == wanted, said, n), said, wanted))
    f1 = 2 * hit / np.maximum(told + right, 1e-12)
    used = (told + right) > 0
    return np.asarray((f1 * used).sum(axis=1) / used.sum(axis=1))


def _one_hot(codes: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    return np.asarray(codes[:, None] == np.arange(n)[None, :], dtype=np.float64)


def outcome(data: Titles, labels: int, draws: int, methods: Sequence[str], kept: Path | None) -> dict[str, Vector]:
    """Macro-F1 of every method, float64 (1 + RESAMPLES,): as it is, then resampled; the mean over draws."""
    _, test = data.split()
    vectors = _vectors(data) if FROZEN in methods else np.empty((0, 0), np.float32)
    rng = np.random.default_rng(0)
    chosen = np.vstack([np.arange(draws), rng.integers(0, draws, (RESAMPLES, draws))])  # resampled draws
    drawn_titles = rng.multinomial(len(test), np.full(len(test), 1 / len(test)), RESAMPLES)
    weight = np.vstack([np.ones(len(test)), drawn_titles])
    found = {}
    for method in methods:
        each = []
        for draw in range(draws):
            said = _said(data, vectors, method, labels, draw, kept)
            each.append(macro_f1s(said, data.classes[test], weight, len(data.names)))
            print(f"{data.name} {labels} {method} draw {draw}: {each[-1][0]:.4f}", flush=True)
        found[method] = np.take_along_axis(np.array(each).T, chosen, axis=1).mean(axis=1)
    return found


def _said(
    data: Titles, vectors: NDArray[np.float32], method: str, labels: int, draw: int, kept: Path | None
) -> NDArray[np.int64]:
    pool, test = data.split()
    train = drawn(data, pool, labels, draw)
    if method == TFIDF:
        return by_words(data, train, test)
    if method == FROZEN:
        return by_vectors(data, vectors, train, test)
    learnt = hashlib.sha256(np.sort(train).tobytes()).hexdigest()[:16]
    each = [
        _kept_or(kept, f"{data.name}-{labels}-{learnt}-{seed}", partial(by_tuning, data, train, test, labels, seed))
        for seed in (range(DRAWS) if method == ENSEMBLE else [draw])
    ]
    return np.asarray(np.mean(each, axis=0).argmax(axis=1))


def _vectors(data: Titles) -> NDArray[np.float32]:
    """Frozen vectors in float32, as the tuned model's are."""
    with tempfile.TemporaryDirectory() as folder:
        config = EncodingConfig(precision="bf16")
        return open_encoder(config, Path(folder), list(data.titles[:300])).encode(list(data.titles))


def _kept_or(folder: Path | None, name: str, say: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    path = folder / f"{name}.npy" if folder is not None else None
    if path is not None and path.exists():
        return np.asarray(np.load(path, allow_pickle=False))
    said = say()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, said, allow_pickle=False)
    return said


def _figure(values: Vector) -> Figure:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Figure(float(values[0]), float(low), float(high))


def figures_of(name: str, labels: int, found: Mapping[str, Vector]) -> dict[str, Figure]:
    """Every method's macro-F1, the better baseline's, and what tuning gains over it."""
    baselines = [method for method in (TFIDF, FROZEN) if method in found]
    best = max(baselines, key=lambda method: float(found[method][0]))
    prefix = f"{name}{labels}"
    gains = {TUNED: "gain", ENSEMBLE: "ensemble_gain"}
    return {
        **{f"{prefix}.{method}.macro_f1": _figure(values) for method, values in found.items()},
        f"{prefix}.best_baseline.macro_f1": _figure(found[best]),
        **{
            f"{prefix}.{name}": _figure(found[method] - found[best])
            for method, name in gains.items()
            if method in found
        },
    }


def main() -> None:
    """Run, print, write ``classification.json``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--labels": {"type": int, "nargs": "+", "metavar": "K", "help": "labels a class"},
        "--draws": {"type": int, "default": DRAWS, "metavar": "N", "help": f"draws of the labels, {DRAWS} at most"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick = arguments.quick
    levels = arguments.extra.labels or (LABELS[:2] if quick else LABELS)
    draws = 1 if quick else min(arguments.extra.draws, DRAWS)
    sets = [bundles()] if quick else [bundles(), journey()]
    kept = KeptCells("classification", {"preset": PRESET, "epochs": EPOCHS, "sets": [one.fingerprint for one in sets]})
    figures: dict[str, Figure] = {}
    for labels in levels:
        both = []
        ensembles = (ENSEMBLE,) if labels == max(LABELS) and not quick else ()
        methods = (TFIDF, FROZEN, TUNED, *ensembles)
        for data in sets:
            both.append(outcome(data, labels, draws, methods, kept.folder if kept.lasting else None))
            figures |= figures_of(f"{data.name}.", labels, both[-1])
        pooled = {method: np.mean([found[method] for found in both], axis=0) for method in both[0]}
        figures |= figures_of("", labels, pooled)
    extra = {
        "sets": {
            one.name: {"titles": len(one.titles), "tested": len(one.split()[1]), "classes": len(one.names)}
            for one in sets
        },
        "settings": {"epochs": EPOCHS, "draws": draws, "preset": PRESET},
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    write_result("classification", figures, seeds=range(draws), quick=quick, extra=extra)


if __name__ == "__main__":
    main()
