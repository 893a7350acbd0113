"""Hugging Face's Trainer with our groups, our measurements, and checkpoints of what trains and nothing else."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kuapin.errors import KuapinError
from kuapin.extras import require
from kuapin.finetuning.adversarial import Adversary, harden
from kuapin.finetuning.checkpoints import STATE, best_of, seal
from kuapin.finetuning.optimiser import make_optimiser
from kuapin.finetuning.reader import Tensor
from kuapin.finetuning.settings import TrainingConfig
from kuapin.finetuning.soup import Soup
from kuapin.finetuning.strategy import Strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trained import all_finite, from_bytes, to_bytes

WEIGHTS = "model.safetensors"


class ReaderTraining:
    """What we do otherwise; it stands before the Trainer in :func:`reader_trainer`'s class.

    Args:
        strategy: told of checkpoints, asked for its penalty.
        tokens: for measurements.
        config: of the loop.
        soup: keeps the best measured weights.
        watch: told of every measurement.
        options: the Trainer's own.
    """

    args: Any
    callback_handler: Any
    compute_loss_context_manager: Any
    control: Any
    get_optimizer_cls_and_kwargs: Any
    log: Any
    model: Any
    optimizer: Any
    state: Any
    _prepare_inputs: Any

    def __init__(
        self,
        *,
        strategy: Strategy,
        tokens: Tokens,
        config: TrainingConfig,
        soup: Soup,
        watch: Callable[[int, float], None],
        **options: Any,
    ) -> None:
        self.strategy, self.tokens, self.loop, self.soup, self.watch = strategy, tokens, config, soup, watch
        super().__init__(**options)
        self.adversary = Adversary(self.model, config.adversarial)

    def create_optimizer(self, model: Any = None) -> Any:
        """Over our groups."""
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = self.optimizer or make_optimiser(self.model, self.loop, kind, options)
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """The objective's and the strategy's penalty; refused where it is no number."""
        loss = super().compute_loss(model, inputs, *args, **kwargs) + self.strategy.penalty(self.model)  # type: ignore[misc]
        if not math.isfinite(float(loss.detach())):
            raise KuapinError(
                _not_a_number(f"The loss is {float(loss.detach())} at", self.state.global_step + 1, self.loop)
            )
        return loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """The batch as it is, and once more against the adversary where there is one."""
        with self.adversary.clean() if self.adversary.steps else nullcontext():
            loss = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        if self.adversary.steps:
            self.adversary.take_step()
            harden(self.adversary, lambda: self._plain_loss(model, inputs))
            with self.adversary.changed():  # its gradient is added to that of the batch as it is
                super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        return loss

    def _plain_loss(self, model: Any, inputs: Any) -> Tensor:
        with self.compute_loss_context_manager():
            return self.compute_loss(model, self._prepare_inputs(inputs))

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The objective's own metrics."""
        self.model.eval()
        measured = self.model.objective.measure(self.model, self.tokens, self.loop.batch_size)
        self.model.train()
        value = measured.values[self.model.objective.metric]
        self.soup.keep(self.model, self.strategy, self.state.global_step, value)
        metrics = {f"eval_{name}": value for name, value in measured.values.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.watch(self.state.global_step, value)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if not all_finite(self.model):
            raise KuapinError(_not_a_number("Weights are no numbers after", self.state.global_step, self.loop))
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).write_bytes(to_bytes(self.model, self.strategy))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._take(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        self._take(Path(self.state.best_model_checkpoint))

    def take_up_end(self, checkpoint: Path) -> bool:
        """Hold the best of a training whose last checkpoint is this one; ``False``: training goes on from there."""
        state = type(self.state).load_from_json(str(checkpoint / STATE))
        if state.global_step < self.args.max_steps and not self._out_of_patience(state):
            return False
        self.state = state
        self._take(best_of(checkpoint))
        return True

    def _out_of_patience(self, state: Any) -> bool:
        """Whether early stopping had ended it; the Trainer forgets that when it is resumed."""
        told = state.stateful_callbacks.get("EarlyStoppingCallback", {"attributes": {}})["attributes"]
        vain = told.get("early_stopping_patience_counter", 0)
        return self.loop.patience is not None and vain >= self.loop.patience

    def _take(self, folder: Path) -> None:
        from_bytes((folder / WEIGHTS).read_bytes(), self.model, self.strategy, str(folder))


def reader_trainer() -> Any:
    """The class; it is made when asked for, because torch is imported only where models are trained."""
    return type("ReaderTrainer", (ReaderTraining, require("transformers", "train").Trainer), {})


def _not_a_number(what: str, step: int, config: TrainingConfig) -> str:
    return (
        f"{what} step {step}. Lower training.learning_rate ({config.learning_rate:g}). What is live, and the last "
        "checkpoint, are untouched."
    )
