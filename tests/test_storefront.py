"""All surfaces of one shop: learnt, stored, restored, asked for by one and by many, on the command line's paths."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.cli.recommend import _show
from kuapin.data.dataset import build_catalogue, build_dataset
from kuapin.data.histories import from_interactions
from kuapin.data.suspects import SuspectsConfig
from kuapin.errors import InputError, ModelFolderError
from kuapin.evaluation.page import render
from kuapin.evaluation.report import Report
from kuapin.model import Model
from kuapin.pipeline.report_home import home_of
from kuapin.ranking.reranker import Reranker
from kuapin.serving.bodies import RecommendationsOut
from kuapin.serving.live import Live
from kuapin.serving.questions import Question, of_surface
from kuapin.storefront import SURFACES, Storefront, last_baskets
from kuapin.surfaces import home
from kuapin.surfaces.answer import SCHEMA
from kuapin.surfaces.home_strategies import HomeStrategies, StrategiesConfig
from kuapin.workspace import Shop
from tests import market

DAY = 86_400


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    return market.with_surfaces(tmp_path_factory.mktemp("storefront"))


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_answers_in_the_contract(model, surface):
    table = model.recommend(["user 003", "stranger"], n=4, surface=surface, explain=True)
    grown = dict(zip(c.GROWN, (pl.Float64, pl.Float64, pl.Float64, pl.Date), strict=True))
    assert table.schema == (pl.Schema({**SCHEMA, **grown}) if surface == "trends" else SCHEMA)
    mine = table.filter(user_id="user 003")
    assert mine.height >= 2
    assert mine["reason"].null_count() == 0
    assert mine["score"].null_count() == 0
    assert mine.select(c.KIND, c.TARGET_ID).is_unique().all()


@pytest.mark.parametrize("surface", SURFACES)
def test_one_user_and_many_agree(model, surface):
    asked = ["user 001", "user 007", "user 030"]
    many = model.recommend(asked, n=4, surface=surface, explain=True)
    for user in asked:
        alone, part = model.recommend(user, n=4, surface=surface, explain=True), many.filter(user_id=user)
        assert alone.drop("score").equals(part.drop("score"))
        assert alone["score"].to_numpy() == pytest.approx(part["score"].to_numpy(), rel=1e-4)


def test_a_home_page_is_without_what_cannot_be_read(model, tmp_path):
    folder = shutil.copytree(model.storefront.folder, tmp_path / "surfaces")
    file = folder / "campaigns" / "response.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"features": ["moon"]}))
    other = Storefront(model, folder, model.storefront.store)
    with pytest.raises(ModelFolderError, match="moon"):
        other.recommend("campaigns", model.users.ids[:1], 4, None, explain=False)
    with pytest.warns(UserWarning, match="without campaigns"):
        page = other.recommend("home", model.users.ids[:1], 20, None, explain=False)
    assert set(page[c.SURFACE]) == set(home.SHARES) - {"campaigns"}


@pytest.mark.parametrize("surface", [one for one in SURFACES if one not in ("profile", "similar")])
def test_a_stranger_gets_an_answer_that_is_not_personal(model, surface):
    table = model.recommend(["stranger", "another"], n=3, surface=surface)
    one, two = (table.filter(user_id=user).drop("user_id") for user in ("stranger", "another"))
    assert one.height > 0
    assert one.equals(two)


@pytest.mark.parametrize("surface", ["bundles", "similar", "home"])
def test_what_is_not_available_or_denied_is_not_shown(model, surface):
    gone = model.catalogue.items.ids[:6].to_list()
    table = model.recommend(model.users.ids[:20], n=20, surface=surface, deny=["H-oak-lamp-small"])
    assert not set(table.filter(kind="item")[c.TARGET_ID]) & {*gone, "H-oak-lamp-small"}


def test_campaigns_that_are_over_are_not_shown(model):
    table = model.recommend(model.users.ids[:20], n=5, surface="campaigns")
    assert set(table[c.TARGET_ID]) == {"roses", "all"}


def test_a_basket_is_completed_and_the_shops_relation_comes_first(model):
    table = model.bundle("B-oak-soap-small", n=3, explain=True)
    assert table[c.TARGET_ID][0] == "P-sun-toy-large"
    assert table[c.REASON_CODE][0] == "related"
    assert table[c.USER_ID].to_list() == [None] * 3
    assert "B-oak-soap-small" not in table[c.TARGET_ID]


def test_a_basket_of_unknown_items_gets_what_is_popular(model):
    table = model.bundle(["nothing", "never"], n=3, explain=True)
    assert table.height == 3
    assert set(table[c.REASON_CODE]) == {"popular"}
    count = model.storefront.bundles.completion.signals.facts.users
    found = count[model.catalogue.items.rows(model.bundle([], n=30)[c.TARGET_ID])]
    assert found[0] == count.max()


def test_a_basket_of_unknown_items_is_told(model):
    with pytest.warns(UserWarning, match=r"knows no item 'nothing', 'never'; the basket counts as empty\."):
        model.bundle(["nothing", "never"], n=3)
    with pytest.warns(UserWarning, match=r"knows no item 'never'; the rest of the basket counts\."):
        model.bundle(["B-oak-soap-small", "never"], n=3)


def test_an_answer_without_a_row_comes_with_a_word(model):
    past = datetime(2001, 1, 1, tzinfo=UTC)
    with pytest.warns(UserWarning, match="No row of campaigns: no offer runs now"):
        assert model.recommend("user 003", surface="campaigns", now=past).height == 0
    with pytest.warns(UserWarning, match="No row of similar: no history in the items of this release"):
        assert model.recommend("stranger", surface="similar").height == 0
    with pytest.warns(UserWarning, match="No row of profile: no history"):
        assert model.recommend_visitor([], surface="profile").height == 0
    everything = model.catalogue.items.ids.to_list()
    for surface in ("products", "bundles", "brands"):
        with pytest.warns(UserWarning, match=f"No row of {surface}: nothing may be shown"):
            assert model.recommend("user 003", surface=surface, deny=everything).height == 0
    with pytest.warns(UserWarning, match="No row of trends: nothing that may be shown rises"):
        assert model.recommend("user 003", surface="trends", deny=everything).height == 0
    with pytest.warns(UserWarning, match="No row of similar"):
        assert model.similar("B-oak-soap-small", deny=everything).height == 0


def test_a_page_says_which_surfaces_it_is_without(model, tmp_path):
    bare = Model(model.release, model.recommender, model.catalogue, model.users, model.histories)
    bare.storefront = Storefront(bare, tmp_path / "none", Shop.init(tmp_path / "shop").store)
    with pytest.warns(
        UserWarning, match="Home pages are without bundles, brands, campaigns, trends, of which release r1"
    ):
        bare.recommend("user 003", surface="home")


def test_an_offer_for_nothing_is_told(model, tmp_path):
    shop = Shop.init(tmp_path / "shop")
    shop.store.write(
        {"campaigns": pl.DataFrame({"campaign_id": ["x", "y"], "title": ["X", "Y"], "brand": ["Oka", "Oak"]})}
    )
    other = replace(model.storefront, store=shop.store)
    with pytest.warns(UserWarning, match="1 offer for no item of release r1, shown to nobody: 'x'"):
        table = other.recommend("campaigns", pl.Series(["user 003"]), 5, None, explain=False)
    assert table[c.TARGET_ID].to_list() == ["y"]


def test_home_has_all_surfaces_and_no_item_twice(model):
    table = model.recommend("user 003", n=40, surface="home", explain=True)
    assert {"products", "bundles", "similar", "brands", "campaigns"} <= set(table[c.SURFACE])
    assert table.height == 40
    assert table.filter(kind="item")[c.TARGET_ID].is_unique().all()


def test_an_unknown_surface_is_answered_with_the_nearest(model):
    with pytest.raises(InputError, match=r"There is no surface 'bundels'. Did you mean bundles\?"):
        model.recommend("user 003", surface="bundels")


def test_what_was_not_learnt_is_said_with_what_it_needs(model, tmp_path):
    bare = Model(model.release, model.recommender, model.catalogue, model.users, model.histories)
    with pytest.raises(InputError, match="has learnt no bundles"):
        bare.recommend("user 003", surface="bundles")
    bare.storefront = Storefront(bare, tmp_path, model.storefront.store)
    with pytest.raises(InputError, match=r"has learnt no brands\. They need items with a brand"):
        bare.recommend("user 003", surface="brands")
    bare.storefront.store = Shop.init(tmp_path / "empty").store
    with pytest.raises(InputError, match=r"The shop has no campaigns\. Import a table of campaigns"):
        bare.recommend("user 003", surface="campaigns")
    assert set(bare.recommend("user 003", n=20, surface="home")[c.SURFACE]) == {"products", "similar", "profile"}


def test_campaigns_are_live_before_anything_is_learnt_of_them(model, tmp_path):
    young = Model("r2", model.recommender, model.catalogue, model.users, model.histories)
    young.storefront = Storefront(young, tmp_path, model.storefront.store)
    with pytest.warns(UserWarning, match=r"Release r2 has learnt nothing of campaigns: what people buy .* ranks them"):
        table = young.recommend(model.users.ids, 2, surface="campaigns", explain=True)
    assert set(table[c.TARGET_ID]) == {"roses", "all"}
    assert set(table[c.REASON_CODE]) == {"bought", "shelf"}
    first = table.filter(rank=1)
    number = pl.col(c.USER_ID).str.extract(r"(\d+)").cast(pl.Int32) % len(market.THEMES)
    told = {
        name: first.filter(number == market.THEMES.index(theme))[c.TARGET_ID]
        for name, theme in (("roses", "rose"), ("all", "oak"))
    }
    assert all((offers == name).mean() > 0.9 for name, offers in told.items())


def test_campaigns_begin_and_end_while_a_release_answers(model, monkeypatch):
    """By the clock; the log lies years back, and so time goes on from its end."""
    front, end = model.storefront, model.latest
    loaded = front.loaded_at

    def told(seconds: float, storefront: Storefront = front, now: datetime | None = None) -> set[str]:
        monkeypatch.setattr("kuapin.storefront.time.time", lambda: loaded + seconds)
        table = storefront.recommend("campaigns", pl.Series(["user 003"]), 5, None, explain=False, now=now)
        return set(table[c.TARGET_ID])

    assert told(0) == told(1_700_000_000 - end) == {"roses", "all"}
    assert told(1_700_000_000 + DAY - end + 1) == set()
    assert told(0, now=datetime.fromtimestamp(1_500_000_002, UTC)) == {"old"}
    assert set(
        model.recommend("user 003", surface="campaigns", now=datetime(2017, 7, 14, 3, tzinfo=UTC))[c.TARGET_ID]
    ) == {"old"}
    fresh = replace(front, loaded_at=end + 20 * DAY)
    loaded = fresh.loaded_at
    assert told(0, fresh) == {"roses", "all"}
    assert fresh.clock == end + 20 * DAY  # not behind: it is the present
    assert replace(front, loaded_at=end + 40 * DAY).clock == end - 20 * DAY
    untimed = Model("r", model.recommender, model.catalogue, model.users, replace(model.histories, timed=False))
    assert replace(front, model=untimed).clock == loaded


def test_campaigns_of_a_log_of_the_past_say_which_date_they_go_by(model):
    day = f"{datetime.fromtimestamp(model.latest, UTC):%Y-%m-%d}"
    late = replace(model.storefront)
    with pytest.warns(UserWarning, match=f"The log ended .* days ago: campaigns begin and end as if today were {day}"):
        late.recommend("campaigns", pl.Series(["user 003"]), 5, None, explain=False)
    assert replace(late, loaded_at=model.latest + 20 * DAY).lateness is None


def test_nothing_about_a_person_is_in_what_is_stored(model):
    files = [path for path in model.storefront.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert all(b"user 0" not in path.read_bytes() for path in files)
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt"}


def test_the_last_basket_is_that_of_the_last_day():
    data = market.dataset()
    baskets = last_baskets(data.histories.select(np.arange(5)))
    for user in range(5):
        part = slice(data.histories.indptr[user], data.histories.indptr[user + 1])
        days = data.histories.times[part] // DAY
        last = data.histories.items[part][days == days[-1]]
        assert np.unique(last).tolist() == sorted(baskets.of(user).tolist())


def test_a_visitor_with_the_history_of_a_user_sees_the_same_page(model):
    """The same history gives the same rows on every surface that rests on it, whoever asks."""
    met = model.histories_of(["user 011"])
    history, times = [model.catalogue.items.id(row) for row in met.items], met.times.tolist()
    for surface in ("bundles", "similar", "brands", "trends", "profile"):
        visitor = model.recommend_visitor(history, n=4, surface=surface, explain=True, times=times)
        assert visitor["user_id"].null_count() == visitor.height > 0, surface
        user = model.recommend("user 011", 4, surface=surface, explain=True)
        assert visitor["target_id"].to_list() == user["target_id"].to_list(), surface
    home = model.recommend_visitor(history, n=20, surface="home", explain=True)
    assert home["surface"].n_unique() >= 5
    products = home.filter(surface="products")["target_id"]
    assert products.to_list() == model.recommend_visitor(history, n=20)["target_id"].to_list()[: products.len()]
    with pytest.raises(InputError, match="There is no surface 'tea'"):
        model.recommend_visitor([], surface="tea")


def test_home_pages_that_follow_their_people_say_how_they_were_mixed(model):
    front = model.storefront
    config = StrategiesConfig(enabled=True, least=0.0, most=5.0)
    mixed = replace(front, strategies=HomeStrategies.fit(pl.DataFrame({"event": ["view"]}), config))
    ids = pl.Series([*model.users.ids.head(12), "stranger"])
    pages = mixed.recommend("home", ids, 20, None, explain=True)
    assert pages.columns == [*SCHEMA, "propensity", "strategy"]
    assert mixed.recommend("home", ids.head(0), 20, None, explain=True).height == 0
    assert pages["user_id"].unique(maintain_order=True).to_list() == ids.to_list()
    assert pages.group_by("user_id").agg(pl.col("strategy").n_unique())["strategy"].max() == 1
    assert pages["propensity"].is_between(0, 1, closed="none").all()
    known = {one.name: one for one in mixed.strategies.known}
    for page in pages.partition_by("user_id"):
        strategy = known[page["strategy"][0]]
        usual = front.recommend("home", page["user_id"].head(1), 20, None, explain=True)
        products = [part.filter(surface="products").height for part in (page, usual)]
        if strategy.name.startswith("more-products"):
            assert products[0] > products[1]
        one = mixed.recommend("home", page["user_id"].head(1), 20, None, explain=True)
        assert one.select("target_id", "strategy").equals(page.select("target_id", "strategy"))


def test_a_shop_that_speaks_chinese_does_so_on_every_surface(model):
    """But for what things are called: titles, ids, brands and categories of this shop are in English."""
    lists = Reranker(model.recommender, model.catalogue, language="zh")
    spoken = Model(model.release, model.recommender, model.catalogue, model.users, model.histories, lists)
    spoken.storefront = Storefront(spoken, model.storefront.folder, model.storefront.store)
    frame = model.catalogue.frame
    names = {name for column in ("item_id", "title", "brand", "category") for name in frame[column]}
    names |= {word for title in frame["title"] for word in title.split()} | {"Roses for less", "A tenth off"}
    called = "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
    for surface in ("products", *SURFACES):
        table = spoken.recommend(model.users.ids[:20], n=30, surface=surface, explain=True)
        other = model.recommend(model.users.ids[:20], n=30, surface=surface, explain=True)
        assert table.drop(c.REASON, c.SCORE).equals(other.drop(c.REASON, c.SCORE)), surface
        for reason in table[c.REASON]:
            assert not re.search("[A-Za-z]", re.sub(called, "", reason)), (surface, reason)
    profile = spoken.recommend("user 003", n=9, surface="profile", explain=True)
    assert profile.filter(kind="rhythm")[c.REASON].item().startswith("每")
    similar = spoken.similar("H-oak-lamp-small", explain=True)[c.REASON]
    assert similar.str.contains("^(同|标题|商品)").all()


def test_the_burst_of_a_robot_is_no_trend(model):
    """Somebody meets one item again and again within the last hour of the log."""
    met, times = model.histories, 500
    rare = int(np.bincount(met.items, minlength=met.n_items).argmin())
    log = from_interactions(
        np.append(met.users, np.zeros(times, np.int64)),
        np.append(met.items, np.full(times, rare)),
        np.append(met.times, met.times.max() - np.arange(times)),
        np.append(met.events, np.zeros(times, np.uint8)),
        n_users=len(met), n_items=met.n_items, timed=True,
    )  # fmt: skip
    robbed = Model(model.release, model.recommender, model.catalogue, model.users, log, model.reranker)
    rising = {}
    for look in (True, False):
        front = replace(model.storefront, model=robbed, suspects=SuspectsConfig(look=look))
        rising[look] = front.trends.targets.filter(kind="item")["id"].to_list()
    assert model.catalogue.items.id(rare) in rising[False]
    assert model.catalogue.items.id(rare) not in rising[True]


def test_what_one_person_searches_for_all_day_counts_once(model):
    last = int(model.histories.times.max())
    table = pl.DataFrame({"row": [0] * 500, "query": ["sun"] * 500, "timestamp": [last - k for k in range(500)]})
    front = replace(model.storefront)
    front.__dict__["searches"] = table.cast({"row": pl.Int32})
    days = 1 + last // DAY - (last - 499) // DAY
    assert front.trends.queries.height == days


def test_growth_is_told_over_http_and_in_the_table_of_the_command_line(model, capsys):
    table = model.recommend("user 003", n=6, surface="trends")
    told = of_surface(Live(model, 0, 0.0, 0), Question("user 003", n=6, surface="trends"), erased=False)
    rows = RecommendationsOut.model_validate_json(json.dumps(told)).recommendations
    assert [(row.growth, row.growth_low, row.growth_high, row.since) for row in rows] == table.select(c.GROWN).rows()
    assert all(row.growth_low < row.growth < row.growth_high for row in rows)
    assert any(row.since for row in rows)
    _show(table, model, explain=False)
    shown = capsys.readouterr().out
    assert set(c.GROWN) <= set(shown.splitlines()[0].split())
    assert f"{rows[0].growth:.4g}" in shown
    _show(table.head(1), model, explain=False)  # an item alone
    assert set(c.GROWN) <= set(capsys.readouterr().out.splitlines()[0].split())


def test_the_report_shows_every_surface_with_what_was_measured(model):
    page = home_of(model, market.dataset(), "user 003", kind="Household", measured={"bundles": "1.7 times."})
    assert page.user == "Household user 003"
    told = {section.surface: section for section in page.sections}
    assert list(told) == [name for name in home.SHARES if name in told]
    assert set(told) == set(home.SHARES)
    assert sum(len(section.rows) for section in page.sections) == 30
    assert told["bundles"].measured == "1.7 times."
    assert told["trends"].measured == "Not measured."
    offers = {row.title for row in told["campaigns"].rows}
    assert offers <= {"Roses for less (roses)", "A tenth off (all)"}
    assert offers
    assert all(row.reason for section in page.sections for row in section.rows)
    html = render(Report("T", "today", pages=(page,)))
    assert (
        html.index("One home page, every surface") < html.index("Completes the last basket") < html.index("1.7 times.")
    )
    assert "30 rows" in html


def test_what_no_person_did_makes_no_items_similar(model):
    """Sixty accounts of one hour that met these two things and nothing else."""
    pair = ("H-oak-lamp-small", "H-sea-lamp-small")
    fake = pl.DataFrame(
        [(f"fake {k}", item, model.latest - k, "view") for k in range(60) for item in pair],
        schema=["user_id", "item_id", "timestamp", "event"],
        orient="row",
    )
    data = build_dataset(market.items(), pl.concat([market.log(), fake]))
    fooled = Model("r1", model.recommender, model.catalogue, data.users, data.histories)
    place = [one.similar(pair[0], 80)[c.TARGET_ID].to_list().index(pair[1]) for one in (fooled, model)]
    assert place[0] < place[1]
    guarded = Model("r1", model.recommender, model.catalogue, data.users, data.histories)
    guarded.storefront = replace(model.storefront, model=guarded)
    assert guarded.similar(pair[0], 8, explain=True).equals(model.similar(pair[0], 8, explain=True))


def test_of_the_users_table_a_profile_tells_what_it_may_and_a_home_page_nothing(model, tmp_path):
    shop = Shop.init(tmp_path / "shop")
    users = model.users.ids.head(40).alias(c.USER_ID).to_frame()
    faith = pl.Series("faith", ["some", "none"] * 20)
    shop.store.write({"users": users.with_columns(faith, age=pl.lit("old"), club=faith == "some")})
    front = replace(model.storefront, store=shop.store)

    def told(storefront: Storefront, surface: str) -> list[str]:
        table = storefront.recommend(surface, users[c.USER_ID].head(1), 400, None, explain=False)
        return table.filter(kind="told")[c.TARGET_ID].to_list()

    assert told(front, "profile") == []
    assert told(replace(front, tells=("club",)), "profile") == ["club: true"]
    assert told(replace(front, tells=("club",)), "home") == []
    with pytest.warns(UserWarning, match=r"\[profile\] tells: the users table has no column 'klub'"):
        assert told(replace(front, tells=("klub",)), "profile") == []


def test_what_the_table_says_of_somebody_without_a_history_is_personal(model, tmp_path):
    shop = Shop.init(tmp_path / "shop")
    ids = [*model.users.ids.head(3), "new"]
    shop.store.write({"users": pl.DataFrame({c.USER_ID: ids, "club": [True, False, False, True]})})
    data = build_dataset(market.items(), market.log(), pl.DataFrame({c.USER_ID: ["new"]}))
    known = Model("r1", model.recommender, model.catalogue, data.users, data.histories)
    known.storefront = replace(model.storefront, model=known, store=shop.store, tells=("club",))
    told = of_surface(Live(known, 0, 0.0, 0), Question("new", surface="profile"), erased=False)
    assert [row["target_id"] for row in told["recommendations"]] == ["club: true"]
    assert told["basis"] == "personal"


def test_rules_are_tried_at_the_time_of_the_shop(model):
    trial = model.try_rules("user 003", 5, surface="campaigns")
    assert set(trial.table[c.TARGET_ID]) == set(model.recommend("user 003", 5, surface="campaigns")[c.TARGET_ID])
    assert trial.table.height == 2


def test_items_that_come_later_leave_what_rests_on_the_log_as_it_was(model):
    """The parts are those of before, and take histories and masks of the greater catalogue."""
    new = pl.DataFrame({"item_id": ["new"], "title": ["Mint vase"], "category": ["Vases > Mint"]})
    catalogue = build_catalogue(pl.concat([model.catalogue.frame, new], how="diagonal_relaxed"))
    grown = Model("r", model.recommender, catalogue, model.users, replace(model.histories, n_items=len(catalogue)))
    before = {name: model.recommend(["user 003"], 6, surface=name) for name in ("trends", "profile", "campaigns")}
    grown.storefront = model.storefront.of(grown)
    for name, table in before.items():
        assert table.height
        assert grown.storefront.recommend(name, pl.Series(["user 003"]), 6, None, explain=False).equals(
            table.with_columns(pl.lit("r").alias("release"))
        )
        assert getattr(grown.storefront, {"profile": "profiles"}.get(name, name)) is getattr(
            model.storefront, {"profile": "profiles"}.get(name, name)
        )
