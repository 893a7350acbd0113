"""What a surface answers: rows in, a table with external ids out."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c

_TEXT = dict.fromkeys((c.USER_ID, c.SURFACE, c.KIND, c.TARGET_ID, c.REASON_CODE, c.REASON, c.RELEASE), pl.String)
SCHEMA = pl.Schema({name: _TEXT.get(name, pl.Int32 if name == c.RANK else pl.Float32) for name in c.RECOMMENDATION})
"""Columns and types of every answer (DESIGN §7)."""


@dataclass(frozen=True)
class Reasons:
    """Why each row is shown: a code for programs and a sentence for people, both of length k."""

    codes: list[str]
    texts: list[str]


@dataclass(frozen=True)
class Answer:
    """Ordered lists, one after the other, of items or of something else that has rows.

    Attributes:
        asked: int64 (k,), which question (user) a row answers; lists stand in the order of the questions.
        items: int32 (k,), rows of the targets (items, but for surfaces of another kind), best first within a list.
        scores: float32 (k,), descending within a list.
        reasons: ``None`` where none were asked for.
        propensity: float64 (k,), the probability with which every row came to its place; ``None``: nothing is tried.
    """

    asked: NDArray[np.int64]
    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    reasons: Reasons | None = None
    propensity: NDArray[np.float64] | None = None

    def table(
        self, asked_ids: pl.Series, item_ids: pl.Series, *, surface: str, release: str, kind: str | pl.Series = "item"
    ) -> pl.DataFrame:
        """One row a recommendation, in the columns of ``columns.RECOMMENDATION``; then ``propensity``, if there is one.

        Args:
            asked_ids: ids of the questions (users), by number.
            item_ids: ids of the targets, by row.
            surface: name of the surface.
            release: that answered.
            kind: what the targets are; a series where it differs, by row.
        """
        first = np.searchsorted(self.asked, self.asked)
        reasons = self.reasons

        def same(text: str | None) -> pl.Series:
            return pl.Series([text], dtype=pl.String).new_from_index(0, len(self.items))

        table = pl.DataFrame(
            {
                c.USER_ID: asked_ids.gather(self.asked),
                c.SURFACE: same(surface),
                c.RANK: np.arange(len(self.items)) - first + 1,
                c.KIND: same(kind) if isinstance(kind, str) else kind.gather(self.items),
                c.TARGET_ID: item_ids.gather(self.items),
                c.SCORE: self.scores,
                c.REASON_CODE: reasons.codes if reasons else same(None),
                c.REASON: reasons.texts if reasons else same(None),
                c.RELEASE: same(release),
            },
            schema=SCHEMA,
        )
        if self.propensity is None:
            return table
        return table.with_columns(pl.Series(c.PROPENSITY, self.propensity, dtype=pl.Float64))


def join(parts: list[Answer]) -> Answer:
    """Answers to successive questions as one."""
    if not parts:
        none = np.empty(0, np.int64)
        return Answer(none, none.astype(np.int32), none.astype(np.float32))
    reasons = [part.reasons for part in parts if part.reasons is not None]
    chances = [part.propensity for part in parts if part.propensity is not None]
    return Answer(
        np.concatenate([part.asked for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        Reasons([code for one in reasons for code in one.codes], [text for one in reasons for text in one.texts])
        if reasons
        else None,
        np.concatenate(chances) if len(chances) == len(parts) else None,
    )


def in_order(ids: pl.Series, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Answers to groups of users as one, in the order of the users."""
    if len(parts) == 1:
        return parts[0]
    order = ids.unique(maintain_order=True).to_frame(c.USER_ID)
    return order.join(pl.concat(parts), on=c.USER_ID, how="inner", maintain_order="left_right", nulls_equal=True)
