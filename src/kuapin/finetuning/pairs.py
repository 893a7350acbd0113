"""Pairs of items that stand near each other in one history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.finetuning.material import Material


@dataclass(frozen=True)
class Pairs:
    """Two items of one user's history, with different texts.

    Attributes:
        users: int32 (n,), user rows.
        first: int32 (n,), item rows.
        second: int32 (n,), item rows.
    """

    users: NDArray[np.int32]
    first: NDArray[np.int32]
    second: NDArray[np.int32]

    def take(self, which: NDArray[np.bool_] | NDArray[np.integer]) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.users[which], self.first[which], self.second[which])


def drawn_pairs(material: Material, *, window: int, per_user: int, across: float, allowed: NDArray[np.bool_]) -> Pairs:
    """Pairs of every user, each once, in random order of the two and of the pairs.

    Args:
        material: whose histories.
        window: greatest distance, in interactions of the history.
        per_user: pairs of one user at most.
        across: share of pairs from two different category paths, as far as there are enough of either kind.
        allowed: bool (n_items,), items that may be in a pair.
    """
    rng = material.rng("pairs")
    histories, leaf = material.histories, material.dataset.catalogue.leaf
    users, firsts, seconds = [], [], []
    for user in np.flatnonzero(histories.lengths > 1):
        items = histories.of(int(user))
        items = items[allowed[items]]
        places, others = _near(len(items), window, per_user, rng)
        a, b = items[places], items[others]
        different = material.text_codes[a] != material.text_codes[b]
        a, b = _distinct(a[different], b[different])
        chosen = _mixed(leaf[a] != leaf[b], per_user, across, rng)
        users.append(np.full(len(chosen), user, np.int32))
        firsts.append(a[chosen])
        seconds.append(b[chosen])
    if not users:
        none = np.empty(0, np.int32)
        return Pairs(none, none, none)
    pairs = Pairs(np.concatenate(users), np.concatenate(firsts), np.concatenate(seconds))
    return pairs.take(rng.permutation(len(pairs.users)))


def _near(n: int, window: int, per_user: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of two interactions at most ``window`` apart: all of a short history, a sample of a long one."""
    if n < 2:
        none = np.empty(0, np.int64)
        return none, none
    reach = min(window, n - 1)
    drawn = 64 + 8 * per_user  # enough to choose from: pairs of one shelf are few
    if n * reach <= drawn:
        places = np.repeat(np.arange(n), reach)
        distance = np.tile(np.arange(1, reach + 1), n)
    else:
        places = rng.integers(0, n, drawn)
        distance = rng.integers(1, reach + 1, drawn)
    others = places + distance
    inside = others < n
    places, others = places[inside], others[inside]
    swap = rng.random(len(places)) < 0.5
    return np.where(swap, others, places), np.where(swap, places, others)


def _distinct(a: NDArray[np.int32], b: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each pair of items once, however often somebody bought both again; the order of the two is that of the first."""
    keys = np.minimum(a, b).astype(np.int64) << 32 | np.maximum(a, b)
    _, first = np.unique(keys, return_index=True)
    return a[first], b[first]


def _mixed(crosses: NDArray[np.bool_], per_user: int, across: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which pairs to keep: ``across`` of them where ``crosses`` is true, filled up from the other kind."""
    order = rng.permutation(len(crosses))
    over, within = order[crosses[order]], order[~crosses[order]]
    n = min(per_user, len(crosses))
    n_over = min(len(over), max(round(across * n), n - len(within)))
    return np.concatenate([over[:n_over], within[: n - n_over]])


def shelf_negatives(material: Material, pairs: Pairs, n: int) -> NDArray[np.int32]:
    """For every pair, items of the second one's shelf that its user never met, int32 (n_pairs, n).

    Where a shelf has none left, items of anywhere that the user never met stand in; where there are none either, the
    second one itself, which the loss leaves out.
    """
    rng = material.rng("negatives")
    out = np.empty((len(pairs.users), n), np.int32)
    if n == 0:
        return out
    catalogue = material.dataset.catalogue
    anywhere = np.flatnonzero(material.allowed)
    shelves = {int(leaf): anywhere[catalogue.leaf[anywhere] == leaf] for leaf in np.unique(catalogue.leaf[anywhere])}
    for row, (user, second) in enumerate(zip(pairs.users, pairs.second, strict=True)):
        met = set(material.text_codes[material.histories.of(int(user))].tolist())
        found: list[int] = []
        for pool, tries in ((shelves[int(catalogue.leaf[second])], 4 * n), (anywhere, 64 * n)):
            drawn = pool[rng.integers(0, len(pool), tries)]
            found += [int(item) for item in drawn if int(material.text_codes[item]) not in met]
            if len(found) >= n:
                break
        out[row] = np.resize(found or [second], n)  # repeats them where there are too few
    return out
