"""Refreshes that go on from the live release; made-up vectors stand for texts, all else is what runs in a real shop."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.manifest import read_manifest
from kuapin.model import Model
from kuapin.pipeline import refresh as refreshing
from kuapin.pipeline import train as training
from kuapin.pipeline.forget import forget
from kuapin.pipeline.going_on import WENT_ON, default_of, why_anew
from kuapin.pipeline.refresh import refresh
from kuapin.retrieval.sources import sequence
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.sequence.run import Run
from kuapin.workspace import Shop
from tests import market
from tests.pipeline.test_refresh import SETTINGS, imported, trained_early, with_settings
from tests.refreshed import WordEncoder, read

SMALL = {
    "candidates = 100": "candidates = 20",
    "pruned = true": "pruned = false",
    "rounds = 100": "rounds = 10",
    "most_repeated = 0.3": "most_repeated = 1.0",
    "least_users = 200": "least_users = 20",
    "embedding_size = 128": "embedding_size = 16",
    "epochs = 60": "epochs = 4",
    "more = 0.25": "more = 0.5",
    "anew_after = 6": "anew_after = 1",
}


@pytest.fixture(autouse=True)
def without_a_language_model(monkeypatch):
    monkeypatch.setattr(training, "read_texts", read)
    monkeypatch.setattr(refreshing, "read_texts", read)


@pytest.fixture(scope="module")
def log():
    return market.log(n_users=200).sort("timestamp")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, log):
    return trained_early(tmp_path_factory.mktemp("going-on"), log, SETTINGS | SMALL, quick=False)


@pytest.fixture
def shop(trained, tmp_path):
    """Trained on the first 60 % of the log."""
    shutil.copytree(trained, tmp_path / "shop")
    return Shop.open(tmp_path / "shop")


def sources(shop):
    return default_of(Model.load(shop).recommender).signals.signals


def described(shop, release):
    return json.loads((shop.models / release / "manifest.json").read_text())


def test_the_ranker_stays_and_the_sources_learn(shop, log, tmp_path, monkeypatch):
    more = market.items()[:1].with_columns(item_id=pl.lit("B-new"), title=pl.lit("rose soap huge"))
    imported(shop, tmp_path, items=more, interactions=log[: int(0.8 * log.height)])
    before, first = sources(shop), Model.load(shop)
    monkeypatch.setattr(refreshing, "fit", None)  # nothing is trained anew
    monkeypatch.setattr(sequence, "train", None)  # the user model neither
    done = refresh(shop)
    assert done.anew is None
    assert done.release is not None
    after, second = sources(shop), Model.load(shop)
    assert list(after) == list(before)
    assert default_of(second.recommender).ranker.signals == default_of(first.recommender).ranker.signals
    table = np.random.default_rng(0).random((50, len(first.recommender.signals.names))).astype(np.float32)
    np.testing.assert_array_equal(first.recommender.ranker.score(table), second.recommender.ranker.score(table))
    row = second.catalogue.items.row("B-new")
    new = after["sequence"].source
    assert len(new.factors) == row + 1 == len(before["sequence"].source.factors) + 1
    white = read(shop, first.catalogue).whitening.of(read(shop, second.catalogue).vectors)
    np.testing.assert_allclose(new.model.cold(white[row:])[0], new.factors[row], atol=1e-5)
    drift = np.sum(new.factors[:row] * before["sequence"].source.factors, axis=1)
    assert 0.8 < drift.mean() < 1  # it went on from there, not from nothing
    met = second.recommender.signals.facts.users.sum()
    assert met > first.recommender.signals.facts.users.sum()
    assert second.recommender.signals.facts.learnt == pytest.approx(
        first.recommender.signals.facts.learnt * first.recommender.signals.facts.users.sum() / met
    )
    said = described(shop, done.release)
    assert said["config"][WENT_ON] == 1
    assert said["metrics"] == described(shop, first.release)["metrics"]

    imported(shop, tmp_path, interactions=log)
    monkeypatch.undo()
    monkeypatch.setattr(refreshing, "read_texts", read)
    again = refresh(Shop.open(shop.path))
    assert again.anew == "1 refreshes went on since the last full training"
    assert described(shop, again.release)["config"][WENT_ON] == 0


class Interruption:
    """Counts passes of the user model; Ctrl-C comes in one of them."""

    def __init__(self, monkeypatch, at):
        self.passes, learn = 0, Run.learn

        def counted(run):
            self.passes += 1
            if self.passes == at:
                raise KeyboardInterrupt("in the user model")
            learn(run)

        monkeypatch.setattr(Run, "learn", counted)


def forced(shop):
    return refresh(shop, force=True)


def user_model(shop):
    return sources(shop)["sequence"].source.arrays()


@pytest.fixture
def one_thread():
    """Several add in any order, and Adam makes much of a gradient that is nothing but that."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("command", "at"), [(training.train, 3), (training.train, 5), (forced, 2)])
