"""Is what ``kuapin onboard`` expects what comes?

Second-level categories of amazon18_arts_office are taken out one after the other; a third of their users are asked, who
are in no training (order-free launch protocol). What replays of *other* parts of the shop let expect of the chosen
strategy against popularity is compared with what is found: the share of ranges that hold the found ratio (``.covered``,
asked for .95), how wide they are (``.width``, upper to lower end), expected and found ratio (geometric means), and the
found NDCG@10 of what was chosen to that of the strategy that would have been best (``.regret``; 1 is none).
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, print_table, write_result
from benchmarks.launch import SET, second_levels
from benchmarks.sets import DataSet, load_set
from kuapin.evaluation.launch import launch_split
from kuapin.ranking.expectations import Range
from kuapin.ranking.lists import make_lists, ndcg_at_10
from kuapin.ranking.opening import open_category
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.ranking.simulation import SimulationConfig
from kuapin.ranking.strategies import POPULARITY, ranker_of
from kuapin.retrieval.source import Visible
from kuapin.retrieval.whitening import whiten

SHOTS = (0.0,)
"""The day of ``kuapin onboard``."""
LAUNCHES, TEST_USERS = 10, 800


@dataclass(frozen=True)
class Checked:
    """One category: what was expected of the chosen strategy against popularity, and what was found.

    Attributes:
        category: its name.
        shot: the level.
        users: who were asked.
        strategy: that was chosen.
        expected: the ratio, with the range of one more category.
        found: the ratio.
        ndcg: found, by strategy.
    """

    category: str
    shot: float
    users: int
    strategy: str
    expected: Range
    found: float
    ndcg: dict[str, float]

    @property
    def covered(self) -> bool:
        """Whether the range holds what was found."""
        return self.expected.low <= self.found <= self.expected.high


def honesty(data: DataSet, seed: int, *, quick: bool) -> list[Checked]:
    """Expected and found of every second-level category."""
    vectors, texts = data.vectors(), data.texts()
    white = whiten(vectors)
    found = []
    for opening in second_levels(data)[: 2 if quick else LAUNCHES]:
        launches = launch_split(
            data.dataset, opening.items, SHOTS, seed, test_share=1 / 3, max_test_users=TEST_USERS, kind="order-free"
        )
        for launch in launches:
            started = time.perf_counter()
            visible = Visible(data.dataset.catalogue, launch.visible, vectors, launch.now, texts, white)
            opened = open_category(
                visible,
                launch.items,
                shot=launch.shot,
                hidden=1.0,
                signals=SignalsConfig(),
                ranking=RankingConfig(),
                simulation=SimulationConfig(shots=(launch.shot,), seed=seed),
            )
            if opened.expectations is None:
                continue
            signals = opened.recommender.signals
            lists = make_lists(signals, launch.queries, launch.items, launch.answers)
            ndcg = {}
            for strategy in opened.expectations.at(launch.shot).quality:
                ranker = opened.recommender.ranker
                if strategy != opened.strategy:
                    ranker = ranker_of(
                        strategy, signals.names, len(signals.signals), opened.expectations.lists, RankingConfig()
                    )
                ndcg[strategy] = float(ndcg_at_10(lists, ranker.score(lists.features)).mean())
            one = Checked(
                opening.name.removeprefix("others->"),
                launch.shot,
                len(launch.test_users),
                opened.strategy,
                opened.expectations.ratio(opened.strategy, launch.shot),
                ndcg[opened.strategy] / max(ndcg[POPULARITY], 1e-12),
                ndcg,
            )
            found.append(one)
            print(f"{one.category} {one.shot:g}: {one.expected} {one.found:.2f}, {time.perf_counter() - started:.0f} s")
    return found


def figures_of(checked: Sequence[Checked]) -> dict[str, Figure]:
    """Coverage, width, expected and found ratio, regret, at every shot level."""
    figures = {}
    for shot in sorted({one.shot for one in checked}):
        some = [one for one in checked if one.shot == shot]
        name = f"shot_{shot:g}"
        chosen = np.array([one.ndcg[one.strategy] for one in some])
        best = np.array([max(one.ndcg.values()) for one in some])
        figures |= {
            f"{name}.covered": Figure(float(np.mean([one.covered for one in some]))),
            f"{name}.launches": Figure(len(some)),
            f"{name}.expected_ratio": Figure(_geometric([one.expected.value for one in some])),
            f"{name}.found_ratio": Figure(_geometric([one.found for one in some])),
            f"{name}.width": Figure(_geometric([one.expected.high / one.expected.low for one in some])),
            f"{name}.regret": Figure(float(chosen.mean() / max(best.mean(), 1e-12))),
        }
    return figures


def _geometric(values: Sequence[float]) -> float:
    logs: NDArray[np.float64] = np.log(np.maximum(values, 1e-3))
    return float(np.exp(logs.mean()))


def main() -> None:
    """Measure, print, write ``expectations.json``."""
    arguments = parse_arguments(__doc__)
    folder, seed = arguments.folder or data_set(SET), (arguments.seeds or (0,))[0]
    checked = honesty(load_set(folder), seed, quick=arguments.quick)
    rows = [
        [one.category[-40:], f"{one.shot:g}", one.users, one.strategy, one.expected.low, one.expected.high, one.found]
        for one in checked
    ]
    print_table("Expected and found", ["category", "shot", "users", "chosen", "low", "high", "found"], rows)
    extra = {"set": folder.name, "checked": [asdict(one) | {"covered": one.covered} for one in checked]}
    write_result("expectations", figures_of(checked), seeds=[seed], quick=arguments.quick, extra=extra)


if __name__ == "__main__":
    main()
