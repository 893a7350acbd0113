"""Spans in titles, exact match: a tuned tagger against a dictionary, on brands seen in training and on others.

Chinese: taobao_titles_ner_zh, brands and products as its editors marked them. Its own parts share half of their titles,
so distinct titles are drawn anew. A BERT of characters is trained from scratch on the titles (masked-lm), then
continued (token-classification); ``zh.token_only_f1`` is the same without the first stage. English:
amazon18_office_industrial_timed, the brand column where it stands in the title, MiniLM with every parameter tuned.

The dictionary has every value of the training titles that is a span there at least as often as not, and takes the
longest; ``together_f1`` is the dictionary, and the tagger where it has nothing. ``first_word_f1`` says that every
title begins with a brand of one word. A title is *seen* where all its brands stand in training titles, *unseen* where
none does. Tested titles are a fifth of all; English holds out a fifth of the brands, and of the others' titles a
fifth. Intervals by a bootstrap over titles, in English over brands. ``--development`` splits what is trained on once
more and leaves the tested titles alone. The best of one measurement an epoch is kept, on a few of the training titles
that are then not trained on. An interrupted run of a clean commit goes on, within a training as well.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, commit, data_set, parse_arguments, write_result
from benchmarks.kept_cells import KeptCells
from kuapin import columns as c
from kuapin.data.dataset import build_dataset
from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import assembled
from kuapin.finetuning.material import Material
from kuapin.finetuning.objectives.token_classification import (
    Example,
    Piece,
    TokenClassification,
    occurrences,
    tagged,
    without_overlaps,
)
from kuapin.finetuning.scratch import ScratchConfig, write_scratch
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trainer import fit, planned_steps

CHINESE, ENGLISH = "taobao_titles_ner_zh", "amazon18_office_industrial_timed"
BRAND, PRODUCT = "brand", "product"
KINDS = {"HPPX": BRAND, "HCCX": PRODUCT}
"""What the editors of the Chinese titles call them."""
TUNED, TOKEN_ONLY, DICTIONARY, FIRST_WORD, TOGETHER = "tuned", "token_only", "dictionary", "first_word", "together"
TESTED, SEEDS, RESAMPLES = 0.2, (0, 1, 2), 2_000
LOOP = TrainingConfig(batch_size=32, evaluate_every=1, patience=None, tracker="none")
SCRATCH = ScratchConfig(vocabulary=6000, width=192, layers=3, heads=6, positions=80, characters=True)
SMALL = LOOP.model_copy(update={"learning_rate": 1e-3, "schedule": "cosine", "precision": "bf16"})
READING = SMALL.model_copy(update={"epochs": 12, "evaluate_every": 3})
TAGGING = {
    CHINESE: SMALL.model_copy(update={"epochs": 15}),
    ENGLISH: LOOP.model_copy(update={"learning_rate": 1e-4, "epochs": 3}),
}
CHOOSING = 200
"""Training titles by which a checkpoint is chosen."""
LENGTH = {CHINESE: 80, ENGLISH: 64}
Spans = Sequence[Sequence[Piece]]


@dataclass(frozen=True)
class Split:
    """Titles to learn from and titles that are tested.

    Attributes:
        name: of the set.
        train: titles and their spans.
        test: the same.
        clusters: int64 (tested,), titles that are drawn together.
    """

    name: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    clusters: NDArray[np.int64]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Kinds of spans, sorted."""
        return tuple(sorted({kind for _, pieces in self.train for _, _, kind in pieces}))

    def seen(self) -> NDArray[np.int64]:
        """Of every tested title: 1 all its brands stand in training titles, 0 none does, -1 some or no brand."""
        known = {value for value, kind in values(self.train) if kind == BRAND}
        found = []
        for title, pieces in self.test:
            mine = {title[start:end].casefold() in known for start, end, kind in pieces if kind == BRAND}
            found.append(int(mine.pop()) if len(mine) == 1 else -1)
        return np.array(found, dtype=np.int64)


