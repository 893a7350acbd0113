import polars as pl

from kuapin.data.baskets import MOST_ITEMS, build_baskets
from kuapin.data.vocabulary import Vocabulary

ITEMS = Vocabulary(["a", "b", "c"], "item")
USERS = Vocabulary(["u", "v"], "user")
DAY = 86_400


def made(rows, columns):
    return build_baskets(pl.DataFrame(rows, schema=columns, orient="row"), ITEMS, USERS)


def contents(baskets):
    return [baskets.histories.of(row).tolist() for row in range(len(baskets))]


def test_a_basket_id_then_a_session_then_the_day():
    rows = [
        ("u", "b", 2 * DAY, "k1", None),
        ("u", "a", 2 * DAY + 5, "k1", None),
        ("u", "b", 2 * DAY + 9, "k1", None),  # again
        ("v", "c", 10, None, "s1"),
        ("v", "a", 3 * DAY, None, "s1"),
        ("v", "b", 5 * DAY + 1, None, None),
        ("v", "c", 5 * DAY + 2, None, None),
    ]
    baskets = made(rows, ["user_id", "item_id", "timestamp", "basket_id", "session_id"])
    assert contents(baskets) == [[0, 2], [0, 1], [1, 2]]
    assert baskets.owner.tolist() == [1, 0, 1]
    assert baskets.times.tolist() == [10, 2 * DAY, 5 * DAY + 1]


def test_one_basket_id_of_two_users_is_two_baskets():
    baskets = made([("u", "a", "k"), ("v", "b", "k")], ["user_id", "item_id", "basket_id"])
    assert contents(baskets) == [[0], [1]]
    assert not baskets.histories.timed


def test_purchases_alone_where_there_are_any():
    columns = ["user_id", "item_id", "event", "basket_id"]
    assert contents(made([("u", "a", "view", "k"), ("u", "b", "purchase", "k")], columns)) == [[1]]
    assert contents(made([("u", "a", "view", "k"), ("u", "b", "impression", "k")], columns)) == [[0]]


def test_unknown_items_and_rows_that_say_nothing_of_a_basket_are_passed_over():
    columns = ["user_id", "item_id", "basket_id"]
    assert len(made([("u", "nothing", "k"), ("nobody", "a", "k"), ("u", "a", None)], columns)) == 0


def test_a_wholesaler_makes_no_pairs():
    many = Vocabulary([f"i{n}" for n in range(MOST_ITEMS + 1)], "item")
    rows = [("u", f"i{n}", "big") for n in range(MOST_ITEMS + 1)] + [("u", f"i{n}", "full") for n in range(MOST_ITEMS)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "basket_id"], orient="row")
    assert [len(one) for one in contents(build_baskets(log, many, USERS))] == [MOST_ITEMS]
