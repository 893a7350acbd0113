import pytest

from kuapin.data.column_names import likely_column


@pytest.mark.parametrize(
    ("name", "came", "expected"),
    [
        ("item_id", ["sku", "title"], "sku"),
        ("item_id", ["title", "price"], None),
        ("user_id", ["customer", "item_id"], "customer"),
        ("user_id", ["item_id", "event"], None),
        ("user_id", ["User ID", "item_id"], "User ID"),
        ("timestamp", ["user_id", "item_id", "date"], "date"),
        ("timestamp", ["user_id", "item_id", "created_at"], None),
    ],
)
def test_a_column_that_is_ours_already_is_never_proposed(name, came, expected):
    assert likely_column(name, came) == expected