def values(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """The words of every span, in small letters, and what they are."""
    return [(title[start:end].casefold(), kind) for title, pieces in examples for start, end, kind in pieces]


def placed(title: str, marked: Sequence[tuple[str, str]]) -> list[Piece]:
    """Where marked words stand, each behind the one before it.

    Args:
        title: with all of them.
        marked: kind and words, in the order of the title.
    """
    pieces, at = [], 0
    for kind, words in marked:
        start = title.index(words, at)
        at = start + len(words)
        if kind in KINDS:
            pieces.append((start, at, KINDS[kind]))
    return pieces


def chinese(*, development: bool = False) -> Split:
    """Distinct Chinese titles, a fifth of them tested."""
    table = pl.read_parquet(data_set(CHINESE) / "items.parquet").unique(c.TITLE, keep="first", maintain_order=True)
    examples = [(title, placed(title, json.loads(marked))) for title, marked in table.select(c.TITLE, "spans").rows()]
    for part in range(1 + development):
        out = np.random.default_rng(part).random(len(examples)) < TESTED
        examples, test = _parted(examples, out)
    return Split(CHINESE, tuple(examples), tuple(test), np.arange(len(test)))


def english(*, development: bool = False) -> Split:
    """English titles in which their brand stands; a fifth of the brands is never seen, a fifth of the rest tested."""
    table = pl.read_parquet(data_set(ENGLISH) / "items.parquet").drop_nulls([c.TITLE, c.BRAND])
    table = table.unique(c.TITLE, keep="first", maintain_order=True)
    rows = [(title, occurrences(title, brand, BRAND)) for title, brand in table.select(c.TITLE, c.BRAND).rows()]
    examples = [(title, pieces) for title, pieces in rows if pieces]
    for part in range(1 + development):
        brands = [values([example])[0][0] for example in examples]
        rng = np.random.default_rng(part)
        names = sorted(set(brands))
        held = {name for name, lot in zip(names, rng.random(len(names)), strict=True) if lot < TESTED}
        out = np.array([brand in held for brand in brands]) | (rng.random(len(examples)) < TESTED)
        examples, test = _parted(examples, out)
    of = [values([example])[0][0] for example in test]
    code = {name: number for number, name in enumerate(sorted(set(of)))}
    return Split(ENGLISH, tuple(examples), tuple(test), np.array([code[name] for name in of], dtype=np.int64))


def _parted(examples: list[Example], out: NDArray[np.bool_]) -> tuple[list[Example], list[Example]]:
    rest = [example for example, held in zip(examples, out, strict=True) if not held]
    return rest, [example for example, held in zip(examples, out, strict=True) if held]


def by_dictionary(split: Split) -> list[list[Piece]]:
    """Spans that the dictionary finds in the tested titles."""
    right: dict[tuple[str, str], int] = {}
    for value in values(split.train):
        right[value] = right.get(value, 0) + 1
    standing = _standing([title for title, _ in split.train], right)
    kept = {key for key, hits in right.items() if 2 * hits >= standing[key]}
    found = [_looked_up(title, kept) for title, _ in split.test]
    return [without_overlaps(pieces) for pieces in found]


def _standing(titles: Sequence[str], keys: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """How often each value stands in the titles, marked or not."""
    counts = dict.fromkeys(keys, 0)
    for title in titles:
        for start, end, kind in _looked_up(title, set(keys)):
            counts[title[start:end].casefold(), kind] += 1
    return counts


def _looked_up(title: str, keys: set[tuple[str, str]]) -> list[Piece]:
    """Every place of every value."""
    small = title.casefold()
    found = [(value, kind) for value, kind in keys if value in small]
    return [piece for value, kind in found for piece in occurrences(title, value, kind)]


def by_first_word(split: Split) -> list[list[Piece]]:
    """The first word of every title as its brand."""
    return [[(0, len(title.split()[0].rstrip(",")), BRAND)] for title, _ in split.test]


def by_tuning(
    split: Split, backbone: Backbone, seed: int, run: Path, *, epochs: float | None = None
) -> list[list[Piece]]:
    """Spans that the tuned tagger finds in the tested titles; an interrupted training in ``run`` goes on."""
    loop = TAGGING[split.name].model_copy(update={} if epochs is None else {"epochs": epochs})
    config = FinetuningConfig(
        objective="token-classification", strategy="full", seed=seed, training=loop, max_length=LENGTH[split.name]
    )
    order = np.random.default_rng([seed, 1]).permutation(len(split.train))
    train, choosing = ([split.train[k] for k in part] for part in (order[CHOOSING:], order[:CHOOSING]))
    objective = TokenClassification.of_split(split.tasks, train, choosing, seed)
    tokens, strategy = Tokens(backbone, config.max_length), make_strategy(config)
    steps = planned_steps(loop, len(train))
    reader = assembled(backbone, TokenClassification, objective.facts, strategy, config, steps)
    run.mkdir(parents=True, exist_ok=True)
    fit(reader, objective, strategy, tokens, loop, run)
    reader.eval()
    return tagged(reader, objective.facts["tags"], tokens, [title for title, _ in split.test])


def from_scratch(split: Split, folder: Path, seed: int, *, first: bool, epochs: float | None = None) -> Backbone:
    """A BERT of characters in a folder, untrained, or trained to guess hidden characters of the training titles."""
    titles = [title for title, _ in split.train]
    blank, target = folder / "blank", folder / "read"
    folder.mkdir(parents=True, exist_ok=True)
    write_scratch(blank, titles, SCRATCH, left_to_right=False, seed=seed)
    if first and target.is_dir():
        return Backbone.resolve(str(target))
    if not first:
        return Backbone.resolve(str(blank))
    items = pl.DataFrame({c.ITEM_ID: [str(row) for row in range(len(titles))], c.TITLE: titles})
    log = pl.DataFrame(schema=dict.fromkeys((c.USER_ID, c.ITEM_ID), pl.String))
    material = Material(
        dataset=build_dataset(items, log),
        texts=tuple(titles),
        titles=tuple(titles),
        allowed=np.ones(len(titles), np.bool_),
        labels=pl.DataFrame(schema=dict.fromkeys((c.ITEM_ID, c.TASK, c.LABEL), pl.String)),
        log=log,
        seed=seed,
    )
    loop = READING.model_copy(update={} if epochs is None else {"epochs": epochs})
    config = FinetuningConfig(
        objective="masked-lm", strategy="full", seed=seed, training=loop, max_length=LENGTH[CHINESE]
    )
    run = folder / "run"
    run.mkdir(exist_ok=True)
    done = adapt(material, config, Backbone.resolve(str(blank)), run, target)
    print(f"masked-lm, seed {seed}: perplexity {done.outcome.after.values['perplexity']:.1f}", flush=True)
    return Backbone.resolve(str(target))


def counts(test: Sequence[Example], said: Spans, kinds: Sequence[str]) -> NDArray[np.float64]:
    """Of every title 2 · right spans, and spans marked + spans said, float64 (n, 2); F1 is the ratio of their sums."""
    rows = []
    for (_, marked), found in zip(test, said, strict=True):
        wanted = {piece for piece in map(tuple, marked) if piece[2] in kinds}
        told = {piece for piece in map(tuple, found) if piece[2] in kinds}
        rows.append((2 * len(wanted & told), len(wanted) + len(told)))
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def scores(
    found: Mapping[str, NDArray[np.float64]], clusters: NDArray[np.int64], resamples: int = RESAMPLES
) -> dict[str, NDArray[np.float64]]:
    """F1 of every method as it is, then of every resample of the clusters, float64 (1 + resamples,).

    Args:
        found: method → float64 (n, 2), as ``counts`` gives them, or (seeds · n, 2).
        clusters: int64 (n,).
        resamples: how many.
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    n = int(cluster.max()) + 1
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), resamples)
    weight = np.vstack([np.ones(n), drawn]).astype(np.float64)
    out = {}
    for method, rows in found.items():
        places = np.tile(cluster, len(rows) // len(cluster))
        sums = np.column_stack([np.bincount(places, weights=column, minlength=n) for column in rows.T])
        totals = weight @ sums
        out[method] = totals[:, 0] / np.maximum(totals[:, 1], 1e-12)
    return out


def figures_of(name: str, found: Mapping[str, NDArray[np.float64]]) -> dict[str, Figure]:
    """Every method's F1, and what the tuned one gains over the best that trains nothing."""
    figures = {
        f"{name}.f1" if method == TUNED else f"{name}.{method}_f1": _figure(one) for method, one in found.items()
    }
    plain = [method for method in (DICTIONARY, FIRST_WORD) if method in found]
    best = max(plain, key=lambda method: float(found[method][0]))
    return figures | {f"{name}.gain": _figure(found[TUNED] - found[best])}


def _figure(one: NDArray[np.float64]) -> Figure:
    low, high = np.quantile(one[1:], [0.025, 0.975])
    return Figure(float(one[0]), float(low), float(high))


def parts(split: Split) -> dict[str, tuple[NDArray[np.bool_], tuple[str, ...]]]:
    """What is told apart: name → bool (tested,), and the kinds of spans that count."""
    seen, everything = split.seen(), np.ones(len(split.test), np.bool_)
    if split.name == ENGLISH:
        return {"en_seen": (seen == 1, (BRAND,)), "en_unseen": (seen == 0, (BRAND,))}
    whole = {"zh": (everything, (BRAND, PRODUCT)), "zh_brand": (everything, (BRAND,))}
    return whole | {
        "zh_product": (everything, (PRODUCT,)),
        "zh_seen": (seen == 1, (BRAND,)),
        "zh_unseen": (seen == 0, (BRAND,)),
    }


def told(split: Split, seeds: Sequence[int], kept: Path | None, epochs: float | None) -> dict[str, list[Spans]]:
    """What every method says of the tested titles, under each seed."""

    def tuned(seed: int, *, first: bool) -> list[list[Piece]]:
        with tempfile.TemporaryDirectory() as work:
            folder = (kept or Path(work)) / f"training-{split.name}-{first}-{seed}"
            backbone = (
                Backbone.resolve("minilm")
                if split.name == ENGLISH
                else from_scratch(split, folder, seed, first=first, epochs=epochs)
            )
            return by_tuning(split, backbone, seed, folder / "tagging", epochs=epochs)

    methods: dict[str, Callable[[int], list[list[Piece]]]] = {TUNED: lambda seed: tuned(seed, first=True)}
    if split.name == CHINESE:
        methods[TOKEN_ONLY] = lambda seed: tuned(seed, first=False)
    found: dict[str, list[Spans]] = {DICTIONARY: [by_dictionary(split)] * len(seeds)}
    if split.name == ENGLISH:
        found[FIRST_WORD] = [by_first_word(split)] * len(seeds)
    for method, say in methods.items():
        found[method] = [_kept_or(kept, f"{split.name}-{method}-{seed}", lambda s=seed, m=say: m(s)) for seed in seeds]
    found[TOGETHER] = [both(*pair) for pair in zip(found[DICTIONARY], found[TUNED], strict=True)]
    return found


def both(first: Spans, then: Spans) -> list[list[Piece]]:
    """Spans of the first, and of the second where the first has none."""
    return [
        [*known, *(one for one in said if all(one[1] <= start or end <= one[0] for start, end, _ in known))]
        for known, said in zip(first, then, strict=True)
    ]


def _kept_or(folder: Path | None, name: str, say: Callable[[], list[list[Piece]]]) -> Spans:
    path = folder / f"{name}.json" if folder is not None else None
    if path is not None and path.exists():
        return [[(start, end, kind) for start, end, kind in pieces] for pieces in json.loads(path.read_text())]
    started, said = time.perf_counter(), say()
    print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said))
    return said


