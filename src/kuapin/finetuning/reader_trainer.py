"""Hugging Face's Trainer with our groups, our measurements, and checkpoints of what trains and nothing else."""

from pathlib import Path
from typing import Any

from kuapin.errors import KuapinError
from kuapin.extras import require
from kuapin.finetuning.checkpoints import seal
from kuapin.finetuning.optimiser import make_optimiser
from kuapin.finetuning.reader import Tensor
from kuapin.finetuning.settings import TrainingConfig
from kuapin.finetuning.strategy import Strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trained import all_finite, from_bytes, to_bytes

WEIGHTS = "model.safetensors"


def reader_trainer() -> Any:
    """The class; it is made when asked for, because torch is imported only where models are trained."""
    torch, transformers = require("torch", "train"), require("transformers", "train")

    class ReaderTrainer(transformers.Trainer):  # type: ignore[misc, name-defined]
        def __init__(self, *, strategy: Strategy, tokens: Tokens, config: TrainingConfig, **options: Any) -> None:
            self.strategy, self.tokens, self.loop = strategy, tokens, config
            super().__init__(**options)

        def create_optimizer(self, model: Any = None) -> Any:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer: Any = self.optimizer or make_optimiser(self.model, self.loop, kind, options)
            return self.optimizer

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
            loss = super().compute_loss(model, inputs, *args, **kwargs) + self.strategy.penalty(self.model)
            if not torch.isfinite(loss):
                raise KuapinError(_not_a_number(f"The loss is {float(loss)} at", self.state.global_step + 1, self.loop))
            return loss

        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            self.model.eval()
            measured = self.model.objective.measure(self.model, self.tokens, self.loop.batch_size)
            self.model.train()
            metrics = {f"eval_{name}": value for name, value in measured.values.items()}
            self.log(metrics)
            self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            if not all_finite(self.model):
                raise KuapinError(_not_a_number("Weights are no numbers after", self.state.global_step, self.loop))
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / WEIGHTS).write_bytes(to_bytes(self.model, self.strategy))

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            super()._save_checkpoint(model, trial)
            seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            self._take(Path(resume_from_checkpoint))

        def _load_best_model(self) -> None:
            self._take(Path(self.state.best_model_checkpoint))

        def _take(self, folder: Path) -> None:
            from_bytes((folder / WEIGHTS).read_bytes(), self.model, self.strategy, str(folder))

    return ReaderTrainer


def _not_a_number(what: str, step: int, config: TrainingConfig) -> str:
    return (
        f"{what} step {step}. Lower training.learning_rate ({config.learning_rate:g}). What is live, and the last "
        "checkpoint, are untouched."
    )
