"""How the user model is built and trained."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SequenceConfig(BaseModel):
    """The user model and its training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def member(self, number: int) -> Self:
        """The settings of one of several models."""
        return self.model_copy(update={"seed": self.seed + number, "models": 1})

    embedding_size: int = Field(128, ge=8, le=1_024, description="Length of an item's and a user's vector.")
    layers: int = Field(2, ge=1, le=12, description="Blocks of the transformer.")
    heads: int = Field(2, ge=1, le=16, description="Attention heads of a block; they divide the embedding size.")
    max_history: int = Field(50, ge=1, le=1_000, description="Only so many most recent interactions are read.")
    text: bool = Field(default=True, description="Items are read by their text.")
    ids: bool = Field(default=True, description="Items met in training have a vector of their own besides.")
    fade: float = Field(
        1.0, gt=0, description="An item's own vector counts as n / (n + fade), n the interactions it had."
    )
    id_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the items whose own vector is dropped in a step: the cold path is trained.",
    )
    dropout: float = Field(0.4, ge=0, lt=1, description="Of the inputs and inside the blocks.")
    temperature: float = Field(0.1, gt=0, le=10, description="Of the cosines at the start; it is learnt.")
    negatives: int = Field(1_024, ge=1, description="Items that are drawn against the right ones, shared by a batch.")
    negative_power: float = Field(
        0.75, ge=0, le=1, description="Items are drawn as (interactions, at least 1) to this."
    )
    full_softmax: int = Field(1_024, ge=0, description="Catalogues up to this size are ranked whole instead.")
    masked_share: float = Field(
        0.25, ge=0, le=1, description="Share of the batches that replay an opening: one category is taken out of every "
        "history, and what was met there is to be found.",
    )  # fmt: skip
    batch_size: int = Field(256, ge=1, description="Histories in a step.")
    learning_rate: float = Field(1e-3, gt=0, lt=1, description="Of AdamW.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Of AdamW.")
    epochs: int = Field(60, ge=1, description="Passes over the log at most.")
    patience: int = Field(5, ge=1, description="Training ends after so many passes without a better NDCG@10.")
    validation_users: int = Field(4_000, ge=1, description="Histories whose last item is kept for that, at most.")
    minutes: float | None = Field(
        20.0,
        gt=0,
        description="No pass begins after so long; none: no limit. Where it ends the training, "
        "the model depends on the machine as well as on the seed.",
    )
    more: float = Field(
        0.25,
        ge=0,
        le=2,
        description="What was held out is learnt afterwards, in so many passes more: a share of those that were best.",
    )
    most_repeated: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Where more of the interactions than this share are with an item met before, it is not trained: "
        "what people buy again is said by the sources of repeats.",
    )
    least_users: int = Field(
        500, ge=1, description="People with three interactions or more; with fewer the user model is not trained."
    )
    start: Path | tuple[Path, ...] | None = Field(
        None,
        description="Another shop, or a release of one, whose user model this one begins from; relative to the shop's "
        "folder. The same language model reads both; the shape follows from it. A list of shops: one is trained on the "
        "logs of all first, which this one begins from.",
    )
    tune: Literal["all", "adapter", "none"] = Field(
        "all",
        description="What is trained of a model that was begun from another shop's: all, how items are read, or "
        "nothing; nothing either where a user model would not be trained.",
    )
    models: int = Field(
        1,
        ge=1,
        le=16,
        description="So many are trained, with seeds that follow each other and each for so many minutes, and their "
        "scores averaged: better lists for as many times the training, size and computing.",
    )
    seed: int = Field(0, ge=0, description="Of the weights, the batches and what is dropped.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.embedding_size % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide embedding_size = {self.embedding_size}.")
        if self.start == ():
            raise ValueError("start = [] names no shop; name some, or leave it out.")
        if not (self.text or self.ids):
            raise ValueError("text = false and ids = false leave nothing to read of an item; keep one of them.")
        return self
