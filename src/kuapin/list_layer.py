"""The list layer of a shop: its rules, its diversity and its safety, read from the workspace for a release."""

import warnings
from pathlib import Path

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.vocabulary import Vocabulary
from kuapin.ranking.bound_rules import Rules
from kuapin.ranking.exploration import LOGGED, Exploration, evidence_of, seen_of
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.reranker import Reranker
from kuapin.ranking.rule_binding import Tables, bind, columns_of
from kuapin.ranking.rules import FILE, Pin, at, read_rules
from kuapin.ranking.safety import BLOCK, DECISION, PENALTY, SCHEMA, decide, overruled
from kuapin.workspace import Shop

SAFETY = "safety.parquet"
"""In a release: the decision on every item."""


def open_reranker(
    shop: Shop,
    recommender: Recommender,
    catalogue: Catalogue,
    users: Vocabulary,
    release: Path,
    later: pl.DataFrame | None = None,
    seen: pl.DataFrame | None = None,
) -> Reranker:
    """What puts the lists of a release into the order in which they are shown.

    Args:
        shop: with its tables and ``rules.toml``.
        recommender: of the release.
        catalogue: of the release, with its present availability.
        users: user_id ↔ row of the histories.
        release: its folder.
        later: decisions on items that came or changed after the training, made by the classifier as well.
        seen: what became of impressions, where it was read before; ``None``: it is read from the log.

    Raises:
        InputError: a rule breaks the form, names what does not exist, or contradicts another.
    """
    rules, diversity = open_rules(shop, catalogue, users), shop.config.diversity
    decisions = pl.DataFrame(schema=SCHEMA)
    if shop.config.safety.enabled:
        decisions = open_decisions(shop, release, later)
        decisions = _with_newcomers(decisions, catalogue, shop)
    place = Vocabulary(decisions[c.ITEM_ID], "item").rows(catalogue.items.ids)
    blocked, penalty = np.zeros(len(catalogue), np.bool_), np.zeros(len(catalogue))
    blocked[place >= 0] = (decisions[DECISION] == BLOCK).to_numpy()[place[place >= 0]]
    penalty[place >= 0] = decisions[PENALTY].to_numpy()[place[place >= 0]]
    for one in rules.bound:
        if not one.hides and not (one.items & ~blocked).any():
            what = "the item" if isinstance(one.rule, Pin) else "all items"
            said = f"safety blocks {what} that it is about, and so it changes nothing"
            warnings.warn(f"{at(shop.path / FILE, one.rule)}: {said}. See: kuapin review {shop.path}", stacklevel=2)
    language = shop.config.reasons.language
    exploration = _exploration(shop, recommender, catalogue, seen) if shop.config.exploration.share else None
    return Reranker(recommender, catalogue, rules, diversity, penalty, blocked, language, exploration)


def _exploration(shop: Shop, recommender: Recommender, catalogue: Catalogue, seen: pl.DataFrame | None) -> Exploration:
    """What is tried in some places of lists, by what became of earlier impressions."""
    config = shop.config.exploration
    if seen is None:
        seen = seen_of(shop.store.read(c.INTERACTIONS, LOGGED), config.event)
    return Exploration(config, evidence_of(seen, catalogue.items, recommender.signals.facts.users, config), seen)


def open_decisions(shop: Shop, release: Path, later: pl.DataFrame | None = None) -> pl.DataFrame:
    """The decision on every item of a release, those of people in their place; none in a release of before.

    Args:
        shop: with the labels of people.
        release: its folder.
        later: decisions on items that came or changed after the training, which count in place of the release's.
    """
    path = release / SAFETY
    decisions = pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=SCHEMA)
    if later is not None and decisions.height:
        kept = decisions.join(later, on=c.ITEM_ID, how="anti", maintain_order="left")
        decisions = pl.concat([kept, later])
    return overruled(decisions, shop.store.read(c.LABELS))


def _with_newcomers(decisions: pl.DataFrame, catalogue: Catalogue, shop: Shop) -> pl.DataFrame:
    """The decisions with those on items that came after the training: the lists of words decide alone."""
    if decisions.height == 0:
        return decisions
    new = catalogue.frame.join(decisions, on=c.ITEM_ID, how="anti", maintain_order="left")
    if new.height == 0:
        return decisions
    return pl.concat([decisions, overruled(decide(new, None, shop.config.safety), shop.store.read(c.LABELS))])


def open_rules(shop: Shop, catalogue: Catalogue, users: Vocabulary) -> Rules:
    """The rules of ``rules.toml``, bound to the items of a release; none where there is no file."""
    path = shop.path / FILE
    rules = read_rules(path)
    if not rules:
        return Rules()
    of_items, of_users = columns_of(rules)
    items, known_items = _aligned(shop, c.ITEMS, c.ITEM_ID, catalogue.items.ids, of_items)
    people, known_users = _aligned(shop, c.USERS, c.USER_ID, users.ids, of_users)
    tables = Tables(catalogue, items, people, shop.store.read(c.RELATIONS), known_items, known_users)
    return bind(path, rules, tables)


def _aligned(
    shop: Shop, table: str, key: str, ids: pl.Series, wanted: set[str]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Columns of a table in the order of some ids, null where it lacks one, and the names of all its columns."""
    frame = shop.store.read(table)
    kept = frame.select(key, *sorted(wanted & set(frame.columns) - {key}))
    return ids.alias(key).to_frame().join(kept, on=key, how="left", maintain_order="left"), tuple(frame.columns)
