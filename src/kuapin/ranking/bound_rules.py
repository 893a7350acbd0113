"""Rules as masks over the items and the users of a shop: what each hides from whom."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.ranking.rules import Blackout, Demand, Exclude, Incompatible, Requires, Rule
from kuapin.retrieval.selection import pairs_of_sparse

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BoundRule:
    """A rule and what it is about.

    Attributes:
        rule: as the file has it.
        items: bool (n_items,), the items meant; those that a demand hides.
        users: bool (n_users,), the users meant; ``None``: all.
        pairs: a user sees no item that this item × item CSR matrix leads to from his own (``incompatible``), or none
            that has a row in it but for those (``requires``).
        agree: codes of an item's and of a user's value that must be the same, int32 (n_items,) and (n_users,), -1
            where unknown (``same_as_user``).
    """

    rule: Rule
    items: Mask
    users: Mask | None = None
    pairs: sparse.csr_matrix | None = None
    agree: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None

    def of(self, who: NDArray[np.integer]) -> Mask:
        """Whether it is about each of some users (rows; -1: unknown), bool (len(who),)."""
        if self.users is None:
            return np.ones(len(who), np.bool_)
        return np.asarray(np.append(self.users, np.False_)[who], np.bool_)  # -1 is the last

    @property
    def hides(self) -> bool:
        """Whether it only ever takes items out of lists."""
        return isinstance(self.rule, Exclude | Blackout | Demand | Incompatible | Requires)

    def hides_from_all(self) -> Mask | None:
        """The items that it hides from everybody, bool (n_items,); ``None``: it depends on the user."""
        plain = self.hides and self.users is None and self.pairs is None and self.agree is None
        return self.items if plain else None

    def hidden(
        self, histories: Histories, who: NDArray[np.integer], indptr: NDArray[np.int64], items: NDArray[np.int32]
    ) -> Mask:
        """Whether it hides each of some user–item pairs, bool (n,)."""
        users = np.repeat(np.arange(len(who)), np.diff(indptr))
        meant = self.items[items] & self.of(who)[users]
        if self.pairs is not None:
            led = pairs_of_sparse((histories.matrix() @ self.pairs).tocsr(), indptr, items) > 0
            return np.asarray(meant & (led if isinstance(self.rule, Incompatible) else ~led), np.bool_)
        if self.agree is not None:
            of_item, of_user = self.agree[0][items], np.append(self.agree[1], -1)[who][users]
            hide = isinstance(self.rule, Demand) and self.rule.unknown == "hide"
            return np.asarray(meant & (of_user >= 0) & (of_item != of_user) & ((of_item >= 0) | hide), np.bool_)
        return meant


@dataclass(frozen=True)
class Rules:
    """The rules of a shop, bound to its items; those in force are picked by ``at``."""

    bound: tuple[BoundRule, ...] = ()

    def at(self, now: datetime) -> "Rules":
        """Those that hold at a time."""
        return replace(self, bound=tuple(one for one in self.bound if one.rule.holds(now)))

    def without(self, name: str) -> "Rules":
        """All but one."""
        return replace(self, bound=tuple(one for one in self.bound if one.rule.name != name))

    def shown(self, n_items: int) -> Mask:
        """Which items are hidden from nobody in advance, bool (n_items,)."""
        mask = np.ones(n_items, np.bool_)
        for one in self.bound:
            hidden = one.hides_from_all()
            if hidden is not None:
                mask &= ~hidden
        return mask

    def by_user(self) -> tuple[BoundRule, ...]:
        """Those that hide items from some users alone."""
        return tuple(one for one in self.bound if one.hides and one.hides_from_all() is None)

    def hidden(self, histories: Histories, who: NDArray[np.integer], n_items: int) -> Mask:
        """What those hide that depend on the user, bool (len(who), n_items)."""
        hidden = np.zeros((len(who), n_items), np.bool_)
        indptr = np.arange(len(who) + 1, dtype=np.int64) * n_items
        items = np.tile(np.arange(n_items, dtype=np.int32), len(who))
        for one in self.by_user():
            hidden |= one.hidden(histories, who, indptr, items).reshape(hidden.shape)
        return hidden

    def of_kind(self, kind: type[Rule]) -> tuple[BoundRule, ...]:
        """Those of a kind, in the order of the file."""
        return tuple(one for one in self.bound if isinstance(one.rule, kind))
