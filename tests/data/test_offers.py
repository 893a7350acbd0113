import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.offers import build_offers
from kuapin.data.vocabulary import Vocabulary

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "category": ["Beauty > Soap", "Beauty > Soap > Bar", "Home"],
        "brand": ["Ada", None, "Ada"],
    }
)
CAMPAIGNS = pl.DataFrame(
    {
        "campaign_id": ["1", "2", "3", "4"],
        "title": ["Soap week", "Ada days", "Coupons", "Everything"],
        "kind": ["A", None, "B", None],
        "start": [100_000, 200_000, 0, None],
        "end": [150_000, None, 100_000, None],
        "item_ids": [["c", "nothing"], None, ["a"], None],
        "category": ["Beauty > Soap", None, None, None],
        "brand": [None, "Ada", None, None],
    }
)
RELATIONS = pl.DataFrame(
    [
        ("coupon:7", "discounts", "b"),
        ("coupon:7", "discounts", "c"),
        ("coupon:7", "part_of", "campaign:3"),
        ("u", "received", "campaign:3"),
        ("coupon:9", "part_of", "campaign:99"),
    ],
    schema=["head", "relation", "tail"],
    orient="row",
)


@pytest.fixture
def offers():
    return build_offers(CAMPAIGNS, RELATIONS, build_catalogue(ITEMS), Vocabulary(["u", "v"], "user"))


def test_an_offer_is_a_coupon_or_a_whole_campaign(offers):
    assert offers.table.select("offer_id", "kind", "campaign_id", "type").rows() == [
        ("1", "campaign", "1", "A"),
        ("2", "campaign", "2", None),
        ("coupon:7", "coupon", "3", "B"),
        ("4", "campaign", "4", None),
    ]


def test_targets_by_id_by_path_with_what_lies_below_and_by_brand(offers):
    assert offers.targets.toarray().tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]


def test_a_campaign_that_names_what_is_not_there_is_for_nothing():
    named = {"item_ids": [["nothing"], [], None], "category": [None, None, "Toys"], "brand": [None, "", None]}
    campaigns = pl.DataFrame({"campaign_id": ["1", "2", "3"], "title": ["t"] * 3} | named)
    offers = build_offers(campaigns, RELATIONS.clear(), build_catalogue(ITEMS), Vocabulary(["u"], "user"))
    assert offers.targets.toarray().tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert offers.for_some(None).tolist() == [False, True, False]
    assert offers.for_some(np.array([1])).tolist() == [False, True, False]
    assert offers.for_some(np.array([], np.int64)).tolist() == [False] * 3


def test_what_runs_when(offers):
    assert offers.running(120_000).tolist() == [0, 2, 3]  # the last day of campaign 3 counts whole
    assert offers.running(260_000).tolist() == [1, 3]


def test_what_was_sent_to_some_is_for_these_alone(offers):
    may = offers.may_use(np.array([0, 1, -1]), np.arange(4))
    assert may.tolist() == [[True] * 4, [True, True, False, True], [True, True, False, True]]
