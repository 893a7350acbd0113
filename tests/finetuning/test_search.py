"""A search finds the better settings, goes on where it was, gives up what leads nowhere, refuses what is not there."""

import json
import re
from pathlib import Path

import pytest

from kuapin.errors import InputError, KuapinError, MissingExtraError
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.search import JOURNAL, changed, default_space, searched
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.pipeline import search as searching
from kuapin.pipeline.finetune import of_one_objective
from tests.cli.test_finetune import LOOP, bert_fixture, shop  # noqa: F401 - fixtures
from tests.finetuning.conftest import bert as _bert  # noqa: F401 - a fixture

pytest.importorskip("optuna")
CONFIG = FinetuningConfig(strategy="full")
SPACE = {"training.learning_rate": (1e-5, 1e-3), "training.batch_size": (16, 32, 64)}


def distance(config):
    """Greatest at a learning rate of 1e-4 and 32 a batch."""
    import math

    return -abs(math.log10(config.training.learning_rate) + 4) - abs(config.training.batch_size - 32) / 32


def test_it_finds_the_better_settings_and_goes_on_to_what_it_would_have_found(tmp_path, caplog, capfd):
    """Ctrl-C during every fourth trial: each trial is drawn once more, the same, and the search is the same."""
    asked, interrupted = [], set()

    def run(config, watch):
        asked.append(config)
        return distance(config)

    def interrupted_run(config, watch):
        if len(asked) % 4 == 3 and len(asked) not in interrupted:
            interrupted.add(len(asked))
            raise KeyboardInterrupt
        return run(config, watch)

    (straight, resumed) = (tmp_path / name for name in ("straight", "resumed"))
    for folder in (straight, resumed):
        folder.mkdir()
    best, trials = searched(CONFIG, SPACE, 25, straight, run)
    assert len(trials) == len({str(trial.settings) for trial in trials}) == len(asked) == 25
    assert distance(best) == max(trial.value for trial in trials) > -0.35
    asked.clear()
    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            searched(CONFIG, SPACE, 25, resumed, interrupted_run)
    assert (resumed / JOURNAL).is_file()
    assert searched(CONFIG, SPACE, 25, resumed, interrupted_run) == (best, trials)
    assert searched(CONFIG, SPACE, 25, resumed, interrupted_run) == (best, trials)
    assert len(asked) == 25
    assert caplog.text + capfd.readouterr().err == ""


def test_a_trial_that_fails_by_its_settings_is_one_line_and_fails_alone(tmp_path, caplog, capfd):
    order = iter([0.1, KuapinError("The loss is nan at step 1."), InputError("max_length is 99."), 0.2])

    def run(config, watch):
        if isinstance(found := next(order), Exception):
            raise found
        return found

    with pytest.warns(UserWarning, match=r"^Trial \d failed\. ") as told:
        _, trials = searched(CONFIG, SPACE, 4, tmp_path, run)
    assert [trial.state for trial in trials] == ["complete", "fail", "fail", "complete"]
    assert len({str(trial.settings) for trial in trials}) == 4
    assert [str(one.message) for one in told] == [
        "Trial 2 failed. The loss is nan at step 1.",
        "Trial 3 failed. max_length is 99.",
    ]
    assert caplog.text + capfd.readouterr().err == ""


def test_what_no_settings_mend_ends_the_search_and_uses_up_no_trial(tmp_path):
    order = iter([MissingExtraError("wandb is not installed."), OSError("the disk is full"), 0.1, 0.2])

    def run(config, watch):
        if isinstance(found := next(order), Exception):
            raise found
        return found

    for kind, said in ((MissingExtraError, "wandb"), (OSError, "disk")):
        with pytest.raises(kind, match=said):
            searched(CONFIG, SPACE, 2, tmp_path, run)
    assert [trial.value for trial in searched(CONFIG, SPACE, 2, tmp_path, run)[1]] == [0.1, 0.2]


def test_what_is_worse_than_the_median_is_given_up(tmp_path):
    order = iter([0.5, 0.6, 0.7, 0.8, 0.9, 0.1])

    def run(config, watch):
        value = next(order)
        for step in (1, 2, 3):
            watch(step, value * step)
        return value * 3

    _, trials = searched(CONFIG, SPACE, 6, tmp_path, run)
    assert [trial.state for trial in trials] == ["complete"] * 5 + ["pruned"]
    assert trials[-1].value is None


def test_full_tuning_is_searched_between_1e_5_and_2e_5():
    assert default_space(CONFIG)["training.learning_rate"] == (1e-5, 2e-5)
    assert default_space(FinetuningConfig(strategy="lora"))["training.learning_rate"] == (1e-4, 5e-4)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"training.rate": (1, 2)}, "there is no setting 'training.rate'"),
        ({"training.learning_rate": (0.1, 7.0)}, r"training\.learning_rate = 7\.0"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_trains(tmp_path, space, message):
    with pytest.raises(InputError, match=message):
        searched(CONFIG, space, 2, tmp_path, lambda config, watch: pytest.fail("trained"))


def test_settings_are_changed_by_their_dotted_names():
    made = changed(CONFIG, {"training.batch_size": 8, "co_interaction.temperature": 0.1})
    assert (made.training.batch_size, made.co_interaction.temperature) == (8, 0.1)
    assert made.strategy == "full"


def test_a_search_on_a_shop_ends_with_a_preset_of_all_settings_and_a_backbone(shop, capsys, monkeypatch):  # noqa: F811
    from kuapin.cli.app import app
    from kuapin.cli.failures import run
    from kuapin.config import read_preset, validated

    started = []

    def adapted(material, config, backbone, *rest):
        started.append((config.objective, Path(backbone.name).parent.name))
        return adapt(material, config, backbone, *rest)

    monkeypatch.setattr(searching, "adapt", adapted)
    given = ["first=masked-lm", "first_training.max_steps=2", "first_training.tracker=none", "training.patience=none"]
    given += ["training.soup=3", "max_length=32", "training.adversarial.kind=fgm"]
    command = ["finetune", str(shop.path), "--strategy", "full", "--search", "2", "--no-measure", *LOOP]
    command += [part for pair in given for part in ("--set", pair)]
    assert run(app, [*command, "--space", "training.learning_rate=[0.001, 0.01]"]) == 0
    told = capsys.readouterr()
    assert "The best is kept in" in told.out
    assert "mrr (higher is better)" in told.out
    assert re.findall(r"^Trial (\d) of 2 in [\d.]+ s, mrr 0\.\d+$", told.err, re.MULTILINE) == ["1", "2"]
    assert re.findall(r"^(\d) +[\d.e-]+ +0\.\d+ *$", told.out, re.MULTILINE) == ["1", "2"]
    (preset,) = shop.reports.glob("search-*.toml")
    found = validated(FinetuningConfig, read_preset(preset), str(preset))
    assert 0.001 <= found.training.learning_rate <= 0.01
    (objective, first), again = started
    assert objective == "co-interaction"  # told apart from the backbone of the shop: the first stage lies in between
    assert first.startswith("first-")
    assert again == (objective, first)
    (folder,) = (path for path in shop.backbones.iterdir() if not path.name.endswith("-first"))
    change = json.loads((folder / "change" / "change.json").read_text(encoding="utf-8"))
    assert FinetuningConfig.model_validate(change["settings"]) == of_one_objective(
        found
    )  # the preset is all of the run
    assert list(shop.runs.iterdir()) == []
