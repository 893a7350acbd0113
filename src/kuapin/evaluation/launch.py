"""The launch protocol: a category opens, and users are asked who have met nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.evaluation.questions import draw, has_any, membership, quantile_of_times

Kind = Literal["order-free", "timed"]
SHOTS = (0.0, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Launch:
    """One category at one shot level.

    ``queries``, ``answers`` and ``test_users`` are the same at every shot level; row ``j`` of each is the same user.

    Attributes:
        category: code of the top-level category that the items share; -1 where they share none.
        shot: share of the training users of the category whose interactions in it are visible.
        visible: what training may see; rows as in the dataset. The test users' rows are empty, or with ``seen`` hold
            their source histories; no row of theirs holds anything of the category.
        test_users: int32 (n,), rows in the dataset, ascending.
        queries: n histories: the test users' interactions outside the category.
        answers: n histories: what they did in the category, each with at least one interaction.
        items: int32, ascending rows of the category's items: the candidates.
        kind: ``order-free`` or ``timed``.
        seen: whether the test users' source histories are visible to training.
        now: the moment up to which the shot shows: unix seconds, or where there are no times the greatest order.
    """

    category: int
    shot: float
    visible: Histories
    test_users: NDArray[np.int32]
    queries: Histories
    answers: Histories
    items: NDArray[np.int32]
    kind: Kind
    seen: bool
    now: int


@dataclass(frozen=True)
class _Stage:
    """Which interactions may be seen by whom; all masks are bool (n,).

    Attributes:
        source: outside the category, on the near side: inputs.
        showable: inside the category; a shot shows them of some training users.
        hidden: inside the category, on the far side: answers.
        arrival: float64 (n_users,), the order in which training users are shown; inf where there is nothing to show.
        tau: when the category opens (timed).
        until: when the last shot ends and the answers begin (timed).
    """

    source: NDArray[np.bool_]
    showable: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    arrival: NDArray[np.float64]
    tau: int | None = None
    until: int | None = None


def launch_split(
    dataset: Dataset,
    category_items_mask: NDArray[np.bool_],
    shots: Sequence[float] = SHOTS,
    seed: int = 0,
    *,
    test_share: float = 0.2,
    max_test_users: int | None = None,
    kind: Kind | Literal["auto"] = "auto",
    tau: int | None = None,
    until: int | None = None,
    seen: bool = False,
) -> list[Launch]:
    """Replay the opening of a category, once for every shot level.

    Order-free: of the users with interactions both in the category and elsewhere, ``test_share`` are test users; their
    interactions in the category are the answers, all their others the input. Of the remaining users with interactions
    in the category, a random share ``s`` keeps them. Where the log has no times, the numbering within a history is
    made anew after hiding, so that gaps do not tell where something was hidden.

    Timed: the category opens at ``tau``. Everything of it before ``tau`` is hidden from all. Inputs outside the
    category lie before ``tau``. Of the training users who arrive in the category between ``tau`` and ``until``, a shot
    ``s`` shows what the first ``s`` did in it up to the arrival of the last of them (the whole window at ``s = 1``).
    The answers lie at ``until`` or after, so that no input of any shot is later than any answer.

    Shots are nested: who is shown at 1 % is shown at 10 %. Everything is a function of the log's near side, of who
    has an answer, and of ``seed``.

    Args:
        dataset: the shop.
        category_items_mask: bool (n_items,), the items of the category that opens, of any level.
        shots: shares in [0, 1].
        seed: of the draws.
        test_share: share of the eligible users that are asked, in (0, 1).
        max_test_users: ask at most so many; the other users are training users.
        kind: ``auto`` is timed where the log has times.
        tau: unix seconds; ``None``: 70 % of the log lie before it. Timed only.
        until: unix seconds; ``None``: half of the log from ``tau`` on lies before it. Timed only.
        seen: whether the test users' source histories stay visible to training. The headline is ``False``.

    Returns:
        One launch a shot, in the order of ``shots``.

    Raises:
        InputError: the mask holds no item or all, a share is out of range, times are wanted that the log does not have,
            or no user can be asked.
    """
    histories = dataset.histories
    _check(dataset, category_items_mask, shots, test_share)
    if kind == "auto":
        kind = "timed" if histories.timed else "order-free"
    lots = np.random.default_rng(seed).random((2, len(histories)))
    inside = category_items_mask[histories.items]
    if kind == "timed":
        stage = _timed(histories, inside, lots[1], tau, until)
    else:
        stage = _order_free(histories, inside, lots[1])
    eligible = has_any(histories, stage.source) & has_any(histories, stage.hidden)
    wanted = max(1, round(test_share * int(eligible.sum())))
    test_users = draw(eligible, lots[0], wanted if max_test_users is None else min(wanted, max_test_users))
    if len(test_users) == 0:
        raise InputError(_nobody(kind, stage))
    asked = membership(test_users, len(histories))[histories.users]
    category = np.unique(dataset.catalogue.category[category_items_mask])
    launch = Launch(
        category=int(category[0]) if len(category) == 1 else -1,
        shot=0.0,
        visible=histories.keep(stage.source & (seen | ~asked)),
        test_users=test_users,
        queries=_renumber(histories.keep(stage.source & asked)).select(test_users),
        answers=_renumber(histories.keep(stage.hidden & asked)).select(test_users),
        items=np.flatnonzero(category_items_mask).astype(np.int32),
        kind=kind,
        seen=seen,
        now=0,
    )
    return [_at_shot(launch, histories, stage, float(shot), asked) for shot in shots]


def _at_shot(launch: Launch, histories: Histories, stage: _Stage, shot: float, asked: NDArray[np.bool_]) -> Launch:
    """The launch with what one shot shows added; ``asked`` marks the interactions of the test users."""
    shown, now = _shown(histories, stage, launch.test_users, shot)
    visible = _renumber(histories.keep((stage.source & (launch.seen | ~asked)) | shown))
    latest = int(visible.times.max(initial=-1)) + 1
    return replace(launch, shot=shot, visible=visible, now=latest if now is None else now)


def _order_free(histories: Histories, inside: NDArray[np.bool_], lottery: NDArray[np.float64]) -> _Stage:
    arrival = np.where(has_any(histories, inside), lottery, np.inf)
    return _Stage(~inside, inside, inside, arrival)


def _timed(
    histories: Histories, inside: NDArray[np.bool_], lottery: NDArray[np.float64], tau: int | None, until: int | None
) -> _Stage:
    if not histories.timed:
        raise InputError("A timed launch needs times; this log has none. Use kind='order-free', or add timestamps.")
    times = histories.times
    if tau is None:
        tau = quantile_of_times(times, 0.7)
    if until is None:
        until = quantile_of_times(times[times >= tau], 0.5)
    if not tau <= until:
        raise InputError(f"A launch opens before its answers begin: tau {tau} is after until {until}. Swap them.")
    showable = inside & (times >= tau) & (times < until)
    users, first = np.unique(histories.users[showable], return_index=True)
    arrival = np.full(len(histories), np.inf)
    # Arrivals in the same second are put in the order of their lots.
    order = np.lexsort((lottery[users], times[showable][first]))
    arrival[users[order]] = np.arange(len(users))
    hidden = inside & (times >= until)
    return _Stage(~inside & (times < tau), showable, hidden, arrival, tau, until)


def _shown(
    histories: Histories, stage: _Stage, test_users: NDArray[np.int32], shot: float
) -> tuple[NDArray[np.bool_], int | None]:
    """The interactions in the category that a shot shows, and the moment up to which (timed)."""
    arrival = np.where(membership(test_users, len(histories)), np.inf, stage.arrival)
    training = int(np.isfinite(arrival).sum())
    n = min(training, max(1, round(shot * training))) if shot > 0 else 0
    if n == 0:
        return np.zeros_like(stage.showable), stage.tau
    first = np.argsort(arrival, kind="stable")[:n]
    shown = stage.showable & membership(first, len(histories))[histories.users]
    if stage.until is None or n == training:
        return shown, stage.until
    last_comer = int(first[-1])
    now = int(histories.times[stage.showable & (histories.users == last_comer)].min()) + 1
    return shown & (histories.times < now), now


def _renumber(histories: Histories) -> Histories:
    """Where there are no times: number each history 0, 1, 2, … anew."""
    if histories.timed:
        return histories
    position = np.arange(len(histories.items), dtype=np.int64) - np.repeat(histories.indptr[:-1], histories.lengths)
    return replace(histories, times=position)


def _check(dataset: Dataset, mask: NDArray[np.bool_], shots: Sequence[float], test_share: float) -> None:
    n_items = len(dataset.catalogue)
    if mask.shape != (n_items,) or mask.dtype != np.bool_:
        raise InputError(
            f"The category's mask is bool ({n_items},), one value an item; {mask.dtype} {mask.shape} came."
        )
    if not mask.any() or mask.all():
        raise InputError(
            f"A launch needs items inside and outside the category; {int(mask.sum())} of {n_items} are inside. "
            "Choose another category."
        )
    if any(not 0 <= shot <= 1 for shot in shots):
        raise InputError(f"Shot levels are shares from 0 to 1; {list(shots)} came. Write 1 % as 0.01.")
    if not 0 < test_share < 1:
        raise InputError(f"The share of test users is between 0 and 1; {test_share} came. 0.2 is usual.")


def _nobody(kind: Kind, stage: _Stage) -> str:
    if kind == "timed":
        return (
            f"Nobody has interactions outside the category before {stage.tau} and in it from {stage.until} on. "
            "Choose tau and until by hand, or use kind='order-free'."
        )
    return "Nobody has interactions both in the category and elsewhere. Choose another category, or import more log."
