"""The planted listings share no word with the filters."""

import re
import tomllib

from benchmarks.safety import PLANTED, planted_titles
from kuapin.ranking.safety_words import plain, safety_list, words_of

COMMON = {
    "for", "of", "the", "a", "an", "to", "in", "on", "and", "or", "with", "from", "by", "that", "is", "as", "at", "no",
    "new", "one", "real", "best", "price",
}  # fmt: skip


def test_there_are_500_listings_in_both_languages():
    assert len(planted_titles("reported", "en")) >= 500
    assert len(planted_titles("reported", "zh")) >= 250
    assert len(set(planted_titles("reported", "en"))) == len(planted_titles("reported", "en"))


def test_no_planted_listing_is_found_by_a_word():
    for language in ("en", "zh"):
        hits = [t for t in planted_titles("reported", language) if safety_list(language).harm(plain(t))]
        assert hits == []


def test_planted_words_are_in_no_word_list_and_no_harmful_example():
    tables = tomllib.loads(PLANTED.read_text(encoding="utf-8"))
    filters = safety_list("en")
    known = {
        word
        for group in filters.classes
        for text in (*group.words, *group.examples)
        for word in words_of(plain(text))
    } - COMMON  # fmt: skip
    things = [thing for group in tables["reported"]["en"].values() for thing in group]
    shared = {word for thing in things for word in words_of(plain(thing)) if len(word) > 2} & known
    assert shared == set()
    listed = [word for group in safety_list("zh").classes for word in group.words]
    chinese = {word for word in listed if re.search(r"[\u4e00-\u9fff]{2}", word)}
    assert [t for t in planted_titles("reported", "zh") if any(word in t for word in chinese)] == []
    examples = {text for group in safety_list("zh").classes for text in group.examples}
    assert not examples & set(planted_titles("reported", "zh"))
