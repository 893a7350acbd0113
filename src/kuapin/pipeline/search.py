"""``finetune --search``: which settings suit the shop, tried on its own texts and log."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from kuapin.finetuning.adapting import adapt, run_key
from kuapin.finetuning.material import chosen_categories
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.search import Space, Trial, Watch, searched
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.pipeline.finetune import asked_users, material_of, of_one_objective, starting_backbone
from kuapin.pipeline.text_zero_shot import openings
from kuapin.progress import SILENT, Progress
from kuapin.workspace import Shop


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        config: the best settings.
        trials: every trial, in its order.
        preset: TOML file with what was searched, for ``--preset``.
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
    snapshot, dataset = shop.snapshot, shop.dataset()
    allowed = chosen_categories(dataset, config.source_categories)
    left_out = asked_users(dataset, openings(dataset, allowed, config.seed))
    material = material_of(shop, dataset, allowed, left_out, config.seed)
    backbone = starting_backbone(shop, config, material)
    key = run_key(config, backbone, f"{snapshot} {sorted(space.items())}")
    best = max if OBJECTIVES[config.objective].greater_is_better else min
    metric = OBJECTIVES[config.objective].metric
    with shop.run(f"search-{key}") as folder:

        def run(chosen: FinetuningConfig, watch: Watch) -> float:
            work = folder / "trial"
            shutil.rmtree(work, ignore_errors=True)  # of a trial that was interrupted: its settings are drawn anew
            (work / "run").mkdir(parents=True)
            alone = of_one_objective(chosen)
            done = adapt(material, alone, backbone, work / "run", work / "new", progress, watch)
            return best(values[metric] for _, values in done.outcome.curve)

        chosen, tried = searched(config, space, trials, folder, run)
    preset = shop.reports / f"search-{key}.toml"
    preset.write_text(_as_preset(chosen, space), encoding="utf-8")
    return Found(chosen, tuple(tried), preset)


def _as_preset(config: FinetuningConfig, space: Space) -> str:
    """Objective, strategy and what was searched, as TOML."""
    lines = [f'objective = "{config.objective}"', f'strategy = "{config.strategy}"']
    tree = config.model_dump(mode="json")
    for name in space:
        value = tree
        for step in name.split("."):
            value = value[step]
        lines.append(f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {str(value).lower()}")
    return "\n".join(lines) + "\n"
