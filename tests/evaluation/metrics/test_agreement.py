"""Our numbers and those of independent code agree to 1e-9 on random tables.

Accuracy: ir-measures, whose provider is pytrec_eval, NIST's trec_eval in C. All, coverage and novelty
included: RecTools. Its pins clash with ours, so it lives in an environment of its own under ``build/peers`` (40 s and
370 MB, once), made when ``KUAPIN_PEERS=1`` is set. Without it, coverage is compared with its definition in Polars.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import ir_measures
import numpy as np
import polars as pl
import pytest
from ir_measures import RR, P, R, Success, nDCG

from kuapin.data.histories import from_interactions
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
    # What 500 other users met; the last 50 items are cold.
    met = rng.random((500, N_ITEMS)) < np.where(np.arange(N_ITEMS) < 350, rng.beta(0.3, 6, N_ITEMS), 0.0)
    met[:, 0] = True
    users, rows = np.nonzero(met)
    none = np.zeros(len(users))
    visible = from_interactions(
        users, rows, none.astype(np.int64), none.astype(np.uint8), n_users=500, n_items=N_ITEMS, timed=False
    )
    facts = ItemFacts.from_visible(visible, np.zeros(N_ITEMS, np.int32))
    return Ranked(items), Answers(indptr, np.concatenate(answers).astype(np.int32)), facts, visible


def test_accuracy_agrees_with_trec_eval(table):
    ranked, answers, facts, _ = table
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
    ranked, answers, facts, _ = table
    long = pl.DataFrame({"item": ranked.items[:, :10].ravel()}).filter(pl.col("item") >= 0)
    expected = long["item"].n_unique() / N_ITEMS
    assert evaluate(ranked, answers, facts, ["coverage@10"]).mean("coverage@10") == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def rectools():
    """The interpreter of an environment with RecTools, made on demand."""
    if os.environ.get("KUAPIN_PEERS") != "1":
        pytest.skip("needs an environment of its own: set KUAPIN_PEERS=1 to have it made")
    folder = Path(__file__).parents[3] / "build" / "peers" / "rectools"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if not done.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, capture_output=True)
            install = [python, "-m", "pip", "install", "-q", "rectools==0.19.0"]
            subprocess.run(install, check=True, capture_output=True, timeout=600)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"RecTools cannot be installed here: {error}")
        done.touch()
    return python


def test_all_agree_with_rectools(table, rectools, tmp_path):
    ranked, answers, facts, visible = table
    users, places = np.nonzero(ranked.items >= 0)
    tables = {
        "lists": {"user_id": users, "item_id": ranked.items[users, places], "rank": places + 1},
        "answers": {"user_id": answers.users, "item_id": answers.items},
        "visible": {"user_id": visible.users, "item_id": visible.items},
        "items": {"item_id": facts.candidates},
    }
    for name, columns in tables.items():
        pl.DataFrame(columns).write_csv(tmp_path / f"{name}.csv")
    script = Path(__file__).with_name("rectools_peer.py")
    printed = subprocess.run([rectools, script, tmp_path], check=True, capture_output=True, text=True).stdout
    theirs = json.loads(printed)
    assert len(theirs) == 8
    ours = evaluate(ranked, answers, facts, list(theirs)).means()
    assert ours == pytest.approx(theirs, abs=1e-9)
