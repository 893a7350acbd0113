"""A category opens, and text alone is read: the encoder tuned on the source against the frozen one, at shot 0.

Default: amazon18_arts_office, Office from Arts and Arts from Office, by the preset ``launch`` of ``kuapin finetune``.
The encoder sees texts and histories of the source alone, of users who are not asked; 2,000 others are asked, over the
full catalogue of the target. Frozen text is the best of three templates and two poolings *on the users asked*; the
tuned encoder is read in one way that was fixed beforehand (``READING``), at up to 256 tokens as the frozen one is. One
row more tells where a gain comes from: frozen vectors whitened on the source's texts, read as the tuned ones are.

On top, the ranker of the main job at shot 0 on either encoder. An interrupted run of a clean commit goes on: trainings,
backbones and cells lie under ``$KUAPIN_CACHE``.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cell import Cell
from benchmarks.cells import FROZEN, POOLINGS, TEST_SHARE
from benchmarks.harness import Figure, commit, data_set, parse_arguments, print_table, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.launch import METRIC, Opening, domains, second_levels
from benchmarks.sets import TEMPLATES, DataSet, load_set
from kuapin import columns as c
from kuapin.config import read_preset, validated
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import Interval, interval, ratio_interval
from kuapin.evaluation.launch import Launch, launch_split
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.evaluation.metrics.registry import evaluate as judge
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.material import Material
from kuapin.finetuning.presets import find_preset
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import fit_launch
from kuapin.ranking.replays import ReplayConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Candidates, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.whitening import fit_whitening, whiten
from kuapin.text.template import TextConfig, render_titles

SET, PRESET = "amazon18_arts_office", "launch"
READING = ("{title}", "logsumexp")
"""Template and pooling of the tuned encoder, chosen on users who are not asked here (docs/experiments.md)."""
TUNED, WHITE, MAIN_FROZEN, MAIN_TUNED = "tuned", "frozen, whitened", "ranker, frozen", "ranker, tuned"
METRICS = (METRIC, "hit_rate@10", "recall@10", "precision@10")
TEST_USERS, SEEDS = 2_000, (0,)


@dataclass(frozen=True)
class Bench:
    """What is trained and who is asked.

    Attributes:
        data: the set.
        config: of the training.
        test_users: asked at most.
        ranker: whether the main job's ranker is measured too.
    """

    data: DataSet
    config: FinetuningConfig
    test_users: int = TEST_USERS
    ranker: bool = True

    def launch(self, opening: Opening, seed: int) -> Launch:
        """The users asked, at shot 0."""
        (launch,) = launch_split(
            self.data.dataset, opening.items, [0.0], seed, test_share=TEST_SHARE, max_test_users=self.test_users,
            kind="order-free",
        )  # fmt: skip
        return launch


def tuned_backbone(bench: Bench, launch: Launch, opening: Opening, folder: Path, seed: int) -> tuple[Path, float]:
    """The encoder tuned on what the launch shows, which at shot 0 is the source alone; and the seconds it took.

    Seconds are summed over the pieces of an interrupted training.
    """
    target, told = folder / f"tuned-{seed}", folder / f"tuned-{seed}.json"
    spent = json.loads(told.read_text()) if told.exists() else 0.0
    if target.is_dir():
        return target, spent
    data, run = bench.data, folder / f"run-{seed}"
    run.mkdir(parents=True, exist_ok=True)
    material = Material(
        dataset=replace(data.dataset, histories=launch.visible),
        texts=tuple(data.texts().to_list()),
        titles=tuple(render_titles(data.items, TextConfig())),
        allowed=~opening.items,
        labels=pl.DataFrame(schema=dict.fromkeys((c.ITEM_ID, c.TASK, c.LABEL), pl.String)),
        log=pl.DataFrame(),
        seed=seed,
    )
    started = time.perf_counter()
    try:
        adapt(material, bench.config.model_copy(update={"seed": seed}), Backbone.resolve("minilm"), run, target)
    finally:
        spent += time.perf_counter() - started
        told.write_text(json.dumps(spent))
    return target, spent


def text_lists(bench: Bench, launch: Launch, opening: Opening, backbone: Path) -> Iterator[tuple[str, Candidates]]:
    """What text alone lists: frozen in every way, whitened, and tuned."""
    for template in TEMPLATES:
        vectors = bench.data.vectors(template)
        for pooling in POOLINGS:
            yield f"{FROZEN}: {template}, {pooling}", top_of(bench, launch, vectors, pooling)
        if template == READING[0]:
            yield WHITE, top_of(bench, launch, _white(vectors, ~opening.items), READING[1])
    template, pooling = READING
    yield TUNED, top_of(bench, launch, bench.data.vectors(template, EncodingConfig(backbone=str(backbone))), pooling)


def top_of(bench: Bench, launch: Launch, vectors: NDArray[np.float32], pooling: str) -> Candidates:
    """The ten items whose texts are nearest to a history, of those that opened."""
    catalogue = bench.data.dataset.catalogue
    content = Content(ContentConfig.model_validate({"pooling": pooling, "max_history": None}))
    return content.fit(Visible(catalogue, launch.visible, vectors, 0)).top(launch.queries, 10, launch.items)


def _white(vectors: NDArray[np.float32], source: NDArray[np.bool_]) -> NDArray[np.float32]:
    return fit_whitening(vectors[source]).of(vectors)


def ranker_lists(bench: Bench, launch: Launch, backbone: Path, seed: int) -> Iterator[tuple[str, Candidates]]:
    """What the main job's ranker lists on either encoder, items read as a shop does by default."""
    data, texts = bench.data, bench.data.texts()
    for name, encoding in ((MAIN_FROZEN, None), (MAIN_TUNED, EncodingConfig(backbone=str(backbone)))):
        vectors = data.vectors(None, encoding)
        visible = Visible(
            data.dataset.catalogue, launch.visible, vectors, launch.now, texts, whiten(vectors), launch.items
        )
        recommender = fit_launch(
            visible,
            launch.items,
            launch.shot,
            signals=SignalsConfig(),
            ranking=RankingConfig(),
            replays=ReplayConfig(seed=seed),
        )
        yield name, recommender.rank(launch.queries, 10, launch.items)


