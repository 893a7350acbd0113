"""``kuapin rules`` on a shop with a file of rules, with a model made up in memory in place of a trained release."""

import json

import pytest

from kuapin import list_layer
from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.model import Model
from kuapin.ranking.safety import SafetyConfig, decide
from kuapin.workspace import Shop
from tests import market

RULES = """[[exclude]]
name = "no soap"
category = "Beauty > soap"

[[pin]]
name = "week"
item = "P-snow-toy-large"
position = 1
"""


@pytest.fixture(scope="module")
def model() -> Model:
    return market.model()


@pytest.fixture
def rules(tmp_path, model, monkeypatch, capfd):
    shop = Shop.init(tmp_path / "shop")
    market.items().write_parquet(tmp_path / "items.parquet")
    shop.import_files(items=tmp_path / "items.parquet")

    def load(shop: Shop) -> Model:
        lists = list_layer.open_reranker(shop, model.recommender, model.catalogue, model.users, shop.models)
        return Model("r1", model.recommender, model.catalogue, model.users, model.histories, lists)

    monkeypatch.setattr(Model, "load", load)

    def call(text: str, *arguments: str, verb: str = "rules") -> tuple[int, str, str]:
        (shop.path / "rules.toml").write_text(text)
        capfd.readouterr()
        code = run(app, [verb, str(shop.path), *arguments])
        return (code, *capfd.readouterr())

    return call


def test_rules_are_listed_with_what_they_are_about(rules):
    code, out, _ = rules(RULES)
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["1", "exclude", "no", "soap", "12", "all"],
        ["5", "pin", "week", "1", "all"],
    ]


def test_a_trial_shows_what_each_rule_changes_and_the_list(rules):
    code, out, _ = rules(RULES, "--try", "user 003", "-n", "3")
    lines = out.splitlines()
    assert code == 0
    assert "line 5, pin “week”: 1 item came, 1 item went" in lines
    assert "  + P-snow-toy-large  snow toy large" in lines
    assert lines[-3].split()[:2] == ["1", "P-snow-toy-large"]
    assert "Placed by the shop's rule “week”" in lines[-3]
    said = json.loads(rules(RULES, "--try", "user 003", "--json")[1])
    assert [one["rule"] for one in said["changes"]] == ["no soap", "week"]
    assert said["changes"][1]["came"] == ["P-snow-toy-large"]


def test_recommend_keeps_the_rules(rules):
    code, out, _ = rules(RULES, "--user", "user 003", "--json", verb="recommend")
    assert code == 0
    assert json.loads(out)[0]["target_id"] == "P-snow-toy-large"
    assert not [row for row in json.loads(out) if "-soap-" in row["target_id"]]


def test_a_wrong_file_is_one_line_and_exit_2_wherever_lists_are_made(rules):
    for verb, arguments in (("rules", ()), ("recommend", ("--user", "user 003"))):
        code, out, err = rules('[[exclude]]\nbrand = "Oka"\n', *arguments, verb=verb)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "rules.toml line 1, exclude 'exclude:1': No item of this shop has the brand 'Oka'" in err


def test_a_pin_that_safety_blocks_is_told(rules, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("item_id,task,label\nP-snow-toy-large,safety,block\n")
    shop = Shop.open(tmp_path / "shop")
    shop.import_files(labels=labels)
    decide(market.items(), None, SafetyConfig()).write_parquet(shop.models / list_layer.SAFETY)
    code, _, err = rules(RULES)
    assert code == 0
    assert "rules.toml line 5, pin 'week': safety blocks the item that it is about, and so it changes nothing." in err
    assert err.count("\n") == 1


def test_a_shop_without_rules_says_so(rules):
    assert "has no rules" in rules("")[2]
