"""Weight averaging: the mean of a run's best checkpoints, as long as it measures better (Wortsman et al. 2022).

The greedy soup of arXiv:2203.05482, over the measurements of one run. It costs no time when the model is used.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kuapin.durable import write_durably
from kuapin.extras import require
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.strategy import Strategy, trainable
from kuapin.finetuning.trained import from_bytes, to_bytes

_LIST = "soup.json"


class Soup:
    """The best measured weights of a run, on disk, so that an interrupted run keeps them.

    Args:
        run: folder of the run.
        size: how many are kept; 1: none, because the best checkpoint is kept anyway.
        greater_is_better: of the metric.
    """

    def __init__(self, run: Path, size: int, *, greater_is_better: bool) -> None:
        self.run, self.size = run, size
        self.sign = 1.0 if greater_is_better else -1.0

    def keep(self, reader: Reader, strategy: Strategy, step: int, value: float) -> None:
        """Remember the weights of a step, if they are among the best so far."""
        if self.size < 2:
            return
        known = self._known() | {step: value}
        best = self._ordered(known)[: self.size]
        if step in best:
            write_durably(self._file(step), to_bytes(reader, strategy))
        write_durably(self.run / _LIST, json.dumps({str(one): known[one] for one in best}).encode())
        for one in set(known) - set(best):
            self._file(one).unlink(missing_ok=True)

    def stir(self, reader: Reader, strategy: Strategy, measure: Callable[[], float]) -> int:
        """Average into the reader, which holds the best checkpoint, what makes the metric no worse.

        Args:
            reader: changed in place.
            strategy: of the reader; its own state stays that of the best.
            measure: the metric of what the reader holds.

        Returns:
            How many checkpoints the result is the mean of.
        """
        steps = self._ordered(self._known())
        if self.size < 2 or len(steps) < 2:
            return 1
        best = to_bytes(reader, strategy)
        kept, value = [_tensors(reader)], measure()
        for step in steps[1:]:
            from_bytes(self._file(step).read_bytes(), reader, strategy, str(self._file(step)))
            candidate = [*kept, _tensors(reader)]
            from_bytes(best, reader, strategy, str(self.run))
            _put(reader, candidate)
            found = measure()
            if self.sign * found >= self.sign * value:
                kept, value = candidate, found
        from_bytes(best, reader, strategy, str(self.run))
        _put(reader, kept)
        return len(kept)

    def _known(self) -> dict[int, float]:
        path = self.run / _LIST
        found = json.loads(path.read_bytes()) if path.is_file() else {}
        return {int(step): float(value) for step, value in found.items() if self._file(int(step)).is_file()}

    def _ordered(self, known: dict[int, float]) -> list[int]:
        """Steps, the best first; of equals the earlier, as the Trainer has it."""
        return sorted(known, key=lambda step: (-self.sign * known[step], step))

    def _file(self, step: int) -> Path:
        return self.run / f"soup-{step}.safetensors"


def _tensors(reader: Reader) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainable(reader).items()}


def _put(reader: Reader, several: list[dict[str, Any]]) -> None:
    """The mean of several sets of parameters, into the reader."""
    torch = require("torch", "train")
    with torch.no_grad():
        for name, parameter in trainable(reader).items():
            parameter.copy_(torch.stack([one[name] for one in several]).mean(dim=0))
