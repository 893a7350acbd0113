"""One run from end to end on a tiny model: it learns, is saved small, comes back the same, and resumes the same."""

import json
import shutil
import signal
import warnings
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kuapin.encoding import additions
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import sentence_module
from kuapin.errors import InputError, KuapinError, ModelFolderError
from kuapin.finetuning import adapting
from kuapin.finetuning.adapting import CHANGE, adapt, checked, run_key
from kuapin.finetuning.change import load_change
from kuapin.finetuning.memory import enough_memory
from kuapin.finetuning.objectives.co_interaction import CoInteraction, CoInteractionConfig
from kuapin.finetuning.objectives.masked_lm import MaskedLMConfig
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.reader import _language_head
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.soup import Soup
from kuapin.finetuning.strategies.registry import STRATEGIES
from kuapin.finetuning.tokens import Tokens
from tests import market
from tests.finetuning.conftest import material_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
load_file, save_file = (getattr(pytest.importorskip("safetensors.torch"), f"{verb}_file") for verb in ("load", "save"))

TEXTS = ["rose soap small, Soap, Beauty", "oak lamp", "mint"]


def config(strategy="full", **training):
    loop = {"max_steps": 12, "evaluate_every": 0.05, "learning_rate": 5e-3, "precision": "f32", "tracker": "none"}
    return FinetuningConfig(strategy=strategy, training=TrainingConfig(**(loop | training)), top_layers={"k": 1})


def run(material, bert, folder, chosen, progress=None):
    (folder / "run").mkdir(parents=True, exist_ok=True)
    options = {} if progress is None else {"progress": progress}
    return adapt(material, chosen, Backbone.resolve(str(bert)), folder / "run", folder / "new", **options)


def vectors(reader, backbone):
    with torch.inference_mode():
        return reader.vectors(**Tokens(backbone, 64)(TEXTS)).numpy()


def encoded(folder):
    backbone = Backbone.resolve(str(folder))
    module = sentence_module(backbone.folder, backbone.pooling, backbone.dense)
    with torch.inference_mode():
        return module(**Tokens(backbone, 64)(TEXTS)).numpy()


def chosen_by(chosen, material, bert, done):
    """The metrics of what was kept, on the half that chose it."""
    backbone = Backbone.resolve(str(bert))
    reader, _, _ = load_change(done.folder / CHANGE, backbone)
    chooses, _ = make_objective(chosen, material).halves()
    return chooses.measure(reader, Tokens(backbone, 64), 32).values


class InterruptedAt:
    """Sends Ctrl-C when so many steps are done."""

    def __init__(self, step):
        self.left = step

    @contextmanager
    def step(self, title, total=None, unit=""):
        yield self if unit == "steps" else type("Nothing", (), {"advance": lambda *_: None, "note": lambda *_: None})()

    def advance(self, count=1):
        self.left -= count
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def note(self, text):
        pass


def test_it_learns_what_belongs_together(bert, tmp_path):
    chosen = config(max_steps=150, evaluate_every=0.1, learning_rate=1e-2, patience=None)
    chosen = chosen.model_copy(update={"co_interaction": CoInteractionConfig(temperature=0.1, held_out=0.2)})
    material = material_of(market.dataset(n_users=600))
    done = run(material, bert, tmp_path, chosen)
    before, after = done.outcome.before.values, done.outcome.after.values
    # The words of a theme are in the titles, so that random weights do well; knowing the themes gives about 0.17
    assert after["mrr"] > max(0.17, 1.03 * before["mrr"])
    assert after["loss"] < before["loss"]
    assert done.outcome.after.rows["mrr"].mean() == pytest.approx(after["mrr"])
    best = max(metrics["mrr"] for _, metrics in done.outcome.curve)
    # The best checkpoint is kept, not the last
    assert chosen_by(chosen, material, bert, done)["mrr"] == pytest.approx(best)
    chooses, reports = make_objective(chosen, material).halves()
    assert set(chooses.held_out_users).isdisjoint(reports.held_out_users)
    assert after["mrr"] != pytest.approx(best)  # and reported is what did not choose it


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_small_folder_and_the_backbone_folder_give_the_trained_vectors(material, bert, tmp_path, strategy):
    done = run(material, bert, tmp_path, config(strategy))
    backbone = Backbone.resolve(str(bert))
    reader, _, change = load_change(done.folder / CHANGE, backbone)
    tuned = vectors(reader, backbone)
    assert not np.allclose(tuned, encoded(bert), atol=1e-5)
    np.testing.assert_allclose(encoded(done.folder), tuned, atol=1e-5)
    assert change.settings.strategy == strategy
    if strategy in ("bottleneck", "prefix"):
        told = json.loads((done.folder / additions.DESCRIPTION).read_text(encoding="utf-8"))
        assert told["weights_hash"] == additions.weights_hash(done.folder)
    names = [path.suffix for path in done.folder.rglob("*") if path.is_file()]
    assert set(names) == {".json", ".safetensors"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_interrupted_run_goes_on_to_the_same_result(material, bert, tmp_path, strategy):
    chosen = config(strategy, dropout=0.1)
    straight = run(material, bert, tmp_path / "straight", chosen)
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path / "stopped", chosen, InterruptedAt(7))
    assert not (tmp_path / "stopped" / "new").exists()
    resumed = run(material, bert, tmp_path / "stopped", chosen)
    assert resumed.outcome.resumed_from == 7
    np.testing.assert_array_equal(encoded(resumed.folder), encoded(straight.folder))
    assert resumed.outcome.after.values == straight.outcome.after.values


