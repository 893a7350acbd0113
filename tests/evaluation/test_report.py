"""The page: complete, self-contained, readable by everyone, and gone without a trace where a part is missing."""

import dataclasses
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

import kuapin.evaluation
from kuapin.errors import StoreError
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.page import render
from kuapin.evaluation.report import Report, to_json, write_report

VOID = {"meta", "br", "path", "use", "rect", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def html(report):
    return render(report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_element_is_closed(page):
    assert page.open == []


def test_nothing_is_loaded_from_anywhere(html):
    addresses = set(re.findall(r"(?:https?:)?//[^\s\"'<>)]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in html
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert not Page(html).of("link")


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert ids.most_common(1)[0][1] == 1
    targets = [a["href"][1:] for a in page.of("a")] + [a["xlink:href"][1:] for a in page.of("use")]
    assert len(targets) > 20
    assert set(targets) <= set(ids)


def test_it_can_be_read_without_seeing(page):
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("svg")) == 6
    for drawing in page.of("svg"):
        assert drawing["role"] == "img"
        assert len(drawing["aria-label"]) > 40
    assert all("scope" in head for head in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for section in page.of("section"):
        assert any(attributes.get("id") == section["aria-labelledby"] for _, attributes in page.elements)


def test_it_says_all_that_the_report_holds(report, html, page):
    for told in (
        report.title,
        report.data.caveat,
        "1,469,307",
        "Opening Office Products",
        "No clear gain",
        "Popularity is all that works",
        "0.0723",
        "0.0661 – 0.0785",
        "Granola with almonds <& honey>",
        "Households that bought Hair conditioner, 12 oz buy this",
        "7\u00a0min 48\u00a0s in all",
        "every item of the catalogue, no sampling",
        "kuapin import shop --items items.csv",
        "at least one right item among the first 10",
    ):
        assert told in page.text, told
    assert "Granola with almonds &lt;&amp; honey&gt;" in html
    assert {"lang": "en", "dir": "auto"} in page.of("span")


def test_drawings_follow_the_colour_scheme(html):
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) == 6
    for drawing in drawings:
        assert not re.findall(r"#[0-9a-f]{6}\b", drawing)
        assert "var(--s0)" in drawing
        assert "{" not in drawing
        assert "font-family" not in drawing


def test_the_same_report_gives_the_same_bytes(report, html):
    assert render(report) == html


SECTIONS = {
    "summary": [],
    "data": ["data"],
    "methods": ["method"],
    "comparisons": ["verdict", "quality", "launch", "variety", "method"],
    "categories": ["quality", "method"],
    "slices": ["quality", "method"],
    "mixes": ["variety"],
    "trades": ["variety"],
    "exposures": ["variety"],
    "examples": ["examples"],
    "timings": ["time"],
    "setting": ["method"],
    "notes": ["method"],
    "commands": ["next"],
}


@pytest.mark.parametrize("part", SECTIONS)
def test_a_part_can_stand_alone(report, part):
    page = Page(render(Report("Alone", "today", **{part: getattr(report, part)})))
    assert page.open == []
    assert [section["aria-labelledby"] for section in page.of("section")] == SECTIONS[part]
    assert [link["href"] for link in page.of("a")] == [f"#{section}" for section in SECTIONS[part]]


def test_every_part_was_tried_alone():
    others = {"title", "created", "pages"}  # home pages are made of a model: tests/test_storefront.py
    assert {field.name for field in dataclasses.fields(Report)} - set(SECTIONS) == others


def test_an_empty_report_is_a_title(report):
    page = Page(render(Report("Nothing yet", "today")))
    assert "Nothing yet" in page.text
    assert not page.of("section")
    assert not page.of("a")


def test_undefined_figures_are_dashes(comparison):
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    one = comparison("Next", "temporal", 0.1, {"item-kNN": 0.09})
    results = one.results | {"item-kNN": {"ndcg@10": nothing}}
    html = render(Report("A shop", "today", comparisons=(dataclasses.replace(one, results=results, ratio=nothing),)))
    text = Page(html).text.replace("\u00a0", " ")
    assert "nan" not in text
    assert "There is nothing to tell Kuapin and item-kNN apart by." in text
    assert "Kuapin to item-kNN" not in text


def test_a_baseline_that_finds_nothing(comparison):
    one = comparison("Next", "temporal", 0.1, {"item-kNN": 0.09})
    endless = dataclasses.replace(one, ratio=Interval(float("inf"), 5.0, float("inf")))
    text = Page(render(Report("A shop", "today", comparisons=(endless,)))).text.replace("\u00a0", " ")
    assert "the best simple method: ∞ times its quality, 95 % interval 5.00 to ∞" in text


def test_the_categories_with_the_most_users_are_shown(comparison):
    many = tuple(comparison(f"Shelf {n:02}", "temporal", 0.1, {"item-kNN": 0.09}, users=100 + n) for n in range(15))
    html = render(Report("A shop", "today", categories=many))
    drawing = re.search(r"<svg.*?</svg>", html, flags=re.DOTALL)[0]
    assert re.findall(r">(Shelf \d\d)<", drawing) == [f"Shelf {n:02}" for n in range(14, 2, -1)]
    assert "The 12 categories with the most users; 3 smaller ones are in the JSON file." in Page(html).text


def test_json_holds_the_same_and_no_nan(report):
    read = json.loads(to_json(report), parse_constant=pytest.fail)
    assert list(read) == [field.name for field in dataclasses.fields(Report)]
    assert read["comparisons"][0]["results"]["Kuapin"]["ndcg@10"]["value"] == 0.441
    assert read["comparisons"][0]["results"]["Kuapin"]["coverage@10"] == {"value": 0.31, "low": None, "high": None}
    assert read["comparisons"][2]["shot"] == 0.0


def test_written_beside_each_other(report, html, tmp_path):
    path = write_report(report, tmp_path / "reports", "demo")
    assert path == tmp_path / "reports" / "demo.html"
    assert path.read_text(encoding="utf-8") == html
    assert json.loads((tmp_path / "reports" / "demo.json").read_text(encoding="utf-8"))["title"] == report.title


def test_a_folder_that_cannot_be_written_is_named(report, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written to .*file"):
        write_report(report, tmp_path / "file")


# --- contrast (WCAG 2.2, 1.4.3 and 1.4.11) ----------------------------------------------------------------------------


def schemes() -> dict[str, dict[str, str]]:
    css = (Path(kuapin.evaluation.__file__).parent / "report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    return {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for name, block in (("light", light), ("dark", dark))
    }


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_drawings_stand_out_from_the_paper(scheme):
    colours = schemes()[scheme]
    for ground in ("paper", "raised"):
        for text in ("ink", "muted", "accent", "better", "worse"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for series in range(6):
        assert contrast(colours[f"s{series}"], colours["paper"]) >= 3, series


def test_parts_of_the_main_question_are_one_table(report, page):
    assert "By item, by history and by group of users" in page.text
    assert "Items: cold" in page.text
    assert "By item, by history and by group of users" not in Page(render(dataclasses.replace(report, slices=()))).text


def test_a_comparison_that_is_not_judged_is_a_table_alone(comparison):
    one = comparison("Next", "temporal", 0.1, {"item-kNN": 0.09})
    page = Page(render(Report("A shop", "today", comparisons=(dataclasses.replace(one, judged=False),))))
    assert [section["aria-labelledby"] for section in page.of("section")] == ["quality", "variety", "method"]
    assert "Kuapin to item-kNN" not in page.text


def test_the_launch_figure_shows_the_control_and_no_two_series_look_alike(html):
    drawing = next(d for d in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL) if "shots-" in d)
    legend = re.findall(r">(Kuapin|popularity|item-kNN|frozen text|random text|random)<", drawing)
    assert sorted(legend) == ["Kuapin", "frozen text", "item-kNN", "popularity", "random text"]
    assert {f"--s{look}" for look in range(5)} == set(re.findall(r"--s\d", drawing))


def test_the_dial_is_drawn_against_everything_that_it_buys(html):
    drawing = next(d for d in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL) if "trade-" in d)
    shown = ["Category mix@10", "Distance in the list@10", "Coverage@10", "Novelty@10"]
    assert [one for one in shown if f">{one}<" in drawing] == shown
    assert [drawing.count(f">{dial}<") for dial in ("-0.5", "+0.5")] == [4, 4]
    assert "Coverage@10 6.0\u00a0%" in drawing  # in words too
