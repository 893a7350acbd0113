"""No user, title or span on both sides of a split: in a shop where every user has a brand of his own."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.change import assembled
from kuapin.finetuning.history_text import SEPARATOR
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.objectives.token_classification import TokenClassificationConfig
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens
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


@pytest.mark.parametrize("case", CASES)
def test_what_chooses_the_checkpoint_is_not_what_is_reported(case):
    objective, shown = drawn(case, 0)
    halves = objective.halves()
    if objective.reads != "any":  # language models: texts and users are parted, a title may be in two texts
        chooses, reports = (set(map(str, half.held_out)) for half in halves)
    else:
        chooses, reports = (shown(half.held_out) for half in halves)
    assert min(len(chooses), len(reports)) > 1
    assert chooses.isdisjoint(reports)
    assert sum(len(half.held_out) for half in halves) == len(objective.held_out)
    assert all(len(half.held_out_clusters()) == len(half.held_out) for half in halves)


def test_too_few_to_be_parted_is_told_of():
    config = FinetuningConfig(objective="regression", regression={"held_out": 0.02})
    with pytest.warns(
        UserWarning, match=r"fewer than 8 users or titles, .* Import more, or raise regression\.held_out"
    ):
        objective = make_objective(config, private_shop())
    chooses, reports = objective.halves()
    assert chooses.held_out == reports.held_out


def test_intervals_of_generation_draw_the_pairs_of_a_user_together(bert):
    objective, _ = drawn("generation", 0)
    backbone, config = Backbone.resolve(str(bert)), FinetuningConfig(objective="generation")
    reader = assembled(backbone, type(objective), {}, make_strategy(config), config, 10)
    reader.eval()
    clusters = objective.measure(reader, Tokens(backbone, 64), 64).clusters
    assert len(np.unique(clusters)) == len({user for _, _, user in objective.held_out})
    assert len(clusters) > len(objective.held_out)  # one a token


def test_values_that_are_held_out_stand_in_no_title_that_is_trained_on():
    """Two brands in a title: where one is held out and the other is not, the title is on neither side."""
    material = private_shop()
    titles = tuple(f"{title} b{(row + 8) // 8 % USERS}" for row, title in enumerate(material.titles))
    rows = [
        (f"{row // 8}-{row // 2 % 4}-{row % 2}", "t", word) for row in range(480) for word in titles[row].split()[::2]
    ]
    labels = pl.DataFrame(rows, schema=["item_id", "task", "label"], orient="row")
    config = FinetuningConfig(
        objective="token-classification",
        token_classification={"tasks": ["t"], "unseen": True, "held_out": 0.4},
    )
    objective = make_objective(config, replace(material, titles=titles, labels=labels))

    def values(examples):
        return {title[start:end] for title, pieces in examples for start, end, _ in pieces}

    assert values(objective.train)
    assert values(objective.held_out)
    assert values(objective.train).isdisjoint(values(objective.held_out))
    assert len(objective.train) + len(objective.held_out) < len(titles)


def test_values_of_several_tasks_are_not_held_out_together():
    with pytest.raises(ValueError, match="unseen holds out the values of one task, and tasks are brand, kind"):
        TokenClassificationConfig(tasks=("brand", "kind"), unseen=True)
