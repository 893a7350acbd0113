"""Every objective with every strategy: a few steps, saved, loaded, measured the same; every strategy exported."""

import numpy as np
import pytest

from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.errors import InputError
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import load_change
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.reader import open_reader
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.strategies.registry import STRATEGIES, make_strategy
from kuapin.finetuning.tokens import Tokens

torch = pytest.importorskip("torch")
LOOP = TrainingConfig(
    max_steps=4, evaluate_every=100, learning_rate=1e-2, precision="f32", tracker="none", batch_size=8, warmup=0.0
)


def tuned(material, folder, tmp_path, objective, strategy, loop=LOOP):
    config = FinetuningConfig(objective=objective, strategy=strategy, training=loop, top_layers={"k": 1})
    (tmp_path / "run").mkdir()
    return config, adapt(material, config, Backbone.resolve(str(folder)), tmp_path / "run", tmp_path / "new")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_trains_saves_and_loads(material, bert, gpt, tmp_path, objective, strategy):
    folder = gpt if OBJECTIVES[objective].reads == "left" else bert
    config, done = tuned(material, folder, tmp_path, objective, strategy)
    assert done.outcome.steps == 4
    backbone = Backbone.resolve(str(folder))
    reader, _, _ = load_change(done.folder / CHANGE, backbone)
    _, again = make_objective(config, material).halves()
    longest = 64 - config.prefix.size if strategy == "prefix" else 64
    tokens = Tokens(backbone, longest)
    reader.objective = again
    assert again.measure(reader, tokens, LOOP.batch_size).values == pytest.approx(done.outcome.after.values, rel=1e-5)
    assert done.outcome.after.values["loss"] != pytest.approx(done.outcome.before.values["loss"], rel=1e-7)
    assert Backbone.resolve(str(done.folder)).max_length == longest
    after = done.outcome.after
    assert after.values.keys() <= {*after.rows, *after.counted, "loss", "uniformity", "r2"}  # those have intervals
    for metric, made in after.counted.items():
        assert made.of_means(made.rows.mean(axis=0)) == pytest.approx(after.values[metric])


