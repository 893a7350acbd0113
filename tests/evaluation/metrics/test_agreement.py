"""Our numbers and those of independent code agree to 1e-9 on random tables.

Accuracy: ir-measures, whose provider is pytrec_eval, NIST's trec_eval in C. Coverage: LensKit and RecTools pin other
versions of pandas and NumPy than ours, so it is compared with the definition computed by Polars.
"""

import ir_measures
import numpy as np
import polars as pl
import pytest
from ir_measures import RR, P, R, Success, nDCG

from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked

N_ITEMS, N_USERS, K = 400, 300, 50

PEERS = {
    "ndcg@10": nDCG @ 10,
    "ndcg@50": nDCG @ 50,
    "recall@10": R @ 10,
    "recall@50": R @ 50,
    "hit_rate@10": Success @ 10,
    "mrr": RR,
    "mrr@10": RR @ 10,
    "precision@10": P @ 10,
    "precision@50": P @ 50,
}


@pytest.fixture(scope="module", params=[0, 1, 2])
def table(request):
    rng = np.random.default_rng(request.param)
    items = np.stack([rng.permutation(N_ITEMS)[:K] for _ in range(N_USERS)]).astype(np.int32)
    # Lists of 1 to 50 items, and 1 to 80 answers: more than k, too.
    items[np.arange(K)[None] >= rng.integers(1, 2 * K, N_USERS)[:, None]] = -1
    answers = [np.sort(rng.permutation(N_ITEMS)[: rng.integers(1, 81)]) for _ in range(N_USERS)]
    indptr = np.concatenate(([0], np.cumsum([len(a) for a in answers])))
    facts = ItemFacts(np.zeros(N_ITEMS, np.int32), np.zeros(N_ITEMS, np.int64), 0, np.arange(N_ITEMS, dtype=np.int32))
    return Ranked(items), Answers(indptr, np.concatenate(answers).astype(np.int32)), facts


def test_accuracy_agrees_with_trec_eval(table):
    ranked, answers, facts = table
    ours = evaluate(ranked, answers, facts, list(PEERS))
    qrels = {
        str(u): {str(i): 1 for i in answers.items[answers.indptr[u] : answers.indptr[u + 1]]} for u in range(N_USERS)
    }
    run = {
        str(u): {str(item): float(K - rank) for rank, item in enumerate(row) if item >= 0}
        for u, row in enumerate(ranked.items)
    }
    seen = 0
    for outcome in ir_measures.iter_calc(list(PEERS.values()), qrels, run):
        metric = next(name for name, peer in PEERS.items() if peer == outcome.measure)
        assert ours.users[metric][int(outcome.query_id)] == pytest.approx(outcome.value, abs=1e-9)
        seen += 1
    assert seen == len(PEERS) * N_USERS


def test_coverage_agrees_with_its_definition(table):
    ranked, answers, facts = table
    long = pl.DataFrame({"item": ranked.items[:, :10].ravel()}).filter(pl.col("item") >= 0)
    expected = long["item"].n_unique() / N_ITEMS
    assert evaluate(ranked, answers, facts, ["coverage@10"]).mean("coverage@10") == pytest.approx(expected, abs=1e-9)
