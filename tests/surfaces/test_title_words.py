import numpy as np
import polars as pl

from kuapin.data.dataset import build_catalogue
from kuapin.surfaces.title_words import query_words, title_words

NAMES = ["玫瑰", "橡木", "海洋", "薄荷", "雪花", "太阳", "香皂", "面霜", "蜡烛", "台灯", "围棋", "水管"]


def test_titles_have_long_words_no_numbers_and_chinese_words():
    rng = np.random.default_rng(0)
    titles = ["".join(rng.permutation(NAMES)[:3]) + " tv oak 2024" for _ in range(200)]
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(200)], "title": titles})
    assert set(title_words(build_catalogue(items))["word"]) == {*NAMES, "oak"}
    assert title_words(build_catalogue(items.drop("title"))).height == 0


def test_of_chinese_searches_the_known_words_are_read():
    found = query_words(pl.Series(["薄荷茶", "TV oak"]), pl.Series(["薄荷", "红茶"]))
    assert sorted(found.rows()) == [(0, "薄荷"), (1, "oak"), (1, "tv")]
