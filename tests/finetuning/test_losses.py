"""Losses of pairs, through the batches that objectives make: the vectors are given, the numbers worked out by hand."""

import math

import numpy as np
import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.objectives.co_interaction import CoInteraction, CoInteractionConfig
from kuapin.finetuning.objectives.next_item import NextItem, NextItemConfig
from kuapin.finetuning.objectives.simcse import SimCSE, SimCSEConfig
from kuapin.finetuning.tokens import Tokens
from tests import market
from tests.finetuning.conftest import material_of

torch = pytest.importorskip("torch")

ANGLES = {"rose soap small": 0.0, "rose soap large": 60.0, "rose cream small": 90.0}
"""Three texts as unit vectors in the plane; the cosines are those of the differences: ½, 0, and ½√3."""
NEAR, FAR = 0.5, math.sqrt(3) / 2


class Plane:
    """A reader that knows texts by their tokens and gives each the vector at its angle."""

    training = False

    def __init__(self, tokens, angles, head=None):
        self.head = head
        self._angles = {tuple(tokens.tokenizer(text)["input_ids"]): angle for text, angle in angles.items()}

    def vectors(self, input_ids, attention_mask):
        rows = [tuple(row[mask == 1].tolist()) for row, mask in zip(input_ids, attention_mask, strict=True)]
        radians = torch.deg2rad(torch.tensor([self._angles[row] for row in rows]))
        return torch.stack([radians.cos(), radians.sin()], dim=1)


@pytest.fixture
def tokens(bert):
    return Tokens(Backbone.resolve(str(bert)), 64)


@pytest.fixture
def rows():
    """The rows of the three texts, and the material with titles as texts."""
    material = material_of(market.dataset()).titles_as_texts()
    return [material.titles.index(title) for title in ANGLES], material


def test_simcse_tells_a_text_from_the_others_of_its_batch(rows, tokens):
    """τ = ½: −log (e^2 / (e^2 + e^{2 cos})), each text once against itself and once against each other."""
    objective = SimCSE(SimCSEConfig(temperature=0.5), rows[1])
    batch = objective.collate(list(ANGLES)[:2], tokens)
    expected = math.log(1 + math.exp(2 * NEAR - 2))
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == pytest.approx(expected, rel=1e-5)


def co_interaction(material, **options):
    objective = CoInteraction(CoInteractionConfig(temperature=0.5, **options), material)
    objective.log_q = np.log(np.linspace(0.1, 0.9, len(objective.log_q))).astype(np.float32)
    return objective


def test_co_interaction_is_the_corrected_softmax_over_the_seconds_of_the_batch(rows, tokens):
    """Pairs (a, b) and (b, c), cosines [[½, 0], [1, ½√3]]; b, row 1's own first, is no negative of row 1."""
    (a, b, c), material = rows
    objective = co_interaction(material)
    batch = objective.collate([(a, b), (b, c)], tokens)
    assert batch["masked"].tolist() == [[True, False], [True, True]]
    q = np.exp(objective.log_q[objective.text_code[[b, c]]])
    row = math.exp(2 * NEAR) / q[0]
    expected = [math.log((row + 1 / q[1]) / row), 0.0]
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_co_interaction_without_correction_and_with_a_hard_negative(rows, tokens):
    """Row 0 is told from c twice: as the second of row 1, and as its own hard negative."""
    (a, b, c), material = rows
    objective = co_interaction(material, correction=False)
    batch = objective.collate([(a, b, [c]), (b, c, [a])], tokens)
    first = math.log(1 + 2 * math.exp(0 - 2 * NEAR))
    second = math.log(1 + math.exp(2 * NEAR - 2 * FAR))
    loss = objective.loss(Plane(tokens, ANGLES), batch).item()
    assert loss == pytest.approx((first + second) / 2, rel=1e-5)


def test_a_hard_negative_that_is_the_right_one_or_the_rows_own_is_left_out_of_the_softmax(rows, tokens):
    (a, b, _), material = rows
    objective = co_interaction(material, correction=False)
    for hard in (a, b):
        batch = objective.collate([(a, b, [hard])], tokens)
        assert objective.loss(Plane(tokens, ANGLES), batch).item() == 0.0


def test_items_with_the_text_of_a_rows_second_are_no_negatives_of_it(rows, tokens):
    """Two rows with one second: nothing is left to tell it from."""
    (a, b, c), material = rows
    objective = co_interaction(material)
    batch = objective.collate([(a, b), (c, b)], tokens)
    assert batch["masked"].all()
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == 0.0


