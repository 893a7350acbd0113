"""Rows pooled over seeds, by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.cell import Cell
from benchmarks.cells import FROZEN
from benchmarks.finetuning_depth import METRIC, UNTRAINED, figures_of
from kuapin.evaluation.metrics.registry import PerUser


def cell(users: list[int], **ndcg: list[float]) -> Cell:
    outcomes = {name: PerUser({METRIC: np.array(values)}, {}) for name, values in ndcg.items()}
    return Cell(0.0, 0, np.array(users, np.int32), outcomes, 120.0)


def test_seeds_are_pooled_and_the_best_frozen_reading_is_that_of_all():
    frozen = f"{FROZEN}: a", f"{FROZEN}: b"
    firsts = [
        cell([1, 2], **{frozen[0]: [0.4, 0.0], frozen[1]: [0.1, 0.1], UNTRAINED: [0.4, 0.2]}),
        cell([2, 3], **{frozen[0]: [0.0, 0.0], frozen[1]: [0.2, 0.2], UNTRAINED: [0.2, 0.0]}),
    ]
    figures, _ = figures_of({"row": [cell([1, 2], row=[0.6, 0.2]), cell([2, 3], row=[0.4, 0.0])]}, firsts)
    assert figures["best_frozen.ndcg"].value == pytest.approx(0.15)  # b: (.1 + .1 + .2 + .2) / 4; a has .1
    assert figures["untrained.to_best_frozen"].value == pytest.approx(0.2 / 0.15)
    assert figures["row.to_best_frozen"].value == pytest.approx(0.3 / 0.15)
    assert figures["row.to_untrained"].value == pytest.approx(1.5)
    assert figures["row.minutes"].value == 2.0
