import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuapin.surfaces.answer import SCHEMA
from kuapin.surfaces.home import SHARES, compose, quotas


def answer(surface, *targets, user="u", kind="item"):
    rows = [(user, surface, n, kind, one, 1.0 / n, None, None, "r") for n, one in enumerate(targets, 1)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def page(answers, n, shares):
    return [(row["surface"], row["rank"], row["target_id"]) for row in compose(answers, n, shares).to_dicts()]


def test_every_surface_has_its_share_and_no_item_comes_twice():
    answers = {"products": answer("products", *"abcd"), "bundles": answer("bundles", *"bcef")}
    assert page(answers, 4, {"products": 0.5, "bundles": 0.5}) == [
        ("products", 1, "a"),
        ("products", 2, "b"),
        ("bundles", 1, "c"),
        ("bundles", 2, "e"),
    ]


def test_what_a_surface_leaves_free_others_fill():
    answers = {"products": answer("products", *"abcd"), "bundles": answer("bundles", "a")}
    assert page(answers, 3, {"products": 0.5, "bundles": 0.5}) == [
        ("products", 1, "a"),
        ("products", 2, "b"),
        ("products", 3, "c"),
    ]


def test_a_brand_and_an_item_of_one_name_are_two_things_a_due_item_is_one():
    answers = {
        "products": answer("products", "a"),
        "brands": answer("brands", "a", kind="brand"),
        "profile": answer("profile", "a", kind="due"),
    }
    shown = page(answers, 3, dict.fromkeys(answers, 1.0))
    assert [surface for surface, _, _ in shown] == ["products", "brands"]


def test_one_page_a_user():
    answers = {"products": pl.concat([answer("products", "a", "b"), answer("products", "a", "c", user="v")])}
    found = compose(answers, 2, {"products": 1.0})
    assert found["user_id"].to_list() == ["u", "u", "v", "v"]


def test_nothing_to_show_is_an_empty_page():
    assert compose({"products": answer("products")}, 3).height == 0


@given(st.integers(0, 60), st.lists(st.floats(0.01, 1), min_size=1, max_size=7))
def test_quotas_add_up(n, shares):
    rows = quotas(n, dict(zip(SHARES, shares, strict=False)))
    assert sum(rows.values()) == n
    total = sum(shares)
    assert all(abs(rows[name] - n * share / total) < 1 for name, share in zip(SHARES, shares, strict=False))


def test_quotas_by_hand():
    assert quotas(10, {"a": 0.35, "b": 0.35, "c": 0.3}) == {"a": 4, "b": 3, "c": 3}


@pytest.mark.parametrize("n", [5, 20])
def test_the_default_shares_are_known_surfaces(n):
    assert sum(quotas(n, SHARES).values()) == n


def test_nobody_known_has_a_page_of_its_own():
    answers = {
        "products": pl.concat([answer("products", "a", "b", user=None), answer("products", "c")]),
        "bundles": answer("bundles", "a", "d", user=None),
    }
    found = compose(answers, 3, {"products": 0.5, "bundles": 0.5})
    assert found.select("user_id", "target_id").rows() == [(None, "a"), (None, "b"), (None, "d"), ("u", "c")]


def test_a_batch_takes_a_table_apart_once(monkeypatch):
    calls = []
    own = pl.DataFrame.partition_by
    monkeypatch.setattr(pl.DataFrame, "partition_by", lambda *a, **k: calls.append(1) or own(*a, **k))
    batch = pl.concat([answer("products", "a", "b", user=f"u{k}") for k in range(50)])
    assert compose({"products": batch}, 2)["user_id"].n_unique() == 50
    assert len(calls) == 1
