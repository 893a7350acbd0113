"""Every setting of the loop does what it says: what the Trainer does with it in a run, not that weights moved."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.finetuning import trainer as loop
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.objectives.co_interaction import CoInteraction
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.trainer import planned_steps

torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file
transformers = pytest.importorskip("transformers")
optimization = pytest.importorskip("transformers.optimization")


@pytest.fixture
def run(material, bert, tmp_path, monkeypatch):
    """Trains with some settings; what was seen meanwhile, and the trained weights as one array."""
    seen = SimpleNamespace(rates=[], batches=[], autocast=[])
    kind = loop.reader_trainer()

    class Watched(kind):
        def __init__(self, **options):
            super().__init__(**options)
            seen.trainer = self

        def training_step(self, model, inputs, num_items_in_batch=None):
            seen.rates.append(self.optimizer.param_groups[0]["lr"])
            seen.batches.append(len(next(iter(inputs.values()))))
            return super().training_step(model, inputs, num_items_in_batch)

    monkeypatch.setattr(loop, "reader_trainer", lambda: Watched)

    def trained(objective="co-interaction", **training):
        for values in (seen.rates, seen.batches, seen.autocast):
            values.clear()
        given = {"max_steps": 10, "evaluate_every": 100, "precision": "f32", "tracker": "none", "dropout": 0.0}
        config = FinetuningConfig(
            objective=objective, strategy="full", training=TrainingConfig(**given | {"batch_size": 16} | training)
        )
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        done = adapt(material, config, Backbone.resolve(str(bert)), folder, folder / "new")
        tensors = load_file(done.folder / "model.safetensors")
        seen.weights = np.concatenate([tensors[name].numpy().ravel() for name in sorted(tensors)])
        return seen

    return trained


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("linear", [0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("cosine", [0, 0.5, *((1 + math.cos(math.pi * step / 8)) / 2 for step in range(8))]),
        ("constant", [0, 0.5, *[1] * 8]),
    ],
)
def test_the_learning_rate_rises_in_the_warm_up_and_goes_on_by_the_schedule(run, schedule, shares):
    """Ten steps, the first two of which warm up."""
    seen = run(schedule=schedule, warmup=0.2, learning_rate=1e-3)
    assert seen.rates == pytest.approx([1e-3 * share for share in shares])
    assert run(schedule=schedule, warmup=0, learning_rate=1e-3, max_steps=1).rates == [1e-3]


def test_a_step_of_two_batches_of_eight_is_one_of_sixteen(run):
    """By SGD, on a loss that is a mean over examples."""
    once = {"optimizer": "sgd", "learning_rate": 0.1, "max_steps": 2, "warmup": 0}
    one = run("regression", batch_size=16, **once)
    assert one.batches == [16, 16]
    whole = one.weights
    two = run("regression", batch_size=8, accumulation=2, **once)
    assert two.batches == [8, 8, 8, 8]
    np.testing.assert_allclose(two.weights, whole, atol=1e-6)
    alone = run("regression", batch_size=8, **once).weights
    assert np.abs(alone - whole).max() > 1e-4  # so that the equality says something


@pytest.mark.parametrize(
    ("optimizer", "kind", "own"),
    [
        ("adamw", torch.optim.AdamW, {"momentum": None, "betas": (0.9, 0.999)}),
        ("sgd", torch.optim.SGD, {"momentum": 0.7}),
        ("adafactor", optimization.Adafactor, {"momentum": None, "relative_step": False}),
    ],
)
def test_the_optimiser_is_the_one_that_was_asked_for(run, optimizer, kind, own):
    seen = run(optimizer=optimizer, momentum=0.7, weight_decay=0.2, layer_decay=0.5, max_steps=1)
    made = seen.trainer.optimizer.optimizer
    assert type(made) is kind
    assert {group["weight_decay"] for group in made.param_groups} == {0.0, 0.2}
    assert {group["initial_lr"] for group in made.param_groups} == {2e-5, 1e-5, 5e-6}
    assert {name: made.param_groups[0].get(name) for name in own} == own


@pytest.mark.parametrize(("precision", "rounded"), [("bf16", True), ("f32", False)])
def test_products_are_rounded_where_asked(run, monkeypatch, precision, rounded):
    seen, loss = [], CoInteraction.loss

    def watched(self, reader, batch):
        if reader.training:
            seen.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16)
        return loss(self, reader, batch)

    monkeypatch.setattr(CoInteraction, "loss", watched)
    assert run(precision=precision, max_steps=2).trainer.args.bf16 is rounded
    assert seen == [rounded, rounded]


def test_of_two_graphics_cards_one_trains(run, monkeypatch):
    """The Trainer would draw a batch for each, and cut what stands for pairs of them by rows."""

    def two_cards(self):
        self._n_gpu, self.distributed_state = getattr(self, "_n_gpu", 2), None
        return torch.device("cpu")

    monkeypatch.setattr(transformers.TrainingArguments, "_setup_devices", property(two_cards))
    seen = run("regression", batch_size=16, max_steps=2)
    assert seen.batches == [16, 16]
    assert seen.trainer.model_wrapped is seen.trainer.model


def test_dropout_and_the_longest_gradient_reach_the_loop(run):
    seen = run(dropout=0.3, clip=0.25, max_steps=1)
    assert {module.p for module in seen.trainer.model.modules() if isinstance(module, torch.nn.Dropout)} == {0.3}
    assert seen.trainer.args.max_grad_norm == 0.25


@pytest.mark.parametrize("objective", ["co-interaction", "item-classification"])
def test_label_smoothing_changes_what_is_learnt(run, objective):
    """One step by SGD: the same without it, another one with it."""
    once = {"optimizer": "sgd", "learning_rate": 0.1, "max_steps": 1, "warmup": 0}
    plain = run(objective, **once).weights
    np.testing.assert_array_equal(run(objective, **once).weights, plain)
    assert np.abs(run(objective, label_smoothing=0.3, **once).weights - plain).max() > 1e-5


def test_steps_of_a_run():
    """Forty examples, eight a batch and two batches a step: three steps an epoch, the last of one batch."""
    config = TrainingConfig(batch_size=8, accumulation=2, epochs=2)
    assert planned_steps(config, 40) == 6
    assert planned_steps(config.model_copy(update={"epochs": 0.1}), 40) == 1
    assert planned_steps(config.model_copy(update={"max_steps": 4}), 40) == 4
