"""A report with every part, its figures made up by this file."""

import pytest

from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.report import (
    Command,
    Comparison,
    Data,
    Example,
    Exposure,
    Method,
    Mix,
    Recommended,
    Report,
    Timing,
    Trade,
)

METHODS = (
    Method("Kuapin", "model", "LightGBM over all sources, trained on replayed launches."),
    Method("popularity", "popularity", "Number of users who bought the item, all time."),
    Method("popularity, 30 days", "popularity", "The same over the last 30 days."),
    Method("item-kNN", "baseline", "Cosine with shrinkage 5 over binary user × item matrices."),
    Method("frozen text", "baseline", "log Σ exp(cosine / 0.05) over the history; MiniLM, mean pooling, 64 tokens."),
    Method("random text", "control", "The same on random vectors."),
    Method("random", "chance", "Uniform draws."),
)


def around(value: float, half: float) -> Interval:
    return Interval(value, max(0.0, value - half), value + half)


def comparison(title, protocol, ours, others, *, shot=None, users=2_000, low=None, high=None, question="Rank."):
    """``others``: method → NDCG@10."""
    results = {
        name: {
            "ndcg@10": around(v, 0.004 + 0.03 * v),
            "hit_rate@10": around(min(4.2 * v, 1), 0.01),
            "mrr": around(1.1 * v, 0.01),
            "precision@10": around(0.5 * v, 0.01),
            "novelty@10": around(8 - 5 * v, 0.2),
            "popularity_bias@10": around(0.9, 0.01),
            "recall@50": around(min(2.5 * v, 1), 0.008),
            "coverage@10": Interval(0.31 if name == "Kuapin" else 0.002 + v / 3, float("nan"), float("nan")),
            "category_entropy@10": around(1.4, 0.05),
        }
        for name, v in {"Kuapin": ours, **others}.items()
    }
    best = max(others, key=others.get)
    ratio = ours / others[best]
    interval = Interval(ratio, low or ratio * 0.94, high or ratio * 1.06)
    return Comparison(title, question, protocol, "ndcg@10", users, 19_757, results, "Kuapin", best, interval, shot)


def launch(title, rows):
    """``rows``: shot → (ours, popularity, item-kNN, frozen text)."""
    return tuple(
        comparison(
            title,
            "launch",
            ours,
            {"popularity": pop, "item-kNN": knn, "frozen text": text, "random text": 0.0008, "random": 0.0007},
            shot=shot,
            question=f"{title} opens: which of its items will users choose who have met none of them?",
        )
        for shot, (ours, pop, knn, text) in rows.items()
    )


TEMPORAL = (
    comparison(
        "All next purchases",
        "temporal",
        0.441,
        {"repeat": 0.432, "popularity": 0.182, "popularity, 30 days": 0.206, "item-kNN": 0.31, "random": 0.0004},
        question="What will the household buy after the cut, things bought before included?",
    ),
    comparison(
        "Next purchases, new to the household",
        "temporal",
        0.094,
        {"repeat": 0.0007, "popularity": 0.061, "popularity, 30 days": 0.072, "item-kNN": 0.066, "random": 0.0004},
        question="What will the household buy after the cut that it has never bought before?",
    ),
)

LAUNCHES = launch(
    "Office Products",
    {
        0.0: (0.0225, 0.0006, 0.0004, 0.0169),
        0.01: (0.0375, 0.0341, 0.0053, 0.0169),
        0.1: (0.0584, 0.0520, 0.0296, 0.0169),
        1.0: (0.0723, 0.0535, 0.0516, 0.0169),
    },
) + launch(
    "Deli & prepared food",
    {
        0.0: (0.0011, 0.0009, 0.0004, 0.0012),
        0.01: (0.101, 0.118, 0.045, 0.0012),
        0.1: (0.160, 0.166, 0.09, 0.0012),
        1.0: (0.171, 0.171, 0.12, 0.0012),
    },
)

CATEGORIES = tuple(
    comparison(title, "temporal", ours, {"popularity": pop, "item-kNN": knn, "frozen text": text}, users=users)
    for title, ours, pop, knn, text, users in (
        ("Grocery", 0.122, 0.081, 0.09, 0.01, 2_101),
        ("Drug store, health and personal care", 0.08, 0.05, 0.061, 0.02, 1_650),
        ("Produce", 0.21, 0.22, 0.19, 0.03, 1_480),
        ("Meat", 0.11, 0.10, 0.09, 0.01, 1_100),
        ("Deli", 0.09, 0.12, 0.07, 0.01, 870),
        ("Cosmetics", 0.05, 0.03, 0.02, 0.04, 310),
        ("Flowers", 0.16, 0.12, 0.05, 0.01, 120),
    )
)