def test_interrupted_in_the_user_model_it_goes_on_to_the_same_result(shop, log, tmp_path, monkeypatch, command, at):
    """In the first training of all, in what is learnt afterwards, and in a refresh."""
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    whole = Shop.open(shutil.copytree(shop.path, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        needed = Interruption(patch, at=None)
        command(whole)
    with monkeypatch.context() as patch:
        Interruption(patch, at)
        with pytest.raises(KeyboardInterrupt, match="in the user model"):
            command(shop)
    assert list((shop.runs / "train").glob("user_model-*"))
    with monkeypatch.context() as patch:
        left = Interruption(patch, at=None)
        command(shop)
    assert left.passes == needed.passes - (at - 1)
    assert not list(shop.runs.iterdir())
    expected, found = user_model(whole), user_model(shop)
    for name in expected.keys() - {"graph"}:  # its nodes are numbered through a process
        np.testing.assert_array_equal(found[name], expected[name])


def test_one_click_of_a_visitor_is_read_by_the_user_model(shop, monkeypatch):
    """Out of the release, without torch: the list is his, and the model has a say in it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    model = Model.load(shop)
    source = default_of(model.recommender).signals.signals["sequence"].source
    clicks = model.catalogue.items.take(np.array([0, 50])).to_list()
    lists = [model.recommend_visitor([click], n=10) for click in clicks]
    nobody = model.recommend_visitor([], n=10)["target_id"].to_list()
    for click, found in zip(clicks, lists, strict=True):
        assert found.height == 10
        assert found["target_id"].to_list() != nobody
        scores = source.score(model.visitor([click]))
        assert np.ptp(scores) > 0.1
        proposed = source.top(model.visitor([click]), 20).items
        assert set(model.catalogue.items.take(proposed)) & set(found["target_id"])
    assert lists[0]["target_id"].to_list() != lists[1]["target_id"].to_list()
    monkeypatch.setattr(type(source), "users", lambda self, histories: np.zeros((len(histories), 16), np.float32))
    assert not lists[0]["score"].equals(Model.load(shop).recommend_visitor(clicks[:1], n=10)["score"])


def test_a_refresh_goes_on_with_several_user_models(shop, log, tmp_path, monkeypatch):
    shop = with_settings(shop, {"models = 1\n": "models = 2\n"})
    training.train(shop)  # but for the newest stretch, which a refresh asks for
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    before = sources(shop)["sequence"].source
    assert before.factors.shape[1] == 2 * 16
    monkeypatch.setattr(sequence, "train", None)
    assert forced(Shop.open(shop.path)).anew is None
    after = sources(Shop.open(shop.path))["sequence"].source
    both = [np.sum(after.factors[:, part] * before.factors[:, part], axis=1) for part in np.split(np.arange(32), 2)]
    assert all(0.3 < cosines.mean() < 0.5 for cosines in both)  # a half each at most


def test_who_is_erased_is_not_left_in_an_interrupted_training(shop, monkeypatch):
    with monkeypatch.context() as patch:
        Interruption(patch, at=2)
        with pytest.raises(KeyboardInterrupt, match="in the user model"):
            training.train(shop)
    assert list(shop.runs.rglob("user_model-*"))
    assert "runs/train" in forget(shop, "user 001").files
    assert not list(shop.runs.rglob("*"))


def reason(shop, monkeypatch):
    """Why a refresh would train anew; it ends there."""
    told = []

    def asked(*arguments):
        told.append(why_anew(*arguments))
        raise KeyboardInterrupt("enough")

    monkeypatch.setattr(refreshing, "why_anew", asked)
    with pytest.raises(KeyboardInterrupt, match="enough"):
        refresh(shop)
    return told[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"warm = true": "warm = false"}, "[refresh] warm is false"),
        ({"candidates = 20": "candidates = 25"}, "settings were changed since: signals"),
        ({"anew_after = 1": "anew_after = 0"}, "0 refreshes went on since the last full training"),
        ({}, None),
    ],
)
def test_why_everything_is_trained_anew(shop, log, tmp_path, monkeypatch, change, why):
    shop = with_settings(shop, change)
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    assert reason(shop, monkeypatch) == why


def test_it_may_be_asked_for(shop, log, tmp_path):
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    done = refresh(shop, full=True)
    assert done.anew == "it was asked for"
    assert described(shop, done.release)["config"][WENT_ON] == 0


def test_another_category_is_not_gone_on_into(shop, log, tmp_path, monkeypatch):
    cars = market.items()[:3].with_columns(
        item_id=pl.Series(["C-1", "C-2", "C-3"]), category=pl.lit("Cars > tyre"), title=pl.lit("rose tyre")
    )
    imported(shop, tmp_path, items=cars, interactions=log[: int(0.8 * log.height)])
    assert reason(shop, monkeypatch) == "the categories are others"


def test_what_moved_much_is_learnt_anew(shop, log, tmp_path, monkeypatch):
    known, came = log[: int(0.6 * log.height)], log[int(0.6 * log.height) :]
    pets = came.filter(pl.col(c.ITEM_ID).str.starts_with("P-"))
    imported(shop, tmp_path, interactions=pl.concat([known, pets]))
    assert reason(shop, monkeypatch).startswith("categories")


def test_a_first_look_and_what_both_know_are_no_start(shop, log, tmp_path, monkeypatch):
    imported(shop, tmp_path, interactions=log[: int(0.605 * log.height)])  # too few to be asked
    with monkeypatch.context() as patch:
        assert reason(shop, patch) == "the live release has learnt from what both are asked for"
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    monkeypatch.setattr(refreshing, "read_manifest", lambda live: quick(read_manifest(live)))
    assert reason(shop, monkeypatch) == "the live release was a first look"


def test_nothing_goes_on_from_what_was_learnt_of_somebody_who_was_erased(shop, log, tmp_path, monkeypatch):
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    forget(shop, "user 001")
    assert reason(Shop.open(shop.path), monkeypatch) == "somebody was erased since the live release was trained"


def test_another_language_model_and_an_older_release_are_no_start(shop, log, tmp_path, monkeypatch):
    imported(shop, tmp_path, interactions=log[: int(0.8 * log.height)])
    with monkeypatch.context() as patch:
        patch.setattr(Sequence, "can_go_on", False)
        assert reason(shop, patch).startswith("the live release does not hold what its user model")
    monkeypatch.setattr(WordEncoder, "description", SimpleNamespace(weights_hash="another"))
    assert reason(shop, monkeypatch) == "another language model reads"


def quick(manifest):
    return manifest.model_copy(update={"config": dict(manifest.config) | {"quick": True}})
