import json

import numpy as np
import pytest

from benchmarks.tables import page
from kuapin.errors import InputError
from kuapin.evaluation.report import Report
from kuapin.pipeline import demo as demo_module
from kuapin.pipeline.demo import Demo, _commands, _shop, _write_figures, demo
from kuapin.pipeline.report_examples import examples_of, typical_users
from kuapin.workspace import Shop


def test_the_demo_leaves_a_shop_of_others_alone(tmp_path, tables):
    shop = Shop.init(tmp_path / "mine")
    shop.import_files(items=tables / "items.csv")
    with pytest.raises(InputError, match=r"is a shop with tables of its own\. Give the demo a new folder"):
        demo(tmp_path / "mine")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "data").write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        demo(tmp_path / "notes")


def test_the_demo_takes_up_its_own_shop_again(tmp_path):
    first = _shop(tmp_path / "demo")
    assert _shop(tmp_path / "demo").path == first.path


def test_what_is_missing_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("kuapin.data.importers.complete_journey.PACKAGE", "no_such_package")
    with pytest.raises(Exception, match="needs the package no_such_package"):
        demo(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_figures_have_the_format_of_the_benchmarks(tmp_path):
    done = Demo(Report("T", "1 May 2026"), tmp_path / "r.html", 12.5, 900.0, 0.3)
    _write_figures(done, tmp_path / "results", "abc123")
    record = json.loads((tmp_path / "results" / "demo.json").read_text())
    assert record["figures"] == {
        "seconds": {"value": 12.5, "low": None, "high": None, "unit": "s"},
        "peak_mb": {"value": 900.0, "low": None, "high": None, "unit": "MB"},
    }
    assert (record["commit"], record["load_at_start"], record["seeds"]) == ("abc123", 0.3, [0])
    assert {"processor", "cores", "memory_gb"} == set(record["hardware"])
    assert "`make demo` · commit `abc123`" in page(tmp_path / "results")


def test_it_measures_itself():
    assert 20 < demo_module._peak_mb() < 1e6


def test_the_commands_to_try_exist(tmp_path):
    from kuapin.cli.app import VERBS

    verbs = {verb for panel in VERBS.values() for verb in panel}
    words = [command.command.split() for command in _commands(tmp_path, "7")]
    assert len(words) >= 5
    assert all(word[0] == "kuapin" and word[1] in verbs for word in words)


def test_typical_users_are_a_light_a_middle_and_a_heavy_one(material):
    users = typical_users(material.dataset)
    rows = [material.dataset.users.row(user) for user in users]
    lengths = material.dataset.histories.lengths
    assert [int(lengths[row]) for row in rows] == np.quantile(lengths, (0.25, 0.5, 0.75), method="nearest").tolist()


class _Model:
    """Stands in for a release: the first items of the catalogue, for everybody."""

    def recommend(self, users, n, *, explain, per_category):
        import polars as pl

        assert (explain, per_category) == (True, 1)
        return pl.DataFrame(
            {
                "user_id": np.repeat(users, 2),
                "target_id": ["Beauty-0-0", "Home-1-2"] * len(users),
                "reason": ["you bought soap", None] * len(users),
            }
        )


def test_examples_name_what_was_met_last_and_why_things_are_shown(material):
    users = typical_users(material.dataset)
    examples = examples_of(_Model(), material.dataset, users, n=2, per_category=1, kind="Household")
    assert [example.user for example in examples] == [f"Household {user}" for user in users]
    for example, user in zip(examples, users, strict=True):
        met = material.dataset.histories.of(material.dataset.users.row(user))
        assert example.history[0].title == material.dataset.catalogue.items.id(int(met[-1]))
        assert len({item.title for item in example.history}) == len(example.history)
        assert [(i.title, i.category, i.reason) for i in example.recommended] == [
            ("Beauty-0-0", "Beauty", "you bought soap"),
            ("Home-1-2", "Home", ""),
        ]
