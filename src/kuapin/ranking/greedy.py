"""Lists filled place by place: caps, floors, quotas and pinned places, and the dial between same and new (MMR)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Codes = NDArray[np.integer]


@dataclass(frozen=True)
class Spread:
    """How a list is spread over groups: categories, brands or leaf categories.

    Attributes:
        codes: int (n_users, depth), group of every candidate; -1: none, which no cap is about.
        cap: candidates of one group at most, as long as others are left; ``None``: no cap.
        floor: so many different groups at least, as far as the candidates go; ``None``: no floor.
    """

    codes: Codes
    cap: int | None
    floor: int | None


@dataclass(frozen=True)
class Share:
    """At least and at most so many of some candidates in a list.

    Attributes:
        members: bool (n_users, depth).
        at_least: as far as the candidates go.
        at_most: kept even where the list gets shorter for it; ``None``: no bound.
    """

    members: Mask
    at_least: int
    at_most: int | None


@dataclass(frozen=True)
class Dial:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), with a sign.

    A candidate's worth is (1 - |d|) · relevance - d · (nearest of the list so far + share of its kind in the list so
    far + familiarity) / 3, relevance being its value brought to [0, 1] within the user's candidates. d = 0 is the order
    given; towards 1 the list has less that is alike, of one kind, or familiar, towards -1 more.

    Attributes:
        d: in [-1, 1].
        kind: int (n_users, depth), category of every candidate.
        familiar: float (n_users, depth), in [0, 1]: how well the user knows this sort of thing.
        near: of one place of every user (n_users,): how near every candidate is to that one, float (n_users, depth).
    """

    d: float
    kind: Codes
    familiar: NDArray[np.floating]
    near: Callable[[NDArray[np.intp]], NDArray[np.floating]]


