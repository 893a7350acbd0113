"""What ``kuapin recommend`` says to people and to programs, with a model made up in memory."""

import json
from dataclasses import replace
from types import SimpleNamespace

import polars as pl
import pytest

from kuapin import columns as c
from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.cli.recommend import SURFACES
from kuapin.errors import InputError
from kuapin.model import Model
from kuapin.storefront import SURFACES as STOREFRONT
from kuapin.surfaces.products import NAME as PRODUCTS
from kuapin.workspace import Shop
from tests import market


@pytest.fixture(scope="module")
def model() -> Model:
    return market.model()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Model:
    """With every surface."""
    return market.with_surfaces(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def recommend(tmp_path, model, monkeypatch, capfd):
    Shop.init(tmp_path / "shop")

    def call(*arguments: str, of: Model = model) -> SimpleNamespace:
        monkeypatch.setattr(Model, "load", lambda _: of)
        capfd.readouterr()
        code = run(app, ["recommend", str(tmp_path / "shop"), *arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, lines=[line.split() for line in out.splitlines()])

    return call


def test_people_see_title_brand_and_category_beside_the_id(recommend, model):
    result = recommend("--user", "user 003", "-n", "2")
    head, first, _ = result.lines
    assert head == ["rank", "item_id", "title", "brand", "category", "score"]
    item = model.recommend("user 003", n=1)["target_id"][0]
    (described,) = model.describe([item]).rows()
    assert first[:-1] == ["1", *" ".join(described).split()]
    assert result.err == ""


def test_columns_that_the_shop_does_not_know_are_not_shown(recommend, model):
    bare = replace(model.catalogue, frame=model.catalogue.frame.drop("title", "brand"))
    of = Model("r1", model.recommender, bare, model.users, model.histories)
    assert recommend("--user", "user 003", of=of).lines[0] == ["rank", "item_id", "category", "score"]


def test_a_long_title_is_cut_to_fit_and_a_reason_is_whole(recommend, model):
    long = model.catalogue.frame.with_columns(title=pl.lit("An endless title, " * 60))
    of = Model("r1", model.recommender, replace(model.catalogue, frame=long), model.users, model.histories)
    result = recommend("--user", "user 003", "-n", "3", "--explain", of=of)
    assert max(map(len, result.out.splitlines())) <= 200
    assert len(result.out.splitlines()) == 4
    assert all("…" in line for line in result.out.splitlines()[1:])
    for item, reason in model.recommend("user 003", n=3, explain=True).select("target_id", "reason").rows():
        assert any(item in line and reason in line for line in result.out.splitlines())


def test_programs_get_the_contract(recommend):
    rows = json.loads(recommend("--user", "user 003", "--json").out)
    assert list(rows[0]) == list(c.RECOMMENDATION)


def test_a_stranger_is_told_from_a_user(recommend):
    result = recommend("--user", "nobody", "--json")
    assert result.err == "User 'nobody' has no history in the items of this release: the list is what is popular.\n"
    assert len(json.loads(result.out)) == 10
    assert recommend("--user", "nobody", "--quiet").err == ""


def test_a_batch_counts_its_strangers(recommend, tmp_path):
    (tmp_path / "users.txt").write_text("user 001\nnobody\nuser 002\n")
    batch = ("--users", str(tmp_path / "users.txt"), "--output", str(tmp_path / "out.parquet"), "-n", "2")
    one = recommend(*batch)
    assert one.err.splitlines() == [
        "1 of 3 users has no history in the items of this release: that one gets what is popular.",
        f"Wrote 6 rows for 3 users to {tmp_path / 'out.parquet'}",
    ]
    assert tuple(pl.read_parquet(tmp_path / "out.parquet").columns) == c.RECOMMENDATION
    (tmp_path / "users.txt").write_text("nobody\nsomebody\nuser 002\n")
    assert recommend(*batch).err.startswith(
        "2 of 3 users have no history in the items of this release: they get what is"
    )
    assert json.loads(recommend(*batch, "--json").out)["users_without_history"] == 2


def test_the_help_names_every_surface(capfd):
    assert (PRODUCTS, *STOREFRONT) == SURFACES
    run(app, ["recommend", "--help"])
    told = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert f"What is asked for: {', '.join(SURFACES)}." in told


def test_what_shapes_the_list_of_products_is_refused_elsewhere(recommend, whole):
    for option, name in (("--per-category", "per_category"), ("--discovery", "discovery")):
        result = recommend("--user", "user 003", "--surface", "home", option, "1", of=whole)
        assert (result.code, result.out) == (2, "")
        assert f"{name} is for the surface products, not for home. Leave it away." in result.err
        assert recommend("--surface", "bundles", "--item", "H-oak-lamp-small", option, "1", of=whole).code == 2
    with pytest.raises(InputError, match="discovery is for the surface products, not for trends"):
        whole.recommend_visitor([], surface="trends", discovery=0.0)


def test_what_is_like_an_item_is_asked_for_by_its_id(recommend, whole):
    rows = json.loads(recommend("--surface", "similar", "--item", "H-oak-lamp-small", "--json", of=whole).out)
    assert [row["target_id"] for row in rows] == whole.similar("H-oak-lamp-small")["target_id"].to_list()
    two = recommend("--surface", "similar", "--item", "a", "--item", "b", of=whole)
    assert (two.code, two.out) == (2, "")
    assert "--surface similar is asked about one --item" in two.err
    assert "'nothing'" in recommend("--surface", "similar", "--item", "nothing", of=whole).err
    asked = recommend("--surface", "similar", "--item", "H-oak-lamp-small", "--user", "nobody", of=whole)
    assert asked.err == ""  # the list rests on the item


def test_an_empty_table_comes_with_a_word(recommend, whole):
    told = recommend("--user", "nobody", "--surface", "similar", of=whole)
    assert (
        told.err
        == "No row of similar: no history in the items of this release, or nothing like it that may be shown.\n"
    )
    assert recommend("--user", "nobody", "--surface", "similar", "--quiet", of=whole).err == ""
    basket = ("--surface", "bundles", "--item", "nothing")
    assert recommend(*basket, of=whole).err == "This release knows no item 'nothing'; the basket counts as empty.\n"


def test_substitutes_of_a_user_say_for_what(recommend, whole):
    last = whole.last_met("user 003")
    told = recommend("--user", "user 003", "--surface", "similar", of=whole)
    assert told.err == f"In place of what user 003 met last: {last} ({whole.title('item', last)})\n"
    assert recommend("--item", last, "--surface", "similar", of=whole).err == ""


def test_a_page_says_the_surface_of_items_too(recommend, whole):
    result = recommend("--user", "user 003", "--surface", "home", "-n", "4", of=whole)
    assert result.lines[0][:2] == ["surface", "rank"]
    assert {line[0] for line in result.lines[1:]} >= {"products", "bundles"}


def test_a_page_of_several_surfaces_shows_titles(recommend, whole):
    result = recommend("--user", "user 003", "--surface", "home", "-n", "30", of=whole)
    assert result.lines[0] == ["surface", "rank", "kind", "target_id", "title", "score"]
    told = whole.recommend("user 003", 30, surface="home")
    for kind, target in told.select("kind", "target_id").rows():
        if kind in ("item", "campaign"):
            title = {"roses": "Roses for less", "all": "A tenth off"}.get(target, target[2:].replace("-", " "))
            assert any(target in line and title in line for line in result.out.splitlines()), target
