"""What becomes of a category that opened lately: its part, fitted again at the shot level that it has reached."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from pydantic import JsonValue

from kuapin.data.dataset import Dataset
from kuapin.data.suspects import find_suspects
from kuapin.evaluation.gate import Paired
from kuapin.manifest import Routing, part_of
from kuapin.model import Model
from kuapin.pipeline.challenge import everything_available, paired
from kuapin.pipeline.onboard import OPENED, opening_of, slug
from kuapin.pipeline.train import Texts, learnable
from kuapin.progress import SILENT, Progress
from kuapin.ranking.opening import Opening
from kuapin.ranking.routed import Routed, Served
from kuapin.ranking.strategies import Strategy
from kuapin.release_parts import PARTS
from kuapin.workspace import Shop

RUNNING: Literal["running shop"] = "running shop"
"""The last stage: a category is served by what serves all others."""


@dataclass(frozen=True)
class Stage:
    """Where a young category stands.

    Attributes:
        before: what it was served by: a strategy of ``ranking/strategies.py``.
        now: what the challenger would serve it by: a strategy, or ``RUNNING``.
    """

    before: str
    now: Strategy | Literal["running shop"]

    @property
    def own(self) -> Strategy | None:
        """What the category's own part serves it by; ``None``: the challenger is what serves all others."""
        return None if self.now == RUNNING else self.now


def young(routing: Routing, config: Mapping[str, JsonValue]) -> dict[str, str]:
    """The categories that are still served by the part that they opened with → their strategy."""
    opened = config.get(OPENED)
    found = {}
    for name, route in routing.categories.items():
        record = opened.get(name) if isinstance(opened, dict) else None
        if isinstance(record, dict) and part_of(route) == f"{PARTS}/{slug(name)}":
            found[name] = str(record.get("strategy"))
    return found


def opened_again(
    shop: Shop,
    dataset: Dataset,
    read: Texts,
    category: str,
    strategy: Strategy | None = None,
    progress: Progress = SILENT,
) -> Opening:
    """What serves a category best at the shot level that it has in a dataset; or the strategy that passed the gate."""
    catalogue = dataset.catalogue
    rows = np.flatnonzero(catalogue.category == catalogue.categories.index(category)).astype(np.int32)
    visible = learnable(dataset, read, find_suspects(dataset.histories, shop.config.live.suspects))
    return opening_of(shop.config, visible, rows, strategy=strategy, progress=progress)


def compare_stages(
    shop: Shop,
    categories: Mapping[str, str],
    models: tuple[Model, Model],
    before: Dataset,
    after: Dataset,
    users: pl.Series,
    pairs: dict[str, Paired],
    read: Texts,
    progress: Progress = SILENT,
) -> dict[str, Stage]:
    """Of every young category that could be asked, the better of the new model and of its own part, fitted again.

    Args:
        shop: its settings.
        categories: young ones → what they are served by.
        models: the live one and the new one.
        before: what both may learn from.
        after: what is asked for.
        users: who are asked.
        pairs: of the two models by category; where the part is better, its own replace them.
        read: texts of the catalogue.
        progress: told of the steps.
    """
    champion, challenger = models
    stages = {}
    for name, strategy in categories.items():
        if name not in pairs:
            continue
        opening = opened_again(shop, before, read, name, progress=progress)
        part = Served.of(opening.recommender, before.catalogue, [name], "", before.catalogue)
        routed = Routed.of(challenger.recommender, [part])
        model = Model("challenger", routed, before.catalogue, before.users, before.histories)
        model = everything_available(model, after.catalogue.items)
        own = paired(champion, model, after, users, seed=shop.config.seed, only=(name,), progress=progress)
        better = opening.expectations is not None and bool(own[name].challenger.mean() > pairs[name].challenger.mean())
        if better:
            pairs[name] = own[name]
        stages[name] = Stage(strategy, opening.strategy if better else RUNNING)
    return stages


def still_young(
    config: Mapping[str, JsonValue], names: Iterable[str], reopened: Mapping[str, Opening]
) -> dict[str, JsonValue]:
    """The manifest's record of the categories that keep a part of their own, brought up to date."""
    opened = config.get(OPENED)
    before = opened if isinstance(opened, dict) else {}
    records: dict[str, JsonValue] = {}
    for name in names:
        record = before.get(name)
        records[name] = record if isinstance(record, dict) else {}
        if name in reopened and isinstance(record, dict):
            records[name] = {**record, "strategy": reopened[name].strategy, "shot": reopened[name].shot}
    return {OPENED: records} if records else {}
