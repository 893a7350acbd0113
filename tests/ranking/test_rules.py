"""What ``rules.toml`` may say, and how it is refused, with file and line."""

import re
from datetime import UTC, datetime

import polars as pl
import pytest

from kuapin.errors import InputError
from kuapin.ranking.rule_binding import Tables, bind
from kuapin.ranking.rules import KINDS, Blackout, read_rules
from tests import market

RELATIONS = pl.DataFrame(
    [("B-rose-soap-small", "requires", "H-rose-lamp-small"), ("B-oak-soap-small", "clashes_with", "P-sea-bed-small")],
    schema=["head", "relation", "tail"],
    orient="row",
)


@pytest.fixture(scope="module")
def tables() -> Tables:
    data = market.dataset(n_users=4, length=3)
    items = data.catalogue.frame.select("item_id", stock=pl.lit(3))
    users = data.users.ids.alias("user_id").to_frame().with_columns(age=pl.lit(40))
    return Tables(data.catalogue, items, users, RELATIONS, ("item_id", "stock"), ("user_id", "age"))


def read(tmp_path, text):
    (tmp_path / "rules.toml").write_text(text)
    return read_rules(tmp_path / "rules.toml")


def test_every_kind_is_read_in_the_order_of_the_file_with_its_line(tmp_path, tables):
    rules = read(
        tmp_path,
        """# comments count as lines
[[pin]]
item = "B-sea-soap-small"
position = 1

[[exclude]]
category = "Pets"
name = "no pets"

[[pin]]
item = "H-sea-lamp-small"
position = 2

[[boost]]
brand = "Oak"
factor = 2

[[demand]]
must = { column = "stock", at_least = 1 }

[[quota]]
category = "Home"
at_least = 1

[[blackout]]
category = "Garden"
hours = "22:00-06:00"

[[incompatible]]
relation = "clashes_with"

[[requires]]
relation = "requires"
""",
    )
    assert {rule.kind for rule in rules} == set(KINDS)
    assert [rule.line for rule in rules] == [2, 6, 10, 14, 18, 21, 25, 29, 32]
    assert [rule.name for rule in rules][:3] == ["pin:2", "no pets", "pin:10"]
    bound = bind(tmp_path / "rules.toml", rules, tables).bound
    assert [int(one.items.sum()) for one in bound] == [1, 24, 1, 16, 0, 24, 24, 2, 1]