def next_item(material, drawn, **options):
    """Histories of b and of c before a; every sampled item is the one that is given."""
    objective = NextItem(NextItemConfig(temperature=0.5, negatives=1, **options), material)
    objective.pool = np.array([drawn])
    objective.log_q = np.log(np.linspace(0.1, 0.9, len(objective.log_q))).astype(np.float32)
    return objective


def test_next_item_by_softmax(rows, tokens):
    """Histories b and c, right a and b, sampled c: cosines with (a, b | c) are (½, 1 | ½√3) and (0, ½√3 | 1)."""
    (a, b, c), material = rows
    objective = next_item(material, c)
    batch = objective.collate([(0, [b], a), (1, [c], b)], tokens)
    log_q = objective.log_q[objective.codes[[a, b]]]
    hard = math.exp(-float(log_q.mean()))
    weights = np.exp(-log_q)
    logits = [
        [math.exp(2 * NEAR) * weights[0], math.exp(2) * weights[1], math.exp(2 * FAR) * hard],
        [weights[0], math.exp(2 * FAR) * weights[1], math.exp(2) * hard],
    ]
    expected = np.mean([-math.log(logits[0][0] / sum(logits[0])), -math.log(logits[1][1] / sum(logits[1]))])
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == pytest.approx(expected, rel=1e-5)


def test_two_rows_with_one_right_item_do_not_deny_it_each_other(rows, tokens):
    """Each is told from the sampled c alone, drawn as often as a: cosines (½ | ½√3) and (0 | 1)."""
    (a, b, c), material = rows
    objective = next_item(material, c)
    batch = objective.collate([(0, [b], a), (1, [c], a)], tokens)
    expected = (math.log(1 + math.exp(2 * FAR - 2 * NEAR)) + math.log(1 + math.exp(2))) / 2
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == pytest.approx(expected, rel=1e-5)


def test_a_sampled_item_that_is_the_right_one_is_left_out_of_the_softmax(rows, tokens):
    (a, b, _), material = rows
    objective = next_item(material, a)
    batch = objective.collate([(0, [b], a)], tokens)
    assert objective.loss(Plane(tokens, ANGLES), batch).item() == 0.0


def test_next_item_as_a_yes_or_no(rows, tokens):
    """z = 2 cos − ½ of history b with a, right, and c: ½ and √3 − ½; L = ½ [log(1 + e^{−½}) + log(1 + e^{√3 − ½})]."""
    (a, b, c), material = rows
    objective = next_item(material, c, loss="binary")
    head = NextItem.new_head(None, objective.facts)
    with torch.no_grad():
        head.weight.fill_(2.0)
        head.bias.fill_(-0.5)
    batch = objective.collate([(0, [b], a)], tokens)
    assert batch["wanted"].tolist() == [[1.0, 0.0]]
    expected = (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(math.sqrt(3) - 0.5))) / 2
    assert objective.loss(Plane(tokens, ANGLES, head), batch).item() == pytest.approx(expected, rel=1e-5)


def test_a_sampled_item_that_is_the_right_one_is_a_yes(rows, tokens):
    (a, b, _), material = rows
    objective = next_item(material, a, loss="binary")
    batch = objective.collate([(0, [b], a)], tokens)
    assert batch["wanted"].tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("loss", ["softmax", "binary"])
def test_next_item_learns_by_either_loss(bert, tmp_path, loss):
    """Of a log in which a category always follows the one before it."""
    from kuapin.finetuning.adapting import adapt
    from kuapin.finetuning.settings import FinetuningConfig

    loop = {"max_steps": 60, "learning_rate": 1e-2, "evaluate_every": 0.5, "patience": None, "precision": "f32"}
    config = FinetuningConfig(
        objective="next-item", strategy="full", reads="title", training=loop | {"tracker": "none"},
        next_item={"loss": loss, "history_items": 3, "held_out": 0.2, "temperature": 0.1},
    )  # fmt: skip
    (tmp_path / "run").mkdir()
    material = material_of(market.dataset())
    done = adapt(material, config, Backbone.resolve(str(bert)), tmp_path / "run", tmp_path / "new")
    assert done.outcome.after.values["mrr"] > done.outcome.before.values["mrr"]
