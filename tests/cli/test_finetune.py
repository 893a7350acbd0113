"""``kuapin finetune`` from tables to a backbone that the shop's configuration names, on a tiny model."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.config import read_preset, validated
from kuapin.encoding.items import item_vectors
from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import Interval
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.presets import PRESETS
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import STRATEGIES
from kuapin.pipeline import finetune as finetuning
from kuapin.pipeline.finetune import prune
from kuapin.pipeline.served_worse import noted
from kuapin.pipeline.text_zero_shot import METRICS, Opening
from kuapin.workspace import Shop
from tests import market
from tests.finetuning.conftest import bert as _bert  # noqa: F401 - a fixture
from tests.finetuning.conftest import gpt as _gpt  # noqa: F401 - a fixture

pytest.importorskip("torch")
pytest.importorskip("peft")

LOOP = ["--max-steps", "8", "--set", "training.learning_rate=0.01", "--set", "training.tracker=none"]


@pytest.fixture(name="bert")
def bert_fixture(_bert):  # noqa: F811
    return _bert


@pytest.fixture(name="gpt")
def gpt_fixture(_gpt):  # noqa: F811
    return _gpt


@pytest.fixture
def shop(tmp_path, bert):
    market.items().write_csv(tmp_path / "items.csv")
    market.log(n_users=240).write_csv(tmp_path / "log.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")
    path = shop.path / "kuapin.toml"
    content = path.read_text(encoding="utf-8").replace('backbone = "minilm"', f'backbone = "{bert}"')
    path.write_text(content.replace('precision = "auto"', 'precision = "f32"'), encoding="utf-8")
    return Shop.open(shop.path)


def vectors(shop):
    config = shop.config
    return item_vectors(shop.dataset().catalogue.frame, config.text, config.encoding, shop.vectors)


def test_the_language_model_learns_from_two_categories_and_is_measured_on_the_others(shop, capsys):
    before = vectors(shop)
    folder = str(shop.path)
    command = ["finetune", folder, "--strategy", "lora", "--source-categories", "Beauty, Home", *LOOP, "--json"]
    assert run(app, command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == 8
    assert said["before"].keys() == said["after"].keys() >= {"loss", "mrr", "recall@10"}
    gain, low, high = said["gains"]["mrr"]
    assert gain == pytest.approx(said["after"]["mrr"] - said["before"]["mrr"])
    assert low <= gain <= high
    new = {opening["category"]: opening["new"] for opening in said["openings"]}
    assert new == {"Beauty": False, "Home": False, "Garden": True, "Pets": True}
    for opening in said["openings"]:
        for figures in (opening["ratio"], opening["before"], opening["after"]):
            value, low, high = figures["ndcg@10"]
            assert low <= value <= high
        assert opening["gate"]["decision"] in ("passes", "loses", "undecided", "too few users")
        assert opening["gate"]["users"] == opening["users"]
    audit = said["audit"]
    assert sum(one["after"] for one in audit["exposure"] if one["group"].endswith("brands")) == pytest.approx(1)
    assert audit["planted"]["titles"] > 0
    report = shop.path / "reports" / f"finetune-{said['backbone']}.json"
    assert json.loads(report.read_text(encoding="utf-8")) == said
    assert list((shop.path / "runs").iterdir()) == []

    path = shop.path / "kuapin.toml"
    old = path.read_text(encoding="utf-8")
    path.write_text(old.replace(shop.config.encoding.backbone, said["backbone"]), encoding="utf-8")
    tuned = Shop.open(shop.path)
    assert tuned.config.encoding.backbone.endswith(said["backbone"])
    after = vectors(tuned)
    assert not np.allclose(before, after, atol=1e-3)
    shards = {file: file.stat().st_mtime_ns for file in shop.vectors.rglob("*.safetensors")}
    assert np.array_equal(vectors(shop), before)  # the cache keeps both: nothing is encoded again
    assert {file: file.stat().st_mtime_ns for file in shop.vectors.rglob("*.safetensors")} == shards


def test_categories_may_have_commas_in_their_names(shop, tmp_path, capsys, monkeypatch):
    def told(shop, config, **_):
        raise InputError(f"{config.source_categories}")

    items = market.items().with_columns(pl.col("category").str.replace("Beauty", "Bath, Body & Hair"))
    items.write_csv(tmp_path / "items.csv")
    shop.import_files(items=tmp_path / "items.csv")
    monkeypatch.setattr(finetuning, "finetune", told)
    assert run(app, ["finetune", str(shop.path), "--source-categories", "Bath, Body & Hair,Home"]) == 2
    assert "('Bath, Body & Hair', 'Home')" in capsys.readouterr().err


def test_the_result_is_told_in_tables(shop, capsys, monkeypatch):
    asked = finetuning.openings
    monkeypatch.setattr(finetuning, "openings", lambda *given: asked(*given)[1:])
    sources = ["--source-categories", ",".join(market.KINDS)]
    assert run(app, ["finetune", str(shop.path), "--strategy", "head-only", *LOOP, *sources]) == 0
    out = capsys.readouterr()
    assert "8 steps on" in out.out
    assert "recall@10" in out.out
    assert "change, 95 % interval" in out.out
    assert "after / before" in out.out
    assert re.search(r"Garden +\d+ +NDCG@10 +0\.\d+ \[0\.\d+, 0\.\d+\] +0\.\d+ \[", out.out)
    assert (
        "Fewer than 30 users could be asked about Beauty: not compared. Histories were read from the source categories "
        "alone (Beauty, Home, Garden, Pets)."
    ) in out.out
    assert "that training read, for users who were not in it" in out.out
    assert "that training saw nothing of" not in out.out
    assert "harmful titles" in out.out
    assert "Whose the ten nearest titles are" in out.out
    assert 'backbone = "co-interaction-head-only-' in out.err
    assert "No curves were recorded: training.tracker is none" in out.err


@pytest.mark.parametrize(("force", "then"), [([], "kuapin train will not go by it"), (["--force"], "It may move")])
def test_a_category_that_is_served_worse_is_named_with_the_reason(shop, capsys, monkeypatch, force, then):
    def compared(shop, dataset, asked, *_):
        ratio = Interval(0.2, 0.1, 0.3)
        return (Opening("Home", False, asked[0].launch, *[dict.fromkeys(METRICS, ratio)] * 3, ratio),)

    monkeypatch.setattr(finetuning, "compared", compared)
    assert run(app, ["finetune", str(shop.path), "--strategy", "head-only", *LOOP, *force]) == 0
    out = capsys.readouterr()
    told = " ".join(out.out.split())
    assert f"Home is served worse by the new encoder: 0.20 of NDCG@10 [0.10, 0.30]. {then}" in told
    assert "No gain in lists by text could be shown; worse in Home." in told
    assert ("--force" in out.err) == (not force)
    (folder,) = shop.backbones.iterdir()
    assert noted(folder) == ({} if force else {"Home": "0.20 of NDCG@10 [0.10, 0.30]"})
    if not force:
        path = shop.path / "kuapin.toml"
        named = path.read_text(encoding="utf-8").replace(shop.config.encoding.backbone, folder.name)
        path.write_text(named, encoding="utf-8")
        assert run(app, ["train", str(shop.path)]) == 3
        assert "Choose: name another one in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "x"], "objective is 'x'"),
        (["--set", "training.batch_size=0"], "training.batch_size is 0"),
        (["--set", "training.batchsize=1"], "Did you mean training.batch_size?"),
        (["--set", "lora"], "write KEY=VALUE"),
        (["--source-categories", "Beuty"], "Did you mean Beauty?"),
        (["--backbone", "e5"], "4-bit weights"),
        (["--set", "training.r_drop=1", "--set", "first=masked-lm"], "does nothing with it. Leave it out, or"),
        (["--strategy", "top-layers", "--set", "top_layers.k=3", *LOOP], "the backbone has 2 layers"),
        (["--preset", "nowhere.toml"], "there is no such file and no such preset"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(shop, capsys, arguments, message):
    assert run(app, ["finetune", str(shop.path), "--no-measure", "--quiet", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_preset_has_the_same_keys_and_options_go_before_it(shop, tmp_path, capsys):
    preset = tmp_path / "preset.toml"
    preset.write_text('strategy = "full"\n[training]\nmax_steps = 5\ntracker = "none"\npatience = "none"\n')
    command = [
        "finetune",
        str(shop.path),
        "--preset",
        str(preset),
        "--no-measure",
        "--json",
        "--strategy",
        "top-layers",
    ]
    assert run(app, command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == 5
    assert said["backbone"].startswith("co-interaction-top-layers-")


@pytest.mark.parametrize(
    ("objective", "options"),
    [("causal-lm", ["--set", "scratch.positions=32"]), ("masked-lm", ["--set", "scratch.characters=true"])],
)
def test_from_scratch_needs_no_backbone_and_the_result_encodes(shop, capsys, objective, options):
    small = ["--set", "scratch.width=16", "--set", "scratch.layers=2", "--set", "scratch.vocabulary=400"]
    command = ["finetune", str(shop.path), "--objective", objective, "--strategy", "full", "--from-scratch", "--json"]
    assert run(app, [*command, "--no-measure", *LOOP, *small, *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["after"]["perplexity"] < said["before"]["perplexity"]
    path = shop.path / "kuapin.toml"
    old = path.read_text(encoding="utf-8")
    path.write_text(old.replace(shop.config.encoding.backbone, said["backbone"]), encoding="utf-8")
    assert vectors(Shop.open(shop.path)).shape == (96, 16)


def test_what_started_from_scratch_is_compared_with_the_encoder_that_the_shop_has(shop, capsys):
    """A random model is no worse than itself a step ago, and much worse than what serves."""
    small = ["--set", "scratch.width=16", "--set", "scratch.layers=2", "--set", "scratch.vocabulary=400"]
    command = ["finetune", str(shop.path), "--objective", "masked-lm", "--from-scratch", "--max-steps", "1", *small]
    assert run(app, [*command, "--set", "training.tracker=none"]) == 0
    out = capsys.readouterr()
    (folder,) = shop.backbones.glob("masked-lm-full-*")  # full, for a small change of random weights leaves them random
    assert f"before is {shop.config.encoding.backbone}, which the shop has, and after is {folder.name}" in out.out
    said = json.loads((shop.reports / f"finetune-{folder.name}.json").read_text(encoding="utf-8"))
    dataset, own = shop.dataset(), shop.config.encoding.backbone
    asked = finetuning.openings(dataset, np.ones(96, np.bool_), 0)
    same = {one.category: one.before["ndcg@10"].value for one in finetuning.compared(shop, dataset, asked, Path(own))}
    assert {one["category"]: one["before"]["ndcg@10"][0] for one in said["openings"]} == same
    assert said["compared_with"] == own


def test_an_encoder_that_is_not_there_to_compare_with_is_told_of_before_the_training(shop, bert, capsys):
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(f'"{bert}"', '"./gone"'), encoding="utf-8")
    command = ["finetune", str(shop.path), "--backbone", str(bert), "--quiet", *LOOP]
    assert run(app, command) == 2
    assert "backbone './gone': there is no such folder" in capsys.readouterr().err
    assert not list(shop.runs.iterdir())
    assert run(app, [*command, "--no-measure"]) == 0


def test_head_only_leaves_the_encoder_as_it_was_where_the_head_stands_beside_its_vectors(shop, capsys):
    before = vectors(shop)
    command = ["finetune", str(shop.path), "--objective", "masked-lm", "--strategy", "head-only", "--no-measure", *LOOP]
    assert run(app, command) == 0
    out = capsys.readouterr()
    assert "head-only leaves the encoder as it was: of masked-lm only the head is new." in out.out
    assert "Next" not in out.err
    (folder,) = shop.backbones.iterdir()
    path = shop.path / "kuapin.toml"
    old = path.read_text(encoding="utf-8")
    path.write_text(old.replace(shop.config.encoding.backbone, folder.name), encoding="utf-8")
    assert np.array_equal(vectors(Shop.open(shop.path)), before)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_is_what_it_says(name):
    config = validated(FinetuningConfig, read_preset(PRESETS[name]), name)
    loop = config.training
    if name == "apparel":
        assert (loop.optimizer, loop.learning_rate, loop.batch_size, loop.epochs) == ("adamw", 2e-5, 32, 10)
        assert loop.evaluate_every == 2
        assert loop.patience is not None
    if name == "beauty":
        assert (loop.optimizer, loop.learning_rate, loop.batch_size, loop.epochs) == ("sgd", 1e-5, 16, 20)
        assert loop.evaluate_every == 5
    if name == "launch":
        assert config.whitening.on
        assert (config.pooling, config.reads) == ("ends", "title")
    elif name == "refresh":
        assert (config.objective, config.strategy) == ("co-interaction", "lora")  # merged: nothing is slower by it
    elif name == "few-labels":
        assert (config.objective, config.item_classification.contrast) == ("item-classification", 0.3)
    else:
        assert f"{name.removesuffix('-tuned')}-tuned" in PRESETS


def test_help_names_every_preset(capsys):
    assert run(app, ["finetune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in PRESETS)


def test_a_preset_runs_by_its_name(shop, capsys):
    small = ["--set", "scratch.width=16", "--set", "scratch.layers=1", "--set", "scratch.vocabulary=400"]
    command = ["finetune", str(shop.path), "--preset", "beauty", "--no-measure", "--json", "--set", "training.epochs=1"]
    assert run(app, [*command, *small]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["after"]["perplexity"] == pytest.approx(said["before"]["perplexity"], rel=0.02)  # SGD at 1e-5


def test_a_backbone_given_by_hand_goes_before_a_presets_start_from_scratch(shop, gpt, capsys):
    command = ["finetune", str(shop.path), "--preset", "beauty", "--backbone", str(gpt), "--no-measure", *LOOP]
    assert run(app, command) == 0
    assert f"The preset would start from scratch; it starts from {gpt}, as given." in capsys.readouterr().err
    (folder,) = shop.backbones.iterdir()
    change = json.loads((folder / "change" / "change.json").read_text(encoding="utf-8"))
    assert (change["backbone"], change["settings"]["from_scratch"]) == (str(gpt), False)
    off = ["--preset", "beauty", "--objective", "masked-lm", "--set", "from_scratch=false", "--no-measure", *LOOP]
    assert run(app, ["finetune", str(shop.path), *off, "--set", "training.max_steps=1"]) == 0
    assert "it starts from the shop's backbone, as given." in capsys.readouterr().err
    assert run(app, [*command, "--from-scratch", "--quiet"]) == 2  # both by hand
    assert "Drop one of them" in capsys.readouterr().err


def test_continued_pre_training_and_the_objective_are_one_command(shop, capsys):
    first = ["--set", "first=masked-lm", "--set", "first_training.max_steps=6", "--set", "first_training.tracker=none"]
    command = ["finetune", str(shop.path), "--strategy", "full", "--no-measure", "--json", *first, *LOOP]
    assert run(app, command) == 0
    said = json.loads(capsys.readouterr().out)
    folders = {path.name for path in shop.backbones.iterdir()}
    assert folders == {said["backbone"], f"{said['backbone']}-first"}
    change = json.loads((shop.backbones / said["backbone"] / "change" / "change.json").read_text())
    assert change["backbone"].endswith("-first")
    assert change["settings"]["objective"] == "co-interaction"
    # A first stage stays as long as its result does, and no longer
    (shop.runs / "finetune-of-somebody").mkdir()
    shutil.rmtree(shop.backbones / said["backbone"])
    assert prune(shop) == ()
    (shop.runs / "finetune-of-somebody").rmdir()
    assert prune(shop) == (f"{said['backbone']}-first",)
    assert list(shop.backbones.iterdir()) == []


def test_the_help_names_every_objective_strategy_and_preset():
    (context,) = [command for command in typer.main.get_command(app).commands.values() if command.name == "finetune"]
    told = {option.name: set(re.findall(r"[\w-]+", option.help or "")) for option in context.params}
    assert len(OBJECTIVES) == 10
    assert set(OBJECTIVES) <= told["objective"]
    assert set(STRATEGIES) <= told["strategy"]
    assert set(PRESETS) <= told["preset"]


def labels(shop, tmp_path, rows):
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["item_id,task,label", *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    shop.import_files(labels=path)


IDS = market.items()["item_id"].to_list()


def test_labels_that_were_imported_train_a_classifier_whose_head_is_kept(shop, tmp_path, capsys):
    labels(shop, tmp_path, [(item, "tone", ("dark", "light", "bright")[n % 3]) for n, item in enumerate(IDS)])
    command = ["finetune", str(shop.path), "--objective", "item-classification", "--strategy", "top-layers", "--json"]
    assert run(app, [*command, "--no-measure", "--set", "item_classification.task=tone", *LOOP]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["after"].keys() == {"loss", "macro_f1", "accuracy"}
    gain, low, high = said["gains"]["macro_f1"]
    assert gain == pytest.approx(said["after"]["macro_f1"] - said["before"]["macro_f1"])
    assert low <= gain <= high
    change = json.loads((shop.backbones / said["backbone"] / "change" / "change.json").read_text())
    assert change["facts"] == {"labels": ["bright", "dark", "light"], "kind": "multi-class"}
    assert said["learnt_from"] == f"{said['examples']} titles of 3 labels train; the rarest, 'bright', has 26."


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "There are no labels 'tone' in this shop"),
        ([(IDS[0], "tone", "dark"), (IDS[1], "tone", "dark"), (IDS[2], "tone", "light")], "'light' has one title"),
        ([(item, "tone", "dark") for item in IDS[:5]], "A classifier needs two labels"),
    ],
)
def test_labels_that_teach_nothing_are_one_line_and_exit_2(shop, tmp_path, capsys, rows, message):
    if rows:
        labels(shop, tmp_path, rows)
    command = ["finetune", str(shop.path), "--objective", "item-classification", "--no-measure", "--quiet"]
    assert run(app, [*command, "--set", "item_classification.task=tone", *LOOP]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(shop.backbones.iterdir())


def test_a_shop_without_interactions_is_told_what_it_can_do(tmp_path, bert, capsys):
    market.items().write_csv(tmp_path / "items.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv")
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"minilm"', f'"{bert}"'), encoding="utf-8")
    command = ["finetune", str(shop.path), "--quiet", *LOOP]
    assert run(app, command) == 2
    assert "choose masked-lm or simcse" in capsys.readouterr().err
    assert run(app, [*command, "--objective", "simcse", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["openings"] == []


def test_several_classifiers_are_averaged_and_asked_together(shop, tmp_path, capsys):
    from kuapin.pipeline.ensemble import members, said_together
    from kuapin.pipeline.label import suggested

    (tmp_path / "new.csv").write_text("item_id,title\nnew,oak vase\n", encoding="utf-8")
    shop.import_files(items=tmp_path / "new.csv")
    command = ["finetune", str(shop.path), "--objective", "item-classification", "--strategy", "full", "--no-measure"]
    options = [
        "--set",
        "item_classification.task=category",
        "--set",
        "ensemble=3",
        "--set",
        "training.warmup=0",
        "--json",
    ]
    assert run(app, [*command, *LOOP, *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ensemble"].keys() == {"macro_f1", "accuracy"}
    first = shop.backbones / said["backbone"]
    folders = members(first)
    assert [folder.name for folder in folders] == [first.name, f"{first.name}-2", f"{first.name}-3"]
    titles = market.items()["title"].to_list()[:20]
    alone = [said_together(folder, titles)[0] for folder in folders[1:]]
    together, _ = said_together(first, titles)
    own = 3 * together - alone[0] - alone[1]  # the mean of three, less two of them
    assert np.allclose(own.sum(axis=1), 1, atol=1e-4)
    assert not np.allclose(alone[0], alone[1], atol=1e-4)  # they learnt the same in another order
    asked = suggested(shop, 3)
    assert asked.model == first.name  # members are no classifiers by themselves
    assert asked.rows["item_id"].to_list() == ["new"]  # all others have a category

    assert run(app, ["finetune", str(shop.path), "--set", "ensemble=2", "--no-measure"]) == 2
    assert "averaged for item-classification alone" in capsys.readouterr().err


def test_a_space_without_a_search_is_refused(tmp_path, capsys):
    assert run(app, ["finetune", str(tmp_path), "--space", "training.batch_size=[8, 16]"]) == 2
    assert "there is no --search" in capsys.readouterr().err
