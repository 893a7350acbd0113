"""Words taken away, swapped, mistyped, replaced; and two readings that are to agree."""

import math

import numpy as np
import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.errors import InputError
from kuapin.finetuning.augmentation import (
    AugmentationConfig,
    augmented,
    stuffed,
    with_swaps,
    with_synonyms,
    with_typos,
    without_words,
)
from kuapin.finetuning.change import assembled
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.r_drop import disagreement
from kuapin.finetuning.reader import open_reader
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens

torch = pytest.importorskip("torch")
TEXT = "red wool scarf for winter days"


def rng(seed=0):
    return np.random.default_rng(seed)


def test_words_are_taken_away_in_their_order_and_one_stays():
    assert without_words(TEXT, 0.0, rng()) == TEXT
    few = [without_words(TEXT, 0.5, rng(seed)).split() for seed in range(200)]
    assert all(words == [word for word in TEXT.split() if word in words] for words in few)
    assert np.mean([len(words) for words in few]) == pytest.approx(3 + 0.5, abs=0.3)  # half of six, and the one
    assert len(without_words(TEXT, 0.999999, rng()).split()) == 1
    assert without_words("", 0.5, rng()) == ""


def test_every_word_swapped_takes_the_first_to_the_end():
    assert with_swaps("a b c", 1.0, rng()) == "b c a"
    assert with_swaps(TEXT, 0.0, rng()) == TEXT


def test_a_typo_changes_one_inner_letter():
    seen = {with_typos("abcd", 1.0, rng(seed)) for seed in range(300)}
    assert {"acd", "abd", "abbcd", "abccd", "acbd", "abdc"} <= seen
    assert all(word.startswith("a") and 3 <= len(word) <= 5 for word in seen)
    assert with_typos("of at", 1.0, rng()) == "of at"


def test_synonyms_come_from_the_list():
    synonyms = {"sofa": ("couch",)}
    assert with_synonyms("Sofa cover", synonyms, 1.0, rng()) == "couch cover"
    assert with_synonyms("Sofa cover", synonyms, 0.0, rng()) == "Sofa cover"


def test_stuffing_comes_behind():
    words = stuffed("lamp", ("sale", "best"), 3, rng()).split()
    assert words[0] == "lamp"
    assert len(words) == 4
    assert set(words[1:]) <= {"sale", "best"}


def test_two_readings_that_agree_cost_nothing_and_two_that_do_not_what_is_worked_out():
    """p = (⅔, ⅓), q = (⅓, ⅔): ½ Σ (p − q)(log p − log q) = ½ · 2 · ⅓ log 2."""
    first, second = torch.log(torch.tensor([[2 / 3, 1 / 3]])), torch.log(torch.tensor([[1 / 3, 2 / 3]]))
    assert float(disagreement(first, second, "softmax")) == pytest.approx(math.log(2) / 3, rel=1e-5)
    assert float(disagreement(first, first, "softmax")) == 0
    one, other = torch.tensor([[math.log(2)]]), torch.tensor([[-math.log(2)]])  # ⅔ and ⅓
    assert float(disagreement(one, other, "sigmoid")) == pytest.approx(math.log(2) / 3, rel=1e-5)


def test_training_alone_reads_changed_titles(material, bert):
    loop = TrainingConfig(augmentation={"dropped": 0.5})
    objective = make_objective(FinetuningConfig(objective="item-classification", training=loop), material)
    tokens = Tokens(Backbone.resolve(str(bert)), 64)
    examples = objective.train[:16]
    plain, changed = objective.collate(examples, tokens), objective.collate_training(examples, tokens)
    assert changed["attention_mask"].sum() < plain["attention_mask"].sum()
    torch.testing.assert_close(objective.collate_training(examples, tokens), changed)  # a resumed run repeats it
    assert not torch.equal(objective.collate_training(examples[::-1], tokens)["input_ids"], changed["input_ids"])


def test_r_drop_adds_the_disagreement_of_two_readings_in_training_only(material, bert):
    objective = make_objective(FinetuningConfig(objective="item-classification"), material)
    backbone = Backbone.resolve(str(bert))
    reader = open_reader(backbone, dropout=0.3)
    reader.head = objective.new_head(reader, objective.facts)
    batch = objective.collate(objective.train[:16], Tokens(backbone, 64))
    found = {}
    for weight in (0.0, 1.0, 3.0):
        objective.r_drop = weight
        torch.manual_seed(0)
        reader.train()
        found[weight] = float(objective.loss(reader, batch).detach())
        reader.eval()
        found["still", weight] = float(objective.loss(reader, batch).detach())
    assert found["still", 0.0] == found["still", 3.0]
    assert found[3.0] > found[1.0]


def test_nothing_is_changed_where_nothing_is_asked():
    assert not AugmentationConfig().on
    assert augmented(TEXT, AugmentationConfig(), rng()) == TEXT


@pytest.mark.parametrize(
    ("objective", "loop", "message"),
    [
        ("masked-lm", {"r_drop": 0.5}, r"training\.r_drop is set and the objective is masked-lm"),
        ("co-interaction", {"augmentation": {"dropped": 0.1}}, r"training\.augmentation .* that does: item-class"),
        ("regression", {"label_smoothing": 0.1}, r"training\.label_smoothing .* regression, which does nothing"),
    ],
)
def test_settings_that_an_objective_would_do_nothing_with_are_refused(material, objective, loop, message):
    with pytest.raises(InputError, match=message):
        make_objective(FinetuningConfig(objective=objective, training=TrainingConfig(**loop)), material)


@pytest.mark.parametrize(
    ("strategy", "loop", "message"),
    [("head-only", {}, "strategy is head-only"), ("full", {"batch_size": 1}, r"training\.batch_size is 1")],
)
def test_a_contrast_without_vectors_to_draw_together_is_refused(material, strategy, loop, message):
    settings = {"objective": "item-classification", "strategy": strategy, "item_classification": {"contrast": 0.3}}
    config = FinetuningConfig.model_validate(settings | {"training": loop})
    with pytest.raises(InputError, match=rf"item_classification\.contrast is 0\.3 and {message}"):
        make_objective(config, material)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_heeds_what_it_says(material, bert, gpt, name):
    """The loss of a batch that is learnt from is another under each setting that is heeded."""
    kind = OBJECTIVES[name]
    backbone = Backbone.resolve(str(gpt if kind.reads == "left" else bert))
    settings = {"label_smoothing": 0.2, "r_drop": 1.0, "augmentation": {"dropped": 0.5}}
    found = {}
    for asked in ("plain", *kind.heeds):
        loop = TrainingConfig(**({} if asked == "plain" else {asked: settings[asked]}), dropout=0.3)
        config = FinetuningConfig(objective=name, strategy="full", training=loop)
        objective, strategy = make_objective(config, material), make_strategy(config)
        reader = assembled(backbone, kind, objective.facts, strategy, config, 10)
        reader.train()
        batch = objective.collate_training(objective.train[:16], Tokens(backbone, 64))
        torch.manual_seed(0)
        found[asked] = round(float(objective.loss(reader, batch).detach()), 5)
    assert len(set(found.values())) == len(found), found
