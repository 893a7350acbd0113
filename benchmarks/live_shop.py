"""A shop at one moment of its log, trained on what lies before, with those to ask and what they did then."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ROOT, Arguments, data_folder
from benchmarks.sets import DataSet, cache_folder, complete_journey, load_set
from kuapin.data.dataset import Catalogue
from kuapin.evaluation.ranked import ItemFacts
from kuapin.evaluation.splits import Temporal, temporal
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

TIMED = "amazon18_office_industrial_timed"
LATER = (
    "reasons.py",
    "reason_kinds.py",
    "reason_case.py",
    "reason_sentences.py",
    "reason_sets.py",
    "deletion.py",
    "phrases.py",
    "english.py",
    "chinese.py",
    "reranker.py",
    "greedy.py",
    "diversity.py",
    "exploration.py",
    "rules.py",
    "rule_binding.py",
    "bound_rules.py",
    "contradictions.py",
    "safety.py",
    "safety_words.py",
    "safety_classifier.py",
)
"""Source files that act on lists alone: a training does not depend on them."""


def shops_of(arguments: Arguments) -> dict[str, Path | None]:
    """Name → folder of the shops that a benchmark of lists works on; ``None``: Complete Journey, not in a quick run."""
    if arguments.folder is not None:
        return {arguments.folder.resolve().name: arguments.folder}
    timed = {TIMED: data_folder() / TIMED}
    return timed if arguments.quick else {"complete_journey": None, **timed}


NEVER = 2**31
"""More users than there are: a source that asks for so many is not trained."""


def without_user_model() -> SourcesConfig:
    """The sources of a shop as usual, but for the user model."""
    usual = SourcesConfig()
    return usual.model_copy(update={"sequence": usual.sequence.model_copy(update={"least_users": NEVER})})


@dataclass(frozen=True)
class LiveShop:
    """What a benchmark of lists works on.

    Attributes:
        data: the whole log.
        split: at the cut.
        recommender: trained on what lies before the cut.
        facts: about the items, of what was visible.
        vectors: float32 (n_items, d), of unit length.
    """

    data: DataSet
    split: Temporal
    recommender: Recommender
    facts: ItemFacts
    vectors: NDArray[np.float32]

    @property
    def catalogue(self) -> Catalogue:
        """Of the shop."""
        return self.data.dataset.catalogue


def live_shop(folder: Path | None, *, seed: int = 0, users: int | None = None, share: float = 0.1) -> LiveShop:
    """Train a shop on all but the last stretch of its log; a training is kept between runs of the same source.

    Args:
        folder: the set, with times; ``None``: Complete Journey.
        seed: of the training and of who is asked.
        users: asked at most; ``None``: all.
        share: of the log that is hidden.
    """
    data = complete_journey() if folder is None else load_set(folder)
    split = temporal(data.dataset, share=share, max_test_users=users, seed=seed)
    vectors, catalogue = data.vectors(), data.dataset.catalogue
    key = hashlib.sha256(f"{data.fingerprint} {seed} {share} {source_hash()}".encode()).hexdigest()
    kept = cache_folder() / "live" / key
    if (kept / "recommender.json").exists():
        recommender = Recommender.load(kept, catalogue)
    else:
        visible = Visible(catalogue, split.visible, vectors, split.cut, data.texts())
        recommender = fit_live(
            visible, signals=SignalsConfig(), ranking=RankingConfig(seed=seed), live=LiveConfig(seed=seed)
        ).recommender
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "sources").mkdir(exist_ok=True)
        recommender.save(kept)
    facts = ItemFacts.from_visible(split.visible, catalogue.category)
    return LiveShop(data, split, recommender, facts, vectors)


def source_hash() -> str:
    """Hash of the source files that a training depends on: another one is another training."""
    digest = hashlib.sha256()
    for package in ("data", "encoding", "retrieval", "ranking", "sequence", "text"):
        for path in sorted((ROOT / "src" / "kuapin" / package).rglob("*.py")):
            if path.name not in LATER:
                digest.update(path.read_bytes())
    return digest.hexdigest()
