"""What an export keeps of the neighbours, and the table, by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.finetuning_matrix import costs, least, neighbours_kept, settings
from benchmarks.tables import _grid
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.strategies.registry import STRATEGIES


def on_the_circle(*degrees):
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def test_neighbours_kept():
    """The nearest two of the first are the second and third, then the second and fourth: half; others likewise."""
    exact, moved = on_the_circle(0, 10, 30, 90), on_the_circle(0, 10, 90, 30)
    assert neighbours_kept(exact, exact, 2) == 1
    # 0: {1, 2} → {1, 3}, ½; 1: {0, 2} → {0, 3}, ½; 2: {0, 1} → {1, 3}, ½; 3: {1, 2} → {0, 1}, ½
    assert neighbours_kept(moved, exact, 2) == pytest.approx(0.5)


def test_the_figures_name_the_least_and_every_strategy():
    grid = {
        "a": {"lora": {"bf16": 0.99, "int8": 0.97}, "full": {"bf16": 1.0, "int8": 0.96}},
        "b": {"lora": {"bf16": 0.98, "int8": 0.99}, "full": {"bf16": 1.0, "int8": 1.0}},
    }
    figures = {name: figure.value for name, figure in least(grid).items()}
    assert figures == {"pairs": 4, "least.bf16_kept": 0.98, "least.int8_kept": 0.96}
    assert "| b | 0.980 / 0.990 | 1.000 / 1.000 |" in _grid(grid)
    rows = {"lora": {"parameters": 7, "seconds": 0.5, "peak_mb": 900.0, "before": 0.1, "after": 0.2}}
    assert {name: figure.value for name, figure in costs(rows).items()} == {
        "frozen.mrr": 0.1, "lora.parameters": 7, "lora.seconds_per_step": 0.5, "lora.peak_mb": 900.0, "lora.mrr": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_pair_has_settings(objective, strategy):
    config = settings(objective, strategy, 3, 16)
    assert (config.objective, config.strategy) == (objective, strategy)
    assert config.training.learning_rate == (2e-5 if strategy in ("full", "top-layers") else 2e-4)
