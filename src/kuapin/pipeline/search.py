"""``finetune --search``: which settings suit the shop, tried on its own texts and log."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from kuapin.config import render_toml
from kuapin.durable import write_durably
from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.adapting import adapt, run_key
from kuapin.finetuning.material import Material, chosen_categories
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.search import Space, Trial, Watch, searched
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.pipeline.finetune import (
    asked_users,
    check_settings,
    check_stages,
    first_stage,
    material_of,
    of_one_objective,
    pretrained,
    starting_backbone,
)
from kuapin.pipeline.text_zero_shot import openings
from kuapin.progress import SILENT, Progress
from kuapin.workspace import Shop


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        config: the best settings.
        trials: every trial, in its order.
        preset: TOML file with all of the best settings, for ``--preset``.
    """

    config: FinetuningConfig
    trials: tuple[Trial, ...]
    preset: Path


def search(shop: Shop, config: FinetuningConfig, space: Space, trials: int, progress: Progress = SILENT) -> Found:
    """Try settings; users who will be asked for lists afterwards are in no trial. The same call goes on.

    Args:
        shop: with items.
        config: all that is not searched.
        space: setting → its two ends, or its choices.
        trials: in all.
        progress: told of every trial's steps.

    Raises:
        InputError: a setting does not exist, or no trial came to its end.
    """
    check_settings(config)
    snapshot, dataset = shop.snapshot, shop.dataset()
    allowed = chosen_categories(dataset, config.source_categories)
    left_out = asked_users(dataset, openings(dataset, allowed, config.seed))
    material = material_of(shop, dataset, allowed, left_out, config.seed)
    backbone = starting_backbone(shop, config, material)
    check_stages(config, backbone)
    key = run_key(config, backbone, material, f"{snapshot} {sorted(space.items())}")
    best = max if OBJECTIVES[config.objective].greater_is_better else min
    metric = OBJECTIVES[config.objective].metric
    with shop.run(f"search-{key}") as folder:

        def run(chosen: FinetuningConfig, watch: Watch) -> float:
            work = folder / "trial"
            shutil.rmtree(work, ignore_errors=True)  # of a trial that was interrupted: its settings are drawn anew
            (work / "run").mkdir(parents=True)
            started = _started(material, chosen, backbone, folder, progress)
            done = adapt(material, of_one_objective(chosen), started, work / "run", work / "new", progress, watch)
            return best(values[metric] for _, values in done.outcome.curve)

        chosen, tried = searched(config, space, trials, folder, run, progress)
    preset = shop.reports / f"search-{key}.toml"
    write_durably(preset, render_toml(chosen).encode())
    return Found(chosen, tuple(tried), preset)


def _started(
    material: Material, config: FinetuningConfig, backbone: Backbone, folder: Path, progress: Progress
) -> Backbone:
    """Where a trial starts: behind the first stage, which trials with the same settings of it share."""
    stage = first_stage(config)
    if stage is None:
        return backbone
    own = folder / f"first-{run_key(stage, backbone, material, '')}"
    (own / "run").mkdir(parents=True, exist_ok=True)
    return pretrained(material, config, backbone, own / "run", own / "new", progress)
