"""The rules of the shop hold on every surface, for the user who asks."""

from datetime import UTC, datetime

import polars as pl
import pytest

from kuapin.model import Model
from kuapin.ranking.reranker import Reranker
from tests import market

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
OF_ITEMS = ["bundles", "similar", "trends", "home"]
EVEN = pl.col("user_id").str.extract(r"(\d+)").cast(pl.Int32) % 2 == 0


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Model:
    return market.with_surfaces(tmp_path_factory.mktemp("rules"))


@pytest.fixture
def with_rules(plain, tmp_path):
    def make(text: str) -> Model:
        return market.changed(plain, rules=market.rules(plain, tmp_path, text))

    return make


def shown(model: Model, surface: str, n: int = 24, **options: object) -> pl.DataFrame:
    """What 40 users are shown, with the facts of the items."""
    frame = model.recommend(model.users.ids.head(40), n, surface=surface, now=NOON, **options)
    return frame.filter(pl.col("kind").is_in(["item", "due"])).join(
        model.catalogue.frame.drop("title"), left_on="target_id", right_on="item_id", maintain_order="left"
    )


@pytest.mark.parametrize("surface", OF_ITEMS)
def test_an_exclude_for_some_users_is_for_no_others(with_rules, surface):
    frame = shown(with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n'), surface)
    assert frame.filter(EVEN).height
    assert not (frame.filter(EVEN)["brand"] == "Oak").any()
    assert (frame.filter(~EVEN)["brand"] == "Oak").any()


@pytest.mark.parametrize("surface", OF_ITEMS)
def test_a_region_is_that_of_the_user(with_rules, surface):
    frame = shown(with_rules('[[demand]]\nsame_as_user = "region"\n'), surface)
    garden = pl.col("category").str.starts_with("Garden")
    assert frame.filter(garden, EVEN).height
    assert frame.filter(garden, ~EVEN).height == 0


@pytest.mark.parametrize("surface", OF_ITEMS)
def test_relations_hide_what_clashes_and_what_lacks_its_part(with_rules, surface):
    model = with_rules('[[incompatible]]\nrelation = "clashes_with"\n[[requires]]\nrelation = "requires"\n')
    lists = dict(shown(model, surface, 80).group_by("user_id").agg("target_id").iter_rows())
    ends, seen = ("H-rose-lamp-large", "P-rose-bed-small"), 0
    for user, items in lists.items():
        met = set(model.catalogue.items.take(model.histories_of([user]).items))
        for one, other in (ends, ends[::-1]):
            assert not (one in met and other in items), user
            seen += one in met
        assert "G-oak-pot-small" in met or "H-oak-lamp-small" not in items
    assert seen > 3


@pytest.mark.parametrize("surface", OF_ITEMS)
def test_a_blackout_passes(with_rules, surface):
    model = with_rules('[[blackout]]\ncategory = "Home"\nhours = "11:00-13:00"\n')
    assert not shown(model, surface)["target_id"].str.starts_with("H-").any()
    later = model.recommend(model.users.ids.head(40), 24, surface=surface, now=NOON.replace(hour=14))
    assert later["target_id"].str.starts_with("H-").any()


def test_a_brand_whose_items_are_hidden_from_a_user_is_not_named_to_him(with_rules):
    model = with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n')
    frame = model.recommend(model.users.ids.head(40), 6, surface="brands")
    oak = pl.col("target_id") == "Oak"
    assert frame.filter(oak, EVEN).height == 0 < frame.filter(oak, ~EVEN).height


def test_an_offer_of_which_nothing_may_be_shown_is_not_shown(with_rules, plain):
    model = with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n')
    told = dict(
        model.recommend(["user 000", "user 001"], surface="campaigns").group_by("user_id").agg("target_id").rows()
    )
    assert {user: set(offers) for user, offers in told.items()} == {"user 000": {"roses"}, "user 001": {"roses", "all"}}
    roses = plain.catalogue.frame.filter(brand="Rose")["item_id"].to_list()
    assert plain.recommend("user 000", surface="campaigns", deny=roses)["target_id"].to_list() == ["all"]
    blocked = market.changed(plain, blocked=(plain.catalogue.frame["brand"] == "Rose").to_numpy())
    assert blocked.recommend("user 000", surface="campaigns")["target_id"].to_list() == ["all"]


def test_what_is_due_is_not_named_where_it_is_hidden(plain, with_rules):
    due = plain.recommend(plain.users.ids, surface="profile").filter(kind="due")
    item = due["target_id"][0]
    model = with_rules(f'[[exclude]]\nitems = "{item}"\nusers = {{ column = "club", equals = true }}\n')
    left = model.recommend(plain.users.ids, surface="profile").filter(kind="due")
    assert left.equals(due.filter(~((pl.col("target_id") == item) & EVEN)).with_columns(left["rank"]))
    assert left.height < due.height or not due.filter(pl.col("target_id") == item, EVEN).height


def test_a_basket_and_an_item_are_asked_about_under_the_rules_of_the_user(with_rules):
    model = with_rules(
        '[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n'
        '[[incompatible]]\nrelation = "clashes_with"\n'
    )
    for ask in (model.bundle, model.similar):
        lists = {user: ask("B-oak-cream-small", 60, user=user) for user in ("user 000", "user 001", None)}
        oak = {user: one["target_id"].str.contains("oak").any() for user, one in lists.items()}
        assert oak == {"user 000": False, "user 001": True, None: True}
        assert [one["user_id"][0] for one in lists.values()] == list(lists)
    basket = model.bundle(["H-rose-lamp-large", "B-oak-cream-small"], 90)["target_id"]
    assert basket.len() > 40
    assert "P-rose-bed-small" not in basket  # it clashes with what lies in the basket
    assert "P-rose-bed-small" in model.bundle("B-oak-cream-small", 90)["target_id"]


def test_a_rule_is_tried_on_any_surface(with_rules):
    model = with_rules('[[exclude]]\nname = "no oak"\nbrand = "Oak"\n')
    (change,) = model.try_rules("user 001", 30, surface="trends").changes
    assert change.went
    assert all("oak" in target.lower() for target in change.went)


@pytest.mark.parametrize("surface", ["bundles", "similar", "trends"])
def test_what_safety_doubts_is_put_lower(plain, surface):
    """The first of a list falls, the others keep their order; a slight doubt does not hide it."""
    before = plain.recommend("user 003", 96, surface=surface).filter(kind="item")["target_id"]
    first = (plain.catalogue.items.ids == before[0]).to_numpy()
    order = {}
    for doubt in (0.0, 0.05, 6.0):
        frame = market.changed(plain, penalty=first * doubt).recommend("user 003", 96, surface=surface)
        order[doubt] = frame.filter(kind="item")["target_id"]
    assert order[0.0].equals(before)
    assert before[0] in set(order[0.05])
    place = order[6.0].index_of(before[0])
    assert place is not None
    assert place > before.len() / 2
    if surface != "bundles":  # which puts together a set
        assert order[6.0].filter(order[6.0] != before[0]).equals(before[1:])


def test_no_relation_puts_first_what_safety_doubts(plain):
    item = (plain.catalogue.items.ids == "P-sun-toy-large").to_numpy()
    assert plain.bundle("B-oak-soap-small", 3)["target_id"][0] == "P-sun-toy-large"
    assert "P-sun-toy-large" not in market.changed(plain, penalty=item * 6.0).bundle("B-oak-soap-small", 3)["target_id"]


def test_no_rule_about_users_leaves_the_answers_as_they_are(plain, with_rules):
    """Who is told apart by nothing is answered as before; one user and many agree under a rule."""
    model = with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n')
    for surface in ("bundles", "brands", "trends", "campaigns"):
        many = model.recommend(["user 003", "user 000", "user 001"], 6, surface=surface)
        assert many["user_id"].unique(maintain_order=True).to_list() == ["user 003", "user 000", "user 001"]
        for user in ("user 001", "user 003"):
            before = plain.recommend(user, 6, surface=surface)
            assert many.filter(user_id=user).drop("score").equals(before.drop("score"))


def test_a_home_page_looks_once_what_its_user_may_be_shown(with_rules, monkeypatch):
    model, asked = with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n'), []
    audiences = Reranker.audiences
    monkeypatch.setattr(Reranker, "audiences", lambda self, *rest: (asked.append(1), audiences(self, *rest))[1])
    assert model.recommend("user 003", 24, surface="home")["surface"].n_unique() > 4
    assert len(asked) == 1