def tuned_place(bench: Bench, opening: Opening, launch: Launch, seed: int) -> tuple[Path, float]:
    """The backbone of one launch, kept for this commit, and the seconds that its training took."""
    return tuned_backbone(bench, launch, opening, _place(opening, _settings(bench)), seed)


def _settings(bench: Bench) -> dict[str, object]:
    settings = {"set": bench.data.fingerprint, "config": bench.config.model_dump(mode="json")}
    return settings | {"users": bench.test_users, "reading": READING}


def measured(bench: Bench, opening: Opening, seed: int) -> Cell:
    """One launch under one seed; its seconds are those of the training."""
    settings = _settings(bench)
    parts = []
    for kind in ("text", "ranker") if bench.ranker else ("text",):
        kept = KeptCells(f"finetuning {opening.name} {kind}", settings)
        cell = kept.get(0.0, seed)
        if cell is None:
            launch = bench.launch(opening, seed)
            backbone, seconds = tuned_place(bench, opening, launch, seed)
            lists = (
                text_lists(bench, launch, opening, backbone)
                if kind == "text"
                else ranker_lists(bench, launch, backbone, seed)
            )
            cell = Cell(0.0, seed, launch.test_users, judged(bench, launch, dict(lists)), seconds)
            kept.put(cell)
        parts.append(cell)
    outcomes = {name: outcome for cell in parts for name, outcome in cell.outcomes.items()}
    return replace(parts[0], outcomes=outcomes)


def _place(opening: Opening, settings: Mapping[str, object]) -> Path:
    """Where a training and its backbone lie: kept for this commit, for nobody else where the tree has changes."""
    kept = KeptCells(f"finetuning {opening.name}", dict(settings))
    return kept.folder if kept.lasting else Path(tempfile.mkdtemp(prefix="kuapin-finetuning-"))


def judged(bench: Bench, launch: Launch, lists: Mapping[str, Candidates]) -> dict[str, PerUser]:
    """Every method's metrics of every user asked."""
    answers = Answers.from_histories(launch.answers)
    facts = ItemFacts.from_visible(launch.visible, bench.data.dataset.catalogue.category, launch.items)
    return {
        name: judge(Ranked.from_flat(one.indptr, one.items, 10), answers, facts, METRICS) for name, one in lists.items()
    }


