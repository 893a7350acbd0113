"""One user's home page for the report: every surface with its rows, and how well it was measured to work."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Dataset
from kuapin.evaluation.report import HomePage, Recommended, Section
from kuapin.model import Model
from kuapin.surfaces.home import NAME, SHARES

ROWS = 30
MEASURED = Path(__file__).parent / "measured.json"
"""What the benchmarks found, a sentence a surface; ``python -m benchmarks.tables`` writes it from their results."""
ABOUT = {
    "products": "What comes next, over all categories",
    "bundles": "Completes the last basket",
    "similar": "Could stand in for the last item",
    "brands": "Brands of its own, and new ones",
    "campaigns": "Offers that it may use",
    "trends": "What is rising",
    "profile": "What the system knows",
}
AS_IT_IS = {
    "products": "Measured above, on purchases that were hidden from it.",
}


def home_of(
    model: Model, dataset: Dataset, user: str, *, kind: str = "User", measured: Mapping[str, str] | None = None
) -> HomePage:
    """The page of one user, explained.

    Args:
        model: the live release.
        dataset: of the same shop.
        user: id.
        kind: what a user is called.
        measured: surface → a sentence; ``None``: what the benchmarks found.
    """
    table = model.recommend(user, n=ROWS, surface=NAME, explain=True)
    told = read_measured() if measured is None else measured
    sections = []
    for name in SHARES:
        part = table.filter(pl.col(c.SURFACE) == name)
        if part.height:
            shown = part.select(c.KIND, c.TARGET_ID, c.REASON).iter_rows()
            rows = tuple(_named(model, dataset, user, *row) for row in shown)
            sections.append(Section(name, ABOUT[name], rows, AS_IT_IS.get(name) or told.get(name, "Not measured.")))
    return HomePage(f"{kind} {user}", tuple(sections))


def read_measured() -> dict[str, str]:
    """Surface → what its benchmark found."""
    found: dict[str, str] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def _named(model: Model, dataset: Dataset, user: str, kind: str, target: str, reason: str | None) -> Recommended:
    items, catalogue = dataset.catalogue.items, dataset.catalogue
    row = int(items.rows(pl.Series([target]))[0]) if kind in ("item", "due") else -1
    if row >= 0:
        return Recommended(catalogue.title(row) or target, catalogue.categories[catalogue.category[row]], reason or "")
    title = model.title(kind, target, user)
    return Recommended(f"{title} ({target})" if title else target, _said(kind), reason or "")


def _said(kind: str) -> str:
    return kind.replace("_", " ")
