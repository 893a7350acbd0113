"""Two models before the same people: what each would have shown them, against what they then took."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, Dataset
from kuapin.data.vocabulary import Vocabulary
from kuapin.evaluation.gate import Paired
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.model import Model
from kuapin.progress import SILENT, Progress

CUT = 10
METRIC = f"ndcg@{CUT}"
MOST_USERS = 2_000
"""People asked in a category; more of them would tell smaller losses, and cost their time."""


def everything_available(model: Model, items: Vocabulary) -> Model:
    """The same model without the shop's rules, and of today's items those that are sold out may be shown, too.

    They were there when they were taken, and what a rule puts into a list says nothing of the model.
    """
    catalogue = replace(model.catalogue, available=items.rows(model.catalogue.items.ids) >= 0)
    return Model(model.release, model.recommender, catalogue, model.users, model.histories)


def paired(
    champion: Model,
    challenger: Model,
    after: Dataset,
    users: pl.Series,
    *,
    seed: int = 0,
    only: tuple[str, ...] | None = None,
    progress: Progress = SILENT,
) -> dict[str, Paired]:
    """NDCG@10 under both models of every user, in every top-level category in which he took something.

    Only a category's own items are ranked for it. An item that a model does not know is one that it does not find.

    Args:
        champion: the live model, with the histories before the cut.
        challenger: the new one, likewise.
        after: what was taken after the cut, in the catalogue of today.
        users: those who have a history before the cut.
        only: categories that are asked for; ``None``: all.
        seed: of the draw where a category has more than ``MOST_USERS``.
        progress: told of the categories.

    Returns:
        The pairs by category; without the categories that the champion does not know at all.
    """
    catalogue, answers = after.catalogue, Answers.from_histories(after.histories)
    asked_rows = np.zeros(len(after.users), np.bool_)
    asked_rows[after.users.rows(users)] = True
    pairs = {}
    with progress.step("Asking both models", len(catalogue.categories), "categories") as step:
        for code, name in enumerate(catalogue.categories):
            rows, wanted = answers.where(catalogue.category == code)
            place = np.flatnonzero(asked_rows[rows])
            place = np.sort(np.random.default_rng([seed, code]).permutation(place)[:MOST_USERS])
            step.advance()
            if len(place) == 0 or (only is not None and name not in only):
                continue
            if name not in champion.catalogue.categories:
                continue
            ids, of_users = after.users.ids.gather(rows[place]), wanted.take(place)
            old, new = (_found(model, ids, name, catalogue, of_users) for model in (champion, challenger))
            pairs[name] = Paired(old, new, rows[place].astype(np.int64))
    return pairs


def together(pairs: Mapping[str, Paired]) -> Paired:
    """All categories as one: of every person the mean over the categories in which he was asked."""
    whose = [np.arange(len(one.champion)) if one.users is None else one.users for one in pairs.values()]
    users, place = np.unique(np.concatenate(whose), return_inverse=True)
    asked = np.bincount(place)
    champion, challenger = (
        np.bincount(place, weights=np.concatenate([getattr(one, side) for one in pairs.values()])) / asked
        for side in ("champion", "challenger")
    )
    return Paired(champion, challenger, users)


def _found(model: Model, ids: pl.Series, category: str, catalogue: Catalogue, answers: Answers) -> NDArray[np.float64]:
    table = model.recommend(ids, n=CUT, categories=[category])
    lengths = table.group_by(c.USER_ID, maintain_order=True).len()
    by_user = dict(zip(lengths[c.USER_ID], lengths["len"], strict=True))
    indptr = np.concatenate(([0], np.cumsum([by_user.get(user, 0) for user in ids]))).astype(np.int64)
    lists = Ranked.from_flat(indptr, catalogue.items.rows(table[c.TARGET_ID]), CUT)
    nothing = np.zeros(len(catalogue), np.int64)  # what is known of items decides nothing here
    facts = ItemFacts(catalogue.category, nothing, 0, np.arange(len(catalogue), dtype=np.int32))
    return evaluate(lists, answers, facts, (METRIC,)).users[METRIC]


def own_share(pairs: Iterable[Paired]) -> float:
    """Share of the people, category by category, in whose ten the live model had something that they then took."""
    hits = [one.champion > 0 for one in pairs]
    return float(np.concatenate(hits).mean()) if hits else float("nan")


def shown_share(log: pl.DataFrame, after: Dataset, since: int) -> float:
    """Share of what people took, each item once, that they had been shown before; NaN where nothing was shown.

    Args:
        log: interactions with impressions among them; other columns than user, item, event and time are not read.
        after: what was taken, with times.
        since: unix seconds from which on what was shown counts.
    """
    columns = [c.USER_ID, c.ITEM_ID, c.EVENT, c.TIMESTAMP]
    if not set(columns) <= set(log.columns):
        return float("nan")
    shown = log.filter(pl.col(c.EVENT) == "impression", pl.col(c.TIMESTAMP).cast(pl.Int64) >= since)
    pair, taken = [c.USER_ID, c.ITEM_ID], after.histories
    if shown.height == 0 or len(taken.items) == 0:
        return float("nan")
    answers = pl.DataFrame(
        {
            c.USER_ID: after.users.ids.gather(taken.users),
            c.ITEM_ID: after.catalogue.items.ids.gather(taken.items),
            "taken": taken.times,
        }
    )
    answers = answers.group_by(pair).agg(pl.col("taken").min())
    first = shown.group_by(pair).agg(pl.col(c.TIMESTAMP).cast(pl.Int64).min().alias("shown"))
    met = answers.join(first, on=pair, how="left")
    return float((met["shown"] <= met["taken"]).fill_null(value=False).mean())  # type: ignore[arg-type]
