"""The report: what was measured, as one plain object, written for people (HTML) and for programs (JSON).

The object holds figures and words, never models or tables of users. Every part may be left empty: what is not there is
not shown.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kuapin.errors import StoreError
from kuapin.evaluation.bootstrap import Interval

MethodKind = Literal["model", "popularity", "baseline", "control", "chance"]
Protocol = Literal["temporal", "launch", "leave-one-out"]


@dataclass(frozen=True)
class Method:
    """One way to recommend.

    Attributes:
        name: as in every table.
        kind: ``model`` is ours, ``popularity`` gives everyone the same best sellers, ``chance`` is the floor,
            ``control`` is a method robbed of what is to be shown (texts that nobody understands).
        formula: what it computes, with its settings.
    """

    name: str
    kind: MethodKind
    formula: str = ""


@dataclass(frozen=True)
class Comparison:
    """All methods on one question: the same users, answers and candidates.

    Attributes:
        title: short, unique (``Next purchases, new to the household``); a launch's is its category.
        question: what is asked of the methods, in a sentence.
        protocol: see DESIGN §6.
        metric: the metric that decides, a key of the inner mapping of ``results``.
        users: how many are asked, over all seeds.
        candidates: how many items are ranked.
        results: method name → metric → value with its interval (ends NaN where it has none).
        model: the name of our method.
        baseline: the name of the best baseline by ``metric``.
        ratio: ours to the best baseline's: ratio of the means, paired.
        shot: level in a launch: the share of training users whose interactions in the category are seen; else ``None``.
        judged: whether a verdict follows; without, the figures are there to be read and nothing else.
    """

    title: str
    question: str
    protocol: Protocol
    metric: str
    users: int
    candidates: int
    results: dict[str, dict[str, Interval]]
    model: str
    baseline: str
    ratio: Interval
    shot: float | None = None
    judged: bool = True


@dataclass(frozen=True)
class Data:
    """What the figures are about.

    Attributes:
        name: of the data.
        description: where it is from, in a sentence or two.
        caveat: what a reader must know before believing the figures; shown first.
        facts: label → value, as shown (``{"Households": "2,469"}``).
        language: BCP 47 tag of the item titles; empty where unknown.
    """

    name: str
    description: str = ""
    caveat: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    language: str = ""


@dataclass(frozen=True)
class Recommended:
    """One line of an example: what, from where, and why."""

    title: str
    category: str
    reason: str


@dataclass(frozen=True)
class Example:
    """One user with the list made for them; ``history`` is the latest first."""

    user: str
    history: tuple[Recommended, ...]
    recommended: tuple[Recommended, ...]


@dataclass(frozen=True)
class Section:
    """A surface on a home page: its name, what it is for, its rows, and how well it was measured to work."""

    surface: str
    about: str
    rows: tuple[Recommended, ...]
    measured: str


@dataclass(frozen=True)
class HomePage:
    """All surfaces for one user, on one page."""

    user: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Mix:
    """The share of each category: in the lists of one method, or in what users did (``is_truth``)."""

    name: str
    shares: dict[str, float]
    is_truth: bool = False


@dataclass(frozen=True)
class Trade:
    """Lists at one position of the dial from "more of the same" to "discover".

    Attributes:
        name: the position, as shown.
        users: metric → mean over users with its interval.
        whole: metric → value, of what only all lists together have.
    """

    name: str
    users: dict[str, Interval]
    whole: Mapping[str, float]


@dataclass(frozen=True)
class Exposure:
    """A group of items: its share of the places, of what the same users chose, and of the catalogue, each in [0, 1]."""

    name: str
    shown: float
    chosen: float
    items: float


@dataclass(frozen=True)
class Timing:
    """One step of the work and how long it took, in seconds."""

    step: str
    seconds: float


@dataclass(frozen=True)
class Command:
    """What to type next, and what it does."""

    command: str
    does: str


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        title: of the page.
        created: ISO 8601 date or time, as shown.
        summary: a sentence under the title.
        data: what the figures are about.
        methods: in the order of the tables; ours first.
        comparisons: the questions asked. Those of protocol ``launch`` with one title form a shot curve.
        categories: one comparison a category, its title the category's name.
        slices: one comparison for each other part of the main question: cold and warm items, head, middle and tail,
            lengths of history, groups of users.
        mixes: the category mix of lists, and of what users did.
        trades: lists at the positions of the dial, from "more of the same" to "discover".
        exposures: groups of items by brand size and price level.
        examples: users with their lists.
        pages: users with their home pages.
        timings: in the order of the work.
        setting: label → value: command, commit, hardware, seeds.
        notes: further paragraphs on how it was measured.
        commands: what to try next.
    """

    title: str
    created: str
    summary: str = ""
    data: Data | None = None
    methods: tuple[Method, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    categories: tuple[Comparison, ...] = ()
    slices: tuple[Comparison, ...] = ()
    mixes: tuple[Mix, ...] = ()
    trades: tuple[Trade, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    examples: tuple[Example, ...] = ()
    pages: tuple[HomePage, ...] = ()
    timings: tuple[Timing, ...] = ()
    setting: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()


def to_json(report: Report) -> str:
    """The report as JSON, fields as in :class:`Report`; values that are not finite are null."""
    return json.dumps(_finite(dataclasses.asdict(report)), ensure_ascii=False, indent=1, allow_nan=False)


def write_report(report: Report, folder: Path, name: str = "report") -> Path:
    """Write ``<name>.html`` and ``<name>.json`` into a folder, which is made where it is missing.

    Returns:
        The path of the page.

    Raises:
        MissingExtraError: matplotlib is not installed.
        StoreError: the folder cannot be written.
    """
    from kuapin.evaluation.page import render

    page = render(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(to_json(report) + "\n", encoding="utf-8")
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The report cannot be written to {folder}: {error.strerror}. Choose another folder."
        ) from error
    return folder / f"{name}.html"


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