@pytest.mark.parametrize("reads", ["both", pytest.param("left", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_exported_and_keeps_its_vectors(material, bert, gpt, tmp_path, strategy, reads):
    """OpenVINO in float32 and int8, and torch; on a GPT-like and on a BERT-like backbone."""
    _, done = tuned(material, gpt if reads == "left" else bert, tmp_path, "co-interaction", strategy)
    backbone = Backbone.resolve(str(gpt if reads == "left" else bert))
    reader, _, _ = load_change(done.folder / CHANGE, backbone)
    texts = list(dict.fromkeys(material.texts))
    with torch.inference_mode():
        expected = reader.vectors(**Tokens(backbone, 64)(texts)).numpy()
    for engine, precision, least in (("openvino", "f32", 0.9999), ("torch", "f32", 0.9999), ("openvino", "int8", 0.9)):
        chosen = EncodingConfig(backbone=str(done.folder), engine=engine, precision=precision, threads=1)
        vectors = open_encoder(chosen, tmp_path / "encoders", texts).encode(texts)
        assert (vectors * expected).sum(axis=1).min() > least, (engine, precision)


@pytest.mark.parametrize(
    ("objective", "which", "message"),
    [("causal-lm", "bert", "wants a GPT-like backbone"), ("masked-lm", "gpt", "wants a BERT-like backbone")],
)
def test_a_backbone_that_reads_the_wrong_way_is_refused(material, bert, gpt, tmp_path, objective, which, message):
    with pytest.raises(InputError, match=message):
        tuned(material, {"bert": bert, "gpt": gpt}[which], tmp_path, objective, "full")


@pytest.mark.parametrize(
    ("which", "target", "there", "names"),
    [
        ("bert", "querry", "self.query", "Did you mean query[?] The linear layers are dense, key, query, value[.]"),
        ("bert", "pooler.dense", "key", "The linear layers are dense, key, query, value[.]"),  # no objective reads it
        ("gpt", "query", "c_attn", "The linear layers are c_attn, c_fc, c_proj[.]"),
    ],
)
def test_lora_of_layers_that_are_not_there_is_one_line(bert, gpt, which, target, there, names):
    reader = open_reader(Backbone.resolve(str({"bert": bert, "gpt": gpt}[which])))
    for targets in ([target], [there, target]):
        config = FinetuningConfig(lora={"targets": targets})
        with pytest.raises(InputError, match=f"lora.targets has '{target}', and the backbone has no such.*{names}"):
            make_strategy(config).apply(reader, OBJECTIVES["co-interaction"], 4)
    config = FinetuningConfig(lora={"targets": [there]})
    make_strategy(config).apply(reader, OBJECTIVES["co-interaction"], 4)
    assert sum(name.endswith("lora_A.default") for name, _ in reader.backbone.named_modules()) == 2  # one a layer


def test_adalora_starts_orthonormal_and_moves(material, bert, tmp_path):
    """The penalty begins at 0. Started at 0.02, as PEFT has it, they would hardly move at all."""
    from kuapin.finetuning.change import assembled

    backbone = Backbone.resolve(str(bert))
    loop = TrainingConfig(max_steps=12, evaluate_every=100, learning_rate=1e-2, precision="f32", tracker="none")
    config = FinetuningConfig(strategy="adalora", training=loop)
    strategy, objective = make_strategy(config), make_objective(config, material)
    reader = assembled(backbone, type(objective), objective.facts, strategy, config, 12)
    assert float(strategy.penalty(reader).detach()) == pytest.approx(0, abs=1e-4)
    (tmp_path / "adalora").mkdir()
    (tmp_path / "lora").mkdir()
    moved = {}
    batch = Tokens(backbone, 64)(list(material.texts[:20]))
    with torch.inference_mode():
        before = load_before(backbone).vectors(**batch)
    for name in ("adalora", "lora"):
        _, done = tuned(material, bert, tmp_path / name, "co-interaction", name, loop)
        reader, _, _ = load_change(done.folder / CHANGE, backbone)
        with torch.inference_mode():
            moved[name] = float((reader.vectors(**batch) - before).norm(dim=1).mean())
    assert moved["adalora"] > 0.05 * moved["lora"]


def load_before(backbone):
    reader = open_reader(backbone)
    reader.eval()
    return reader


@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_an_untrained_adapter_changes_nothing_and_has_the_papers_size(material, bert, placement):
    from kuapin.encoding.additions import add_bottlenecks

    backbone = Backbone.resolve(str(bert))
    batch = Tokens(backbone, 64)(list(material.texts[:4]))
    reader = open_reader(backbone)
    reader.eval()
    with torch.inference_mode():
        before = reader.vectors(**batch)
        adapters = add_bottlenecks(reader.backbone, placement, 3)
        assert torch.equal(reader.vectors(**batch), before)
        for adapter in adapters:
            torch.nn.init.normal_(adapter.up.weight)
        assert not np.allclose(reader.vectors(**batch), before, atol=1e-3)
    n_adapters = {"houlsby": 4, "pfeiffer": 2}[placement]  # two layers
    assert sum(p.numel() for p in adapters.parameters()) == n_adapters * (16 * 3 + 3 + 3 * 16 + 16)


def test_adalora_takes_ranks_away_until_the_budget_is_met(material, bert, tmp_path):
    loop = LOOP.model_copy(update={"max_steps": 30})
    config = FinetuningConfig(
        strategy="adalora", training=loop, adalora={"rank": 2, "initial_rank": 4, "every": 1, "start": 0.1, "end": 0.3}
    )
    (tmp_path / "run").mkdir()
    done = adapt(material, config, Backbone.resolve(str(bert)), tmp_path / "run", tmp_path / "new")
    reader, _, _ = load_change(done.folder / CHANGE, Backbone.resolve(str(bert)))
    kept = [int((p != 0).sum()) for name, p in reader.backbone.named_parameters() if "lora_E" in name]
    assert sum(kept) == 2 * len(kept)
    assert len(set(kept)) > 1  # not the same everywhere: that is the point of it