REPORT = Report(
    title="Kuapin on a made-up shop",
    created="23 November 2026",
    summary="Recommendations across all departments, measured on purchases that were hidden, against simple methods.",
    data=Data(
        "a made-up shop",
        "One year of purchases with baskets, campaigns and coupons.",
        "Every figure on this page was made up to test the page. It says nothing about any shop.",
        {
            "Households": "2,469",
            "Purchases": "1,469,307",
            "Products": "92,331",
            "Departments": "30",
            "From": "1 January 2017",
            "To": "31 December 2017",
        },
        "en",
    ),
    methods=METHODS,
    comparisons=TEMPORAL + LAUNCHES,
    categories=CATEGORIES,
    slices=(
        comparison("Items: cold", "temporal", 0.02, {"popularity": 0.0, "item-kNN": 0.0, "random": 0.0001}, users=77),
        comparison("Items: warm", "temporal", 0.11, {"popularity": 0.08, "item-kNN": 0.09, "random": 0.0004}),
    ),
    trades=tuple(
        Trade(
            dial,
            {
                "ndcg@10": around(ndcg, 0.01),
                "category_entropy@10": around(bits, 0.1),
                "novelty@10": around(6 + bits, 0.2),
                "intra_list_distance@10": around(bits / 4, 0.02),
            },
            {"coverage@10": bits / 20},
        )
        for dial, ndcg, bits in (("-0.5", 0.42, 0.5), ("0", 0.44, 1.2), ("+0.5", 0.4, 2.0))
    ),
    exposures=(Exposure("large brands", 0.5, 0.4, 0.01), Exposure("small brands", 0.2, 0.3, 0.9)),
    mixes=(
        Mix("Kuapin", {"Grocery": 0.52, "Produce": 0.2, "Meat": 0.12, "Deli": 0.1, "Flowers": 0.06}),
        Mix("popularity", {"Grocery": 0.7, "Produce": 0.3}),
        Mix("what users chose", {"Grocery": 0.55, "Produce": 0.18, "Meat": 0.13, "Deli": 0.09, "Flowers": 0.05}, True),
    ),
    examples=tuple(
        Example(
            f"Household {name}",
            (
                Recommended("Hair conditioner, 12 oz", "Drug store", ""),
                Recommended("Yoghurt, strawberry, 6 oz", "Grocery", ""),
                Recommended("Roses, dozen", "Flowers", ""),
            ),
            (
                Recommended("Shampoo, 12 oz", "Drug store", "Households that bought Hair conditioner, 12 oz buy this"),
                Recommended("Granola with almonds <& honey>", "Grocery", "Goes with Yoghurt, strawberry, 6 oz"),
                Recommended("跨品 护发素 400ml", "Cosmetics", "Its text is close to Hair conditioner, 12 oz"),
                Recommended("Vase, clear glass", "Home", "Goes with Roses, dozen"),
            ),
        )
        for name in ("17", "1042", "2201")
    ),
    timings=(
        Timing("Import and validate", 17.2),
        Timing("Encode 92,331 texts", 94.0),
        Timing("Fit the sources", 41.5),
        Timing("Train the ranker", 133.0),
        Timing("Evaluate over time", 62.0),
        Timing("Replay two launches", 118.0),
        Timing("Write the report", 2.4),
    ),
    setting={
        "Command": "kuapin demo",
        "Version": "0.1.0, commit 492b522",
        "Machine": "2 cores, 8 GB",
        "Seeds": "0, 1, 2, 3, 4",
        "Candidates": "every item of the catalogue, no sampling",
    },
    notes=(
        "Over time: everything before one moment is the input, everything after it is hidden and then asked for.",
        "Launch: the users who are asked are absent from all training.",
    ),
    commands=(
        Command("kuapin init shop", "Make a workspace for your own shop."),
        Command(
            "kuapin import shop --items items.csv --interactions orders.csv && kuapin train shop",
            "Read your tables and learn from them.",
        ),
    ),
)


@pytest.fixture(scope="session")
def report():
    """A report with every part."""
    return REPORT


@pytest.fixture(name="comparison")
def make_comparison():
    """Builds one comparison from NDCG@10 figures."""
    return comparison
