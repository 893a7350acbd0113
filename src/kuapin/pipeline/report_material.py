"""What every measurement of a shop works with: its log, its texts and vectors, its settings."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.data.user_groups import groups_by_row
from kuapin.encoding.items import encoded
from kuapin.encoding.opening import open_encoder
from kuapin.evaluation.report import Timing
from kuapin.pipeline.joint_start import joint_start
from kuapin.pipeline.train import tables_of
from kuapin.progress import SILENT, Progress
from kuapin.ranking.live import LiveConfig
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.replays import ReplayConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Visible
from kuapin.retrieval.whitening import whiten
from kuapin.sequence.starting import Start
from kuapin.text.template import render
from kuapin.workspace import Shop


@dataclass(frozen=True)
class Learning:
    """How our method is trained in every measurement."""

    signals: SignalsConfig = field(default_factory=SignalsConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    replays: ReplayConfig = field(default_factory=ReplayConfig)
    live: LiveConfig = field(default_factory=LiveConfig)


@dataclass(frozen=True)
class Material:
    """A shop ready to be measured.

    Attributes:
        dataset: the whole log.
        texts: the masked text of every item.
        vectors: float32 (n_items, d).
        white: the same whitened. Neither reads the log.
        config: the shop's settings.
        learning: how our method is trained.
        groups: of the users by row, by columns of the users table; ``None``: nothing is known.
        start: a user model of several other shops to begin from, as in ``Visible``.
    """

    dataset: Dataset
    texts: pl.Series
    vectors: NDArray[np.float32]
    white: NDArray[np.float32]
    config: Config
    learning: Learning = field(default_factory=Learning)
    groups: pl.DataFrame | None = None
    start: Start | None = None

    def visible(self, histories: Histories, now: int, opening: NDArray[np.int32] | None = None) -> Visible:
        """What may be learnt from when only these histories may be seen; ``opening`` as in ``Visible``."""
        catalogue, start = self.dataset.catalogue, self.start
        return Visible(catalogue, histories, self.vectors, now, self.texts, self.white, opening, start=start)

    def seeds(self, draws: int) -> range:
        """The seeds of so many draws of users: the shop's own, and those after it."""
        return range(self.config.seed, self.config.seed + draws)


def material_of(shop: Shop, progress: Progress = SILENT, *, user_model: bool = True) -> Material:
    """Read a shop's tables and encode what is not encoded yet.

    Args:
        shop: the workspace.
        progress: told of the steps.
        user_model: whether one will be trained, which may have to begin from one of several other shops.
    """
    with progress.step("Reading the shop"):
        _, dataset = tables_of(shop)
    frame, config = dataset.catalogue.frame, shop.config
    texts = render(frame, config.text)
    encoder = open_encoder(config.encoding, shop.vectors / "encoders", texts.to_list(), progress)
    vectors = encoded(encoder, config.text, frame, texts, shop.vectors, progress)
    learning = Learning(config.signals, config.ranking, ReplayConfig(seed=config.seed), config.live)
    groups = groups_by_row(shop.store.read(c.USERS), dataset.users)
    start = joint_start(config, encoder, None, progress) if user_model else None
    return Material(dataset, texts, vectors, whiten(vectors), config, learning, groups, start)


class Stopwatch:
    """Notes how long the steps of a job take, in their order; a step of the same name goes on with its time."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Time a ``with`` block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[step] = self._seconds.get(step, 0.0) + time.perf_counter() - started

    @property
    def timings(self) -> tuple[Timing, ...]:
        """What was timed."""
        return tuple(Timing(step, seconds) for step, seconds in self._seconds.items())
