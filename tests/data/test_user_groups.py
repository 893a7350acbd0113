import polars as pl

from kuapin.data.user_groups import MOST_VALUES, groups_by_row, user_groups
from kuapin.data.vocabulary import Vocabulary


def test_columns_of_few_values_group_people():
    n = 2 * MOST_VALUES + 2
    users = pl.DataFrame(
        {
            "user_id": [f"u{k}" for k in range(n)],
            "age": ["young", "old", None, "old"] * (n // 4) + ["old"] * (n % 4),
            "member": [True, False] * (n // 2),
            "children": [k % 3 for k in range(n)],
            "city": [f"city {k % (MOST_VALUES + 1)}" for k in range(n)],
            "email": [f"u{k}@shop.example" for k in range(n)],
            "country": ["UK"] * n,
            "spent": [float(k % 4) for k in range(n)],
        }
    )
    found = user_groups(users)
    assert found.columns == ["user_id", "age", "member", "children"]
    assert found.row(1) == ("u1", "old", "false", "1")


def test_of_few_people_nothing_that_names_them_is_a_group():
    users = pl.DataFrame({"user_id": ["a", "b", "c"], "email": ["x", "y", "z"]})
    assert user_groups(users).columns == ["user_id"]


def test_groups_stand_in_the_order_of_the_people_known():
    users = pl.DataFrame({"user_id": list("abcd"), "age": ["old", "old", "young", "young"]})
    known = Vocabulary(pl.Series(["c", "x", "a"]), "user")
    assert groups_by_row(users, known).rows() == [("young",), (None,), ("old",)]
    assert groups_by_row(pl.DataFrame(schema={"user_id": pl.String}), known).shape[1] == 0
