"""Adam for a table of which a step touches few rows: the cost of a step does not grow with the catalogue."""

from typing import Any

from kuapin.extras import require

BETAS = (0.9, 0.98)
SMALL = 1e-8


class RowAdam:
    """AdamW (Loshchilov and Hutter 2019) that catches up with a row when it is read again.

    Plain Adam moves every row at every step, for momentum goes on where there is no gradient. After k steps without one
    a row has gone Σ_j (β1 / √β2)^j, j = 1 … k, times its last step, a geometric series. That is made up for when the
    row is next read, so that the result is that of Adam on the whole table, up to its small constant and the bias
    correction of the first steps.

    Args:
        table: float32 (n, d), changed in place.
        learning_rate: of every step.
        weight_decay: likewise.
    """

    def __init__(self, table: Any, learning_rate: float, weight_decay: float) -> None:
        torch = require("torch", "train")
        self.table, self.learning_rate, self.weight_decay = table, learning_rate, weight_decay
        self.mean, self.square = torch.zeros_like(table), torch.zeros_like(table)
        self.seen = torch.zeros(len(table), dtype=torch.long, device=table.device)  # every row was brought up to it
        self.steps = 0

    def read(self, rows: Any) -> Any:
        """The rows (k,), distinct, as of now, float32 (k, d): a leaf whose gradient ``step`` takes."""
        self._catch_up(rows)
        return self.table[rows].requires_grad_()

    def step(self, rows: Any, gradient: Any) -> None:
        """Move the rows that were read; ``gradient`` float32 (k, d)."""
        first, second = BETAS
        self.steps += 1
        mean = first * self.mean[rows] + (1 - first) * gradient
        square = second * self.square[rows] + (1 - second) * gradient**2
        moved = self._size(self.steps) * mean / (square.sqrt() + SMALL)
        self.table[rows] = self.table[rows] * (1 - self.learning_rate * self.weight_decay) - moved
        self.mean[rows], self.square[rows], self.seen[rows] = mean, square, self.steps

    def settle(self) -> None:
        """Bring every row up to now, so that the table may be read as it is."""
        torch, n = require("torch", "train"), len(self.table)
        for first in range(0, n, 2**16):
            rows = torch.arange(first, min(first + 2**16, n), device=self.table.device)
            self._catch_up(rows)

    def _catch_up(self, rows: Any) -> None:
        rows = rows[self.seen[rows] < self.steps]
        if len(rows) == 0:
            return
        first, second = BETAS
        missed = (self.steps - self.seen[rows]).float()[:, None]
        mean, square = self.mean[rows], self.square[rows]
        ratio = first / second**0.5
        series = ratio * (1 - ratio**missed) / (1 - ratio)
        moved = self._size(self.seen[rows].float()[:, None] + 1) * series * mean / (square.sqrt() + SMALL)
        self.table[rows] = self.table[rows] * (1 - self.learning_rate * self.weight_decay) ** missed - moved
        self.mean[rows], self.square[rows] = mean * first**missed, square * second**missed
        self.seen[rows] = self.steps

    def _size(self, step: Any) -> Any:
        """Of a step, with the bias of the first ones corrected."""
        first, second = BETAS
        return self.learning_rate * (1 - second**step) ** 0.5 / (1 - first**step)

    def state(self) -> dict[str, Any]:
        """What ``take`` takes."""
        return {"mean": self.mean, "square": self.square, "seen": self.seen, "steps": self.steps}

    def take(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        for mine, other in ((self.mean, "mean"), (self.square, "square"), (self.seen, "seen")):
            mine.copy_(state[other])
        self.steps = int(state["steps"])
