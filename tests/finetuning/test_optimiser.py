"""Settings of the loop that leave no trace in the loss: rates and decays by group, the longest gradient, dropout."""

import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import assembled
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.optimiser import make_optimiser, parameter_groups
from kuapin.finetuning.reader import open_reader
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.strategy import trainable

torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file


@pytest.fixture
def reader(material, bert):
    config = FinetuningConfig(objective="item-classification", strategy="full")
    objective = make_objective(config, material)
    strategy = make_strategy(config)
    return assembled(Backbone.resolve(str(bert)), type(objective), objective.facts, strategy, config, 10)


def by_name(reader, groups):
    names = {id(parameter): name for name, parameter in trainable(reader).items()}
    return {names[id(parameter)]: group for group in groups for parameter in group["params"]}


def test_lower_layers_have_lower_rates(reader):
    """η = 1, γ = ½, two layers: the head and the top layer 1, the layer below ½, the embeddings ¼."""
    groups = by_name(reader, parameter_groups(reader, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5))
    assert groups.keys() == trainable(reader).keys()
    rates = {name: group["lr"] for name, group in groups.items()}
    assert {rate for name, rate in rates.items() if name.startswith("head.")} == {1.0}
    assert {rate for name, rate in rates.items() if ".layer.1." in name} == {1.0}
    assert {rate for name, rate in rates.items() if ".layer.0." in name} == {0.5}
    assert {rate for name, rate in rates.items() if ".embeddings." in name} == {0.25}


@pytest.mark.parametrize("which", ["bert", "gpt"])
@pytest.mark.parametrize("strategy", ["lora", "adalora", "bottleneck", "prefix"])
def test_what_is_added_has_the_rate_of_its_layer_and_a_prefix_the_full_one(material, request, which, strategy):
    config = FinetuningConfig(strategy=strategy)
    objective = make_objective(config, material)
    backbone = Backbone.resolve(str(request.getfixturevalue(which)))
    reader = assembled(backbone, type(objective), objective.facts, make_strategy(config), config, 10)
    groups = by_name(reader, parameter_groups(reader, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5))
    rates = {name: group["lr"] for name, group in groups.items()}
    if strategy == "prefix":
        assert list(rates.values()) == [1.0]
        return
    for layer, rate in (("0", 0.5), ("1", 1.0)):
        assert {found for name, found in rates.items() if f".{layer}." in name.partition("attn")[0]} == {rate}


def test_matrices_alone_decay(reader):
    """AdamW without a gradient: W (1 − η λ) for matrices, and vectors as they were."""
    config = TrainingConfig(learning_rate=0.5, weight_decay=0.2)
    optimiser = make_optimiser(reader, config, torch.optim.AdamW, {})
    before = {name: parameter.detach().clone() for name, parameter in trainable(reader).items()}
    for parameter in trainable(reader).values():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in trainable(reader).items():
        kept = 0.9 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), kept * before[name])


def test_momentum_is_sgds_alone(reader):
    for kind, optimizer in ((torch.optim.SGD, "sgd"), (torch.optim.AdamW, "adamw")):
        made = make_optimiser(reader, TrainingConfig(optimizer=optimizer, momentum=0.7), kind, {})
        assert made.param_groups[0].get("momentum") == (0.7 if optimizer == "sgd" else None)


def test_a_step_is_no_longer_than_the_longest_gradient_allows(material, bert, tmp_path):
    """SGD, one step: the parameters move by η · min(‖g‖, clip)."""
    backbone = Backbone.resolve(str(bert))
    start = dict(open_reader(backbone).backbone.named_parameters())
    moved = {}
    for clip in (1e-3, 2e-3, 1e6):
        loop = TrainingConfig(
            optimizer="sgd", learning_rate=0.5, max_steps=1, warmup=0, schedule="constant", weight_decay=0, clip=clip,
            precision="f32", tracker="none", dropout=0.0,
        )  # fmt: skip
        folder = tmp_path / f"{clip}"
        folder.mkdir()
        adapt(material, FinetuningConfig(strategy="full", training=loop), backbone, folder, folder / "new")
        after = load_file(folder / "new" / "model.safetensors")
        moved[clip] = float(torch.cat([(after[name] - start[name].detach()).flatten() for name in after]).norm())
    assert moved[1e-3] == pytest.approx(0.5e-3, rel=0.02)
    assert moved[2e-3] == pytest.approx(1e-3, rel=0.02)
    assert moved[1e6] > 2 * moved[2e-3]


@pytest.mark.parametrize("which", ["bert", "gpt"])
def test_dropout_is_set_in_all_places_of_the_backbone(request, which):
    backbone = Backbone.resolve(str(request.getfixturevalue(which)))

    def shares(dropout):
        found = [module.p for module in open_reader(backbone, dropout=dropout).modules() if hasattr(module, "p")]
        assert len(found) >= 5
        return set(found)

    assert shares(0.3) == {0.3}
    assert shares(0.0) == {0.0}
    assert shares(None) == {0.1}
