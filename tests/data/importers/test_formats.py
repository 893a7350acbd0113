"""Small files of every format, written here, come out as the same tables."""

import gzip
import json

import polars as pl
import pytest

from kuapin.data.importers import FORMATS, choose
from kuapin.data.validation import validate
from kuapin.errors import InputError

T = 1_400_000_000
ISO = "2014-05-13T16:53:20Z"


def read(expected_format, **sources):
    importer = choose("auto", sources)
    assert expected_format == importer.NAME
    imported = importer.read(sources)
    validation = validate(
        imported.tables,
        {table: path.name for table, path in sources.items()},
        names=imported.names,
        first_counts=imported.first_counts,
        known_items=pl.DataFrame({"item_id": ["i1", "i2"]}),
    )
    validation.require()
    return validation


def lines(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_gorse_json_lines(tmp_path):
    items = lines(
        tmp_path / "items.jsonl",
        {
            "ItemId": "i1",
            "IsHidden": False,
            "Categories": ["Home", "Tea"],
            "Timestamp": ISO,
            "Labels": {"brand": "Lu", "price": 3.5},
            "Comment": "Green tea",
        },
        {
            "ItemId": "i2",
            "IsHidden": True,
            "Categories": [],
            "Timestamp": "0001-01-01T00:00:00Z",
            "Labels": None,
            "Comment": "",
        },
    )
    users = lines(tmp_path / "users.jsonl", {"UserId": "u 1", "Labels": {"city": "Lima"}, "Comment": ""})
    feedback = lines(
        tmp_path / "feedback.jsonl",
        {"FeedbackType": "read", "UserId": "u 1", "ItemId": "i1", "Timestamp": ISO},
        {"FeedbackType": "Star", "UserId": "u 1", "ItemId": "i2", "Timestamp": ISO},
    )
    tables = read("gorse", items=items, users=users, interactions=feedback).tables
    assert tables["items"].select(
        "item_id", "title", "category", "brand", "price", "available", "created_at"
    ).rows() == [
        ("i1", "Green tea", "Home > Tea", "Lu", 3.5, True, T),
        ("i2", "", None, None, None, False, None),
    ]
    assert tables["users"]["user_id"].to_list() == ["u 1"]
    assert tables["interactions"].select("user_id", "item_id", "event", "timestamp").rows() == [
        ("u 1", "i1", "view", T),
        ("u 1", "i2", "favourite", T),
    ]


def test_gorse_csv(tmp_path):
    items = lines(
        tmp_path / "items.csv",
        "item_id,is_hidden,categories,time_stamp,labels,description",
        f"i1,false,Home|Tea,{ISO},a|b,Green tea",
    )
    feedback = lines(tmp_path / "feedback.csv", "feedback_type,user_id,item_id,time_stamp", f"like,u,i1,{ISO}")
    tables = read("gorse", items=items, interactions=feedback).tables
    assert tables["items"].select("item_id", "title", "category", "available", "created_at").rows() == [
        ("i1", "Green tea", "Home > Tea", True, T)
    ]
    assert tables["interactions"]["event"].to_list() == ["favourite"]


def test_an_unknown_feedback_type_is_named(tmp_path):
    feedback = lines(tmp_path / "f.jsonl", {"FeedbackType": "frobnicate", "UserId": "u", "ItemId": "i1"})
    with pytest.raises(InputError, match=r"f\.jsonl row 1: FeedbackType is 'frobnicate'; an event is one of"):
        read("gorse", interactions=feedback)


def test_recbole(tmp_path):
    inter = lines(
        tmp_path / "s.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float", f"u\ti1\t4.0\t{T}.0"
    )
    item = lines(
        tmp_path / "s.item",
        "item_id:token\ttitle:token_seq\tcategories:token_seq\tprice:float\tsize:float",
        "i1\tThe \"best\" tea\t'Home', 'Tea bags'\t3.5\t7",
        "i2\t\tHome Tea\t\t",
    )
    user = lines(tmp_path / "s.user", "user_id:token\tage:token", "u\t007")
    kg = lines(tmp_path / "s.kg", "head_id:token\trelation_id:token\ttail_id:token", "e1\tmade_by\te9")
    lines(tmp_path / "s.link", "item_id:token\tentity_id:token", "i1\te1")
    sources = {"interactions": inter, "items": item, "users": user, "relations": kg}
    assert choose("auto", sources).files(sources)["relations"] == (kg, tmp_path / "s.link")
    tables = read("recbole", **sources).tables
    assert tables["interactions"].rows() == [("u", "i1", 4.0, T, "rating")]
    assert tables["items"].rows() == [
        ("i1", 'The "best" tea', "Home > Tea bags", 3.5, 7.0),
        ("i2", None, "Home > Tea", None, None),
    ]
    assert tables["users"].rows() == [("u", "007")]
    assert tables["relations"].rows() == [("i1", "made_by", "e9")]


@pytest.mark.parametrize(
    ("name", "table", "content", "message"),
    [
        ("s.inter", "interactions", "user_id\titem_id\nu\ti\n", r"s\.inter line 1: the column user_id has no type"),
        ("s.item", "interactions", "item_id:token\ni\n", r"the interactions of RecBole are in a \.inter file"),
        ("s.inter", "campaigns", "a:token\nx\n", "RecBole has no file for campaigns"),
    ],
)
def test_recbole_faults(tmp_path, name, table, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read("recbole", **{table: tmp_path / name})


def test_amazon_2014(tmp_path):
    reviews = tmp_path / "reviews.json.gz"
    reviews.write_bytes(
        gzip.compress(
            json.dumps(
                {
                    "reviewerID": "u",
                    "asin": "i1",
                    "helpful": [0, 1],
                    "reviewText": "good",
                    "overall": 5.0,
                    "summary": "s",
                    "unixReviewTime": T,
                }
            ).encode()
        )
    )
    metadata = lines(
        tmp_path / "meta.json",
        "{'asin': 'i1', 'title': \"Tea's best\", 'price': 3.5, 'imUrl': 'http://x/i.jpg', 'brand': 'Lu', "
        "'related': {'also_bought': ['i2']}, 'categories': [['Grocery', 'Tea'], ['Gifts']], 'description': 'leaf'}",
        "{'asin': 'i1', 'title': 'again', 'categories': [['Grocery']]}",
        "{'asin': 'i2', 'categories': [['Beauty']]}",
    )
    validation = read("amazon", interactions=reviews, items=metadata)
    assert validation.tables["interactions"].select(
        "user_id", "item_id", "value", "timestamp", "text", "event"
    ).rows() == [("u", "i1", 5.0, T, "good", "review")]
    columns = ("item_id", "title", "category", "brand", "price", "image", "description")
    assert validation.tables["items"].select(columns).rows() == [
        ("i1", "Tea's best", "Grocery > Tea", "Lu", 3.5, "http://x/i.jpg", "leaf"),
        ("i2", None, "Beauty", None, None, None, None),
    ]
    repeated = validation.faults[0]
    assert (repeated.rule, repeated.column, repeated.rows) == ("repeated id", "asin", (2,))


def test_amazon_2018(tmp_path):
    reviews = lines(
        tmp_path / "reviews.json",
        {
            "overall": 4.0,
            "verified": True,
            "reviewerID": "u",
            "asin": "i1",
            "style": {"Size:": "L"},
            "unixReviewTime": T,
            "reviewText": "t",
        },
    )
    metadata = lines(
        tmp_path / "meta.json",
        {
            "asin": "i1",
            "title": "Tea",
            "category": ["Grocery", "Tea"],
            "price": "$1,012.99",
            "brand": "Lu",
            "description": ["a", "b"],
            "feature": ["f"],
            "imageURLHighRes": ["http://x/1.jpg", "http://x/2.jpg"],
            "main_cat": "Food",
        },
        {
            "asin": "i2",
            "title": "Cup",
            "category": [],
            "price": "$4.99 - $19.99",
            "main_cat": "Home",
            "description": [],
        },
    )
    tables = read("amazon", interactions=reviews, items=metadata).tables
    assert tables["interactions"].select("user_id", "value", "timestamp", "verified").rows() == [("u", 4.0, T, True)]
    columns = ("item_id", "category", "price", "description", "features", "image")
    assert tables["items"].select(columns).rows() == [
        ("i1", "Grocery > Tea", 1012.99, "a b", "f", "http://x/1.jpg"),
        ("i2", "Home", 4.99, None, None, None),
    ]


def test_amazon_2023(tmp_path):
    reviews = lines(
        tmp_path / "Tea.jsonl",
        {
            "rating": 5.0,
            "title": "nice",
            "text": "t",
            "images": [],
            "asin": "v",
            "parent_asin": "i1",
            "user_id": "u",
            "timestamp": T * 1000 + 999,
            "helpful_vote": 2,
            "verified_purchase": True,
        },
    )
    metadata = lines(
        tmp_path / "meta_Tea.jsonl",
        {
            "main_category": "Grocery",
            "title": "Tea",
            "price": 9.5,
            "store": "Lu",
            "categories": ["Food", "Tea"],
            "features": [],
            "description": [],
            "images": [{"thumb": "http://x/t.jpg", "large": "http://x/l.jpg"}],
            "details": {"Weight": "1"},
            "parent_asin": "i1",
        },
        {
            "main_category": "Home",
            "title": "Cup",
            "price": "from 4.99",
            "store": None,
            "categories": [],
            "images": [],
            "parent_asin": "i2",
        },
        {"main_category": "Home", "title": "Mug", "price": "—", "categories": [], "parent_asin": "i3"},
    )
    tables = read("amazon", interactions=reviews, items=metadata).tables
    assert tables["interactions"].select("user_id", "item_id", "timestamp", "value", "summary").rows() == [
        ("u", "i1", T, 5.0, "nice")
    ]
    assert tables["items"].select("item_id", "category", "price", "brand", "image").rows() == [
        ("i1", "Food > Tea", 9.5, "Lu", "http://x/t.jpg"),
        ("i2", "Home", 4.99, None, None),
        ("i3", "Home", None, None, None),
    ]


def test_a_python_literal_is_read_and_never_run(tmp_path):
    metadata = lines(
        tmp_path / "meta.json", "{'asin': 'i1', 'categories': [['A']]}", "{'asin': __import__('os').getcwd()}"
    )
    with pytest.raises(InputError, match=r"meta\.json row 2: not valid JSON"):
        read("amazon", items=metadata)


def test_personalize(tmp_path):
    interactions = lines(
        tmp_path / "interactions.csv",
        "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,IMPRESSION,RECOMMENDATION_ID",
        f"u,i1,{T},AddToCart,2.5,i1|i2,r1",
    )
    items = lines(
        tmp_path / "items.csv",
        "ITEM_ID,CATEGORY_L1,CATEGORY_L2,PRICE,CREATION_TIMESTAMP,PRODUCT_DESCRIPTION,COLOUR",
        f"i1,Home,Tea,3.5,{T},leaf,green",
        "i2,,,,,,",
    )
    users = lines(tmp_path / "users.csv", "USER_ID,AGE", "u,44")
    tables = read("personalize", interactions=interactions, items=items, users=users).tables
    assert tables["interactions"].select(
        "user_id", "item_id", "timestamp", "event", "value", "impression", "ranking_id"
    ).rows() == [("u", "i1", T, "cart", 2.5, "i1|i2", "r1")]
    assert tables["items"].select("item_id", "category", "price", "created_at", "description", "colour").rows() == [
        ("i1", "Home > Tea", 3.5, T, "leaf", "green"),
        ("i2", None, None, None, None, None),
    ]
    assert tables["users"].rows() == [("u", "44")]


def test_our_own_layout_is_what_no_other_claims(tmp_path):
    items = lines(tmp_path / "items.csv", "item_id,title", "007,Tea")
    assert read("plain", items=items).tables["items"].rows() == [("007", "Tea")]


def test_choosing_a_format(tmp_path):
    assert FORMATS == ("auto", "complete-journey", "recbole", "gorse", "amazon", "personalize", "plain")
    with pytest.raises(InputError, match="'excel' is an unknown format"):
        choose("excel", {})
    with pytest.raises(InputError, match="No file was given"):
        choose("auto", {})
    with pytest.raises(InputError, match="takes no file"):
        choose("complete-journey", {"items": tmp_path}).files({"items": tmp_path})