def test_a_checkpoint_cut_short_is_left_out_and_the_one_before_is_taken_up(material, bert, tmp_path):
    chosen = config()
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path, chosen, InterruptedAt(7))
    newest = tmp_path / "run" / "checkpoint-7"
    content = (newest / "optimizer.pt").read_bytes()
    (newest / "optimizer.pt").write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="cut short"):
        resumed = run(material, bert, tmp_path, chosen)
    assert resumed.outcome.resumed_from == 5
    assert resumed.outcome.steps == 12


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_where_the_best_checkpoint_is_damaged_what_came_after_it_is_left_out(material, bert, tmp_path, damage):
    chosen = config(learning_rate=1e-12, patience=None)  # nothing gets better: the first measurement is the best
    straight = run(material, bert, tmp_path / "straight", chosen)
    first = straight.outcome.curve[0][0]
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path / "stopped", chosen, InterruptedAt(7))
    best = tmp_path / "stopped" / "run" / f"checkpoint-{first}" / "model.safetensors"
    content = best.read_bytes()
    best.write_bytes(content[:-100] if damage == "truncated" else content[:-100] + bytes(100))
    with pytest.warns(UserWarning, match="cut short or altered; it is left out") as told:
        resumed = run(material, bert, tmp_path / "stopped", chosen)
    names = [str(one.message).partition(" was cut")[0].rpartition("/")[2] for one in told]
    assert names == [f"checkpoint-7: the best before it, checkpoint-{first},", f"checkpoint-{first}: this checkpoint"]
    assert resumed.outcome.resumed_from == 0
    np.testing.assert_array_equal(encoded(resumed.folder), encoded(straight.folder))


@pytest.mark.parametrize("training", [{"patience": 1, "learning_rate": 1e-12, "max_steps": 400}, {"max_steps": 7}])
def test_a_training_that_had_ended_is_not_gone_on_with(material, bert, tmp_path, monkeypatch, training):
    """What comes after it failed: the same call goes on there, whether it ended early or in the middle of an epoch."""
    chosen = config(**training)
    straight = run(material, bert, tmp_path / "straight", chosen)

    def full(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(adapting, "write_backbone", full)
        with pytest.raises(OSError, match="full"):
            run(material, bert, tmp_path / "failed", chosen)
    resumed = run(material, bert, tmp_path / "failed", chosen)
    assert resumed.outcome.steps == resumed.outcome.resumed_from == straight.outcome.steps
    assert resumed.outcome.curve == straight.outcome.curve
    np.testing.assert_array_equal(encoded(resumed.folder), encoded(straight.folder))


@pytest.mark.parametrize("training", [{"patience": 1, "learning_rate": 1e-12, "max_steps": 400}, {"max_steps": 7}])
def test_ctrl_c_in_the_last_step_is_heeded_and_changes_nothing(material, bert, tmp_path, training):
    chosen = config(**training)
    straight = run(material, bert, tmp_path / "straight", chosen)
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path / "stopped", chosen, InterruptedAt(straight.outcome.steps))
    resumed = run(material, bert, tmp_path / "stopped", chosen)
    assert resumed.outcome.steps == straight.outcome.steps
    np.testing.assert_array_equal(encoded(resumed.folder), encoded(straight.folder))


def test_early_stopping(material, bert, tmp_path):
    done = run(material, bert, tmp_path, config(learning_rate=1e-12, patience=2, max_steps=400))
    assert done.outcome.steps < done.outcome.planned == 400


def test_a_resumed_run_remembers_how_long_nothing_got_better(material, bert, tmp_path):
    chosen = config(learning_rate=1e-12, patience=2, max_steps=400)
    straight = run(material, bert, tmp_path / "straight", chosen).outcome
    last = straight.curve[-2][0] + 1  # one measurement in vain lies behind, one to come
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path / "stopped", chosen, InterruptedAt(last))
    assert run(material, bert, tmp_path / "stopped", chosen).outcome.steps == straight.steps


