"""``kuapin finetune``: the language model learns the shop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kuapin.cli.finetuned import next_steps, say_finetuned, verdict, why_worse
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, progress, remark, say, say_json, say_table

if TYPE_CHECKING:
    from kuapin.finetuning.settings import FinetuningConfig
    from kuapin.progress import Progress
    from kuapin.workspace import Shop


def finetune(
    folder: ShopFolder,
    *,
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            help="What is optimised: masked-lm, causal-lm, simcse, tsdae, item-classification, token-classification, "
            "regression, generation, co-interaction or next-item. (co-interaction)",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            help="What may change: head-only, top-layers, full, lora, adalora, bottleneck or prefix. "
            "(lora; full from scratch)",
            show_default=False,
        ),
    ] = None,
    source_categories: Annotated[
        str | None,
        typer.Option(
            "--source-categories",
            metavar="LIST",
            help="Top-level categories that may be seen, with commas; the others are measured as if they opened.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME|FILE",
            help="apparel, apparel-tuned, beauty, beauty-tuned, few-labels, launch, refresh, or a TOML file; "
            "options go first.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="Language model to start from: a name, folder or hub id.", show_default=False),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Start from a small untrained model with the shop's own words instead."),
    ] = False,
    max_steps: Annotated[
        int | None,
        typer.Option(
            "--max-steps",
            min=0,
            help="End after so many steps; 0: no training, only what the settings put in place (pooling, whitening).",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any setting, such as training.batch_size=64; may be repeated."
        ),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(
            "--search",
            metavar="N",
            min=1,
            help="Try N settings first, by Optuna, and go on with the best; an interrupted search goes on.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            metavar="KEY=[…]",
            help="What is searched: two ends, or choices, as training.batch_size=[16,32,64]; may be repeated. "
            "(learning rate, warm-up, weight decay)",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let the new encoder serve even a category that it serves worse.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Compare lists by text alone with the encoder that the shop has."),
    ] = True,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Adapt the language model to the shop's texts and log, and measure what it is worth; what is live stays."""
    from kuapin.errors import InputError
    from kuapin.model_folder import Releases
    from kuapin.pipeline.finetune import finetune as finetune_shop
    from kuapin.pipeline.finetune_report import told as as_object
    from kuapin.pipeline.finetune_report import write_report

    given: dict[str, Any] = {"objective": objective, "strategy": strategy, "backbone": backbone}
    given["from_scratch"] = from_scratch or None
    if space and search is None:
        raise InputError(
            "--space says what --search tries, and there is no --search. Add --search N, or leave it away."
        )
    shop = open_shop(folder)
    if source_categories is not None:
        given["source_categories"] = _categories(shop, source_categories)
    config = _config(preset, given, max_steps, settings or [], quiet=quiet or as_json)
    told = progress(quiet=quiet or as_json)
    if search is not None:
        config = _searched(shop, config, search, space or [], told, quiet=quiet or as_json)
    tuned = finetune_shop(shop, config, measure=measure, force=force, progress=told)
    report = write_report(shop, tuned)
    if as_json:
        say_json(as_object(tuned))
        return
    say_finetuned(tuned, config)
    remark(f"Written to {report}", quiet=quiet)
    remark(_curves(config.training.tracker, tuned.adapted.folder), quiet=quiet)
    live = Releases(shop.models, shop.config.releases).live() is not None
    say("")
    say(verdict(tuned, config))
    for opening in tuned.openings:
        if opening.worse:
            say(why_worse(opening, live=live, force=force))
    for line in next_steps(tuned, config, folder, live=live, force=force):
        remark(line, quiet=quiet)


def _categories(shop: "Shop", text: str) -> list[str]:
    """The top-level categories of a list with commas."""
    from kuapin import columns as c
    from kuapin.data.dataset import category_paths, top_level
    from kuapin.names import listed

    items = shop.store.read(c.ITEMS, [c.ITEM_ID, c.CATEGORY])
    return listed(text, set(top_level(category_paths(items)).unique()))


def _curves(asked: str, folder: Path) -> str:
    """Where a tracker's curves are, or why there are none."""
    from kuapin.finetuning.tracking import chosen_tracker
    from kuapin.finetuning.trainer import CURVES

    tracker = chosen_tracker(asked)
    if tracker == "tensorboard":
        return f"Curves: tensorboard --logdir {folder / CURVES}"
    if asked == "auto":
        return "No curves were recorded: TensorBoard is not installed. Run: pip install 'kuapin[tracking]'"
    return f"Curves: by {tracker}" if tracker != "none" else "No curves were recorded: training.tracker is none"


def _config(
    preset: str | None, given: dict[str, Any], max_steps: int | None, pairs: list[str], *, quiet: bool
) -> "FinetuningConfig":
    """The preset's settings, with the options over them; a backbone among these also ends its start from scratch."""
    from kuapin.config import read_preset, validated
    from kuapin.errors import InputError
    from kuapin.finetuning.presets import find_preset
    from kuapin.finetuning.settings import FinetuningConfig

    file = find_preset(preset) if preset is not None else None
    values = read_preset(file) if file is not None else {}
    scratch = values.pop("from_scratch", False) if "backbone" not in values else False
    values |= {name: value for name, value in given.items() if value is not None}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign:
            raise InputError(f"--set is {pair!r}; write KEY=VALUE, such as training.batch_size=64.")
        _put(values, key.strip().split("."), _value(text.strip()))
    if max_steps is not None:
        _put(values, ["training", "max_steps"], max_steps)
    if scratch and values.setdefault("from_scratch", "backbone" not in values) is False:
        start = values.get("backbone", "the shop's backbone")
        remark(f"The preset would start from scratch; it starts from {start}, as given.", quiet=quiet)
    return validated(FinetuningConfig, values, f"{file}" if file is not None else "finetune")


def _searched(
    shop: "Shop", config: "FinetuningConfig", trials: int, pairs: list[str], told: "Progress", *, quiet: bool
) -> "FinetuningConfig":
    from kuapin.errors import InputError
    from kuapin.finetuning.objectives.registry import OBJECTIVES
    from kuapin.finetuning.search import default_space
    from kuapin.pipeline.search import search

    space = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        values = _value(text.strip())
        if not sign or not isinstance(values, list) or len(values) < 2:
            raise InputError(f"--space is {pair!r}; write KEY=[LOW, HIGH] or KEY=[CHOICE, CHOICE, …].")
        space[key.strip()] = tuple(values)
    found = search(shop, config, space or default_space(config), trials, told)
    if not quiet:
        names = list(found.trials[0].settings)
        columns = {name: [_short(trial.settings[name]) for trial in found.trials] for name in names}
        values = [trial.state if trial.value is None else f"{trial.value:.4g}" for trial in found.trials]
        kind = OBJECTIVES[config.objective]
        metric = f"{kind.metric} ({'higher' if kind.greater_is_better else 'lower'} is better)"
        say_table({"trial": [str(number + 1) for number in range(len(values))], **columns, metric: values})
        say(f"The best is kept in {found.preset}")
        say("")
    return found.config


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    from kuapin.errors import InputError

    for step in path[:-1]:
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {'.'.join(path)}: {step} is no section. See docs/finetune.md.")
    values[path[-1]] = value


def _value(text: str) -> Any:
    """A value as TOML writes it; a bare word is a text."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