def summary(name: str, cells: Sequence[Cell]) -> tuple[dict[str, Figure], list[dict[str, object]]]:
    """Figures and table rows of one launch, pooled over seeds; intervals over users."""
    clusters = np.concatenate([cell.users for cell in cells])

    def values(method: str, metric: str = METRIC) -> NDArray[np.float64]:
        return np.concatenate([cell.outcomes[method].users[metric] for cell in cells])

    methods = list(cells[0].outcomes)
    best = max((one for one in methods if one.startswith(FROZEN)), key=lambda one: float(values(one).mean()))
    ratios = {one: ratio_interval(values(one), values(best), clusters=clusters) for one in methods}
    figures = {
        f"{name}.text_zero_shot.ratio": _figure(ratios[TUNED]),
        f"{name}.text_zero_shot.low": Figure(ratios[TUNED].low),
        f"{name}.text_zero_shot.ndcg": _figure(interval(values(TUNED), clusters=clusters)),
        f"{name}.frozen.ndcg": _figure(interval(values(best), clusters=clusters)),
        f"{name}.whitened.ratio": _figure(ratios[WHITE]),
        f"{name}.to_whitened.ratio": _figure(ratio_interval(values(TUNED), values(WHITE), clusters=clusters)),
        f"{name}.minutes": Figure(max(cell.seconds for cell in cells) / 60, unit="min"),
    }
    for metric in ("recall@10", "precision@10"):
        ratio = ratio_interval(values(TUNED, metric), values(best, metric), clusters=clusters)
        figures[f"{name}.text_zero_shot.{metric.removesuffix('@10')}_ratio"] = _figure(ratio)
    if MAIN_TUNED in methods:
        ratio = ratio_interval(values(MAIN_TUNED), values(MAIN_FROZEN), clusters=clusters)
        figures |= {f"{name}.ranker_zero_shot.ratio": _figure(ratio), f"{name}.ranker_zero_shot.low": Figure(ratio.low)}
    rows: list[dict[str, object]] = [
        {
            "launch": name,
            "method": one,
            "users": len(clusters),
            "to_best_frozen": vars(ratios[one]),
            **{metric: float(values(one, metric).mean()) for metric in METRICS},
        }
        for one in methods
    ]
    return figures, rows


def _figure(estimate: Interval) -> Figure:
    return Figure(estimate.value, estimate.low, estimate.high)


def main() -> None:
    """Run, print, write ``finetuning.json``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--preset": {"default": PRESET, "help": "settings of the training: a preset's name or file"},
        "--no-ranker": {"action": "store_true", "help": "text alone"},
        "--only": {"metavar": "SOURCE->TARGET", "help": "one of the launches"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, seeds = arguments.quick, arguments.seeds or SEEDS
    path = find_preset(arguments.extra.preset)
    config = validated(FinetuningConfig, read_preset(path), str(path))
    if quick:
        config = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 6})})
    data = load_set(arguments.folder or data_set(SET))
    bench = Bench(data, config, 300 if quick else TEST_USERS, ranker=not (quick or arguments.extra.no_ranker))
    openings = [one for one in domains(data) or second_levels(data) if arguments.extra.only in (None, one.name)]
    if not openings:
        sys.exit(f"{data.name}: no such launch, or too few users with interactions in a category and elsewhere.")
    figures: dict[str, Figure] = {}
    table: list[dict[str, object]] = []
    for opening in openings[: 1 if quick else 2]:
        cells = [measured(bench, opening, seed) for seed in seeds]
        found, rows = summary(opening.name, cells)
        figures, table = figures | found, [*table, *rows]
        shown = [[row["method"], *(row[metric] for metric in METRICS)] for row in rows]
        print_table(opening.name, ["method", *METRICS], shown)
    extra = {
        "settings": {"preset": path.stem, "reading": READING, "config": config.model_dump(mode="json")},
        "methods": table,
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    write_result("finetuning", figures, seeds=seeds, quick=quick, extra=extra)


if __name__ == "__main__":
    main()
