"""What training measured, as ``kuapin train`` and ``kuapin models`` tell it."""

import json
from types import SimpleNamespace

import polars as pl
import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.cli.measures import best_simple, told
from kuapin.list_layer import SAFETY
from kuapin.model_folder import Releases
from kuapin.pipeline.suspects_report import write_suspects
from kuapin.ranking.safety import SCHEMA
from kuapin.workspace import Shop

METRICS = {
    "ndcg@10": 0.4753,
    "ndcg@10.new": 0.0912,
    "ndcg@10.popularity": 0.2061,
    "ndcg@10.new.popularity": 0.5,
    "ndcg@10.repeat": 0.432,
    "held_out_users": 300.0,
    "ece": 0.01,
    "ece.Beauty": 0.02,
}


@pytest.fixture
def releases(monkeypatch):
    made = [
        SimpleNamespace(
            version=f"20260901-10111{number}-123",
            live=number == 1,
            fault="it is torn" if number == 0 else None,
            created_at="2026-09-01T10:11:12+00:00",
            bytes=1_234_567_890,
            metrics=METRICS,
            note="3 items: nothing was measured." if number else "",
        )
        for number in range(2)
    ]
    monkeypatch.setattr(Releases, "versions", lambda _: made)
    return made


@pytest.fixture
def shop(tmp_path):
    return Shop.init(tmp_path / "shop").path


def test_the_best_simple_method_is_that_of_the_same_question():
    assert best_simple(METRICS) == ("repeat", 0.432)
    assert best_simple({"ndcg@10.popularity": 0.2, "ndcg@10.repeat": None}) == ("popularity", 0.2)
    assert best_simple({}) is None


def test_what_was_measured_is_a_sentence():
    assert told(METRICS) == (
        "On 300 held-out users NDCG@10 is 0.4753; repeating what the user had before, the best of the simple methods "
        "measured in training, has 0.4320."
    )
    assert told({}) is None


@pytest.mark.usefixtures("releases")
def test_the_table_of_releases_fits_80_columns(shop, monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert run(app, ["models", str(shop)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[-3:] == ["0.4753", "repeat", "0.4320"]
    assert "damaged" in lines[1]


def test_training_ends_with_what_it_measured_and_what_to_do_next(shop, releases, monkeypatch, capfd):
    monkeypatch.setattr("kuapin.pipeline.train.train", lambda *_, **__: None)
    suspects = {"told": "Not learnt from: 9 interactions (1 bulk buyer).", "interactions": 9}
    write_suspects(Shop.open(shop), suspects)
    assert run(app, ["train", str(shop)]) == 0
    out, err = capfd.readouterr()
    where = f"Their ids: {shop / 'reports' / 'suspects.json'}"
    assert out == f"{releases[1].version} is live. {told(METRICS)}\n{suspects['told']} {where}\n"
    assert [line.split("kuapin ")[1].split()[0] for line in err.splitlines()] == ["evaluate", "recommend"]
    run(app, ["train", str(shop), "--json"])
    assert json.loads(capfd.readouterr().out)["not_learnt_from"] == suspects
    folder = shop / "models" / releases[1].version
    folder.mkdir()
    rows = [(item, what, "hate", "", 0.5, 0.0) for item, what in (("a", "block"), ("b", "penalise"), ("c", "penalise"))]
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(folder / SAFETY)
    run(app, ["train", str(shop)])
    said = f"Safety keeps 1 item out of lists and puts 2 lower. See them: kuapin review {shop}"
    assert said in capfd.readouterr().err.splitlines()
    releases[1].metrics = {}
    write_suspects(Shop.open(shop), {"told": "All of the log was learnt from.", "interactions": 0})
    run(app, ["train", str(shop), "--quiet"])
    out, err = capfd.readouterr()
    assert out.endswith(" is live. 3 items: nothing was measured.\nAll of the log was learnt from.\n")
    assert err == ""
    run(app, ["train", str(shop)])
    assert [line.split("kuapin ")[1].split()[0] for line in capfd.readouterr().err.splitlines()] == [
        "review",
        "import",
        "recommend",
    ]


@pytest.mark.usefixtures("releases")
def test_what_the_live_release_was_trained_on_is_said(shop, capfd):
    assert run(app, ["models", str(shop)]) == 0
    assert capfd.readouterr().out.splitlines()[-1].endswith(": 3 items: nothing was measured.")
    assert run(app, ["models", str(shop), "--json"]) == 0
    assert [one["note"] for one in json.loads(capfd.readouterr().out)["releases"]] == [
        "",
        "3 items: nothing was measured.",
    ]
