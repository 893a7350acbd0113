"""Text → a number: rating, price level, click rate."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from kuapin import columns as c
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.labelled import labelled_items
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Counted, Facts, Measured, Objective, batches, to_device
from kuapin.finetuning.reader import Module, Reader, Tensor, vector_width
from kuapin.finetuning.tokens import Batch, Tokens

RATING, PRICE_LEVEL, CLICK_RATE = "rating", "price-level", "click-rate"


class RegressionConfig(BaseModel):
    """Which number (objective regression)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(
        PRICE_LEVEL,
        min_length=1,
        description="rating (mean of the item's), price-level (log of the price), click-rate (clicks per impression), "
        "or a task of the labels table or a column of the items that holds numbers.",
    )
    least: int = Field(3, ge=1, description="Ratings or impressions that an item needs to count.")
    held_out: float = Field(0.1, gt=0, lt=1, description="Share of items that measure and do not train.")


class Regression(Objective):
    """L = mean (z − y)², y the number in standard deviations from the mean of those trained on.

    Args:
        config: which number.
        material: with that number for at least four items.

    Raises:
        InputError: the number is known for too few items, or is the same for all.
    """

    name: ClassVar[str] = "regression"
    metric: ClassVar[str] = "rmse"
    heeds: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: RegressionConfig, material: Material) -> None:
        self.seed, self.titles = material.seed, material.titles
        numbers = {
            row: value
            for row, value in sorted(_numbers(config, material).items())
            if material.allowed[row] and material.titles[row] and np.isfinite(value)
        }
        rows = np.array(list(numbers), dtype=np.int64)
        out = material.held_out_texts(rows, config.held_out) if len(rows) else np.zeros(0, np.bool_)
        if out.sum() < 2 or (~out).sum() < 2:
            raise InputError(
                f"regression on {config.target!r}: {len(rows)} items have a title and this number, which is too few "
                "to train on some and measure on others. Import more, or choose another target."
            )
        values = np.array([numbers[row] for row in rows])
        self.mean, self.deviation = float(values[~out].mean()), float(values[~out].std())
        if self.deviation == 0:
            raise InputError(
                f"regression on {config.target!r}: every item has {self.mean:g}, so that there is nothing to learn. "
                "Choose another target."
            )
        examples = list(zip(rows.tolist(), values.tolist(), out.tolist(), strict=True))
        self.train = [(row, value) for row, value, held in examples if not held]
        self.held_out = [(row, value) for row, value, held in examples if held]

    @property
    def facts(self) -> Facts:
        """How a prediction becomes a number: z times the deviation, plus the mean."""
        return {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """One linear layer on the pooled vector: float32 (B, d) → (B, 1)."""
        width = vector_width(reader)
        return require("torch", "train").nn.Linear(width, 1)

    def held_out_groups(self) -> Sequence[str]:
        """Their titles."""
        return [self.titles[row] for row, _ in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens of the titles; ``wanted`` float32 (B,), standardised."""
        torch = require("torch", "train")
        wanted = [(value - self.mean) / self.deviation for _, value in examples]
        return tokens([self.titles[row] for row, _ in examples]) | {"wanted": torch.tensor(wanted)}

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the batch."""
        return ((self._predicted(reader, batch) - batch["wanted"]) ** 2).mean()

    def _predicted(self, reader: Reader, batch: Batch) -> Tensor:
        """Float32 (B,), standardised."""
        return reader.head(reader.pooled(batch["input_ids"], batch["attention_mask"])).squeeze(1)

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``rmse`` and ``mae`` in the number's own unit; ``loss``; ``r2`` to the mean of those measured."""
        torch = require("torch", "train")
        with torch.inference_mode():
            parts = [
                self._predicted(reader, to_device(self.collate(part, tokens), reader)).float().cpu()
                for part in batches(self.held_out, batch_size)
            ]
        wanted = np.array([value for _, value in self.held_out])
        error = torch.cat(parts).double().numpy() * self.deviation + self.mean - wanted
        squared = error**2
        values = {
            "loss": float(squared.mean() / self.deviation**2),
            "rmse": float(np.sqrt(squared.mean())),
            "mae": float(np.abs(error).mean()),
            "r2": float(1 - squared.sum() / max(((wanted - wanted.mean()) ** 2).sum(), 1e-12)),
        }
        rmse = Counted(squared[:, None], lambda means: np.sqrt(means[..., 0]))
        return Measured(values, {"mae": np.abs(error)}, self.held_out_clusters(), {"rmse": rmse})


def _numbers(config: RegressionConfig, material: Material) -> dict[int, float]:
    """Item row → number, for the items that have one."""
    catalogue = material.dataset.catalogue
    if config.target == PRICE_LEVEL:
        return {row: float(np.log(price)) for row, price in enumerate(catalogue.price) if price > 0}
    if config.target in (RATING, CLICK_RATE):
        counted = _of_log(config, material.log)
        rows = catalogue.items.rows(counted[c.ITEM_ID])
        return {int(row): float(value) for row, value in zip(rows, counted[c.VALUE], strict=True) if row >= 0}
    items = labelled_items(material, config.target)
    numbers = {}
    for row, labels in zip(items.rows.tolist(), items.labels, strict=True):
        try:
            numbers[row] = float(labels[0])
        except ValueError as error:
            item = catalogue.items.id(row)
            raise InputError(
                f"regression on {config.target!r}: the item {item!r} has {labels[0]!r}, which is no number. Correct "
                "it, or use item-classification."
            ) from error
    return numbers


def _of_log(config: RegressionConfig, log: pl.DataFrame) -> pl.DataFrame:
    """``item_id`` and ``value`` of the items with enough ratings or impressions."""
    none = pl.DataFrame(schema={c.ITEM_ID: pl.String, c.VALUE: pl.Float64})
    if config.target == RATING:
        if c.VALUE not in log.columns:
            return none
        rated = log.filter(pl.col(c.EVENT).is_in(["rating", "review"])) if c.EVENT in log.columns else log
        means = (
            rated.drop_nulls(c.VALUE)
            .group_by(c.ITEM_ID)
            .agg(pl.col(c.VALUE).cast(pl.Float64).mean(), pl.len().alias("n"))
        )
        return means.filter(pl.col("n") >= config.least).sort(c.ITEM_ID)
    if c.EVENT not in log.columns:
        return none
    counts = log.group_by(c.ITEM_ID).agg(
        (pl.col(c.EVENT) == "click").sum().alias("clicks"), (pl.col(c.EVENT) == "impression").sum().alias("n")
    )
    shown = counts.filter(pl.col("n") >= config.least)
    return shown.select(c.ITEM_ID, (pl.col("clicks") / pl.col("n")).alias(c.VALUE)).sort(c.ITEM_ID)
