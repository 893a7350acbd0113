"""Losses against numbers worked out by hand, on batches small enough to see."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.encoding.backbone import Backbone
from kuapin.errors import InputError
from kuapin.finetuning.change import assembled
from kuapin.finetuning.contrast import supervised_contrast
from kuapin.finetuning.decoder import written
from kuapin.finetuning.objectives.item_classification import ItemClassification, ItemClassificationConfig, class_loss
from kuapin.finetuning.objectives.masked_lm import MaskedLM, MaskedLMConfig
from kuapin.finetuning.objectives.next_item import NextItem, NextItemConfig
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.objectives.regression import Regression, RegressionConfig
from kuapin.finetuning.objectives.token_classification import (
    TokenClassification,
    TokenClassificationConfig,
    occurrences,
    tagged,
    without_overlaps,
    word_tags,
)
from kuapin.finetuning.reader import open_reader
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import IGNORED, Tokens
from tests import market
from tests.finetuning.conftest import material_of

torch = pytest.importorskip("torch")


class Fixed:
    """A reader whose head gives what it is told; training is off."""

    training = False

    def __init__(self, logits):
        self.logits = logits

    def hidden(self, input_ids, attention_mask):
        return self.logits

    pooled = hidden

    @staticmethod
    def head(hidden):
        return hidden


def labels_of(rows):
    return pl.DataFrame(rows, schema=["item_id", "task", "label"], orient="row")


# Binary cross-entropy


def test_binary_cross_entropy_by_hand():
    """z = (0, log 3), y = (1, 0): −log ½ and −log ¼."""
    loss = class_loss(torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[1.0], [0.0]]), "binary")
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_of_the_binary_cross_entropy_is_its_closed_form_and_that_of_finite_differences(smoothing):
    """∂L/∂z = (σ(z) − y') / n with y' = y (1 − ε) + ε / 2."""
    z = torch.tensor([[-2.0, 0.3], [1.5, 4.0], [0.0, -0.7]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    class_loss(z, y, "multi-label", smoothing).backward()
    target = y * (1 - smoothing) + smoothing / 2
    closed = (torch.sigmoid(z.detach()) - target) / z.numel()
    torch.testing.assert_close(z.grad, closed)
    h, numeric = 1e-6, torch.empty_like(closed)
    for place in np.ndindex(3, 2):
        step = torch.zeros_like(closed)
        step[place] = h
        up, down = (class_loss(z.detach() + sign * step, y, "multi-label", smoothing) for sign in (1, -1))
        numeric[place] = (up - down) / (2 * h)
    torch.testing.assert_close(numeric, closed, atol=1e-8, rtol=1e-6)


# Categorical cross-entropy


def test_multi_class_by_hand_with_and_without_smoothing():
    """softmax(log 1, log 2, log 5) = (⅛, ¼, ⅝); ε = 0.3 moves 0.1 to each of three classes."""
    logits, wanted = torch.log(torch.tensor([[1.0, 2.0, 5.0]])), torch.tensor([[0.0, 0.0, 1.0]])
    assert class_loss(logits, wanted, "multi-class").item() == pytest.approx(math.log(8 / 5), rel=1e-6)
    smoothed = 0.8 * math.log(8 / 5) + 0.1 * math.log(4) + 0.1 * math.log(8)
    assert class_loss(logits, wanted, "multi-class", 0.3).item() == pytest.approx(smoothed, rel=1e-6)


def test_token_classification_leaves_out_pieces_and_padding(material):
    objective = TokenClassification(TokenClassificationConfig(), brands())
    logits = torch.log(torch.tensor([[[1.0, 2.0, 5.0], [9.0, 9.0, 1.0], [1.0, 1.0, 2.0], [7.0, 1.0, 1.0]]]))
    batch = {"input_ids": None, "attention_mask": None, "labels": torch.tensor([[2, IGNORED, 0, IGNORED]])}
    expected = (math.log(8 / 5) + math.log(4)) / 2
    assert objective.loss(Fixed(logits), batch).item() == pytest.approx(expected, rel=1e-6)


def test_masked_lm_counts_the_tokens_asked_for_alone(material):
    objective = MaskedLM(MaskedLMConfig(), material)
    logits = torch.log(torch.tensor([[[1.0, 1.0, 2.0], [1.0, 2.0, 5.0]]]))
    batch = {"input_ids": None, "attention_mask": None, "labels": torch.tensor([[IGNORED, 1]])}
    assert objective.loss(Fixed(logits), batch).item() == pytest.approx(math.log(4), rel=1e-6)


def test_causal_lm_asks_at_every_place_for_the_next_token(material):
    objective = OBJECTIVES["causal-lm"](FinetuningConfig().causal_lm, material)
    logits = torch.log(torch.tensor([[[1.0, 2.0, 5.0], [2.0, 1.0, 1.0], [9.0, 9.0, 1.0]]]))
    batch = {"input_ids": None, "attention_mask": None, "labels": torch.tensor([[0, 2, 0]])}
    expected = (math.log(8 / 5) + math.log(2)) / 2
    assert objective.loss(Fixed(logits), batch).item() == pytest.approx(expected, rel=1e-6)


def test_a_decoders_loss_is_the_mean_over_the_tokens_written():
    logits = torch.log(torch.tensor([[[1.0, 2.0, 5.0], [2.0, 1.0, 1.0]], [[1.0, 1.0, 2.0], [5.0, 1.0, 1.0]]]))
    labels = torch.tensor([[2, 0], [2, IGNORED]])
    expected = (math.log(8 / 5) + math.log(2) + math.log(2)) / 3
    assert written(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_regression_is_the_mean_squared_error_in_standard_deviations():
    objective = Regression(RegressionConfig(held_out=0.5), material_of(market.dataset()))
    deviation = objective.deviation
    batch = {"input_ids": None, "attention_mask": None, "wanted": torch.tensor([1.0, -1.0])}
    assert objective.loss(Fixed(torch.tensor([[1.5], [1.0]])), batch).item() == pytest.approx((0.25 + 4) / 2)
    assert deviation == pytest.approx(math.log(9 / 5) / 2, rel=0.1)  # two prices, 5 and 9, about half of each


# What is in a batch


def test_tags_of_a_title_stand_at_the_first_pieces_of_its_words(bert):
    tokens = Tokens(Backbone.resolve(str(bert)), 64)
    objective = TokenClassification(TokenClassificationConfig(), brands())
    title = "Rosewater sun soap"  # the first word is unknown to the tokenizer, so that it comes in pieces
    pieces = occurrences(title, "Sun Soap", "brand")
    batch = objective.collate([(title, pieces), ("sun", [])], tokens)
    labels = batch["labels"][0][batch["labels"][0] != IGNORED].tolist()
    assert [objective.facts["tags"][label] for label in labels] == ["O", "B-brand", "I-brand"]
    words = tokens.encoding([title]).word_ids(0)
    assert len(words) > 5
    expected = [word is not None and word not in words[:place] for place, word in enumerate(words)]
    assert (batch["labels"][0] != IGNORED).tolist() == expected
    assert (batch["labels"][1] != IGNORED).sum() == 1


@pytest.mark.parametrize("prefix", ["", "passage: "])
@pytest.mark.parametrize("reads", ["both", "left"])
def test_what_a_tagger_says_of_words_is_told_by_the_characters_of_the_title(bert, gpt, reads, prefix):
    """The tags of later pieces, of [CLS], of padding and of the prefix do not count; two brands side by side stay two.

    The tokens of the GPT hold the space before a word, or are that space alone.
    """
    tokens = Tokens(replace(Backbone.resolve(str(bert if reads == "both" else gpt)), prefix=prefix), 64)
    tags = ["O", "B-brand", "I-brand"]
    titles = ["Rosewater sun soap", "sun soap,  Rosewater"]
    pieces = [[(0, 9, "brand"), (10, 18, "brand")], [(11, 20, "brand")]]
    order = [0, 1]
    encoding = tokens.encoding([titles[place] for place in order])
    logits = torch.zeros(2, len(encoding["input_ids"][0]), len(tags))
    for row, place in enumerate(order):
        for column, tag in enumerate(word_tags(encoding, row, titles[place], pieces[place], len(prefix))):
            logits[row, column, tags.index(tag or "B-brand")] = 1.0
    reader = Fixed(logits)
    reader.named_parameters = lambda: iter([("weight", torch.zeros(1))])
    assert tagged(reader, tags, tokens, titles) == pieces


def test_where_a_value_stands_in_a_title():
    assert occurrences("Sunny SUN sun-dried sun", "Sun", "brand") == [
        (6, 9, "brand"),
        (10, 13, "brand"),
        (20, 23, "brand"),
    ]
    assert occurrences("纯棉华为手机", "华为", "brand") == [(2, 4, "brand")]
    assert occurrences("C++ book", "C++", "brand") == [(0, 3, "brand")]
    assert without_overlaps([(0, 3, "a"), (2, 9, "b"), (9, 12, "a")]) == [(2, 9, "b"), (9, 12, "a")]


def test_masks_hide_the_asked_share_never_special_tokens_and_are_a_function_of_the_batch(material, bert):
    tokens = Tokens(Backbone.resolve(str(bert)), 64)
    objective = MaskedLM(MaskedLMConfig(share=0.3), material)
    batch = objective.collate(objective.train[:200], tokens)
    plain = tokens([text for _, text in objective.train[:200]])
    asked = batch["labels"] != IGNORED
    special = torch.isin(plain["input_ids"], torch.tensor(sorted(tokens.special_ids)))
    assert not (asked & special).any()
    assert asked.any(dim=1).all()
    assert torch.equal(batch["labels"][asked], plain["input_ids"][asked])
    assert torch.equal(batch["input_ids"][~asked], plain["input_ids"][~asked])
    words = (~special).sum()
    assert asked.sum() / words == pytest.approx(0.3, abs=0.05)
    masked = (batch["input_ids"] == tokens.tokenizer.mask_token_id) & asked
    assert masked.sum() / asked.sum() == pytest.approx(0.8, abs=0.05)
    again = objective.collate(objective.train[:200], tokens)
    assert torch.equal(again["input_ids"], batch["input_ids"])
    assert not torch.equal(objective.collate(objective.train[200:400], tokens)["labels"] != IGNORED, asked)


def test_next_item_reads_what_came_before_and_never_the_answer(material):
    titles, repeats = material.titles, 0
    for asked in (False, True):
        objective = OBJECTIVES["next-item"](NextItemConfig(repeats=asked, held_out=0.3), material)
        for user, before, item in [*objective.train, *objective.held_out]:
            history = material.histories.of(user).tolist()
            places = [step for step in range(1, len(history)) if history[step] == item]
            assert any(history[max(0, step - 10) : step] == before for step in places)
            repeats += titles[item] in {titles[one] for one in before}
        assert (repeats > 100) == asked  # off: the answer does not stand in what is read, by another item either


def test_a_log_of_repeats_alone_is_one_line():
    log = pl.DataFrame({"user_id": ["a", "a", "b", "b"], "item_id": [IDS[0]] * 4, "event": ["purchase"] * 4})
    material = material_of(build_dataset(market.items(), log), log=log)
    with pytest.raises(InputError, match="two items that have different titles; 0 steps to train on and 0 to measure"):
        NextItem(NextItemConfig(), material)


# Kinds and faults of labels


def brands():
    """The market with titles that begin with the brand."""
    frame = market.items().with_columns(pl.col("title").str.to_titlecase())
    return material_of(build_dataset(frame, market.log()))


def classified(rows, **options):
    return ItemClassification(
        ItemClassificationConfig(task="t", **options), material_of(market.dataset(), labels=labels_of(rows))
    )


IDS = market.items()["item_id"].to_list()


def test_the_kind_follows_from_the_labels():
    two = [(item, "t", "ab"[place % 2]) for place, item in enumerate(IDS[:20])]
    assert classified(two).kind == "binary"
    assert classified([*two, (IDS[30], "t", "c"), (IDS[31], "t", "c")]).kind == "multi-class"
    assert classified([*two, (IDS[0], "t", "b")]).kind == "multi-label"


def test_every_label_is_trained_on_and_measured():
    rows = [(item, "t", "abcde"[place % 5]) for place, item in enumerate(IDS[:13])]
    objective = classified(rows, labels_per_class=1)
    assert sorted(label for _, (label,) in objective.train) == list("abcde")
    assert {label for _, (label,) in objective.held_out} == set("abcde")
    assert {row for row, _ in objective.train} & {row for row, _ in objective.held_out} == set()


def named(titles, rows, **options):
    """A classifier of items with these titles."""
    material = material_of(market.dataset(), labels=labels_of(rows))
    material = replace(material, titles=(*titles, *material.titles[len(titles) :]))
    return ItemClassification(ItemClassificationConfig(task="t", **options), material)


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "ab"]])
def test_contrast_draws_items_of_a_label_together_in_training(labels, bert):
    """Binary, one of three, and several a title: alike are those that share a label."""
    rows = [(IDS[n], "t", one) for n in range(32) for one in labels[n % len(labels)]]
    backbone = Backbone.resolve(str(bert))
    found = {}
    for weight in (0.0, 0.5):
        objective = classified(rows, contrast=weight, temperature=0.2)
        reader = open_reader(backbone, dropout=0.0)
        torch.manual_seed(0)
        reader.head = torch.nn.Linear(reader.width, 1 if objective.kind == "binary" else len(objective.labels))
        examples = objective.train[:12]
        batch = objective.collate(examples, Tokens(backbone, 64))
        reader.train()
        found[weight] = float(objective.loss(reader, batch).detach())
        objective.r_drop = 1.0  # two readings without dropout are one: what is added is added once
        assert float(objective.loss(reader, batch).detach()) == pytest.approx(found[weight], rel=1e-5)
        reader.eval()
        assert float(objective.loss(reader, batch).detach()) == pytest.approx(found[0.0], rel=1e-5)
    alike = torch.tensor([[bool(set(one) & set(other)) for _, other in examples] for _, one in examples])
    vectors = reader.vectors(batch["input_ids"], batch["attention_mask"])
    expected = found[0.0] + 0.5 * float(supervised_contrast(vectors, alike, 0.2).detach())
    assert found[0.5] == pytest.approx(expected, rel=1e-4)


def test_items_of_one_title_are_trained_on_or_measured_together():
    """Five sizes of one thing, and a title that two labels share."""
    titles = [f"thing {n // 5}" for n in range(60)]
    rows = [(IDS[n], "t", "abc"[n // 5 % 3]) for n in range(59)] + [(IDS[59], "t", "a")]
    objective = named(titles, rows, held_out=0.3)
    train, held = ({titles[row] for row, _ in examples} for examples in (objective.train, objective.held_out))
    assert train.isdisjoint(held)
    assert train | held == set(titles)
    assert {label for _, labels in objective.train for label in labels} == set("abc")
    assert {label for _, labels in objective.held_out for label in labels} == set("abc")


def test_no_label_loses_its_last_title_to_another_ones_measuring():
    """c stands on titles of a and b alone; the share would take them all."""
    rows = [(IDS[n], "t", label) for n, labels in enumerate(("ac", "ab", "bc", "a", "b")) for label in labels]
    for seed in range(20):
        material = material_of(market.dataset(), labels=labels_of(rows), seed=seed)
        objective = ItemClassification(ItemClassificationConfig(task="t", held_out=0.99), material)
        assert {label for _, labels in objective.train for label in labels} == set("abc")


def test_labels_of_too_few_titles_are_left_out():
    titles = ["one", "one", "two", "three", "four", "five"]
    rows = [(IDS[n], "t", label) for n, label in enumerate("ccaabb")]
    with pytest.raises(InputError, match="The label 'c' has one title"):
        named(titles, rows)
    assert named(titles, rows, min_items=2).labels == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([(item, "t", "a") for item in IDS[:4]], {}, "all items have 'a'"),
        ([(item, "t", "a") for item in IDS[:4]] + [(IDS[5], "t", "b")], {}, "The label 'b' has one title"),
        ([("nobody", "t", "a"), ("no one", "t", "b")], {}, "none of the 2 is of an item that this shop has"),
        ([(IDS[0], "u", "a")], {}, "There are no labels 't' in this shop"),
        (
            [(IDS[n], "t", "ab"[n % 2]) for n in (0, 1, 2, 3)] + [(IDS[0], "t", "b")],
            {"kind": "binary"},
            "Use multi-label",
        ),
        ([(IDS[n], "t", "abc"[n % 3]) for n in range(9)], {"kind": "binary"}, "Use multi-class"),
    ],
)
def test_labels_that_cannot_be_learned_are_one_line(rows, options, message):
    with pytest.raises(InputError, match=message):
        classified(rows, **options)


def test_labels_of_some_unknown_items_are_left_out_with_a_warning():
    rows = [(item, "t", "ab"[place % 2]) for place, item in enumerate(IDS[:8])]
    with pytest.warns(UserWarning, match="1 of 9 are of items that this shop does not have"):
        assert len(classified([*rows, ("nobody", "t", "a")]).train) == 6


def test_numbers_that_are_none_are_one_line():
    material = material_of(market.dataset(), labels=labels_of([(item, "t", "high") for item in IDS[:4]]))
    with pytest.raises(InputError, match="has 'high', which is no number"):
        Regression(RegressionConfig(target="t"), material)
    with pytest.raises(InputError, match="too few"):
        Regression(RegressionConfig(target="rating"), material)


def test_ratings_and_click_rates_come_from_the_log():
    rows = [(f"u{n}", IDS[k], event, value) for k in range(40) for n, (event, value) in enumerate(
        [("rating", 1.0 + k % 5), ("rating", 2.0 + k % 5), ("impression", None), ("impression", None), ("click", None)]
    )]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "event", "value"], orient="row")
    material = material_of(market.dataset(), log=log)
    rating = Regression(RegressionConfig(target="rating", least=2, held_out=0.3), material)
    assert dict(rating.train + rating.held_out) == {k: 1.5 + k % 5 for k in range(40)}
    with pytest.raises(InputError, match=r"every item has 0\.5"):
        Regression(RegressionConfig(target="click-rate", least=2, held_out=0.3), material)


def test_a_backbones_embeddings_are_not_in_the_head_of_a_language_model_twice(material, bert):
    config = FinetuningConfig(objective="masked-lm", strategy="head-only")
    objective = make_objective(config, material)
    reader = assembled(Backbone.resolve(str(bert)), type(objective), {}, make_strategy(config), config, 10)
    trained = {name for name, parameter in reader.named_parameters() if parameter.requires_grad}
    assert trained
    assert not any("word_embeddings" in name or name.endswith("decoder.weight") for name in trained)
    assert any(p is reader.embeddings() for p in reader.head.parameters())
