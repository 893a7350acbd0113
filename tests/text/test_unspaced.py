"""Words of Chinese titles, made of words in any order."""

import numpy as np
import polars as pl
import pytest

from kuapin.text.unspaced import substrings, unspaced_words

WORDS = ["连衣裙", "玫瑰", "红色", "加厚", "不锈钢", "防水", "儿童", "办公", "运动", "户外", "冬季", "手机", "穿越火线"]
WORDS += ["牙刷", "口琴", "沉香", "围棋", "鸟笼", "眼罩", "电脑"]


@pytest.fixture(scope="module")
def titles() -> pl.Series:
    rng = np.random.default_rng(0)
    return pl.Series(["".join(rng.permutation(WORDS)[:4]) for _ in range(400)])


def test_the_words_that_titles_are_made_of_are_found_and_no_parts_of_two(titles):
    assert set(unspaced_words(titles)["word"]) == set(WORDS)


def test_of_many_titles_no_count_overflows(titles):
    assert set(unspaced_words(pl.concat([titles] * 150))["word"]) == set(WORDS)  # products of counts beyond 2³²


def test_every_word_is_told_once_a_text(titles):
    table = unspaced_words(titles)
    assert table.is_unique().all()
    assert set(table.filter(row=0)["word"]) == {word for word in WORDS if word in titles[0]}


def test_texts_with_spaces_have_none():
    assert unspaced_words(pl.Series(["red oak table"] * 9)).height == 0
    assert unspaced_words(pl.Series([], dtype=pl.String)).height == 0


def test_substrings_have_two_to_four_characters_of_one_run():
    assert set(substrings(pl.Series(["红水杯 a大号"]))["word"]) == {"红水", "水杯", "红水杯", "大号"}
