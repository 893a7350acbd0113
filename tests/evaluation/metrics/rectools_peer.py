"""Runs inside RecTools' own environment: a folder with tables in, RecTools' figures out, as JSON on stdout.

Usage: python rectools_peer.py FOLDER, which holds lists.csv, answers.csv, visible.csv (all integers) and items.csv.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from rectools.metrics import (
    MRR,
    NDCG,
    AvgRecPopularity,
    CatalogCoverage,
    HitRate,
    MeanInvUserFreq,
    Precision,
    Recall,
    calc_metrics,
)

folder = Path(sys.argv[1])
lists, answers, visible = (pd.read_csv(folder / f"{name}.csv") for name in ("lists", "answers", "visible"))
catalog = pd.read_csv(folder / "items.csv")["item_id"].tolist()
metrics = {
    "ndcg@10": NDCG(10, divide_by_achievable=True),
    "recall@10": Recall(10),
    "hit_rate@10": HitRate(10),
    "mrr@10": MRR(10),
    "precision@10": Precision(10),
    "coverage@10": CatalogCoverage(10, normalize=True),
    "novelty@10": MeanInvUserFreq(10),
    "average_popularity@10": AvgRecPopularity(10),
}
outcome = calc_metrics(metrics, reco=lists, interactions=answers, prev_interactions=visible, catalog=catalog)
json.dump({name: float(value) for name, value in outcome.items()}, sys.stdout)
