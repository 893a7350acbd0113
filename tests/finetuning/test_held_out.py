"""No user, title or span on both sides of a split: in a shop where every user has a brand of his own."""

import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.finetuning.history_text import SEPARATOR
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.settings import FinetuningConfig
from tests.finetuning.conftest import material_of

USERS, TITLES = 60, 4


def private_shop(seed=0):
    """Titles begin with their user's brand; each is of two items, of two shelves and prices."""
    every = [(user, title, size) for user in range(USERS) for title in range(TITLES) for size in range(2)]
    items = pl.DataFrame(
        [
            (f"{user}-{title}-{size}", f"b{user} t{title}", f"Home > s{size}", f"b{user}", 5.0 + title + size)
            for user, title, size in every
        ],
        schema=["item_id", "title", "category", "brand", "price"],
        orient="row",
    )
    log = pl.DataFrame(
        [
            (f"u{user}", f"{user}-{title}-{size}", 1_600_000_000 + 10 * size + title, "purchase")
            for user, title, size in every
        ],
        schema=["user_id", "item_id", "timestamp", "event"],
        orient="row",
    )
    return material_of(build_dataset(items, log), log=log, seed=seed)


def titles_of(name, material, example):
    """The titles that an example shows."""
    if name in ("co-interaction", "next-item"):
        rows = example[:2] if name == "co-interaction" else (*example[1], example[2])
        return [material.titles[row] for row in rows]
    if name in ("regression", "item-classification"):
        return [material.titles[example[0]]]
    if name in ("generation", "token-classification"):
        return [example[0]]
    text = example if isinstance(example, str) else example[1]
    return [part.split(", ")[0] for part in text.split(SEPARATOR)]


def user_of(title):
    return title.split()[0]


CASES = {
    "masked-lm": (str, {}),
    "causal-lm": (str, {}),
    "simcse": (str, {}),
    "tsdae": (str, {}),
    "item-classification": (str, {}),
    "token-classification": (str, {}),
    "token-classification of unseen values": (user_of, {"unseen": True}),
    "regression": (str, {}),
    "generation": (user_of, {}),
    "generation of a column": (str, {"target": "brand"}),
    "co-interaction": (user_of, {"hard_negatives": 1}),
    "next-item": (user_of, {}),
}
"""Objective and settings → what may be on one side alone: a title itself, or whose it is."""


def drawn(case, seed):
    """The objective, and whose or which titles some of its examples show."""
    name, (unit, options) = case.split(" ")[0], CASES[case]
    config = FinetuningConfig(objective=name, **{name.replace("-", "_"): options | {"held_out": 0.4}})
    material = private_shop(seed)
    objective = make_objective(config, material)
    return objective, lambda examples: {unit(title) for one in examples for title in titles_of(name, material, one)}


def test_every_objective_is_looked_at():
    assert {case.split(" ")[0] for case in CASES} == set(OBJECTIVES)


@pytest.mark.parametrize("case", CASES)
def test_what_is_held_out_is_in_no_training(case):
    for seed in range(3):
        objective, shown = drawn(case, seed)
        train, held = shown(objective.train), shown(objective.held_out)
        assert min(len(train), len(held)) > USERS / 10
        assert train.isdisjoint(held)
        assert len(train | held) == (USERS * TITLES if CASES[case][0] is str else USERS)


@pytest.mark.parametrize("case", ["masked-lm", "causal-lm"])
def test_users_whose_histories_are_read_in_training_are_not_measured(case):
    objective, _ = drawn(case, 0)

    def users(examples):
        texts = [one if isinstance(one, str) else one[1] for one in examples]
        return {user_of(text) for text in texts if SEPARATOR in text}

    assert users(objective.train)
    assert users(objective.held_out)
    assert users(objective.train).isdisjoint(users(objective.held_out))
