"""What may not stand in a list: word lists, a classifier on text vectors, and the decisions of people, with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit

from kuapin import columns as c
from kuapin.ranking.safety_words import LANGUAGES, SafetyList, plain, safety_list
from kuapin.retrieval.source import Scores

TASK = "safety"
"""Task of the labels table in which people decide."""
ALLOW, BLOCK = "allow", "block"
"""Their labels; any other label of the task is the name of a class and blocks as well."""
PENALISE, FLAG, PASS = "penalise", "flag", "pass"
DECISION, CODE, MARGIN, PENALTY = "decision", "code", "margin", "penalty"
SCHEMA = pl.Schema(
    {
        c.ITEM_ID: pl.String(),
        DECISION: pl.String(),
        CODE: pl.String(),
        c.REASON: pl.String(),
        MARGIN: pl.Float32(),
        PENALTY: pl.Float32(),
    }
)
"""One row an item; ``decision`` is block, penalise, flag (shown, and to be looked at) or pass."""
SAMPLE = 10_000
"""Items of the catalogue that the classifier learns from, at most."""
WEIGHT = 300.0
"""What each of the three groups weighs: examples of harm, harmless examples, the catalogue."""
L2 = 1.0
ROUNDS = 2
SHELF = 5
PRESENCE = 0.05
"""A language is read by the classifier where so large a share of the titles is written in its letters."""


class SafetyConfig(BaseModel):
    """What is kept out of lists or put lower in them: harmful, illegal and adult items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether lists are kept safe; decisions are made at training.")
    block_above: float = Field(
        0.75, description="Margin of the classifier above which an item is blocked; 0 is as likely harmful as not."
    )
    doubt_above: float = Field(-1.0, description="Margin above which an item is put lower and waits for review.")
    penalty: float = Field(
        3.0, ge=0, description="Log odds that are taken off the order for each unit of margin above the doubt."
    )
    classifier: str | None = Field(
        None,
        min_length=1,
        description="A text-classification model that reads the items as well: a folder, or a hub id. Needs the train "
        "extra. Not set: none.",
    )
    classifier_labels: tuple[str, ...] = Field(
        (),
        description="Its labels that mean harm. None named: all but those called safe, neutral, non-toxic and alike.",
    )
    classifier_above: float = Field(
        0.9, gt=0, le=1, description="Probability of harm, by that model, from which on an item is blocked."
    )


class Opinion(NamedTuple):
    """What a text-classification model says of an item: its name, the harmful label, and how likely harm is."""

    model: str
    label: str
    probability: float


@dataclass(frozen=True)
class Examples:
    """Titles that teach the classifier, with their vectors.

    Attributes:
        harmful: float32 (n, d).
        harmless: float32 (m, d).
    """

    harmful: Scores
    harmless: Scores


def languages_of(titles: pl.Series) -> tuple[str, ...]:
    """The languages of the lists that a share of at least ``PRESENCE`` of the titles is written in."""
    if titles.len() == 0:
        return LANGUAGES
    written = {"en": r"[A-Za-z]{3}", "zh": r"\p{Han}"}
    share = {name: int(titles.str.contains(letters).sum()) / titles.len() for name, letters in written.items()}
    return tuple(name for name in LANGUAGES if share[name] >= PRESENCE) or LANGUAGES


def example_titles(languages: Sequence[str]) -> tuple[list[str], list[str]]:
    """The harmful and the harmless titles of some languages, from the data files; listed words count as titles."""
    lists = [safety_list(name) for name in languages]
    harmful = [title for one in lists for group in one.classes for title in (*group.examples, *group.words)]
    return harmful, [title for one in lists for title in one.harmless]


