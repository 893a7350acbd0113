"""What goes wrong while a shop is live: one line, an exit code, the release and the last good checkpoint untouched."""

import hashlib
import json
import shutil

import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.finetuning.checkpoints import newest_whole
from kuapin.finetuning.objectives.co_interaction import CoInteraction
from kuapin.pipeline import finetune as finetuning
from kuapin.pipeline.train import train
from kuapin.workspace import Shop
from tests import market
from tests.finetuning.conftest import bert as _bert  # noqa: F401 - a fixture

torch = pytest.importorskip("torch")
files = pytest.importorskip("safetensors.torch")
pytest.importorskip("peft")

LOOP = {"max_steps": 8, "learning_rate": 0.01, "tracker": "none", "evaluate_every": 0.05, "precision": "f32"}
IDS = market.items()["item_id"].to_list()


@pytest.fixture(name="bert", scope="module")
def bert_fixture(_bert):  # noqa: F811
    return _bert


@pytest.fixture(scope="module")
def trained(tmp_path_factory, bert):
    """A shop with a live release, on a copy of the tiny model."""
    folder = tmp_path_factory.mktemp("live")
    market.items().write_csv(folder / "items.csv")
    market.log(n_users=160).write_csv(folder / "log.csv")
    shutil.copytree(bert, folder / "bert")
    shop = Shop.init(folder / "shop")
    path = shop.path / "kuapin.toml"
    content = path.read_text(encoding="utf-8").replace('backbone = "minilm"', f'backbone = "{folder / "bert"}"')
    path.write_text(content.replace('precision = "auto"', 'precision = "f32"'), encoding="utf-8")
    shop = Shop.open(shop.path)
    shop.import_files(items=folder / "items.csv", interactions=folder / "log.csv")
    train(shop, quick=True)
    return shop


@pytest.fixture
def shop(trained, tmp_path):
    """The same, for one test; what is live may not change in it."""
    shutil.copytree(trained.path, tmp_path / "shop")
    shop = Shop.open(tmp_path / "shop")
    before = digests(shop.models)
    assert json.loads((shop.models / "current").read_text())["live"] is not None
    yield shop
    assert digests(shop.models) == before


def digests(folder):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def finetune(shop, *options, quiet=True, **settings):
    pairs = [part for name, value in settings.items() for part in ("--set", f"training.{name}={value}")]
    command = ["finetune", str(shop.path), "--no-measure", "--strategy", "full", *pairs, *options]
    return run(app, [*command, "--quiet"] if quiet else command)


def line(capsys):
    (only,) = capsys.readouterr().err.splitlines()
    return only


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "max_length=8000"], "max_length is 8000; "),
        (["--strategy", "prefix", "--set", "prefix.size=60"], "has 64 positions, which leaves 4 for a text. Lower it."),
        (["--objective", "causal-lm"], "causal-lm wants a GPT-like backbone"),
        (["--set", "first=masked-lm", "--objective", "causal-lm"], "causal-lm wants a GPT-like backbone"),
        (["--set", "first=masked-lm", "--strategy", "prefix"], "co-interaction would start without it"),
        (["--set", "first=masked-lm", "--strategy", "head-only"], "head-only, which leaves the encoder as it was"),
        (["--set", "first=simcse", "--search", "2", "--objective", "causal-lm"], "causal-lm wants a GPT-like"),
        (["--search", "2", "--set", "training.r_drop=1"], "does nothing with it. Leave it out, or"),
        (["--search", "2", "--set", "ensemble=2"], "averaged for item-classification alone"),
    ],
)
def test_a_backbone_that_cannot_do_what_is_asked(shop, capsys, options, message):
    assert finetune(shop, *options, **LOOP) == 2
    assert message in line(capsys)
    assert not list(shop.backbones.iterdir())
    assert not list(shop.runs.iterdir())


@pytest.mark.parametrize(
    ("part", "length", "message"),
    [
        ("tokenizer.json", 0, "has no tokenizer"),
        ("model.safetensors", 900, "model.safetensors: not a whole safetensors"),
    ],
)
def test_a_backbone_with_a_part_cut_short_neither_starts_nor_reads(shop, bert, capsys, part, length, message):
    broken = shutil.copytree(bert, shop.backbones / "broken")
    (broken / part).write_bytes((broken / part).read_bytes()[:length])
    assert finetune(shop, "--backbone", "broken", **LOOP) == 2
    assert message in line(capsys)
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(shop.config.encoding.backbone), "broken"))
    assert run(app, ["train", str(shop.path), "--quick", "--quiet"]) == 2
    assert message in line(capsys)


def test_a_backbone_of_the_shop_that_is_misspelt(shop, bert, capsys):
    shutil.copytree(bert, shop.backbones / "simcse-lora-9ee60bb5")
    path = shop.path / "kuapin.toml"
    named = path.read_text(encoding="utf-8").replace(str(shop.config.encoding.backbone), "simcse-lora-9ee60bb")
    path.write_text(named, encoding="utf-8")
    assert run(app, ["train", str(shop.path), "--quick", "--quiet"]) == 2
    assert "Did you mean simcse-lora-9ee60bb5? The backbones at hand are e5, minilm, simcse-" in line(capsys)


