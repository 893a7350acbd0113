"""The training loop: Hugging Face's Trainer, told what trains, what to measure and where to keep it."""

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuapin.device import training_device
from kuapin.encoding.export import quietly
from kuapin.extras import require
from kuapin.finetuning.checkpoints import newest_whole
from kuapin.finetuning.interruption import Interruption
from kuapin.finetuning.memory import enough_memory
from kuapin.finetuning.objective import Measured, Objective
from kuapin.finetuning.precision import trains_in_bf16
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.reader_trainer import reader_trainer
from kuapin.finetuning.settings import TrainingConfig
from kuapin.finetuning.soup import Soup
from kuapin.finetuning.strategy import Strategy, trainable
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.tracking import chosen_tracker, recording
from kuapin.progress import SILENT, Progress, Step

CURVES = "curves"
"""Folder inside a run's with what a tracker on disk records."""
_OPTIMISERS = {"adamw": "adamw_torch", "sgd": "sgd", "adafactor": "adafactor"}
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@dataclass(frozen=True)
class Outcome:
    """What training did.

    Attributes:
        steps: of the optimiser.
        planned: steps that were planned; fewer were done where training ended early.
        before: metrics on the reported half of what is held out, before the first step.
        after: the same of the best checkpoint, which the reader holds now; the other half chose it.
        curve: (step, metrics) of every measurement in between.
        seconds_per_step: on average, forward, backward and the optimiser's step; measurements are not included.
        averaged: checkpoints that the result is the mean of.
        peak_bytes: most memory that the process has had so far.
        trained: number of parameters that trained.
        resumed_from: step at which an earlier run was taken up; 0: from the start.
    """

    steps: int
    planned: int
    before: Measured
    after: Measured
    curve: tuple[tuple[int, dict[str, float]], ...]
    seconds_per_step: float
    averaged: int
    peak_bytes: int
    trained: int
    resumed_from: int


def planned_steps(config: TrainingConfig, examples: int) -> int:
    """Steps of the optimiser in a whole run."""
    if config.max_steps is not None:
        return config.max_steps
    return max(1, math.ceil(config.epochs * _steps_per_epoch(config, examples)))


def _steps_per_epoch(config: TrainingConfig, examples: int) -> int:
    return max(1, math.ceil(math.ceil(examples / config.batch_size) / config.accumulation))


