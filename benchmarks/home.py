"""A home page: what one costs, and what stands on it.

A shop of Complete Journey is made and trained in a scratch folder (or ``--shop FOLDER``), and each of 300 households
asks for one page of 30 rows, explained, in a process that has answered before. ``ms``: processor time of a call, all
threads together. ``batch_ms``: of a page where all are asked for at once. ``rows.SURFACE``: share of the rows, beside
what was asked for in [surfaces](../docs/surfaces.md). ``categories`` and ``leaves``: distinct ones among the items of a
page (``products.…``: of the page's list of products alone, as many items as it shows). ``twice``: pages that show an
item two times.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.batch import OPTIONS, make_shop
from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.ranking_of import figure
from kuapin import columns as c
from kuapin.model import Model
from kuapin.surfaces import products
from kuapin.surfaces.home import NAME, SHARES
from kuapin.surfaces.profile import DUE
from kuapin.workspace import Shop

HOUSEHOLDS, ROWS, WARM = 300, 30, 20
ITEMS = ("item", DUE)
"""Kinds of rows whose target is an item."""


def main() -> None:
    """Measure, print, write ``results/home.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    seed = (arguments.seeds or (0,))[0]
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.open(arguments.extra.shop) if arguments.extra.shop else make_shop(Path(scratch), arguments, seed)
        figures = measure(Model.load(shop), seed, 50 if arguments.quick else HOUSEHOLDS)
    write_result("home", figures, seeds=[seed], quick=arguments.quick, extra={"rows": ROWS})


def measure(model: Model, seed: int, households: int) -> dict[str, Figure]:
    """The figures of some households' pages."""
    rng = np.random.default_rng([seed, 71])
    asked = model.users.take(np.sort(rng.permutation(len(model.users))[: households + WARM]))
    asked = asked.gather(rng.permutation(len(asked)))
    for user in asked[:WARM]:
        model.recommend(user, n=ROWS, surface=NAME, explain=True)
    asked, took, pages = asked[WARM:], [], []
    for user in asked:
        started = time.process_time()
        pages.append(model.recommend(user, n=ROWS, surface=NAME, explain=True))
        took.append(1000 * (time.process_time() - started))
    started = time.process_time()
    model.recommend(asked, n=ROWS, surface=NAME, explain=True)
    figures = {
        "p50_ms": Figure(float(np.quantile(took, 0.5)), unit="ms"),
        "p99_ms": Figure(float(np.quantile(took, 0.99)), unit="ms"),
        "batch_ms": Figure(1000 * (time.process_time() - started) / len(asked), unit="ms"),
        "households": Figure(float(len(asked)), unit="households"),
        "rows": figure(np.array([float(page.height) for page in pages])),
    }
    return figures | shares(pages) | variety(model, pages)


def shares(pages: list[pl.DataFrame]) -> dict[str, Figure]:
    """Each surface's share of a page's rows."""
    return {
        f"rows.{name}": figure(np.array([float((page[c.SURFACE] == name).mean()) for page in pages]))  # type: ignore[arg-type]
        for name in SHARES
    }


def variety(model: Model, pages: list[pl.DataFrame]) -> dict[str, Figure]:
    """Distinct categories and leaves of a page's items, and of as many products; pages with an item twice."""
    catalogue = model.catalogue
    found: dict[str, list[float]] = {
        name: [] for name in ("categories", "leaves", "products.categories", "products.leaves", "twice")
    }
    for page in pages:
        items = page.filter(pl.col(c.KIND).is_in(ITEMS))[c.TARGET_ID]
        alone = model.recommend(page[c.USER_ID][0], n=items.len())
        for where, ids in (("", items), (f"{products.NAME}.", alone[c.TARGET_ID])):
            rows = catalogue.items.rows(ids)
            found[f"{where}categories"].append(float(len(np.unique(catalogue.category[rows]))))
            found[f"{where}leaves"].append(float(len(np.unique(catalogue.leaf[rows]))))
        found["twice"].append(float(items.n_unique() < items.len()))
    return {name: figure(np.array(values)) for name, values in found.items()}


if __name__ == "__main__":
    main()
