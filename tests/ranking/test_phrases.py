"""Both languages say all that there is to say."""

import inspect
import re
from collections.abc import Sequence
from datetime import date, datetime
from itertools import product
from typing import get_args

import pytest

from kuapin import columns as c
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.model import Model
from kuapin.ranking.phrases import PHRASES, Chinese, English, Phrases
from kuapin.ranking.reranker import Reranker
from kuapin.surfaces.bundles import COMPLETES, REPLACES
from tests import market

SENTENCES = [name for name, _ in inspect.getmembers(Phrases, inspect.isfunction) if not name.startswith("_")]


def test_both_languages_have_every_sentence_and_every_verb():
    assert len(SENTENCES) == 36
    for phrases in PHRASES.values():
        assert set(SENTENCES) <= set(dir(phrases))
    assert set(English.done) == set(Chinese.done) == set(c.EVENTS) - set(NOT_AN_ANSWER)


@pytest.mark.parametrize(
    ("call", "english", "chinese"),
    [
        (lambda p: p.repeat("purchase", 2), "Bought twice before", "您曾购买2次"),
        (lambda p: p.repeat("", 1), "Met once before", "您曾接触1次"),
        (lambda p: p.brand("A", 3), "By A, of which 3 items were met before", "品牌“A”，您接触过该品牌的另外3件商品"),
        (lambda p: p.similar("Soap", "view"), "Reads like Soap, viewed before", "与您浏览过的“Soap”相似"),
        (lambda p: p.together(None, ""), "People met it with items of yours", "选择您的商品的人也选择了它"),
        (lambda p: p.category("A", "B", 2), "From A, which goes with B", "来自“A”，常与“B”搭配"),
        (lambda p: p.category("A", None, 0), "From A", "来自“A”"),
        (
            lambda p: p.path("fits_socket", "E27", "Lamp", "view"),
            "Like Lamp, viewed before: fits socket E27",
            "与您浏览过的“Lamp”相关：fits socket E27",
        ),
        (
            lambda p: p.path("compatible_with", None, "Lamp", ""),
            "Compatible with: Lamp, met before",
            "与您接触过的“Lamp”相关：可配套使用",
        ),
        (lambda p: p.path(None, None, None, ""), "Has much in common with what was met before", "与您接触过的商品相关"),
        (
            lambda p: p.similar(p.both("Soap", "Lamp", 1), "purchase"),
            "Reads like Soap and Lamp and one more, bought before",
            "与您购买过的“Soap”、“Lamp”相似",
        ),
        (lambda p: p.popular(1), "Met by 1 person", "已有1人选择"),
        (lambda p: p.rule("r"), "Placed by the shop's rule “r”", "按店铺规则“r”展示"),
        (lambda p: p.also("A", None), "Also by A", "同品牌“A”"),
        (lambda p: p.also("A", "B"), "Also by A, also in B", "同品牌“A”，同类目“B”"),
        (lambda p: p.bought_with("A", None), "Bought together with A", "常与“A”一起购买"),
        (lambda p: p.baskets(1), "In 1 basket", "共有1笔订单购买"),
        (lambda p: p.offer(None), "Open to everybody", "所有顾客均可使用"),
        (
            lambda p: p.until(p.offer("A"), date(2026, 3, 9)),
            "A; it ends on 2026-03-09",
            "A，2026年3月9日截止",
        ),
        (
            lambda p: p.growth(2, 1.5, 3, 0),
            "2.0 times what was to be expected (1.5 to 3.0)",
            "热度为预期的2.0倍（1.5至3.0倍）",
        ),
        (lambda p: p.event("b7", datetime(2026, 3, 9, 14, 5)), "b7 (2026-03-09 14:05)", "b7（2026年3月9日 14:05）"),
        (
            lambda p: p.of_history(1, 4, 0.0003),
            "1 of 4 interactions (25%); of all people's <0.1%",
            "4次互动中有1次（25%），全店平均为<0.1%",
        ),
        (lambda p: p.latest(["b7", "b3"]), "; latest: b7, b3", "；最近：b7、b3"),
        (
            lambda p: p.due(4, 1, 9),
            "bought on 4 days, every day; the last was 9 days ago",
            "共有4天购买过，通常每天一次，上次在9天前",
        ),
    ],
)  # fmt: skip
def test_sentences(call, english, chinese):
    assert (call(PHRASES["en"]), call(PHRASES["zh"])) == (english, chinese)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_chinese_sentence_has_no_latin_letter(name):
    say = getattr(PHRASES["zh"], name)
    kinds = [one.annotation for one in inspect.signature(getattr(Phrases, name)).parameters.values()][1:]
    given = {
        str: "玫瑰",
        int: 2,
        float: 2.5,
        date: date(2026, 3, 9),
        datetime: datetime(2026, 3, 9, 14, 5),
        Sequence[str]: ("玫瑰", "香皂"),
    }
    values = [[given[kind]] if kind in given else [given[get_args(kind)[0]], None] for kind in kinds]
    for arguments in set(product(*values)) - ({(None, None)} if name == "also" else set()):  # it has one at least
        assert re.search(r"[\u4e00-\u9fff]", say(*arguments)), arguments
        assert not re.search(r"[A-Za-z]", say(*arguments)), arguments


def test_a_chinese_path_names_its_relation_in_chinese():
    for kind in (c.BRAND, c.CATEGORY, *COMPLETES, *REPLACES):
        assert not re.search(r"[A-Za-z]", PHRASES["zh"].path(kind, None, "玫瑰", "purchase")), kind


def test_a_shop_that_speaks_chinese_gives_the_same_reasons_in_chinese():
    model = market.model()
    lists = Reranker(model.recommender, model.catalogue, language="zh")
    chinese = Model("r1", model.recommender, model.catalogue, model.users, model.histories, lists)
    one, other = (m.recommend(model.users.ids[:20], explain=True) for m in (model, chinese))
    assert one["reason_code"].equals(other["reason_code"])
    assert other["reason"].str.contains(r"\p{Han}").all()
    assert not one["reason"].str.contains(r"\p{Han}").any()
