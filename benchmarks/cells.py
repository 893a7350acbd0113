"""One launch at one shot level: our method and every baseline of DESIGN §6 on the same users and candidates."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.cell import Cell
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import TEMPLATES, DataSet
from kuapin.evaluation.launch import Launch, launch_split
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.evaluation.metrics.registry import evaluate as judge
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.pipeline.baselines import Baseline, Task, baselines, rank_baselines
from kuapin.pipeline.report_pool import MODEL
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import fit_launch
from kuapin.ranking.replays import ReplayConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Candidates, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.ease import EaseConfig
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.retrieval.whitening import whiten
from kuapin.text.template import TextConfig

METRICS = ("ndcg@10", "hit_rate@10")
TEST_SHARE = 1 / 3
FROZEN = "frozen text"
POOLINGS = ("logsumexp", "mean")


@dataclass(frozen=True)
class Bench:
    """A set with its vectors, and what is compared on it.

    Attributes:
        dataset: the set.
        templates: that frozen text is tried with, each alone; ours reads items as a shop does by default.
        max_test_users: per cell.
        ease_items: EASE's cap.
    """

    dataset: DataSet
    templates: Sequence[str] = TEMPLATES
    max_test_users: int = 2_000
    ease_items: int = 8_000
    _kept: dict[str, object] = field(default_factory=dict)

    def visible(self, launch: Launch) -> Visible:
        """What may be learnt from."""
        vectors, white, texts = self._read()
        return Visible(self.dataset.dataset.catalogue, launch.visible, vectors, launch.now, texts, white, launch.items)

    def _read(self) -> tuple:
        if "read" not in self._kept:
            vectors = self.dataset.vectors()
            self._kept["read"] = (vectors, whiten(vectors), self.dataset.texts(self.templates[0]))
        return self._kept["read"]

    def counting(self, seed: int) -> tuple[Baseline, ...]:
        """The baselines that learn from the log."""
        config = SourcesConfig(ease=EaseConfig(max_items=self.ease_items))
        made = baselines(config, timed=self.dataset.dataset.histories.timed, text=None, seed=seed)
        return tuple(one for one in made if one.source.learns)

    def constant(self, launch: Launch, seed: int) -> dict[str, Candidates]:
        """Lists of all that learns nothing: frozen text in every way, random text, random; the same at every shot."""
        visible = self.visible(launch)
        whole = ContentConfig(max_history=None)
        made = baselines(SourcesConfig(content=whole), timed=False, text=TextConfig(), seed=seed)
        wanted = [one for one in made if one.method.name in ("random text", "random")]
        (lists,) = rank_baselines(wanted, visible, [Task(launch.queries, 10, launch.items)])
        for name, source in self._frozen(visible):
            lists[name] = source.top(launch.queries, 10, launch.items)
        return lists

    def _frozen(self, visible: Visible) -> Iterable[tuple[str, Content]]:
        """Every way to read frozen text; fitted once, because it never reads the log."""
        if "frozen" not in self._kept:
            ways = []
            for template in self.templates:
                known = self.dataset.vectors(template)
                for pooling in POOLINGS:
                    config = ContentConfig(pooling=pooling, max_history=None)
                    source = Content(config).fit(Visible(visible.catalogue, visible.histories, known, visible.now))
                    ways.append((f"{FROZEN}: {template}, {pooling}", source))
            self._kept["frozen"] = ways
        return self._kept["frozen"]


def cells(
    bench: Bench,
    target: NDArray[np.bool_],
    shots: Sequence[float],
    seeds: Sequence[int],
    *,
    rivals: Collection[int] | None = None,
    kept: KeptCells | None = None,
) -> Iterator[Cell]:
    """Replay one launch at every shot level and seed.

    Args:
        bench: the set.
        target: bool (n_items,), the items of the category that opens.
        shots: levels.
        seeds: of the draws.
        rivals: seeds under which EASE and ALS, the slow ones, are measured too; ``None``: all.
        kept: where finished cells are found and kept.
    """
    for seed in seeds:
        known = [kept.get(shot, seed) if kept is not None else None for shot in shots]
        if None not in known:
            yield from (cell for cell in known if cell is not None)
            continue
        launches = launch_split(
            bench.dataset.dataset,
            target,
            shots,
            seed,
            test_share=TEST_SHARE,
            max_test_users=bench.max_test_users,
            kind="order-free",
        )
        constant = bench.constant(launches[0], seed)
        for launch, cell in zip(launches, known, strict=True):
            if cell is not None:
                yield cell
                continue
            visible = bench.visible(launch)
            started = time.perf_counter()
            recommender = fit_launch(
                visible,
                launch.items,
                launch.shot,
                signals=SignalsConfig(),
                ranking=RankingConfig(),
                replays=ReplayConfig(seed=seed),
            )
            ours = recommender.rank(launch.queries, 10, launch.items)
            seconds = time.perf_counter() - started
            del recommender
            slow = () if rivals is None or seed in rivals else ("EASE", "implicit ALS")
            counting = [one for one in bench.counting(seed) if launch.shot > 0 and one.method.name not in slow]
            (others,) = rank_baselines(counting, visible, [Task(launch.queries, 10, launch.items)])
            lists = {MODEL: ours} | others | constant
            cell = Cell(launch.shot, seed, launch.test_users, _judged(bench, launch, lists), seconds)
            if kept is not None:
                kept.put(cell)
            yield cell


def _judged(bench: Bench, launch: Launch, lists: Mapping[str, Candidates]) -> dict[str, PerUser]:
    answers = Answers.from_histories(launch.answers)
    facts = ItemFacts.from_visible(launch.visible, bench.dataset.dataset.catalogue.category, launch.items)
    return {
        name: judge(Ranked.from_flat(one.indptr, one.items, 10), answers, facts, METRICS) for name, one in lists.items()
    }