def test_a_loss_that_is_no_number_is_one_line_and_leaves_nothing(material, bert, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(bert, broken)
    tensors = load_file(bert / "model.safetensors")
    tensors["embeddings.LayerNorm.weight"].fill_(float("inf"))
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(KuapinError, match=r"The loss is nan at step 1\. Lower training\.learning_rate") as caught:
        run(material, broken, tmp_path, config())
    assert caught.value.exit_code == 1
    assert not (tmp_path / "new").exists()


def test_an_interrupted_soup_is_the_same_soup(material, bert, tmp_path):
    chosen = config(soup=3, max_steps=20, patience=None)
    straight = run(material, bert, tmp_path / "straight", chosen)
    with pytest.raises(KeyboardInterrupt):
        run(material, bert, tmp_path / "stopped", chosen, InterruptedAt(12))
    resumed = run(material, bert, tmp_path / "stopped", chosen)
    assert resumed.outcome.averaged == straight.outcome.averaged
    np.testing.assert_array_equal(encoded(resumed.folder), encoded(straight.folder))
    best = max(metrics["mrr"] for _, metrics in straight.outcome.curve)
    assert chosen_by(chosen, material, bert, straight)["mrr"] >= best


def test_a_change_is_refused_on_another_backbone_or_when_cut_short(material, bert, tmp_path):
    done = run(material, bert, tmp_path, config("lora"))
    with pytest.raises(InputError, match="has other weights"):
        load_change(done.folder / CHANGE, Backbone.resolve(str(done.folder)))
    path = done.folder / CHANGE / "change.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFolderError, match="cut short or altered"):
        load_change(done.folder / CHANGE, Backbone.resolve(str(bert)))
    (done.folder / CHANGE / "change.json").write_text(json.dumps({"format": 1}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="is damaged"):
        load_change(done.folder / CHANGE, Backbone.resolve(str(bert)))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((CoInteraction, "warm_start"), "while the model was made ready"),
        ((CoInteraction, "measure"), "while measuring before the first step"),
        ((CoInteraction, "loss"), "at step 1"),
        ((Soup, "stir"), "while measuring after the last step"),
    ],
)
def test_too_little_memory_is_one_line_wherever_it_happens(material, bert, tmp_path, monkeypatch, place, said):
    monkeypatch.setattr(*place, lambda *_, **__: torch.empty(2**55))
    with pytest.raises(KuapinError, match=rf"^Out of memory {said}\. Lower training\.batch_size") as caught:
        run(material, bert, tmp_path, config())
    assert caught.value.exit_code == 1
    assert not (tmp_path / "new").exists()


def test_other_faults_are_not_taken_for_too_little_memory():
    with pytest.raises(RuntimeError, match="shape"), enough_memory(lambda: "here"):
        torch.zeros(2).view(3)


def test_a_head_that_starts_from_nothing_is_told_of(material, bert, tmp_path):
    chosen = config("head-only", max_steps=2).model_copy(
        update={"objective": "masked-lm", "masked_lm": MaskedLMConfig(held_out=0.3)}
    )
    with pytest.warns(UserWarning, match="comes without a head for masked-lm: a new one starts from random weights"):
        run(material, bert, tmp_path / "base", chosen)
    whole = tmp_path / "whole"
    shutil.copytree(bert, whole)
    transformers.BertForMaskedLM(transformers.AutoConfig.from_pretrained(bert)).save_pretrained(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(material, whole, tmp_path / "head", chosen)


def test_a_language_model_without_a_known_head_is_refused():
    with pytest.raises(InputError, match="The model SimpleNamespace has no head for language modelling"):
        _language_head(SimpleNamespace(get_output_embeddings=lambda: None))


def test_nothing_longer_than_the_backbone_reads_is_read(bert, material, tmp_path):
    """What a prefix takes is left out of what the new backbone says that it reads."""
    backbone = replace(Backbone.resolve(str(bert)), max_length=20)
    assert Tokens(backbone, 64)(["rose " * 50])["input_ids"].shape == (1, 20)
    with pytest.raises(InputError, match=r"max_length is 65; .* reads 64 tokens at most\. Set it to 64 or less"):
        run(material, bert, tmp_path, config().model_copy(update={"max_length": 65}))
    short = config("prefix").model_copy(update={"max_length": 64})
    with pytest.raises(InputError, match="reads 56 tokens at most"):
        checked(short, Backbone.resolve(str(bert)))


def test_where_no_length_is_set_it_is_what_the_backbone_reads_and_64_at_most(bert):
    backbone = Backbone.resolve(str(bert))
    assert checked(config(), replace(backbone, max_length=20)).max_length == 20
    assert [Tokens(replace(backbone, max_length=n)).max_length for n in (20, 512)] == [20, 64]


def test_another_text_title_or_set_of_users_is_another_run(material, bert):
    """An interrupted run, or a first stage, of other texts is never gone on from."""
    backbone, histories = Backbone.resolve(str(bert)), material.histories

    def key(of):
        return run_key(config(), backbone, of, "snapshot")

    fewer = replace(material.dataset, histories=histories.keep(histories.users != 3))
    others = [
        replace(material, texts=("a rose", *material.texts[1:])),
        replace(material, titles=("a rose", *material.titles[1:])),
        replace(material, dataset=fewer),
    ]
    assert len({key(material), *map(key, others)}) == 4
    assert key(replace(material, texts=tuple(material.texts))) == key(material)


def test_what_lies_beside_the_weights_is_no_start(material, bert, tmp_path):
    done = run(material, bert, tmp_path, config("bottleneck", max_steps=1))
    with pytest.raises(InputError, match="training would start without it"):
        run(material, done.folder, tmp_path / "more", config())


def test_nothing_is_warned_of(material, bert, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(material, bert, tmp_path, config("lora"))
