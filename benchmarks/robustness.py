"""What an encoder makes of titles that were badly written: neighbours kept, and lists of an opening kept.

Default: amazon18_arts_office, Office from Arts, titles. Source titles are written again with typos in a third of their
words, a third of their words dropped, words of other titles stuffed behind them, or in capitals. *Neighbours*: of 1,000
titles written so, the share of their ten nearest neighbours (among the source's titles as they are) that the title as
it is has. *NDCG*: of 1,000 users whose histories are written so, at shot 0 by text alone, as a share of that with
histories as they are; the interval is a paired bootstrap over users.

Encoders: frozen; tuned for ``TRAINED`` steps over the preset ``launch``; the same trained against FGM.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.finetuning import PRESET, Bench, tuned_place
from benchmarks.harness import Figure, commit, data_set, parse_arguments, write_result
from benchmarks.launch import METRIC, Opening, domains
from benchmarks.sets import cache_folder, load_set
from kuapin.config import read_preset, validated
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import ratio_interval
from kuapin.evaluation.launch import Launch
from kuapin.evaluation.metrics.registry import evaluate as judge
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.finetuning.adversarial import AdversarialConfig
from kuapin.finetuning.augmentation import stuffed, with_typos, without_words
from kuapin.finetuning.presets import find_preset
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.content import Content, ContentConfig

SET, SHARE, STUFFED, ASKED, USERS = "amazon18_arts_office", 1 / 3, 4, 1_000, 1_000
TRAINED = 30
Written = Callable[[str, np.random.Generator], str]


def ways(words: tuple[str, ...]) -> Mapping[str, Written]:
    """How a title is written otherwise; ``words`` are what it may be stuffed with."""
    return {
        "typos": lambda title, rng: with_typos(title, SHARE, rng),
        "dropped": lambda title, rng: without_words(title, SHARE, rng),
        "stuffed": lambda title, rng: stuffed(title, words, STUFFED, rng),
        "capitals": lambda title, rng: title.upper(),
    }


def neighbours(
    queries: NDArray[np.float32], own: NDArray[np.int64], catalogue: NDArray[np.float32]
) -> NDArray[np.intp]:
    """The ten nearest titles but the query's own, sorted rows int64 (n, 10)."""
    cosine = queries @ catalogue.T
    cosine[np.arange(len(own)), own] = -np.inf
    return np.sort(np.argpartition(-cosine, 10, axis=1)[:, :10], axis=1)


def measured(
    bench: Bench, opening: Opening, launch: Launch, encoder: Encoder, titles: list[str], asked: int
) -> dict[str, Figure]:
    """Both figures in every way, of one encoder."""
    catalogue = bench.data.dataset.catalogue
    source = np.flatnonzero(~opening.items)
    clean = encoder.encode(titles)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(source))[:asked]
    met = np.unique(launch.queries.items)
    words = tuple({word: None for row in source[:2000] for word in titles[row].split()})

    def scores(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        content = Content(ContentConfig(max_history=None)).fit(Visible(catalogue, launch.visible, vectors, 0))
        lists = content.top(launch.queries, 10, launch.items)
        facts = ItemFacts.from_visible(launch.visible, catalogue.category, launch.items)
        answers = Answers.from_histories(launch.answers)
        return judge(Ranked.from_flat(lists.indptr, lists.items, 10), answers, facts, (METRIC,)).users[METRIC]

    centre = clean[source].mean(axis=0)
    known = _unit(clean[source] - centre)
    right, before = neighbours(known[chosen], chosen, known), scores(clean)
    figures = {"ndcg": Figure(float(before.mean()))}
    for name, way in ways(words).items():
        draw = np.random.default_rng(1)
        rows = np.union1d(met, source[chosen])
        changed = clean.copy()
        changed[rows] = encoder.encode([way(titles[row], draw) for row in rows])
        found = neighbours(_unit(changed[source[chosen]] - centre), chosen, known)
        kept = np.array([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, right, strict=True)])
        figures[f"{name}.neighbours"] = Figure(float(kept.mean()))
        ratio = ratio_interval(scores(changed), before)
        figures[f"{name}.ndcg_kept"] = Figure(ratio.value, ratio.low, ratio.high)
    return figures


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def main() -> None:
    """Run, print, write ``robustness.json``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    arguments = parse_arguments(__doc__, options={"--frozen": {"action": "store_true", "help": "the frozen one alone"}})
    quick, seed = arguments.quick, (arguments.seeds or (0,))[0]
    data = load_set(arguments.folder or data_set(SET))
    path = find_preset(PRESET)
    config = validated(FinetuningConfig, read_preset(path), str(path))
    loop = config.training.model_copy(update={"max_steps": TRAINED})
    config = config.model_copy(update={"training": loop})
    hard = loop.model_copy(update={"adversarial": AdversarialConfig(kind="fgm")})
    trainings = {"tuned": config, "hardened": config.model_copy(update={"training": hard})}
    opening = domains(data)[-1]
    titles = [title or "" for title in data.texts("{title}")]
    figures: dict[str, Figure] = {}
    for name in ("frozen",) if quick or arguments.extra.frozen else ("frozen", *trainings):
        bench = Bench(data, trainings.get(name, config), 300 if quick else USERS)
        launch = bench.launch(opening, seed)
        backbone = "minilm" if name == "frozen" else str(tuned_place(bench, opening, launch, seed)[0])
        encoder = open_encoder(EncodingConfig(backbone=backbone), cache_folder() / "encoders", titles)
        found = measured(bench, opening, launch, encoder, titles, 200 if quick else ASKED)
        figures |= {f"{name}.{key}": figure for key, figure in found.items()}
    extra = {"launch": opening.name, "minutes": round((time.perf_counter() - started) / 60, 1)}
    write_result("robustness", figures, seeds=[seed], quick=quick, extra=extra)


if __name__ == "__main__":
    main()
