"""What the rules of a shop mean for its own items, users and relations."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError
from kuapin.names import offered
from kuapin.ranking.bound_rules import BoundRule, Mask, Rules
from kuapin.ranking.contradictions import contradictions
from kuapin.ranking.rules import (
    Demand,
    Incompatible,
    Pin,
    Requires,
    Rule,
    Test,
    Which,
    at,
)
from kuapin.retrieval.filters import Filter


def columns_of(rules: Sequence[Rule]) -> tuple[set[str], set[str]]:
    """The columns of the items and of the users table that the rules read."""
    items = {one.where.column for one in rules if isinstance(one, Which) and one.where}
    items |= {one.must.column for one in rules if isinstance(one, Demand) and one.must}
    both = {one.same_as_user for one in rules if isinstance(one, Demand) and one.same_as_user}
    return items | both, {one.users.column for one in rules if one.users} | both


@dataclass(frozen=True)
class Tables:
    """What rules are about.

    Attributes:
        catalogue: items of the release, with their present availability.
        items: the present items table, in the catalogue's row order.
        users: the users table, in the order of the users' rows.
        relations: head, relation, tail.
        known_items: all columns of the items table, for the message.
        known_users: likewise.
    """

    catalogue: Catalogue
    items: pl.DataFrame
    users: pl.DataFrame
    relations: pl.DataFrame
    known_items: tuple[str, ...]
    known_users: tuple[str, ...]


def bind(path: Path, rules: Sequence[Rule], tables: Tables) -> Rules:
    """Find the items, users and relations that the rules name, and check that they can hold together.

    Args:
        path: of the file, for messages.
        rules: of the file.
        tables: the shop's.

    Raises:
        InputError: a rule names what does not exist, or two contradict each other; file and line are named.
    """
    bound = []
    for rule in rules:
        try:
            bound.append(_bound(rule, tables))
        except InputError as error:
            raise InputError(f"{at(path, rule)}: {str(error).rstrip('.')}.") from error
        if bound[-1].users is not None and not bound[-1].users.any():
            said = "no user of the shop meets its condition, and so it holds for nobody"
            warnings.warn(f"{at(path, rule)}: {said}. Correct it, or import the users.", stacklevel=2)
    found = Rules(tuple(bound))
    for one, why in contradictions(found.bound, tables.catalogue):
        raise InputError(f"{at(path, one.rule)}: {why}. Correct or delete one of them.")
    return found


def _bound(rule: Rule, tables: Tables) -> BoundRule:
    catalogue = tables.catalogue
    users = None if rule.users is None else _column(rule.users, tables.users, tables.known_users, "users")
    if isinstance(rule, Pin):
        mask = np.zeros(len(catalogue), np.bool_)
        mask[catalogue.items.row(rule.item)] = True
        return BoundRule(rule, mask, users)
    if isinstance(rule, Incompatible | Requires):
        return _related(rule, tables, users)
    if not isinstance(rule, Which):
        raise TypeError(f"{rule.kind} is not bound here")
    mask = _meant(rule, tables)
    if isinstance(rule, Demand) and rule.must is not None:
        said = tables.items[rule.must.column].is_not_null().to_numpy() if rule.must.column in tables.items else None
        met = _column(rule.must, tables.items, tables.known_items, "items")
        mask &= ~met & (said if said is not None and rule.unknown == "show" else True)
    elif isinstance(rule, Demand):
        return BoundRule(rule, mask, users, agree=_agreement(str(rule.same_as_user), tables))
    elif not mask.any():
        raise InputError("no item is meant. Correct it or delete it")
    return BoundRule(rule, mask, users)


def _meant(rule: Which, tables: Tables) -> Mask:
    catalogue = tables.catalogue
    if rule.price_min is not None and rule.price_max is not None and rule.price_min > rule.price_max:
        raise InputError(
            f"price_min {rule.price_min:g} is above price_max {rule.price_max:g}. Correct one or delete it"
        )
    mask = Filter(
        leaves=rule.category,
        brands=rule.brand,
        price_min=rule.price_min,
        price_max=rule.price_max,
        available=False,
    ).mask(catalogue)
    if rule.items is not None:
        named = np.zeros(len(catalogue), np.bool_)
        named[[catalogue.items.row(item) for item in rule.items]] = True
        mask &= named
    if rule.where is not None:
        mask &= _column(rule.where, tables.items, tables.known_items, "items")
    return mask


def _column(test: Test, frame: pl.DataFrame, known: tuple[str, ...], table: str) -> Mask:
    """Where a condition holds; a cell that is empty meets none."""
    cells = _cells(frame, test.column, known, table)
    holds = cells.is_not_null()
    wanted = (test.equals,) if test.equals is not None else test.one_of
    if wanted is not None:
        texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in wanted]
        numbers = [float(one) for one in wanted if isinstance(one, int | float) and not isinstance(one, bool)]
        said = cells.cast(pl.Float64).is_in(numbers) if cells.dtype.is_numeric() else cells.cast(pl.String).is_in(texts)
        holds &= said.fill_null(value=False)
    number = cells.cast(pl.Float64, strict=False)
    if test.at_least is not None:
        holds &= (number >= test.at_least).fill_null(value=False)
    if test.at_most is not None:
        holds &= (number <= test.at_most).fill_null(value=False)
    return np.asarray(holds.to_numpy(), np.bool_)


def _cells(frame: pl.DataFrame, column: str, known: tuple[str, ...], table: str) -> pl.Series:
    if column not in frame.columns:
        near = offered(column, known, "columns").rstrip(".")
        raise InputError(f"the {table} table has no column {column!r}. {near}")
    return frame[column]


def _agreement(column: str, tables: Tables) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    cells = [
        _cells(tables.items, column, tables.known_items, "items").cast(pl.String),
        _cells(tables.users, column, tables.known_users, "users").cast(pl.String),
    ]
    names = Vocabulary(pl.concat(cells).drop_nulls().unique().sort(), column)
    return names.rows(cells[0]), names.rows(cells[1])


def _related(rule: Incompatible | Requires, tables: Tables, users: Mask | None) -> BoundRule:
    catalogue, relations = tables.catalogue, tables.relations
    mine = relations.filter(pl.col(c.RELATION) == rule.relation)
    if mine.height == 0:
        names = tuple(relations[c.RELATION].unique().sort())
        near = offered(rule.relation, names, "relations").rstrip(".")
        raise InputError(f"there is no relation {rule.relation!r}. {near}")
    head, tail = (catalogue.items.rows(mine[end]) for end in (c.HEAD, c.TAIL))
    shape = (len(catalogue), len(catalogue))
    mask = np.zeros(len(catalogue), np.bool_)
    mask[head[head >= 0]] = True
    known = (head >= 0) & (tail >= 0)
    ones = np.ones(int(known.sum()), np.float32)
    matrix = sparse.csr_matrix((ones, (tail[known], head[known])), shape=shape)  # from what one has to what is led to
    if isinstance(rule, Incompatible):
        mask[tail[known]] = True
        matrix = (matrix + matrix.T).tocsr()
    if not mask.any():
        raise InputError(f"no item of this shop is in the relation {rule.relation!r}")
    return BoundRule(rule, mask, users, pairs=matrix)
