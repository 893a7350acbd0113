"""What records the curves, each once without a network; those that are not installed are passed over."""

import os

import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.errors import MissingExtraError
from kuapin.finetuning import tracking
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.tracking import chosen_tracker

pytest.importorskip("torch")


def trained(material, bert, folder, tracker):
    loop = TrainingConfig(max_steps=4, evaluate_every=0.2, learning_rate=1e-2, precision="f32", tracker=tracker)
    (folder / "run").mkdir()
    config = FinetuningConfig(strategy="full", training=loop)
    return adapt(material, config, Backbone.resolve(str(bert)), folder / "run", folder / "new")


@pytest.mark.nightly
def test_weights_and_biases_offline(material, bert, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    done = trained(material, bert, tmp_path, "wandb")
    assert done.outcome.steps == 4
    assert wandb.run is None  # closed, so that the next run is one of its own
    kept = list((done.folder / "curves").rglob("*.wandb"))  # wandb's link to the latest run is one more
    assert kept
    assert all(b"mrr" in path.read_bytes() for path in kept)
    assert "WANDB_DIR" not in os.environ


@pytest.mark.nightly
def test_mlflow_into_a_folder(material, bert, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = trained(material, bert, tmp_path, "mlflow")
    assert mlflow.active_run() is None
    (kept,) = (done.folder / "curves").glob("mlflow/*/*/metrics/eval_mrr")
    values = [float(line.split()[1]) for line in kept.read_text().splitlines()]
    assert values == pytest.approx([one["mrr"] for _, one in done.outcome.curve])
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_tensorboard_keeps_the_curves_beside_the_result(material, bert, tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("grpc")
    done = trained(material, bert, tmp_path, "tensorboard")
    assert list((done.folder / "curves").glob("events*"))
    assert chosen_tracker("auto") == "tensorboard"


@pytest.mark.parametrize(
    ("asked", "installed_by"),
    [("tensorboard", r"'kuapin\[tracking\]'"), ("wandb", "wandb"), ("mlflow", "mlflow-skinny")],
)
def test_what_installs_the_one_asked_for_is_told(monkeypatch, asked, installed_by):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=f"training.tracker is {asked}.*pip install {installed_by}$"):
        chosen_tracker(asked)
    assert (chosen_tracker("auto"), chosen_tracker("none")) == ("none", "none")
