import numpy as np
import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import sentence_module
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.adversarial import AdversarialConfig, Adversary, harden
from kuapin.finetuning.change import assembled
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens

torch = pytest.importorskip("torch")


@pytest.fixture
def parts(material, bert):
    config = FinetuningConfig(strategy="full")
    objective = make_objective(config, material)
    backbone = Backbone.resolve(str(bert))
    reader = assembled(backbone, type(objective), {}, make_strategy(config), config, 10)
    with torch.no_grad():
        reader.embeddings()[0] = 0.02  # padding has a vector in models that were trained
    reader.eval()
    return reader, objective, objective.collate(objective.train[:16], Tokens(backbone, 64))


def hardened(parts, **options):
    reader, objective, batch = parts
    adversary = Adversary(reader, AdversarialConfig(**options))
    with adversary.clean():
        clean = objective.loss(reader, batch)
        clean.backward()
    adversary.take_step()
    harden(adversary, lambda: objective.loss(reader, batch))
    with adversary.changed():
        return clean.item(), objective.loss(reader, batch).item(), adversary


def test_the_change_hurts_more_than_chance_and_several_steps_more_than_one(parts):
    reader, objective, batch = parts
    clean, fgm, adversary = hardened(parts, kind="fgm", size=0.1)
    _, pgd, _ = hardened(parts, kind="pgd", size=0.1, steps=5)
    torch.manual_seed(0)
    noise = torch.randn_like(adversary.change)
    lengths = [torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) for x in (adversary.change, noise)]
    adversary._change = noise * lengths[0] / lengths[1]
    with adversary.changed():
        chance = objective.loss(reader, batch).item()
    assert clean < fgm < pgd
    assert abs(chance - clean) < (fgm - clean) / 2


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_the_change_is_as_long_as_was_said(parts, kind):
    reader, _, batch = parts
    _, _, adversary = hardened(parts, kind=kind, size=0.05)
    rows = torch.nn.functional.embedding(batch["input_ids"], reader.embeddings()) * batch["attention_mask"][..., None]
    share = torch.linalg.vector_norm(adversary.change, dim=(1, 2)) / torch.linalg.vector_norm(rows, dim=(1, 2))
    assert share.max().item() <= 0.05 + 1e-6
    assert share.mean().item() == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_a_text_changes_as_much_beside_a_longer_one_as_alone(parts, bert, kind):
    reader, _, _ = parts
    lengths = []
    for texts in (["rose lamp"], ["rose lamp", "sun candle small " * 12]):
        batch = Tokens(Backbone.resolve(str(bert)), 64)(texts)
        adversary = Adversary(reader, AdversarialConfig(kind=kind))

        def loss(batch=batch):
            return reader.vectors(**batch)[:, 0].sum()

        with adversary.clean():
            loss().backward()
        adversary.take_step()
        harden(adversary, loss)
        lengths.append(torch.linalg.vector_norm(adversary.change[0]).item())
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-4)


def test_nothing_stays_behind(parts):
    reader, objective, batch = parts
    before = objective.loss(reader, batch).item()
    hardened(parts, kind="pgd")
    assert objective.loss(reader, batch).item() == before


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_it_trains_otherwise_with_an_adversary_also_where_embeddings_are_frozen(material, bert, tmp_path, strategy):
    folders = []
    for kind in ("none", "fgm", "pgd"):
        loop = TrainingConfig(
            max_steps=4, evaluate_every=100, learning_rate=1e-2, precision="f32", tracker="none", warmup=0,
            adversarial={"kind": kind, "size": 0.1},
        )  # fmt: skip
        (tmp_path / kind).mkdir()
        chosen = FinetuningConfig(strategy=strategy, training=loop)
        done = adapt(material, chosen, Backbone.resolve(str(bert)), tmp_path / kind, tmp_path / f"{kind}-new")
        folders.append(done.folder)
    batch = Tokens(Backbone.resolve(str(bert)), 64)(list(material.texts[:8]))
    with torch.inference_mode():
        none, fgm, pgd = (sentence_module(folder, "mean", [])(**batch).numpy() for folder in folders)
    assert not np.allclose(none, fgm, atol=1e-5)
    assert not np.allclose(fgm, pgd, atol=1e-6)
