"""What is hidden and what stays visible: ``temporal``, ``leave_one_out`` and ``launch_split``.

A split hands out histories only. Its rule: an array that may feed a model (``visible``, ``queries``) is computed from
the near side of the cut alone, so that changing *which* items lie on the far side changes none of its bits. (*Who* is
asked depends on who has an answer: that is the question, not an input.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.evaluation.launch import Launch, launch_split
from kuapin.evaluation.questions import Questions, draw, has_any, quantile_of_times

__all__ = ["Launch", "LeaveOneOut", "Questions", "Temporal", "launch_split", "leave_one_out", "temporal"]


@dataclass(frozen=True)
class Temporal:
    """One cut in time through all categories at once. All items are ranked, those met before included.

    Attributes:
        cut: unix seconds; inputs are before it, answers at it or after.
        visible: all users' interactions before the cut, rows as in the dataset.
        items: int32, the candidates: the whole catalogue.
        test: users with a history before the cut and an answer after it.
        new: those of them with answers that are new to them, and these answers only.
        repeats: those of them with answers that they had met before the cut, and these answers only.

    Rank once for ``test``; ``test.positions(new)`` are the rows of these lists that belong to ``new``.
    """

    cut: int
    visible: Histories
    items: NDArray[np.int32]
    test: Questions
    new: Questions
    repeats: Questions


@dataclass(frozen=True)
class LeaveOneOut:
    """Each user's last item is the test, the one before is the validation (Kang and McAuley 2018).

    Items of the query are left out of the ranking, as the papers do, so an answer that is among them could not be
    found: such users are not asked. Other users' later interactions are visible; that is a property of this protocol
    and a reason to prefer ``temporal`` where times exist.

    Attributes:
        visible: everything but the two held-out interactions of each user with at least three; rows as in the dataset.
        items: int32, the candidates: the whole catalogue (less each user's own query).
        validation: the query is the user's visible history.
        test: the query is all but the last interaction, the validation item included.
    """

    visible: Histories
    items: NDArray[np.int32]
    validation: Questions
    test: Questions


def temporal(
    dataset: Dataset,
    *,
    cut: int | None = None,
    share: float = 0.1,
    max_test_users: int | None = None,
    seed: int = 0,
) -> Temporal:
    """Split at one point in time.

    Args:
        dataset: with real times.
        cut: unix seconds; ``None``: such that about ``share`` of the interactions lie at it or after.
        share: of the log that is hidden, in (0, 1); counted over all events, so it does not depend on what they are.
        max_test_users: ask at most so many users, drawn by ``seed``; what is visible is the same.
        seed: of the draw.

    Raises:
        InputError: the log has no times, or nobody has both a history before the cut and an answer after it.
    """
    histories = dataset.histories
    if len(histories.items) == 0:
        raise InputError("There are no interactions, so that nothing can be measured. Import some.")
    if not histories.timed:
        raise InputError(
            "The temporal protocol needs times; this log has none. Add a timestamp column, or use the protocol "
            "leave-one-out or launch."
        )
    if cut is None:
        cut = quantile_of_times(histories.times, 1.0 - share)
    before = histories.times < cut
    visible = histories.keep(before)
    hidden = histories.keep(~before)
    lottery = np.random.default_rng(seed).random(len(histories))
    eligible = (visible.lengths > 0) & (hidden.lengths > 0)
    users = draw(eligible, lottery, int(eligible.sum()) if max_test_users is None else max_test_users)
    if len(users) == 0:
        raise InputError(
            f"Nobody has interactions both before and after the cut at {cut}. Choose another cut, or import more log."
        )
    test = Questions(users, visible.select(users), hidden.select(users))
    repeated = _met_before(test)
    items = np.arange(histories.n_items, dtype=np.int32)
    return Temporal(cut, visible, items, test, _restrict(test, ~repeated), _restrict(test, repeated))


def leave_one_out(dataset: Dataset, *, max_test_users: int | None = None, seed: int = 0) -> LeaveOneOut:
    """Split off each user's last two interactions (users with at least three).

    Args:
        dataset: where it has no times, the order of the log counts.
        max_test_users: ask at most so many users, drawn by ``seed``; what is visible is the same.
        seed: of the draw.

    Raises:
        InputError: no user has three interactions.
    """
    histories = dataset.histories
    from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
    long_enough = histories.lengths >= 3
    held_out = np.repeat(long_enough, histories.lengths)
    visible = histories.keep(~held_out | (from_end > 2))
    lottery = np.random.default_rng(seed).random(len(histories))
    users = draw(long_enough, lottery, int(long_enough.sum()) if max_test_users is None else max_test_users)
    if len(users) == 0:
        raise InputError("Leave-one-out needs users with at least three interactions; there is none. Import more log.")
    validation = Questions(users, visible.select(users), histories.keep(held_out & (from_end == 2)).select(users))
    test = Questions(
        users,
        histories.keep(~held_out | (from_end > 1)).select(users),
        histories.keep(held_out & (from_end == 1)).select(users),
    )
    items = np.arange(histories.n_items, dtype=np.int32)
    return LeaveOneOut(
        visible, items, _restrict(validation, ~_met_before(validation)), _restrict(test, ~_met_before(test))
    )


def _met_before(questions: Questions) -> NDArray[np.bool_]:
    """Whether the item of each answer is in the same user's query, bool (n_answers,)."""
    queries, answers = questions.queries, questions.answers
    met = queries.users.astype(np.int64) * queries.n_items + queries.items
    return np.isin(answers.users.astype(np.int64) * answers.n_items + answers.items, met)


def _restrict(questions: Questions, mask: NDArray[np.bool_]) -> Questions:
    """Only the answers where ``mask`` (n_answers,) is true, and only the users who then have one."""
    rows = np.flatnonzero(has_any(questions.answers, mask))
    return Questions(questions.users[rows], questions.queries.select(rows), questions.answers.keep(mask).select(rows))
