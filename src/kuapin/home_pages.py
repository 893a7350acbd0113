"""Home pages: all surfaces of a release, asked for some users and mixed."""

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.errors import InputError, ModelFolderError
from kuapin.surfaces import home, products, profile
from kuapin.surfaces.answer import in_order
from kuapin.surfaces.asked import Asked
from kuapin.surfaces.home_strategies import DAY, STRATEGY, Strategy

if TYPE_CHECKING:
    from kuapin.storefront import Storefront


def home_pages(front: "Storefront", asked: Asked) -> pl.DataFrame:
    """The home page of every user, each mixed by the strategy that is chosen for him, if any."""
    if front.strategies is None or len(asked.ids) == 0:
        return _pages_of(front, asked, None)
    chosen, chance = front.strategies.choose(asked.ids, int(time.time()) // DAY, asked.histories)
    pages = []
    for number in np.unique(chosen):
        mine, strategy = np.flatnonzero(chosen == number), front.strategies.known[number]
        part = asked.of(mine, asked.items)
        chances = pl.DataFrame({c.USER_ID: part.ids, c.PROPENSITY: chance[mine]}).unique(c.USER_ID)
        page = _pages_of(front, part, strategy)
        page = page.join(chances, on=c.USER_ID, how="left", maintain_order="left", nulls_equal=True)
        pages.append(page.with_columns(pl.lit(strategy.name).alias(STRATEGY)))
    return in_order(asked.ids, pages)


def _pages_of(front: "Storefront", asked: Asked, strategy: Strategy | None) -> pl.DataFrame:
    """Home pages that are all mixed in one way; ``None``: as usual."""
    listed = front.model.products_of(
        asked.ids,
        asked.n,
        asked.items,
        explain=asked.explain,
        discovery=strategy.discovery if strategy and strategy.discovery else None,
        histories=asked.histories,
        now=asked.now,
    )
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in home.SHARES if name != products.NAME}
    missing = []
    for part in front.audiences(asked):
        for name in list(parts):
            longer = 1 if name == profile.NAME else asked.n  # the surest statement of every kind
            try:
                parts[name].append(front.answer(name, replace(part, n=longer)))
            except (InputError, ModelFolderError):  # not learnt, or not readable: the others share its rows
                del parts[name]
                missing.append(name)
    if missing:
        warnings.warn(
            f"Home pages are without {', '.join(missing)}, of which release {front.model.release} knows nothing. "
            "Ask for one of these surfaces, and it says what it needs.",
            stacklevel=2,
        )
    answers = {products.NAME: listed}
    answers |= {name: in_order(asked.ids, tables) for name, tables in parts.items()}
    if profile.NAME in answers:  # what somebody said of himself is for whoever asks for it
        said = answers[profile.NAME]
        answers[profile.NAME] = said.filter(pl.col(c.KIND) != profile.TOLD)
    return home.compose(answers, asked.n, strategy.shares if strategy else None)