def test_labels_of_items_that_the_shop_does_not_have(shop, tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("item_id,task,label\nnobody,tone,dark\nno one,tone,light\n", encoding="utf-8")
    assert run(app, ["import", str(shop.path), "--labels", str(tmp_path / "labels.csv"), "--quiet"]) == 0
    assert "item_id is 'nobody'; there is no such item. Left out" in capsys.readouterr().out
    command = ["--objective", "item-classification", "--set", "item_classification.task=tone"]
    assert finetune(shop, *command, **LOOP) == 2
    assert "There are no labels 'tone' in this shop" in line(capsys)


def test_a_new_head_is_told_of_once(shop, capsys):
    assert finetune(shop, "--objective", "masked-lm", **LOOP | {"max_steps": 1}) == 0
    told = "comes without a head for masked-lm: a new one starts from random weights"
    assert capsys.readouterr().err.count(told) == 1


def fail_after(monkeypatch, steps, what):
    """Training goes well for so many steps."""
    whole, count = CoInteraction.loss, iter(range(10_000))

    def loss(self, reader, batch):
        return what() if reader.training and next(count) >= steps else whole(self, reader, batch)

    monkeypatch.setattr(CoInteraction, "loss", loss)


def checkpoint(shop):
    (folder,) = shop.runs.glob("finetune-*")
    return newest_whole(folder / "main")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: torch.tensor(float("nan"), requires_grad=True), "The loss is nan at step 7. Lower training.learning"),
        (lambda: torch.empty(2**55), "Out of memory at step 7. Lower training.batch_size"),
    ],
)
def test_a_run_that_breaks_keeps_its_last_good_checkpoint_and_goes_on_from_it(shop, capsys, monkeypatch, what, message):
    with monkeypatch.context() as broken:
        fail_after(broken, 6, what)
        assert finetune(shop, **LOOP) == 1
    assert message in line(capsys)
    assert not list(shop.backbones.iterdir())
    kept = checkpoint(shop)
    assert kept is not None
    assert 0 < int(kept.name.rpartition("-")[2]) <= 6
    done = int(kept.name.rpartition("-")[2])
    assert finetune(shop, quiet=False, **LOOP) == 0
    assert f"Training (co-interaction, full), going on from step {done}: " in capsys.readouterr().err
    (folder,) = shop.backbones.iterdir()
    assert finetune(shop, **LOOP) == 0
    assert f"{folder.name} is there already, of the same settings and tables; it is made anew." in line(capsys)


def test_a_checkpoint_cut_short_is_told_of_and_the_one_before_is_gone_on_from(shop, capsys, monkeypatch):
    with monkeypatch.context() as broken:
        fail_after(broken, 6, lambda: torch.tensor(float("nan"), requires_grad=True))
        assert finetune(shop, **LOOP) == 1
    capsys.readouterr()
    newest = checkpoint(shop)
    content = (newest / "model.safetensors").read_bytes()
    (newest / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert finetune(shop, **LOOP) == 0
    assert f"{newest}: this checkpoint was cut short or altered; it is left out." in line(capsys)


def test_no_memory_before_the_first_step_and_behind_the_last(shop, capsys, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(CoInteraction, "measure", lambda *_: torch.empty(2**55))
        assert finetune(shop, **LOOP) == 1
    assert "Out of memory while measuring before the first step. Lower training.batch_size" in line(capsys)
    with monkeypatch.context() as broken:
        broken.setattr(finetuning, "open_encoder", lambda *_: torch.empty(2**55))
        assert finetune(shop, **LOOP) == 1
    (folder,) = shop.backbones.iterdir()
    said = line(capsys)
    assert "Out of memory while the shop was read with the new backbone. Lower encoding.token_budget" in said
    assert f"kept in {folder}" in said
    with monkeypatch.context() as broken:
        broken.setattr(finetuning, "_gains", lambda *_: torch.empty(2**55))
        assert finetune(shop, **LOOP) == 1
    assert "Out of memory while the shop was read with the new backbone" in line(capsys)


def test_a_change_cut_short_or_of_another_backbone(shop, trained, capsys):
    command = ["--objective", "item-classification", "--strategy", "lora"]
    assert finetune(shop, *command, "--set", "item_classification.task=category", **LOOP) == 0
    capsys.readouterr()
    ask = ["label", str(shop.path), "--suggest", "3", "--quiet", "--output", str(shop.path / "labels.csv")]
    (weights,) = shop.backbones.glob("*/change/change.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-10])
    assert run(app, ask) == 1
    assert "is cut short or altered. Train again, or restore it." in line(capsys)
    weights.write_bytes(content)
    model = trained.path.parent / "bert" / "model.safetensors"
    was = model.read_bytes()
    tensors = {name: tensor.clone() for name, tensor in files.load(was).items()}
    tensors["embeddings.LayerNorm.weight"] += 1
    try:
        model.write_bytes(files.save(tensors, metadata={"format": "pt"}))
        assert run(app, ask) == 2
        assert "has other weights. Give the backbone that it was trained on" in line(capsys)
    finally:
        model.write_bytes(was)