def fit(
    reader: Reader,
    objective: Objective,
    strategy: Strategy,
    tokens: Tokens,
    config: TrainingConfig,
    run: Path,
    progress: Progress = SILENT,
    finish: Callable[[], None] = lambda: None,
    watch: Callable[[int, float], None] = lambda step, value: None,
    seed: int | None = None,
) -> Outcome:
    """Train; the reader then holds the best checkpoint, or what it held where no step is planned.

    A checkpoint is kept at every measurement. Ctrl-C ends after the step at hand with a checkpoint in ``run``, from
    which the same call goes on to the same result.

    Args:
        reader: with the strategy applied and the head in place.
        objective: gives examples, loss and metrics.
        strategy: told of every step.
        tokens: of the backbone.
        config: of the loop.
        run: folder of checkpoints; the newest that is whole is taken up.
        progress: told of every step, with the loss.
        watch: told the step and the metric of every measurement; what it raises ends the training.
        finish: called when the reader holds the best checkpoint, before it is measured.
        seed: of the order of the examples and of dropout; ``None``: the objective's.

    Raises:
        KuapinError: the loss is not a number, or memory is too small; checkpoints stay.
        KeyboardInterrupt: after Ctrl-C.
    """
    transformers = require("transformers", "train")
    require("accelerate", "train")
    total = planned_steps(config, len(objective.train))
    every = max(1, min(total, round(config.evaluate_every * _steps_per_epoch(config, len(objective.train)))))
    chooses, reports = objective.halves()
    reader.objective = chooses  # type: ignore[attr-defined]
    reader.eval()
    with enough_memory(lambda: "while measuring before the first step"):
        before = reports.measure(reader, tokens, config.batch_size)
    resumed = newest_whole(run)
    done = int(resumed.name.rpartition("-")[2]) if resumed else 0
    reader.train()
    clock = Clock()
    title = f"Training ({objective.name}, {strategy.name}){f', going on from step {done:,}' if done else ''}"
    soup = Soup(run, config.soup, greater_is_better=objective.greater_is_better)
    with (
        recording(chosen_tracker(config.tracker), run / CURVES),
        quietly(),
        progress.step(title, total, "steps") as step,
        Interruption() as stop,
    ):
        step.advance(done)
        trainer = reader_trainer()(
            strategy=strategy,
            tokens=tokens,
            config=config,
            soup=soup,
            watch=watch,
            model=reader,
            args=_arguments(config, run, total, every, objective, reader, objective.seed if seed is None else seed),
            train_dataset=objective.train,
            eval_dataset=chooses.held_out,
            data_collator=lambda examples: objective.collate_training(examples, tokens),
            callbacks=[_callback(reader, strategy, step, stop, total, clock)],
        )
        if config.patience is not None:
            trainer.add_callback(transformers.EarlyStoppingCallback(early_stopping_patience=config.patience))
        trainer.remove_callback(transformers.PrinterCallback)
        with enough_memory(lambda: f"at step {trainer.state.global_step + 1}"):
            if total == 0:
                trainer.evaluate()
            elif resumed is None or not trainer.take_up_end(resumed):
                trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if stop.asked:
        raise KeyboardInterrupt
    reader.eval()
    with enough_memory(lambda: "while measuring after the last step"):
        averaged = soup.stir(
            reader, strategy, lambda: chooses.measure(reader, tokens, config.batch_size).values[objective.metric]
        )
        finish()
        after = reports.measure(reader, tokens, config.batch_size)
    history = [entry for entry in trainer.state.log_history if f"eval_{objective.metric}" in entry]
    return Outcome(
        steps=trainer.state.global_step,
        planned=total,
        before=before,
        after=after,
        curve=tuple((int(entry["step"]), _own(entry)) for entry in history),
        seconds_per_step=clock.seconds / max(1, trainer.state.global_step - done),
        averaged=averaged,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        trained=sum(parameter.numel() for parameter in trainable(reader).values()),
        resumed_from=done,
    )


def _own(entry: dict[str, Any]) -> dict[str, float]:
    return {name.removeprefix("eval_"): float(value) for name, value in entry.items() if name.startswith("eval_")}


def _arguments(
    config: TrainingConfig, run: Path, total: int, every: int, objective: Objective, reader: Reader, seed: int
) -> Any:
    transformers = require("transformers", "train")
    tracker = chosen_tracker(config.tracker)
    arguments = transformers.TrainingArguments(
        output_dir=str(run),
        use_cpu=training_device().type == "cpu",
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        max_steps=total,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip,
        lr_scheduler_type=_SCHEDULES[config.schedule],
        warmup_steps=round(config.warmup * total),
        optim=_OPTIMISERS[config.optimizer],
        bf16=trains_in_bf16(config.precision, reader),
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,  # else a resumed run forgets how long nothing got better
        metric_for_best_model=f"eval_{objective.metric}",
        greater_is_better=objective.greater_is_better,
        logging_steps=max(1, min(every, 10)),
        logging_nan_inf_filter=False,
        report_to=[] if tracker == "none" else [tracker],
        remove_unused_columns=False,
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
    )
    # One card: DataParallel cuts tensors by rows, and a batch's (B, B) masks and stacked texts cannot be cut so
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


class Clock:
    """Adds up the time between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.seconds, self._started = 0.0, 0.0

    def start(self) -> None:
        """From here on."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Up to here."""
        self.seconds += time.perf_counter() - self._started


def _callback(reader: Reader, strategy: Strategy, step: Step, stop: Interruption, total: int, clock: Clock) -> Any:
    transformers = require("transformers", "train")

    class Steps(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock.start()

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            strategy.after_step(reader, state.global_step + 1)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            step.advance(1)
            clock.stop()
            if stop.asked and state.global_step < total:
                control.should_save = control.should_training_stop = True
            elif state.global_step >= total:  # the end is measured too, wherever it falls
                control.should_evaluate = control.should_save = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "loss" in logs:
                step.note(f"loss {logs['loss']:.4f}")

    return Steps()