def test_no_file_is_no_rule(tmp_path):
    assert read_rules(tmp_path / "rules.toml") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[exclude]\n", "rules.toml: this is not TOML"),
        ('\n[[exlude]]\ncategory = "Pets"\n', "line 2: there is no rule [[exlude]]. Did you mean exclude?"),
        ('[exclude]\ncategory = "Pets"\n', "line 1: every rule is a table of its own. Write [[exclude]] above it."),
        ('[[exclude]]\nname = "a"\ncatgory = "Pets"\n', "line 3, exclude 'a': it has no key catgory. Did you mean cat"),
        ("[[exclude]]\n", "line 1, exclude 'exclude:1': it names no items"),
        ('[[boost]]\nbrand = "Oak"\nfactor = 0\n', "line 3, boost 'boost:1': factor: input should be "),
        ('[[quota]]\nbrand = "Oak"\nat_least = 3\nat_most = 2\n', "at_least 3 is above at_most 2"),
        ('[[blackout]]\nbrand = "Oak"\n', "it names no time"),
        ('[[blackout]]\nbrand = "Oak"\nhours = "late"\n', 'hours are "22:00-06:00"'),
        ('[[exclude]]\nbrand = "Oak"\nfrom = 2026-02-01\nuntil = 2026-01-01\n', "from 2026-02-01 00:00 is not befo"),
        ("[[demand]]\n", "it needs either must or same_as_user"),
        ('[[demand]]\nmust = { column = "stock" }\n', "a condition needs equals, one_of, at_least or at_most"),
        ('[[pin]]\nname="p"\nitem="x"\nposition=1\n[[pin]]\nname="p"\nitem="y"\nposition=2\n', "line 1 has this name"),
    ],
)  # fmt: skip
def test_a_rule_of_the_wrong_form_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[exclude]]\nprice_min = 5\nprice_max = 2\n", "'exclude:1': price_min 5 is above price_max 2"),
        ('[[exclude]]\nitems = ["nothing"]\n', "line 1, exclude 'exclude:1': There is no item with the id"),
        ('[[exclude]]\ncategory = "Pet"\n', "No item of this shop is in 'Pet'. Did you mean Pets?"),
        ('[[exclude]]\nbrand = "Oka"\n', "has the brand 'Oka'. Did you mean Oak?"),
        ('[[exclude]]\nwhere = { column = "stok", at_most = 0 }\n', "table has no column 'stok'. Did you mean stock?"),
        ('[[exclude]]\nwhere = { column = "stock", at_most = 0 }\n', "no item is meant"),
        ('[[exclude]]\nbrand = "Oak"\nusers = { column = "aeg", equals = 3 }\n', "the users table has no column 'aeg'"),
        ('[[requires]]\nrelation = "needs"\n', "there is no relation 'needs'. The relations are clashes"),
        ('[[demand]]\nsame_as_user = "stock"\n', "the users table has no column 'stock'"),
        (
            '[[exclude]]\ncategory = "Pets"\n[[pin]]\nitem = "P-sea-bed-small"\nposition = 1\n',
            "line 3, pin 'pin:3': exclude 'exclude:1' of line 1 hides the item that it is about.",
        ),
        (
            '[[exclude]]\ncategory = "Pets"\n[[quota]]\ncategory = "Pets > bed"\nat_least = 1\n',
            "hides all items that it is about",
        ),
        (
            '[[pin]]\nitem = "P-sea-bed-small"\nposition = 1\n[[pin]]\nitem = "P-sun-bed-small"\nposition = 1\n',
            "line 4, pin 'pin:4': pin 'pin:1' of line 1 has position 1 too",
        ),
        (
            '[[pin]]\nitem = "P-sea-bed-small"\nposition = 1\n[[quota]]\ncategory = "Pets"\nat_most = 0\n',
            "1 pins are of its items, and at most 0 may be shown",
        ),
        (
            '[[quota]]\ncategory = "Pets > bed"\nat_least = 3\n[[quota]]\ncategory = "Pets"\nat_most = 2\n',
            "quota 'quota:1' of line 1 wants 3 of the same items",
        ),
        ('[[demand]]\nmust = { column = "stock", at_least = 4 }\n', "with it, no item of the shop may be shown"),
    ],
)  # fmt: skip
def test_unknown_names_and_contradictions_are_refused_with_their_line(tmp_path, tables, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        bind(tmp_path / "rules.toml", read(tmp_path, text), tables)


def test_what_never_holds_together_does_not_contradict(tmp_path, tables):
    rules = read(
        tmp_path,
        '[[exclude]]\ncategory = "Pets"\nuntil = 2026-01-01\n'
        '[[pin]]\nitem = "P-sea-bed-small"\nposition = 1\nfrom = 2026-01-01\n',
    )
    assert len(bind(tmp_path / "rules.toml", rules, tables).bound) == 2


@pytest.mark.parametrize(
    ("says", "dark", "light"),
    [
        ({"hours": "22:00-06:00"}, ["2026-01-05T23:00", "2026-01-05T05:59"], ["2026-01-05T06:00", "2026-01-05T21:59"]),
        ({"hours": "09:00-17:00"}, ["2026-01-05T09:00"], ["2026-01-05T17:00", "2026-01-05T08:59"]),
        ({"weekdays": ["mon"]}, ["2026-01-05T12:00"], ["2026-01-06T12:00"]),
        ({"from": "2026-01-05", "until": "2026-01-07"}, ["2026-01-06T12:00"], ["2026-01-04T12:00", "2026-01-07T00:00"]),
        ({"hours": "09:00-17:00", "weekdays": ["mon"]}, ["2026-01-05T10:00"], ["2026-01-06T10:00", "2026-01-05T18:00"]),
    ],
)
def test_a_blackout_holds_at_its_times(says, dark, light):
    rule = Blackout.model_validate({"name": "b", "brand": "Oak", **says})
    moment = lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)  # noqa: E731
    assert all(rule.holds(moment(time)) for time in dark)
    assert not any(rule.holds(moment(time)) for time in light)
