import numpy as np
import polars as pl
import pytest

from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.slices import evaluate_slices, slices

# Popularity 6 | 3 3 | 2 2 2 | 0: of 18 visible interactions the first third is item 0, the second items 1 and 2.
FACTS = ItemFacts(
    category=np.array([0, 0, 1, 1, 1, 0, 1], np.int32),
    popularity=np.array([6, 3, 3, 2, 2, 2, 0], np.int64),
    n_users=6,
    candidates=np.arange(7, dtype=np.int32),
)
ANSWERS = Answers(np.array([0, 2, 3, 5]), np.array([0, 6, 3, 1, 2], np.int32))
LENGTHS = np.array([1, 5, 80])


def parts():
    return {(s.kind, s.name): s for s in slices(ANSWERS, FACTS, ["Tea", "Cups"], LENGTHS)}


@pytest.mark.parametrize(
    ("key", "users", "items"),
    [
        (("category", "Tea"), [0, 2], [0, 1]),
        (("category", "Cups"), [0, 1, 2], [6, 3, 2]),
        (("warmth", "cold"), [0], [6]),
        (("warmth", "warm"), [0, 1, 2], [0, 3, 1, 2]),
        (("popularity", "head"), [0], [0]),
        (("popularity", "middle"), [2], [1, 2]),
        (("popularity", "tail"), [1], [3]),
        (("history", "1-2"), [0], [0, 6]),
        (("history", "3-5"), [1], [3]),
        (("history", "51 and more"), [2], [1, 2]),
    ],
)
def test_slices_worked_out_by_hand(key, users, items):
    part = parts()[key]
    assert part.users.tolist() == users
    assert part.answers.items.tolist() == items


def test_groups_of_people_by_hand():
    groups = pl.DataFrame({"age": ["old", None, "young"], "member": [True, True, True]})
    found = [s for s in slices(ANSWERS, FACTS, (), LENGTHS, groups) if s.kind == "people"]
    assert {s.name: s.users.tolist() for s in found} == {"age old": [0], "age young": [2], "member true": [0, 1, 2]}
    assert found[1].answers.items.tolist() == [1, 2]


def test_slices_without_users_are_left_out():
    assert ("history", "6-10") not in parts()
    assert len(parts()) == 10


def test_slices_are_measured_on_their_own_answers():
    ranked = Ranked(np.array([[6, 0, 1], [0, 1, 2], [1, 0, 2]], np.int32))
    table = evaluate_slices(ranked, list(parts().values()), FACTS, ["hit_rate@1", "recall@3"])
    assert table.columns == ["kind", "name", "users", "metric", "value", "low", "high"]
    values = {(row["name"], row["metric"]): row["value"] for row in table.iter_rows(named=True)}
    assert values[("cold", "hit_rate@1")] == 1
    assert values[("head", "hit_rate@1")] == 0
    assert values[("Tea", "recall@3")] == 1
    assert values[("Cups", "recall@3")] == pytest.approx(2 / 3)
    assert table.filter(pl.col("low") > pl.col("value")).height == 0
