"""What a category was opened with, and what is known of it: the material of the verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import JsonValue

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.faults import Fault
from kuapin.errors import InputError
from kuapin.ranking.expectations import Expectations, Range
from kuapin.ranking.opening import Opening
from kuapin.ranking.promotion import PROMOTED, most_telling
from kuapin.ranking.text_distance import nearest_groups, text_distance
from kuapin.retrieval.source import Scores, Visible

NEAR = 0.05
"""Share of the nearest items from which on a category is called near."""


@dataclass(frozen=True)
class Rehearsed:
    """A replayed opening beside the real one.

    Attributes:
        name: of what was opened: a category, or the leaf that most of its items are of.
        distance: of its texts from the others, as of ``Surroundings``.
        ratio: NDCG@10 of the chosen strategy to that of popularity.
    """

    name: str
    distance: float
    ratio: float


@dataclass(frozen=True)
class Surroundings:
    """A category among the texts of the shop.

    Attributes:
        distance: of its texts from all others (``ranking/text_distance.py``).
        near: categories of the nearest items with their shares, the nearest first.
        rehearsed: the replayed openings.
        promote: the items that would teach most, the most telling first: item_id and, where there are titles, title.
    """

    distance: float
    near: tuple[tuple[str, float], ...]
    rehearsed: tuple[Rehearsed, ...]
    promote: pl.DataFrame

    @property
    def as_far(self) -> tuple[Rehearsed, ...]:
        """The replayed openings of texts at least as far away; empty: nothing so far away was seen."""
        return tuple(one for one in self.rehearsed if one.distance >= self.distance)


@dataclass(frozen=True)
class Onboarded:
    """What was opened, and what is known of it.

    Attributes:
        release: that is live now.
        category: its name.
        items: how many it has.
        opening: what serves it, and the expectations it was chosen by.
        people: users with a history, to whom it can be recommended by what they did elsewhere.
        surroundings: where it lies among the texts of the shop.
        suspects: what of the log taught nothing, see ``Suspects.named``.
        faults: what was found in the file.
        seconds: how long it took.
        read_otherwise: whether the shop names another language model than the live release's, which read the texts.
    """

    release: str
    category: str
    items: int
    opening: Opening
    people: int
    surroundings: Surroundings
    suspects: Mapping[str, JsonValue]
    faults: tuple[Fault, ...]
    seconds: float
    read_otherwise: bool = False


def look_around(visible: Visible, rows: NDArray[np.int32], opening: Opening) -> Surroundings:
    """Where the items ``rows`` lie among the others, and which of them to promote first."""
    catalogue, white = visible.catalogue, visible.whitened()
    if white is None:
        raise InputError("There are no vectors of the items.")
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(len(catalogue), dtype=np.int32), rows)
    share = nearest_groups(white, rows, others, catalogue.category, rng)
    near = [(catalogue.categories[code], float(share[code])) for code in np.argsort(-share, kind="stable")]
    expected = opening.recommender.signals.signals["predicted_popularity"].source.score(
        visible.histories.select(np.zeros(1, np.int64))
    )
    most = min(PROMOTED, len(rows) // 2)
    chosen = most_telling(white, rows, expected[0][rows], catalogue.available[rows], most)
    kept = [name for name in (c.ITEM_ID, c.TITLE) if name in catalogue.frame.columns]
    return Surroundings(
        text_distance(white, rows, others, rng),
        tuple(one for one in near if one[1] >= NEAR),
        _rehearsed(opening, catalogue, white, others, rng),
        catalogue.frame.select(kept)[chosen],
    )


def _rehearsed(
    opening: Opening, catalogue: Catalogue, white: Scores, others: NDArray[np.int32], rng: np.random.Generator
) -> tuple[Rehearsed, ...]:
    found = opening.expectations
    if found is None:
        return ()
    ratios = found.by_launch(opening.strategy, opening.shot)
    return tuple(
        Rehearsed(_name(catalogue, group), text_distance(white, group, np.setdiff1d(others, group), rng), float(ratio))
        for group, ratio in zip(found.groups, ratios, strict=True)
    )


def _name(catalogue: Catalogue, group: NDArray[np.int32]) -> str:
    """The category whose items all these are; else the leaf that most are of."""
    tops = np.unique(catalogue.category[group])
    if len(tops) == 1 and np.count_nonzero(catalogue.category == tops[0]) == len(group):
        return str(catalogue.categories[tops[0]])
    leaf = int(np.bincount(catalogue.leaf[group]).argmax())
    return f"{catalogue.leaves[leaf]} and the like"


def expected_json(found: Expectations) -> list[JsonValue]:
    """One entry a shot level: people seen, and every strategy's NDCG@10, hit rate and ratio to popularity."""
    return [
        {
            "shot": level.shot,
            "people": level.seen[0],
            "interactions": level.seen[1],
            "best": level.best,
            "strategies": {
                strategy: {
                    "ndcg@10": float(level.means(strategy).mean()),
                    "hit_rate@10": level.hit_rate(strategy),
                    "ratio": range_json(found.ratio(strategy, level.shot)),
                }
                for strategy in level.quality
            },
        }
        for level in found.levels
    ]


def negative_transfer_json(found: Expectations, shot: float) -> list[JsonValue]:
    """One entry a strategy that ``transfer`` lost against at a shot level."""
    lost = found.negative_transfer(shot)
    return [{"against": one.against, "ratio": range_json(one.ratio), "worse": one.worse} for one in lost]


def range_json(found: Range) -> dict[str, JsonValue]:
    """Value and ends; ``None`` where nothing tells them."""
    return {name: value if np.isfinite(value) else None for name, value in asdict(found).items()}
