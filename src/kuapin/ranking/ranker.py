"""One order out of all signals: the sum where little is known, the trees where they have proved better."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.ranking.linear import Linear, fit_linear, prior_weights
from kuapin.ranking.lists import Lists, ndcg_at_10
from kuapin.ranking.trees import Trees, TreesConfig, fit_trees
from kuapin.retrieval.source import Scores

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_LISTS = 10
"""With fewer lists that teach something nothing is learnt; the fixed sum ranks."""


class RankingConfig(BaseModel):
    """How the ranker is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trees: TreesConfig = TreesConfig()
    folds: int = Field(2, ge=2, description="Folds of users in which the share of the trees is chosen.")
    caution: float = Field(
        0.5, ge=0, description="Standard errors by which a greater share of the trees must be better than the sum."
    )
    seed: int = Field(0, ge=0, description="Of the folds and the trees.")


@dataclass(frozen=True)
class Ranker:
    """score = (1 - share) · linear / spread + share · trees / spread, on the scale of the linear score.

    Attributes:
        signals: names of the feature columns that it was trained on, in order.
        linear: the sum.
        trees: the forest; ``None`` where its share is 0.
        share: of the trees, chosen by cross-validation over users.
        spread: standard deviations of the linear and the trees' scores in training.
        chosen: what the choice rested on: share → mean NDCG@10 on held-out users.
    """

    signals: tuple[str, ...]
    linear: Linear
    trees: Trees | None
    share: float
    spread: tuple[float, float]
    chosen: dict[float, float]

    def score(self, features: Scores) -> NDArray[np.float64]:
        """One score a candidate, float64 (n,), from float32 (n, f)."""
        linear = self.linear.score(features)
        if self.trees is None:
            return linear / self.spread[0]
        return _mixed(linear, self.trees.score(features, linear), self.share, self.spread)

    def save(self, folder: Path) -> None:
        """Write ``ranker.json`` and, where there are trees, ``trees.txt`` (LightGBM's own format)."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "signals": list(self.signals),
            "weight": self.linear.weight.tolist(),
            "mean": self.linear.mean.tolist(),
            "share": self.share,
            "spread": list(self.spread),
            "chosen": {str(share): value for share, value in self.chosen.items()},
        }
        (folder / "ranker.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        if self.trees is not None:
            (folder / "trees.txt").write_text(self.trees.text(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Read what ``save`` wrote."""
        d = json.loads((folder / "ranker.json").read_text(encoding="utf-8"))
        forest = folder / "trees.txt"
        return cls(
            tuple(d["signals"]),
            Linear(np.array(d["weight"], np.float64), np.array(d["mean"], np.float64)),
            Trees.from_text(forest.read_text(encoding="utf-8")) if forest.exists() else None,
            float(d["share"]),
            (float(d["spread"][0]), float(d["spread"][1])),
            {float(share): float(value) for share, value in d["chosen"].items()},
        )


def fit_ranker(lists: Lists, names: tuple[str, ...], n_signals: int, config: RankingConfig) -> Ranker:
    """Fit the sum and the trees, and choose how much the trees say.

    The share is chosen on users, and where launches are replayed on launches, that neither had seen: the greatest
    weighted mean NDCG@10, where a share above 0 must beat the sum by ``caution`` standard errors. So the ranker does
    not lose to the sum it can fall back on.

    Args:
        lists: training lists; the weights say how much each user counts, here and in the choice.
        names: of the feature columns.
        n_signals: how many columns, from the first, the sum reads.
        config: how.
    """
    useful, prior = lists.useful(), prior_weights(names[:n_signals])
    held_out = {share: np.zeros(len(useful)) for share in SHARES}
    # Lists of one replayed launch stay together: what counts is how the next launch is ranked, not the next user.
    fold = np.random.default_rng(config.seed).permutation(len(useful)) % config.folds
    if len(np.unique(useful.launch[useful.launch >= 0])) >= config.folds:
        _, replay = np.unique(useful.launch, return_inverse=True)
        fold = np.where(useful.launch >= 0, replay % config.folds, fold)
    enough = len(useful) >= 2 * config.folds
    for number in range(config.folds if enough else 0):
        test = np.flatnonzero(fold == number)
        part = _fit(useful.select(np.flatnonzero(fold != number)), prior, config)
        asked = useful.select(test)
        linear = part.linear.score(asked.features)
        forest = part.trees.score(asked.features, linear)
        for share in SHARES:
            held_out[share][test] = ndcg_at_10(asked, _mixed(linear, forest, share, part.spread))
    share = choose_share(held_out, useful.weight, useful.whose, config.caution) if enough else 0.0
    chosen = {s: float(np.average(v, weights=useful.weight)) for s, v in held_out.items()} if enough else {}
    if share == 0.0:
        linear_only = fit_linear(useful, prior)
        spread = float(np.std(linear_only.score(useful.features))) if len(useful) else 1.0
        return Ranker(names, linear_only, None, 0.0, (max(spread, 1e-9), 1.0), chosen)
    final = _fit(useful, prior, config)
    return Ranker(names, final.linear, final.trees, share, final.spread, chosen)


def fixed_ranker(names: tuple[str, ...], n_signals: int) -> Ranker:
    """A sum with fixed weights, for a log that is too short to learn from."""
    return Ranker(names, Linear(prior_weights(names[:n_signals]), np.zeros(n_signals)), None, 0.0, (1.0, 1.0), {})


@dataclass(frozen=True)
class _Fitted:
    linear: Linear
    trees: Trees
    spread: tuple[float, float]


def _fit(useful: Lists, prior: NDArray[np.float64], config: RankingConfig) -> _Fitted:
    linear = fit_linear(useful, prior)
    score = linear.score(useful.features)
    trees = fit_trees(useful, score, config.trees, config.seed)
    forest = trees.score(useful.features, score)
    return _Fitted(linear, trees, (max(float(np.std(score)), 1e-9), max(float(np.std(forest)), 1e-9)))


def _mixed(
    linear: NDArray[np.float64], forest: NDArray[np.float64], share: float, spread: tuple[float, float]
) -> NDArray[np.float64]:
    return (1 - share) * linear / spread[0] + share * forest / spread[1]


def choose_share(
    held_out: dict[float, NDArray[np.float64]],
    weight: NDArray[np.float64],
    whose: NDArray[np.int32],
    caution: float,
) -> float:
    """The share that gains most over the sum, of those that gain by more than chance; all arrays (n_lists,).

    The lists of one person are averaged first: they are one observation, however many there are.
    """
    _, person = np.unique(whose, return_inverse=True)
    mass = np.bincount(person, weights=weight)
    best, best_gain = 0.0, 0.0
    for share in SHARES[1:]:
        of_lists = weight * (held_out[share] - held_out[0.0])
        difference = np.bincount(person, weights=of_lists) / np.maximum(mass, 1e-12)
        gain = float(np.average(difference, weights=mass))
        variance = float(np.average((difference - gain) ** 2, weights=mass))
        users = float(mass.sum() ** 2 / (mass**2).sum())
        if gain - caution * np.sqrt(variance / users) > 0 and gain > best_gain:
            best, best_gain = share, gain
    return best
