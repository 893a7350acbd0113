"""What another release would have earned in the places that tried items, from the log of impressions."""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.evaluation.off_policy import OffPolicy, off_policy
from kuapin.manifest import read_manifest
from kuapin.model import Model
from kuapin.pipeline.refresh import learnt_until
from kuapin.progress import SILENT, Progress
from kuapin.ranking.exploration import followed
from kuapin.ranking.live import queries_of
from kuapin.surfaces.home_strategies import MARK
from kuapin.surfaces.products import NAME as PRODUCTS
from kuapin.surfaces.products import products
from kuapin.workspace import Shop

LOGGED = (c.USER_ID, c.ITEM_ID, c.EVENT, c.TIMESTAMP, c.RANKING_ID, c.POSITION, c.PROPENSITY, c.SURFACE)
PRIOR = 20.0
"""Impressions that the mean success counts as in the expected success of an item."""


def evaluate_off_policy(
    shop: Shop, *, version: str | None = None, event: str | None = None, progress: Progress = SILENT
) -> OffPolicy:
    """The success of the places that tried items, had a release shown there what it puts first, without trying.

    Every list is made again from what its user had done before it was shown.

    Args:
        shop: whose log has impressions of lists of products with propensities below 1.
        version: of the release; ``None``: the live one.
        event: what counts as success; ``None``: as ``[exploration]`` says.
        progress: told of the steps.

    Raises:
        InputError: the log has no such impressions.
        UnknownIdError: there is no such release.
    """
    with progress.step("Reading what was shown"):
        log = shop.store.read(c.INTERACTIONS, LOGGED)
        model = Model.load(shop, version=version)
        known = learnt_until(read_manifest(shop.models / model.release).config)
        tried = tried_places(log, event or shop.config.exploration.event, known)
    with progress.step("Making the lists again"):
        lists = tried.select(c.RANKING_ID, c.USER_ID, c.TIMESTAMP).unique(
            subset=[c.RANKING_ID, c.USER_ID], maintain_order=True
        )
        shown = _lists(model, lists, int(tried[c.POSITION].max() or 1))  # type: ignore[arg-type]
        tried = tried.join(shown, on=[c.RANKING_ID, c.USER_ID, c.POSITION], how="left", maintain_order="left")
    return estimate(tried, model.users.rows(tried[c.USER_ID]), shop.config.seed)


def tried_places(log: pl.DataFrame, event: str, learnt: int | None = None) -> pl.DataFrame:
    """The impressions of products that came to their place with a probability below 1, and their ``success``.

    Places of home pages, whose probabilities are those of the page's strategy, are left out.

    Args:
        log: the interactions.
        event: what counts as success.
        learnt: unix seconds; a release that learnt from what was shown knows what came of it, so that only what was
            shown later is told. ``None``: everything.

    Raises:
        InputError: there are none.
    """
    wanted = {c.RANKING_ID, c.PROPENSITY, c.POSITION, c.TIMESTAMP}
    if wanted <= set(log.columns):
        shown = followed(log, event).filter(pl.col(c.PROPENSITY) < 1).drop_nulls([*wanted, c.USER_ID, c.ITEM_ID])
        if c.SURFACE in shown.columns:
            shown = shown.filter(pl.col(c.SURFACE).fill_null(PRODUCTS) == PRODUCTS)
        shown = shown.filter(pl.col(c.PROPENSITY) > 0, ~pl.col(c.RANKING_ID).str.contains(MARK, literal=True))
        if learnt is not None:
            shown = shown.filter(pl.col(c.TIMESTAMP) > learnt)
        if shown.height:
            return shown
    raise InputError(
        "interactions: no impression of a list of products that came after this release's training has a propensity "
        "below 1, so that nothing can be told of it. Set share in [exploration] of kuapin.toml, and send the "
        "propensity of every row back to /v1/impressions."
    )


def _lists(model: Model, lists: pl.DataFrame, n: int) -> pl.DataFrame:
    """What the release shows: ranking_id, user_id, position and ``own``, the item there."""
    who = model.users.rows(lists[c.USER_ID])
    before = _before(queries_of(model.histories, who), lists[c.TIMESTAMP].to_numpy())
    found = products(replace(model.reranker, exploration=None), before, n=n, who=who)
    place = np.arange(len(found.items)) - np.searchsorted(found.asked, found.asked) + 1
    return pl.DataFrame(
        {
            c.RANKING_ID: lists[c.RANKING_ID].gather(found.asked),
            c.USER_ID: lists[c.USER_ID].gather(found.asked),
            c.POSITION: pl.Series(place, dtype=pl.Int64),
            "own": model.catalogue.items.take(found.items),
        }
    )


def _before(histories: Histories, times: NDArray[np.integer]) -> Histories:
    """Of every history what lies before a time; without times all of it."""
    return histories.keep(histories.times < times[histories.users]) if histories.timed else histories


def estimate(tried: pl.DataFrame, users: NDArray[np.integer], seed: int) -> OffPolicy:
    """The estimates from places with what was shown (``item_id``), its propensity and success, and ``own``.

    Args:
        tried: one row a place.
        users: (n,), who saw it; the expected success of an item is read from the other half of the users.
        seed: of the bootstrap.
    """
    success = tried["success"].to_numpy().astype(np.float64)
    own = tried["own"].fill_null("")
    items = pl.concat([tried[c.ITEM_ID], own]).rank("dense").to_numpy().astype(np.int64) - 1
    logged, new = items[: tried.height], items[tried.height :]
    half = np.asarray(users, np.int64) % 2
    expected, expected_new = np.zeros(tried.height), np.zeros(tried.height)
    for one in (0, 1):
        learn, use = half != one, half == one
        often = np.bincount(logged[learn], minlength=items.max(initial=0) + 1)
        good = np.bincount(logged[learn], weights=success[learn], minlength=len(often))
        usual = success[learn].mean() if learn.any() else success.mean()
        rate = (good + PRIOR * usual) / (often + PRIOR)
        expected[use], expected_new[use] = rate[logged[use]], rate[new[use]]
    target = (logged == new).astype(np.float64)
    return off_policy(
        success, tried[c.PROPENSITY].to_numpy(), target, expected, expected_new, clusters=users, seed=seed
    )
