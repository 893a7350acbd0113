"""The two kinds of right answers, items that a user takes again and items new to him, each judged on its own.

Where people buy again, nearly every right answer is a repeat: what is learnt, left out or calibrated by all answers
together says little about discoveries.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.lists import Lists, join, make_lists, ndcg_at_10
from kuapin.ranking.signals import Signals


@dataclass(frozen=True)
class Asked:
    """Lists, and what of them is new to their users.

    Attributes:
        lists: with all candidates.
        new: bool (n,), which candidates the user has not met.
        new_answers: int64 (n_users,), how many answers are new to each user.
    """

    lists: Lists
    new: NDArray[np.bool_]
    new_answers: NDArray[np.int64]

    @classmethod
    def make(cls, signals: Signals, queries: Histories, answers: Histories) -> Self:
        """Ask for hidden interactions; arguments as of ``make_lists``."""
        return cls.of(make_lists(signals, queries, None, answers), queries, answers)

    @classmethod
    def of(cls, lists: Lists, queries: Histories, answers: Histories) -> Self:
        """Tell what is new to the users in their lists."""
        met, wanted = queries.matrix(), answers.matrix()
        users = np.repeat(np.arange(len(queries), dtype=np.int64), np.diff(met.indptr))
        new = ~np.isin(lists.users * queries.n_items + lists.items, users * queries.n_items + met.indices)
        fresh = (wanted - wanted.multiply(met)).tocsr()
        return cls(lists, new, np.diff(fresh.indptr).astype(np.int64))

    def select(self, users: NDArray[np.integer]) -> Self:
        """The lists of some users, ascending."""
        mask = np.zeros(len(self.lists), np.bool_)
        mask[users] = True
        return replace(
            self,
            lists=self.lists.select(users),
            new=self.new[mask[self.lists.users]],
            new_answers=self.new_answers[users],
        )

    def keep(self, mask: NDArray[np.bool_]) -> Self:
        """The same users without the candidates where ``mask`` (n,) is false."""
        return replace(self, lists=self.lists.keep(mask), new=self.new[mask])

    def discoveries(self) -> Lists:
        """The lists without what the users know, as a shop shows them that leaves known items out."""
        return replace(self.lists.keep(self.new), answers=self.new_answers)

    def to_learn_from(self) -> Lists:
        """Every user twice: with all candidates, and with those alone that are new to him.

        Both lists of a user have one number in ``launch``, so that cross-validation never parts them.
        """
        user = np.arange(len(self.lists), dtype=np.int32)
        return join([replace(part, launch=user) for part in (self.lists, self.discoveries())])

    def quality(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """NDCG@10 of every user when ordered by ``scores`` (n,): over all candidates, over new ones; (2, n_users)."""
        return np.stack([ndcg_at_10(self.lists, scores), ndcg_at_10(self.discoveries(), scores[self.new])])

    def means(self, scores: NDArray[np.floating]) -> tuple[float, float]:
        """Mean NDCG@10 over all candidates, and over new ones of the users who took something new."""
        every, new = self.quality(scores)
        return float(every.mean()), float(new.sum() / max(np.count_nonzero(self.new_answers), 1))