def margins(
    catalogue: Scores, examples: Examples, labels: NDArray[np.int8] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """How surely every item is harmful, float64 (n,): log odds of a logistic regression that has not seen the item.

    The regression tells examples of harm from harmless ones and from the catalogue, each group with the same weight.
    The catalogue is taken for harmless but for what a first regression suspects, so that harm in it does not teach
    that it is harmless. Everything is done in two halves: an item is judged by what was learnt from the other half.

    Args:
        catalogue: float32 (n, d), unit vectors of the titles.
        examples: vectors of the data files' titles, from the same encoder.
        labels: int8 (n,), what people said: 1 harmful, 0 harmless, -1 nothing; ``None``: nothing at all.
        seed: of the halves.
    """
    return learn(catalogue, examples, labels, seed)[0]


def learn(
    catalogue: Scores, examples: Examples, labels: NDArray[np.int8] | None = None, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """As ``margins``, with what was learnt: the margins, the catalogue's centre (d,), the halves' fits (2, d + 1)."""
    said = np.full(len(catalogue), -1, np.int8) if labels is None else labels
    dim = examples.harmful.shape[1]
    centre = np.asarray(catalogue.mean(axis=0), np.float64) if len(catalogue) else np.zeros(dim)
    x, harmful, harmless = (_centred(one, centre) for one in (catalogue, examples.harmful, examples.harmless))
    half = np.random.default_rng([seed, 21]).permutation(len(x)) % 2
    found, fits = np.zeros(len(x)), np.zeros((2, dim + 1))
    for fold in (0, 1):
        learnt = half != fold
        known = np.flatnonzero(learnt & (said >= 0))
        base = np.concatenate([harmful, harmless, x[known]])
        truth = np.concatenate([np.ones(len(harmful)), np.zeros(len(harmless)), said[known].astype(float)])
        weight = np.where(truth == 1, WEIGHT / max(truth.sum(), 1), WEIGHT / max((1 - truth).sum(), 1))
        fit = _fit(base, truth, weight)
        others = np.flatnonzero(learnt & (said < 0))[:SAMPLE]
        for _ in range(ROUNDS):
            quiet = x[others][_margin(fit, x[others]) <= 0]
            fit = _fit(
                np.concatenate([base, quiet]),
                np.concatenate([truth, np.zeros(len(quiet))]),
                np.concatenate([weight, np.full(len(quiet), WEIGHT / max(len(quiet), 1))]),
            )
        found[half == fold], fits[fold] = _margin(fit, x[half == fold]), fit
    return found, centre, fits


def margin_of(fits: NDArray[np.float64], vectors: Scores, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Margins of vectors that no fit has seen, by each fit, float64 (fits, n)."""
    x = _centred(vectors, centre)
    return np.stack([_margin(fit, x) for fit in fits])


def standing_out(margin: NDArray[np.float64], leaf: NDArray[np.integer]) -> NDArray[np.float64]:
    """Margins less what the item's whole leaf category reads like above the catalogue, float64 (n,).

    A butcher's "breast, boneless" reads like harm with all of its shelf. What a shop sells whole shelves of is its own
    decision; what stands out of its shelf is not. The mean of a shelf is drawn to the catalogue's by ``SHELF`` items.
    """
    return np.asarray(margin - shelves(margin, leaf)[leaf], np.float64)


def shelves(margin: NDArray[np.float64], leaf: NDArray[np.integer]) -> NDArray[np.float64]:
    """What every leaf category reads like above the catalogue, 0 where it does not, float64 (n_leaves,)."""
    everything = float(margin.mean()) if len(margin) else 0.0
    total, size = np.bincount(leaf, weights=margin), np.bincount(leaf)
    shelf = (total + SHELF * everything) / (size + SHELF)
    return np.asarray(np.maximum(shelf - everything, 0.0), np.float64)


def texts_of(items: pl.DataFrame) -> pl.Series:
    """What an item says of itself: its title and its description."""
    told = [name for name in (c.TITLE, c.DESCRIPTION) if name in items.columns]
    if not told:
        return pl.repeat("", items.height, dtype=pl.String, eager=True)
    return items.select(pl.concat_str(told, separator=" ", ignore_nulls=True).alias("text"))["text"]


def decide(
    items: pl.DataFrame,
    margin: NDArray[np.floating] | None,
    config: SafetyConfig,
    opinions: Sequence[Opinion] | None = None,
) -> pl.DataFrame:
    """What becomes of every item, with the reason; the columns of ``SCHEMA``.

    Args:
        items: with ``item_id`` and, where there are, ``title`` and ``description``.
        margin: of the classifier, (n,); ``None``: there are no vectors, the lists decide alone.
        config: the bounds.
        opinions: of the shop's text-classification model, one an item; ``None``: it has none.
    """
    lists = [safety_list(name) for name in LANGUAGES]
    margin = np.full(items.height, -np.inf) if margin is None else np.asarray(margin, np.float64)
    said = [None] * items.height if opinions is None else opinions
    rows = [
        (item, *_decided(plain(text), float(far), lists, config, opinion))
        for item, text, far, opinion in zip(items[c.ITEM_ID], texts_of(items), margin, said, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def overruled(decisions: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The decisions with those of people in their place.

    Args:
        decisions: of ``decide``.
        labels: item_id, task, label; those of the task ``safety`` count.
    """
    mine = labels.filter(pl.col(c.TASK) == TASK).unique(c.ITEM_ID, keep="last").select(c.ITEM_ID, c.LABEL)
    joined = decisions.join(mine, on=c.ITEM_ID, how="left", maintain_order="left")
    said, allowed = pl.col(c.LABEL).is_not_null(), pl.col(c.LABEL) == ALLOW
    return joined.with_columns(
        pl.when(said)
        .then(pl.when(allowed).then(pl.lit(PASS)).otherwise(pl.lit(BLOCK)))
        .otherwise(DECISION)
        .alias(DECISION),
        pl.when(said).then(pl.lit("label")).otherwise(CODE).alias(CODE),
        pl.when(said).then(pl.format("A person said: {}", c.LABEL)).otherwise(c.REASON).alias(c.REASON),
        pl.when(said).then(0.0).otherwise(PENALTY).cast(pl.Float32).alias(PENALTY),
    ).select(SCHEMA.names())


def _decided(
    text: str, margin: float, lists: Sequence[SafetyList], config: SafetyConfig, opinion: Opinion | None
) -> tuple[str, str | None, str | None, float, float]:
    doubt = max(margin - config.doubt_above, 0.0) * config.penalty if np.isfinite(margin) else 0.0
    for one in lists:
        harm = one.harm(text)
        if harm is not None:
            return BLOCK, harm[0], f"Its text says “{harm[1]}” ({harm[0]})", margin, 0.0
    if margin > config.block_above:
        return BLOCK, "classifier", f"It reads like harmful items (margin {margin:.2f})", margin, 0.0
    if opinion is not None and opinion.probability >= config.classifier_above:
        reason = f"{opinion.model} reads it as {opinion.label} ({opinion.probability:.2f})"
        return BLOCK, opinion.model, reason, margin, 0.0
    for one in lists:
        spoken = one.instruction(text)
        if spoken is not None:
            return FLAG, "instruction", f"Its text speaks to a model: “{spoken}”; it is read as text", margin, doubt
    if doubt > 0:
        return PENALISE, "classifier", f"It reads somewhat like harmful items (margin {margin:.2f})", margin, doubt
    return PASS, None, None, margin, 0.0


def _centred(vectors: Scores, centre: NDArray[np.floating] | float) -> NDArray[np.float64]:
    moved = np.asarray(vectors, np.float64) - centre
    return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9), np.float64)


def _fit(x: NDArray[np.float64], truth: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights and, last, the intercept of a logistic regression."""
    from scipy.optimize import minimize  # at training alone: a service starts without it

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = _margin(free, x)
        gap = weight * (expit(margin) - truth)
        value = float(weight @ (np.logaddexp(0, margin) - truth * margin) + L2 * free[:-1] @ free[:-1] / 2)
        return value, np.append(x.T @ gap + L2 * free[:-1], gap.sum())

    start = np.zeros(x.shape[1] + 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x, np.float64)


def _margin(fit: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x @ fit[:-1] + fit[-1], np.float64)


def queue(decisions: pl.DataFrame) -> pl.DataFrame:
    """What waits for a person: blocked, flagged and penalised items on which nobody decided yet, the surest first."""
    order = {BLOCK: 0, FLAG: 1, PENALISE: 2}
    waiting = decisions.filter(pl.col(DECISION).is_in(list(order)) & (pl.col(CODE) != "label"))
    rank = pl.col(DECISION).replace_strict(order, return_dtype=pl.Int8)
    return waiting.sort(rank, -pl.col(MARGIN).replace([float("-inf")], [-1e9]), c.ITEM_ID)