def main() -> None:
    """Run, print, write ``spans.json``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--development": {"action": "store_true", "help": "test on a part of the titles that are trained on"},
        "--only": {"choices": ["zh", "en"], "help": "one language alone"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, development = arguments.quick, arguments.extra.development
    seeds = arguments.seeds or (SEEDS[:1] if quick else SEEDS)
    epochs = 1.0 if quick else None
    settings = {
        "scratch": SCRATCH.model_dump(),
        "reading": READING.model_dump(mode="json"),
        "tagging": {name: loop.model_dump(mode="json") for name, loop in TAGGING.items()},
        "development": development,
        "epochs": epochs,
    }
    kept = KeptCells("spans", settings)
    figures: dict[str, Figure] = {}
    sizes = {}
    sets = {"zh": chinese, "en": english}
    for split in (make(development=development) for name, make in sets.items() if arguments.extra.only in (None, name)):
        found = told(split, seeds, kept.folder if kept.lasting else None, epochs)
        sizes[split.name] = {"train": len(split.train), "test": len(split.test)}
        for name, (which, kinds) in parts(split).items():
            rows = {
                method: np.concatenate([counts(split.test, said, kinds)[which] for said in each])
                for method, each in found.items()
            }
            sizes[split.name][name] = int(which.sum())
            figures |= figures_of(name, scores(rows, split.clusters[which]))
    extra = {"titles": sizes, "settings": settings, "minutes": round((time.perf_counter() - started) / 60, 1)}
    name = "spans-development" if development else "spans"
    write_result(name, figures, seeds=seeds, quick=quick or development, extra=extra)


if __name__ == "__main__":
    main()
