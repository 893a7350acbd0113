"""Both languages are complete, nothing is said that no page says, and everything can be read."""

import re
import string
from importlib import resources
from itertools import product

import pytest

from kuapin import columns as c
from kuapin.data.offers import CAMPAIGN, COUPON
from kuapin.ranking.rules import Rule
from kuapin.ranking.strategies import STRATEGIES
from kuapin.service_settings import SCOPES
from kuapin.serving.console import console
from kuapin.serving.console.phrases import LANGUAGES, Phrases, catalogue, preferred
from kuapin.serving.experiments import BETTER, INTERRUPTED, MISMATCH, NO_DIFFERENCE, STOPPED, UNDECIDED, WORSE
from kuapin.serving.questions import BASES
from kuapin.storefront import SURFACES
from kuapin.surfaces import brands, profile, trends

HERE = resources.files("kuapin.serving.console")


def sources():
    """The text of every template and of every file of code."""
    found = [one.read_text() for one in HERE.joinpath("templates").iterdir()]
    for folder in (HERE, HERE.joinpath("routes")):
        found += [one.read_text() for one in folder.iterdir() if one.name.endswith(".py")]
    assert len(found) > 30
    return "\n".join(found)


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_phrase_is_in_every_language_with_the_same_places():
    assert len(catalogue()) > 200
    for key, said in catalogue().items():
        assert set(said) == set(LANGUAGES), key
        assert all(text.strip() for text in said.values()), key
        assert len({frozenset(placeholders(text)) for text in said.values()}) == 1, key
        assert re.search("[\u4e00-\u9fff]", said["zh"]) or key == "reports.after", key
        assert not re.search("[\u4e00-\u9fff]", said["en"]), key


def test_every_phrase_is_used_and_every_use_has_a_phrase():
    text = sources()
    exact = set(re.findall(r'\bt\("([a-z_]+\.[a-z_]+)"', text)) | set(
        re.findall(r'Phrases\([^"]*?\)\("([a-z_]+\.[a-z_]+)"', text)
    )
    sections = set(re.findall(r'\bt\("([a-z_]+)\." ~', text)) | set(re.findall(r't\.known\("([a-z_]+)"', text))
    assert exact - set(catalogue()) == set()
    unused = {key for key in catalogue() if key not in exact and key.partition(".")[0] not in sections}
    assert unused == set()
    assert sections - {key.partition(".")[0] for key in catalogue()} == set()


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("basis", BASES),
        ("surface", ("products", *SURFACES)),
        ("about", {*SURFACES, "products"} - {"home"}),
        ("event", c.EVENTS),
        ("scope", SCOPES),
        ("scope_told", SCOPES),
        ("strategy", STRATEGIES),
        ("strategy_told", STRATEGIES),
        ("rule", [one.kind for one in Rule.__subclasses__() if hasattr(one, "kind")]),
        ("kind", {*brands.KINDS, *profile.KINDS, *trends.SHARES, CAMPAIGN, COUPON}),
        ("title", [name for _, pages in console.NAV for name, _ in pages]),
        ("nav", [section for section, _ in console.NAV]),
        ("outcome", ("better", "unclear", "worse")),
        ("gate", ("passes", "loses", "undecided", "too_few_users")),
        ("decision", ("block", "penalise", "flag", "pass")),
        ("log", ("publish", "activate", "rollback")),
        (
            "ended",
            [
                one.replace(" ", "_")
                for one in (BETTER, WORSE, NO_DIFFERENCE, UNDECIDED, MISMATCH, STOPPED, INTERRUPTED)
            ],
        ),
        ("part", ("categories", "events", "popularity", "texts", "scores")),
    ],
)
def test_names_that_are_put_together_have_their_phrases(section, names):
    assert len(set(names)) >= 2
    assert {f"{section}.{name}" for name in names} - set(catalogue()) == set()


def test_a_phrase_that_is_missing_is_an_error_and_a_name_of_the_shop_is_itself():
    say = Phrases("zh")
    with pytest.raises(KeyError, match=r"home\.tea"):
        say("home.tea")
    assert (say.known("kind", "brand"), say.known("kind", "own {kind}")) == ("品牌", "own {kind}")


def test_the_browsers_language_is_taken_where_there_is_one_of_ours():
    assert [preferred(one) for one in ("zh", "zh-CN,en;q=0.8", "en-GB,zh", "fr,zh;q=0.3", "", "*;q=x")] == [
        "zh", "zh", "en", "zh", "en", "en",
    ]  # fmt: skip


# -- contrast (WCAG 2.2, 1.4.3 and 1.4.11) ---------------------------------------------------------------------------


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def schemes():
    css = console.asset("console.css").decode()
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", css)
    assert len(found) == 16
    assert set(re.findall("#[0-9a-fA-F]{3,8}", css)) == {colour for _, *pair in found for colour in pair}  # none beside
    return {"light": {name: one for name, one, _ in found}, "dark": {name: one for name, _, one in found}}


def test_the_formula_of_contrast():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out(scheme):
    colours = schemes()[scheme]
    for ink, ground in product(("ink", "muted", "accent", "better", "worse"), ("paper", "raised", "tint")):
        if (ink, ground) in (("better", "tint"), ("worse", "tint"), ("muted", "tint")):
            continue  # never together
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["paper"], colours["worse"]) >= 4.5
    for mark in ("s0", "s1", "s2", "s3", "s5", "border"):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark
