"""How good the recommendations are: one protocol on one shop, ours beside the baselines, as a report."""

import datetime as dt
import platform
from collections.abc import Sequence
from pathlib import Path

import kuapin
from kuapin.evaluation.launch import SHOTS
from kuapin.evaluation.report import Data, Method, Protocol, Report
from kuapin.pipeline.baselines import Baseline, baselines
from kuapin.pipeline.report_launch import largest_categories, measure_launches
from kuapin.pipeline.report_leave_one_out import measure_leave_one_out
from kuapin.pipeline.report_material import Material, Stopwatch, material_of
from kuapin.pipeline.report_pool import MODEL
from kuapin.pipeline.report_questions import Measured
from kuapin.pipeline.report_temporal import measure_temporal
from kuapin.progress import SILENT, Progress
from kuapin.retrieval.parallel import cores
from kuapin.workspace import Shop

MAX_TEST_USERS = 2_000
"""More users make the intervals narrower, and take time in proportion."""


def evaluate(
    shop: Shop,
    *,
    protocol: Protocol = "temporal",
    category: str | None = None,
    shots: Sequence[float] = SHOTS,
    seeds: int = 1,
    max_test_users: int = MAX_TEST_USERS,
    progress: Progress = SILENT,
) -> Report:
    """Measure on a shop's own log.

    Nothing is published and nothing that is live is touched: for every question the methods are trained anew, on what
    may be seen.

    Args:
        shop: with items and interactions.
        protocol: what is hidden (DESIGN §6).
        category: the category that opens, of any level (``Beauty``, ``Beauty > Skin care``); ``None``: the largest
            that can be measured (``report_launch.largest_categories``). For ``launch`` only.
        shots: shot levels. For ``launch`` only.
        seeds: how many draws of users are pooled.
        max_test_users: asked per draw.
        progress: told of every step.

    Raises:
        InputError: the log does not allow the protocol, or there is no such category.
    """
    watch = Stopwatch()
    with watch.time("Read and encode"):
        material = material_of(shop, progress, user_model=protocol != "launch")
    made = baselines_of(material)
    how = {"seeds": seeds, "max_test_users": max_test_users}
    if protocol == "launch":
        opened = (category,) if category is not None else largest_categories(material.dataset, material.config.seed)
        measured = measure_launches(material, made, opened, shots, **how, watch=watch, progress=progress)
    elif protocol == "leave-one-out":
        measured = measure_leave_one_out(material, made, **how, watch=watch, progress=progress)
    else:
        measured = measure_temporal(material, made, **how, watch=watch, progress=progress)
    return report_of(
        material, made, [measured], watch, title=f"How well Kuapin recommends in {shop.path.name}", seeds=seeds
    )


def baselines_of(material: Material) -> tuple[Baseline, ...]:
    """All baselines that the shop's log allows, with the settings of its ``kuapin.toml``."""
    return baselines(
        material.config.sources,
        timed=material.dataset.histories.timed,
        text=material.config.text,
        seed=material.config.seed,
    )


def report_of(
    material: Material,
    made: Sequence[Baseline],
    measured: Sequence[Measured],
    watch: Stopwatch,
    *,
    title: str,
    seeds: int,
    data: Data | None = None,
) -> Report:
    """Put what was measured into one report."""
    comparisons = tuple(comparison for part in measured for comparison in part.comparisons)
    named = {name for comparison in comparisons for name in comparison.results}
    return Report(
        title=title,
        created=_today(),
        data=data or Data(title, facts=facts_of(material)),
        methods=(_ours(material), *(b.method for b in made if b.method.name in named)),
        comparisons=comparisons,
        categories=tuple(comparison for part in measured for comparison in part.categories),
        slices=tuple(comparison for part in measured for comparison in part.slices),
        mixes=tuple(mix for part in measured for mix in part.mixes),
        trades=tuple(trade for part in measured for trade in part.trades),
        exposures=tuple(exposure for part in measured for exposure in part.exposures),
        timings=watch.timings,
        setting=_setting(seeds),
        notes=tuple(dict.fromkeys(note for part in measured for note in part.notes)),
    )


def facts_of(material: Material) -> dict[str, str]:
    """The size of a shop in words and numbers."""
    dataset = material.dataset
    facts = {
        "Users": f"{len(dataset.users):,}",
        "Items": f"{len(dataset.catalogue):,}",
        "Interactions": f"{len(dataset.histories.items):,}",
        "Categories": f"{len(dataset.catalogue.categories):,}",
    }
    if dataset.histories.timed and len(dataset.histories.times):
        first, last = (_day(int(edge)) for edge in (dataset.histories.times.min(), dataset.histories.times.max()))
        facts |= {"From": first, "To": last}
    return facts


def _ours(material: Material) -> Method:
    trees = material.learning.ranking.trees
    return Method(
        MODEL,
        "model",
        "All sources propose candidates; a ranker orders them by what each source says of the item, by brand, "
        f"category, price and popularity: a weighted sum, mixed with LightGBM ({trees.rounds} trees of {trees.leaves} "
        "leaves at most) as far as the trees prove better on users held out. Over time it is trained on the last "
        "stretch of what may be seen, every user's list once with known items and once without; for a launch on "
        "replayed launches of other groups of items and on the category's own first users.",
    )


def _setting(seeds: int) -> dict[str, str]:
    return {
        "Version": f"Kuapin {kuapin.__version__}, Python {platform.python_version()}",
        "Machine": f"{processor()}, {cores()} cores",
        "Draws of users": str(seeds),
        "Candidates": "every item of the shop, or of the category that opens; no sampling",
    }


def processor() -> str:
    """The name of this machine's processor."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _today() -> str:
    today = dt.datetime.now(dt.UTC)
    return f"{today.day} {today:%B %Y}"


def _day(timestamp: int) -> str:
    day = dt.datetime.fromtimestamp(timestamp, dt.UTC)
    return f"{day.day} {day:%B %Y}"
