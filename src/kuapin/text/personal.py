"""Personal data in what people write: reviews, comments, searches; masked before it is stored.

A person's own text says more of people than a product's title, and losing a number in it costs less: here a number
that could be somebody's is masked without a word before it. Names and addresses are found by what stands around them
(``my name is``, ``收件人``, a house number before a street), not by lists: who is named out of the blue is missed.
``docs/privacy.md`` says how often.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from kuapin.extras import require
from kuapin.text.masking import CARD, EMAIL, ID, PHONE, mask_text

NAME, ADDRESS, NETWORK = "[NAME]", "[ADDRESS]", "[NETWORK]"

_NUMBERS = (
    # North America with an extension; the same without separators
    (
        re.compile(
            r"(?<![\w+])(?:\+?1[-. ]?)?\(?[2-9]\d\d\)?[-. ]?[2-9]\d\d[-. ]?\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?(?!\d)"
        ),
        PHONE,
    ),
    # United Kingdom, area code in brackets or not
    (re.compile(r"(?<![\w+])(?:\+44 ?\(?0?\)?|\(0|0)\d{2,4}\)? ?\d{3,4} ?\d{3,4}(?!\d)"), PHONE),
    (re.compile(r"(?<![\w+])\+\d{1,3}(?:[ .\-()]{0,2}\d){7,13}(?: ?x\d{1,6})?(?!\d)"), PHONE),
    (re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"), PHONE),
    (re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), ID),
    (re.compile(r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b"), ID),
    (re.compile(r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{9}[\dXx](?!\d)"), ID),
)
_LONG_NUMBER = re.compile(r"(?<![\w-])\d(?:[ -]?\d){11,18}(?![\w-])")

_CAPITAL = r"[A-Z][a-zà-ÿ]+(?:[-'’][A-Z][a-zà-ÿ]+)?"
_ENGLISH_NAMES = (
    re.compile(
        rf"\b(?i:my (?:full )?name is|my name's|name ?:|signed,?|regards,|sincerely,|attn:?|ask for|spoke (?:to|with)"
        rf"|deliver(?:ed)? to|ship(?:ped)? to|addressed to|care of|c/o)\s*"
        rf"(?!(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b)(?P<name>{_CAPITAL}(?: [A-Z]\.)?(?: {_CAPITAL}){{0,2}})"
    ),
    re.compile(rf"\b(?i:i am|i'm|this is|call me)\s+(?P<name>{_CAPITAL}(?: [A-Z]\.)? {_CAPITAL})"),
    re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? (?P<name>{_CAPITAL}(?: {_CAPITAL})?)(?![\w'’])"),
)
_CHINESE_NAMES = (
    re.compile(
        r"(?:我(?:的名字)?叫|姓名|收件人|收货人|联系人|本人|署名|寄给|请找|联系)(?:是|叫)?\s?[:：]?\s?"
        r"(?P<name>[\u4e00-\u9fff]{2,3}?)(?=[^\u4e00-\u9fff]|[住电手在是的地收签]|先生|女士|小姐|$)"
    ),
    re.compile(r"(?<![\u4e00-\u9fff])(?P<name>[\u4e00-\u9fff]{2,3}?)(?:先生|女士|小姐)(?![\u4e00-\u9fff])"),
)
_STREETS = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Terrace|Way|Parkway|Pkwy|"
    "Circle|Close|Crescent|Gardens|Grove|Hill|Mews|Row|Highway|Hwy|Trail|Alley|Walk"
)
_ENGLISH_ADDRESSES = (
    # With state and ZIP code, or a British postcode, the street may be called anything
    re.compile(
        r"\b(?:(?:Flat|Studio|Apt\.?|Unit) \w{1,4},?\s+)?\d{1,5}[A-Za-z]? [A-Z][\w.'’ -]{2,60}?[,\n]\s{0,8}"
        r"(?:[\w.'’-][\w.'’ -]{1,39}[,\n]\s{0,8}){0,3}"
        r"(?:[A-Z]{2} \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b"
    ),
    re.compile(
        rf"\b\d{{1,5}}[A-Za-z]? (?:[A-Z][\w.'’-]*\s){{1,3}}(?:{_STREETS})\b\.?(?:,? (?:Apt|Suite|Unit|Flat|#)\.? ?\w+)?"
    ),
    re.compile(r"\bP\.? ?O\.? Box \d+"),
)
_CHINESE_ADDRESSES = (
    re.compile(
        r"[\u4e00-\u9fff]{1,8}(?:省|自治区|特别行政区|市|区|县|镇|乡|街道)"
        r"[\u4e00-\u9fff]{1,20}(?:路|街|道|巷|弄|胡同|大道|村|小区|花园)"
        r"(?:\s?[A-Za-z0-9一二三四五六七八九十]{1,6}\s?(?:号楼|号院|号|弄|座|栋|幢|单元|室|楼|层)){0,4}(?:\s?\d{6}(?!\d))?"
    ),
    re.compile(
        r"[\u4e00-\u9fff]{2,8}(?:路|街|大道|巷|胡同)\s?\d{1,5}\s?号(?:\s?\w{1,5}\s?(?:栋|幢|座|单元|室|楼|层)){0,3}"
    ),
)


def mask_personal(text: str, *, library: bool = False) -> str:
    """A person's text with e-mail addresses, numbers of phones, cards and identities, names and addresses replaced.

    Args:
        text: as it was written.
        library: also ask Presidio, which knows more kinds of numbers; it needs the privacy extra.

    Raises:
        MissingExtraError: ``library`` without the privacy extra.
    """
    masked = mask_text(text)
    for pattern in (*_ENGLISH_ADDRESSES, *_CHINESE_ADDRESSES):
        masked = pattern.sub(ADDRESS, masked)
    for pattern, label in _NUMBERS:
        masked = pattern.sub(label, masked)
    masked = _LONG_NUMBER.sub(lambda found: CARD if _has_luhn_sum(found[0]) else found[0], masked)
    for pattern in (*_ENGLISH_NAMES, *_CHINESE_NAMES):
        masked = pattern.sub(_without_name, masked)
    return _with_library(masked) if library else masked


def _without_name(found: re.Match[str]) -> str:
    start, stop = (place - found.start() for place in found.span("name"))
    return found[0][:start] + NAME + found[0][stop:]


def _has_luhn_sum(number: str) -> bool:
    digits = [int(digit) for digit in number if digit.isdigit()]
    doubled = (digit * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


_LABELS = {
    "EMAIL_ADDRESS": EMAIL,
    "PHONE_NUMBER": PHONE,
    "CREDIT_CARD": CARD,
    "IBAN_CODE": CARD,
    "US_SSN": ID,
    "UK_NINO": ID,
    "IP_ADDRESS": NETWORK,
    "MAC_ADDRESS": NETWORK,
}
LEAST_SCORE = 0.4
"""Presidio's own measure of how sure it is."""


def _with_library(text: str) -> str:
    found = _analyzer().analyze(text=text, language="en", entities=list(_LABELS), score_threshold=LEAST_SCORE)
    return _replaced(text, ((one.start, one.end, _LABELS[one.entity_type]) for one in found))


def _replaced(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    pieces, end = [], 0
    for start, stop, label in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= end and "[" not in text[start:stop]:
            pieces += [text[end:start], label]
            end = stop
    return "".join([*pieces, text[end:]])


@cache
def _analyzer() -> Any:
    """Presidio's recognisers of patterns on a blank pipeline: no model, and nothing is fetched."""
    presidio = require("presidio_analyzer", "privacy")
    tldextract: Any = require("tldextract", "privacy")
    spacy = require("spacy", "privacy")
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # the list that it brings along
    engine = require("presidio_analyzer.nlp_engine", "privacy").SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": "blank"}]
    )
    engine.nlp = {"en": spacy.blank("en")}
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