def fill(
    value: NDArray[np.float64],
    present: Mask,
    n: int,
    *,
    pinned: NDArray[np.intp] | None = None,
    spreads: Sequence[Spread] = (),
    shares: Sequence[Share] = (),
    dial: Dial | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose up to ``n`` of every user's candidates, place by place, always the one of greatest worth that may stand.

    What is asked for at least is asked for as late as it can be, so that the first places are the best.

    Args:
        value: float64 (n_users, depth), best first within a user; of equals the first is taken.
        present: bool (n_users, depth), which of them are candidates.
        n: length of the lists.
        pinned: int (n_users, n), the candidate that has to stand at a place; -1: none.
        spreads: over groups.
        shares: of kinds of candidates.
        dial: ``None``: the order given.

    Returns:
        int (n_users, n), place of the chosen candidate among the user's, -1 behind the end of a shorter list; and the
        share (its number) for whose sake one was chosen that was not the best, -1: none.
    """
    if dial is None and not spreads and not shares and (pinned is None or (pinned < 0).all()):
        return _best(present, n)
    state = _State(value, present, n, pinned, spreads, shares, dial)
    for place in range(n if state.depth else 0):
        state.step(place)
    return state.chosen, state.reason


def _best(present: Mask, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first candidates of every user, where nothing else is asked for."""
    first = np.argsort(~present, axis=1, kind="stable")[:, :n]
    chosen = np.full((len(present), n), -1, np.intp)
    chosen[:, : first.shape[1]] = np.where(np.take_along_axis(present, first, axis=1), first, -1)
    return chosen, np.full((len(present), n), -1, np.intp)


class _State:
    """What has been chosen so far."""

    def __init__(
        self,
        value: NDArray[np.float64],
        present: Mask,
        n: int,
        pinned: NDArray[np.intp] | None,
        spreads: Sequence[Spread],
        shares: Sequence[Share],
        dial: Dial | None,
    ) -> None:
        self.users, self.depth = np.arange(len(value)), value.shape[1]
        self.left = present.copy()
        self.n, self.spreads, self.shares, self.dial = n, spreads, shares, dial
        self.pinned = np.full((len(value), n), -1, np.intp) if pinned is None else pinned
        for column in self.pinned.T:
            held = column >= 0
            self.left[self.users[held], column[held]] = False
        self.worth = value if dial is None else (1 - abs(dial.d)) * _relevance(value, present)
        if dial is not None:
            self.worth = self.worth - dial.d * dial.familiar / 3
            self.of_kind = np.zeros((len(value), int(dial.kind.max(initial=0)) + 1))
        self.nearest = np.zeros(value.shape)
        self.chosen = np.full((len(value), n), -1, np.intp)
        self.reason = np.full((len(value), n), -1, np.intp)
        self.in_share = np.zeros((len(shares), len(value)), np.int64)
        self.in_group = [np.zeros((len(value), int(s.codes.max(initial=0)) + 1), np.int64) for s in spreads]

    def step(self, place: int) -> None:
        """Choose one candidate of every user."""
        worth = self.worth
        if self.dial is not None and self.dial.d:
            crowd = np.take_along_axis(self.of_kind, self.dial.kind, axis=1) / max(place, 1)
            worth = worth - self.dial.d * (self.nearest + crowd) / 3
        may = self.left.copy()
        for number, share in enumerate(self.shares):
            if share.at_most is not None:
                may &= ~(share.members & (self.in_share[number] >= share.at_most)[:, None])
        capped = may & self._within_caps()
        rest = self.n - place - (self.pinned[:, place:] >= 0).sum(axis=1)
        wanted, cause = self._wanted(rest)
        pick = np.full(len(self.users), -1, np.intp)
        cause_of = np.full(len(self.users), -1, np.intp)
        for mask, because in ((capped & wanted, cause), (may & wanted, cause), (capped, None), (may, None)):
            best = np.argmax(np.where(mask, worth, -np.inf), axis=1)
            free = (pick < 0) & mask[self.users, best]
            pick[free] = best[free]
            if because is not None:
                cause_of[free] = because[free]
        held = self.pinned[:, place]
        pick, cause_of = np.where(held >= 0, held, pick), np.where(held >= 0, -1, cause_of)
        self._take(place, pick, cause_of)

    def _within_caps(self) -> Mask:
        free = np.ones(self.left.shape, np.bool_)
        for spread, count in zip(self.spreads, self.in_group, strict=True):
            if spread.cap is not None:
                had = np.take_along_axis(count, np.maximum(spread.codes, 0), axis=1)
                free &= (spread.codes < 0) | (had < spread.cap)
        return free

    def _wanted(self, rest: NDArray[np.int64]) -> tuple[Mask, NDArray[np.intp]]:
        """Which candidates may stand if all that is asked for at least is still to be reached, and for which share."""
        wanted, cause = np.ones(self.left.shape, np.bool_), np.full(len(self.users), -1, np.intp)
        if self.shares:
            least = np.array([share.at_least for share in self.shares])[:, None]
            missing = np.maximum(least - self.in_share, 0)  # (shares, n_users)
            missing = np.where([(self.left & s.members).any(axis=1) for s in self.shares], missing, 0)
            late = missing.sum(axis=0) >= rest
            member = np.zeros(self.left.shape, np.bool_)
            for share, some in zip(self.shares, missing > 0, strict=True):
                member |= share.members & some[:, None]
            late &= missing.any(axis=0)
            wanted[late] &= member[late]
            cause = np.where(late, np.argmax(missing > 0, axis=0), -1)
        for spread, count in zip(self.spreads, self.in_group, strict=True):
            if spread.floor is not None:
                fresh = (spread.codes >= 0) & (np.take_along_axis(count, np.maximum(spread.codes, 0), axis=1) == 0)
                late = (spread.floor - (count > 0).sum(axis=1) >= rest) & (wanted & self.left & fresh).any(axis=1)
                late &= (count > 0).sum(axis=1) < spread.floor
                wanted[late] &= fresh[late]
        return wanted, cause

    def _take(self, place: int, pick: NDArray[np.intp], cause: NDArray[np.intp]) -> None:
        users = self.users[pick >= 0]
        got = pick[users]
        self.left[users, got] = False
        self.chosen[users, place] = got
        for number, share in enumerate(self.shares):
            self.in_share[number, users] += share.members[users, got]
        for spread, count in zip(self.spreads, self.in_group, strict=True):
            code = spread.codes[users, got]
            np.add.at(count, (users[code >= 0], code[code >= 0]), 1)
        best = np.argmax(np.where(self.left, self.worth, -np.inf), axis=1)
        forced = (cause >= 0) & (self.worth[self.users, best] > self.worth[self.users, pick]) & self.left.any(axis=1)
        self.reason[:, place] = np.where(forced, cause, -1)
        if self.dial is not None and self.dial.d:
            self.nearest = np.maximum(self.nearest, self.dial.near(np.maximum(pick, 0)))
            self.of_kind[users, self.dial.kind[users, got]] += 1


def _relevance(value: NDArray[np.float64], present: Mask) -> NDArray[np.float64]:
    """Values brought to [0, 1] within every user's candidates."""
    low = np.where(present, value, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    high = np.where(present, value, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    with np.errstate(invalid="ignore"):
        scaled = (value - low) / np.maximum(high - low, 1e-12)
    return np.where(present, scaled, 0.0)
