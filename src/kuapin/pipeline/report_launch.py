"""Replayed openings of categories, as parts of a report."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, Dataset
from kuapin.errors import InputError, UnknownIdError
from kuapin.evaluation.launch import Launch, launch_split
from kuapin.evaluation.metrics.registry import DEFAULT
from kuapin.evaluation.metrics.registry import evaluate as judge_lists
from kuapin.evaluation.ranked import Answers, ItemFacts
from kuapin.evaluation.slices import Slice, slices
from kuapin.evaluation.wording import percent
from kuapin.names import offered
from kuapin.pipeline.baselines import Baseline, Task, rank_baselines, rank_task
from kuapin.pipeline.report_lists import LISTED, cut
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_pool import MODEL, Pool
from kuapin.pipeline.report_questions import LEAST_USERS, SLICE_METRICS, Measured
from kuapin.progress import SILENT, Progress
from kuapin.ranking.recommender import fit_launch
from kuapin.retrieval.source import Candidates

TEST_SHARE = 1 / 3
MOST_CATEGORIES = 6
LEAST_TEST_USERS = 100
_NOTES = {
    "order-free": "Launch: of the users with interactions in the category and elsewhere, a share is asked. What they "
    "did in the category is hidden, what they did elsewhere is the input; they are in no training. Of the other users, "
    "the shot level says how many keep what they did in the category. All items of the category are ranked.",
    "timed": "Launch: the category opens when 70 % of the log has passed, and everything of it before that is hidden. "
    "Inputs lie before the opening, the answers in the last 15 % of the log; in between come the first users, of whom "
    "the shot level says how many are seen. The users who are asked are in no training. All items of the category are "
    "ranked.",
}
_SHOT_ZERO = (
    "With nothing seen in the category, methods that count what happened in it (popularity, item-kNN, EASE, implicit "
    "ALS) have nothing to say and are left out."
)

_PART = (
    "Head, middle and tail items of a launch: each part holds a third of what the users who are not asked did in the "
    "category; all its items are ranked."
)


def items_of(catalogue: Catalogue, category: str) -> NDArray[np.bool_]:
    """The items in a category of any level (``Beauty``, or ``Beauty > Skin care``): bool (n_items,).

    Raises:
        UnknownIdError: there is no such category.
    """
    wanted, paths = _steps(category), [_steps(leaf) for leaf in catalogue.leaves]
    inside = np.array([path[: len(wanted)] == wanted for path in paths])
    if not inside.any():
        level = len(wanted)
        same_level = dict.fromkeys(c.CATEGORY_SEPARATOR.join(path[:level]) for path in paths)
        raise UnknownIdError(
            f"There is no category {category!r} in this shop. "
            + offered(
                c.CATEGORY_SEPARATOR.join(wanted), catalogue.categories, "top-level categories", also=[*same_level]
            )
        )
    return np.asarray(inside[catalogue.leaf], np.bool_)


def _steps(path: str) -> list[str]:
    return [step.strip() for step in path.split(c.CATEGORY_SEPARATOR.strip())]


def largest_categories(dataset: Dataset, seed: int = 0, *, test_share: float = TEST_SHARE) -> tuple[str, ...]:
    """The top-level categories that can be measured, the one with the most test users first.

    Those in which at least ``LEAST_TEST_USERS`` would be asked under this seed, at most ``MOST_CATEGORIES``.

    Raises:
        InputError: there is none.
    """
    catalogue = dataset.catalogue
    asked = {}
    for code, name in enumerate(catalogue.categories):
        try:
            (launch,) = launch_split(dataset, catalogue.category == code, [0.0], seed, test_share=test_share)
        except InputError:
            continue
        asked[name] = len(launch.test_users)
    enough = sorted((name for name in asked if asked[name] >= LEAST_TEST_USERS), key=lambda name: -asked[name])
    if not enough:
        raise InputError(
            f"No category has {LEAST_TEST_USERS} users who can be asked: with interactions in it and elsewhere. "
            "Name one with --category, or import more log."
        )
    return tuple(enough[:MOST_CATEGORIES])


def measure_launches(
    material: Material,
    made: Sequence[Baseline],
    categories: Sequence[str],
    shots: Sequence[float],
    *,
    seeds: int,
    max_test_users: int,
    watch: Stopwatch,
    test_share: float = TEST_SHARE,
    progress: Progress = SILENT,
) -> Measured:
    """Replay the opening of each category at each shot level; one comparison each.

    Raises:
        UnknownIdError: there is no such category.
        InputError: nobody can be asked.
    """
    comparisons, parts, kinds = [], [], set()
    for category in categories:
        mask = items_of(material.dataset.catalogue, category)
        pools = {shot: Pool() for shot in shots}
        of_parts: dict[tuple[float, str], Pool] = {}
        for seed in material.seeds(seeds):
            launches = launch_split(
                material.dataset, mask, shots, seed, test_share=test_share, max_test_users=max_test_users
            )
            kinds |= {launch.kind for launch in launches}
            constant = _constant(material, made, launches[0], watch, progress)
            thirds = _thirds(material.dataset, launches[0])
            for launch in launches:
                with progress.step(f"{category}, shot level {launch.shot:.3g}"):
                    lists = _lists(material, made, launch, watch, progress)
                facts = ItemFacts.from_visible(launch.visible, material.dataset.catalogue.category, launch.items)
                answers = Answers.from_histories(launch.answers)
                ranked = {name: cut(one) for name, one in (lists | constant).items()}
                outcomes = {name: judge_lists(one, answers, facts, DEFAULT) for name, one in ranked.items()}
                pools[launch.shot].add(launch.test_users, outcomes)
                for part in thirds:
                    outcomes = {
                        name: judge_lists(one.take(part.users), part.answers, facts, SLICE_METRICS)
                        for name, one in ranked.items()
                    }
                    of_parts.setdefault((launch.shot, part.name), Pool()).add(launch.test_users[part.users], outcomes)
        question = f"{category} opens: which of its items will users choose whose history lies elsewhere?"
        comparisons += [
            pool.comparison(category, question, "launch", int(mask.sum()), shot=shot) for shot, pool in pools.items()
        ]
        parts += [
            pool.comparison(
                f"{category}, {percent(shot)} seen: {name} items", _PART, "launch", int(mask.sum()), shot=shot
            )
            for (shot, name), pool in of_parts.items()
            if len(pool) >= LEAST_USERS
        ]
    notes = (*(_NOTES[kind] for kind in sorted(kinds)), _SHOT_ZERO, _PART)
    return Measured(tuple(comparisons), slices=tuple(parts), notes=notes)


def _thirds(dataset: Dataset, launch: Launch) -> list[Slice]:
    """The answers among head, middle and tail items: of the category, by all that people who are not asked did there.

    The same items at every shot level; what is counted here is told to no method.
    """
    log = dataset.histories
    others = log.keep(np.isin(log.items, launch.items) & ~np.isin(log.users, launch.test_users))
    facts = ItemFacts.from_visible(others, dataset.catalogue.category, launch.items)
    parts = slices(Answers.from_histories(launch.answers), facts, (), launch.queries.lengths)
    return [part for part in parts if part.kind == "popularity"]


def _constant(
    material: Material, made: Sequence[Baseline], launch: Launch, watch: Stopwatch, progress: Progress
) -> dict[str, Candidates]:
    """The lists of baselines that learn nothing from the log: the same at every shot level."""
    visible = material.visible(launch.visible, launch.now, launch.items)
    frozen = [baseline for baseline in made if not baseline.source.learns]
    with watch.time("Launches: the baselines"):
        (lists,) = rank_baselines(frozen, visible, [Task(launch.queries, LISTED, launch.items)], progress)
    return lists


def _lists(
    material: Material, made: Sequence[Baseline], launch: Launch, watch: Stopwatch, progress: Progress
) -> dict[str, Candidates]:
    """Ours, and the baselines that count: these have nothing to say before anything was seen."""
    visible = material.visible(launch.visible, launch.now, launch.items)
    learning = material.learning
    with watch.time("Launches: train and rank"):
        recommender = fit_launch(
            visible,
            launch.items,
            launch.shot,
            signals=learning.signals,
            ranking=learning.ranking,
            replays=learning.replays,
            sources=material.config.sources,
            progress=progress,
        )
        lists = {MODEL: rank_task(recommender.rank, Task(launch.queries, LISTED, launch.items))}
    del recommender  # its sources would lie in memory beside the baselines
    if launch.shot == 0:
        return lists
    counting = [baseline for baseline in made if baseline.source.learns]
    with watch.time("Launches: the baselines"):
        (others,) = rank_baselines(counting, visible, [Task(launch.queries, LISTED, launch.items)], progress)
    return lists | others
