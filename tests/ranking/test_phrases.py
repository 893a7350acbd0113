"""Both languages say all that there is to say."""

import inspect

import pytest

from kuapin import columns as c
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.model import Model
from kuapin.ranking.phrases import PHRASES, Chinese, English, Phrases
from kuapin.ranking.reranker import Reranker
from tests import market


def test_both_languages_have_every_sentence_and_every_verb():
    wanted = {name for name, _ in inspect.getmembers(Phrases, inspect.isfunction) if not name.startswith("_")}
    assert len(wanted) == 10
    for phrases in PHRASES.values():
        assert wanted <= set(dir(phrases))
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
            "与您接触过的“Lamp”相关：compatible with",
        ),
        (lambda p: p.path(None, None, None, ""), "Has much in common with what was met before", "与您接触过的商品相关"),
        (lambda p: p.popular(1), "Met by 1 person", "已有1人选择"),
        (lambda p: p.rule("r"), "Placed by the shop's rule “r”", "按店铺规则“r”展示"),
    ],
)  # fmt: skip
def test_sentences(call, english, chinese):
    assert (call(PHRASES["en"]), call(PHRASES["zh"])) == (english, chinese)


def test_a_shop_that_speaks_chinese_gives_the_same_reasons_in_chinese():
    model = market.model()
    lists = Reranker(model.recommender, model.catalogue, language="zh")
    chinese = Model("r1", model.recommender, model.catalogue, model.users, model.histories, lists)
    one, other = (m.recommend(model.users.ids[:20], explain=True) for m in (model, chinese))
    assert one["reason_code"].equals(other["reason_code"])
    assert other["reason"].str.contains(r"\p{Han}").all()
    assert not one["reason"].str.contains(r"\p{Han}").any()
