"""What training learns for the surfaces beside the list of products."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.baskets import COLUMNS, build_baskets
from kuapin.data.store import TableStore
from kuapin.data.vocabulary import Vocabulary
from kuapin.progress import SILENT, Progress
from kuapin.ranking.completion import Completion, CompletionConfig, fit_completion
from kuapin.ranking.growth import Growth, GrowthConfig, weekly
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.response import Response, ResponseConfig
from kuapin.retrieval.source import Visible
from kuapin.storefront import LEARNT, setting_of
from kuapin.surfaces import brands as brands_surface
from kuapin.surfaces import bundles as bundles_surface
from kuapin.surfaces import campaigns as campaigns_surface
from kuapin.surfaces import trends as trends_surface
from kuapin.surfaces.brands import Brands


@dataclass(frozen=True)
class Learned:
    """What the surfaces learn in training.

    Attributes:
        n_items: size of the catalogue.
        bundles: completes baskets; ``None``: the log has none.
        brands: ranks brands; ``None``: no item that anybody met has one.
        campaigns: who uses an offer; ``None``: the shop has no campaigns.
        trends: whether next week brings more; ``None``: the log has no times.
    """

    n_items: int
    bundles: Completion | None
    brands: Brands | None
    campaigns: Response | None
    trends: Growth | None

    def save(self, folder: Path) -> None:
        """Write a folder each into a release's draft."""
        folder.mkdir(parents=True)
        (folder / LEARNT).write_text(json.dumps({"items": self.n_items}), encoding="utf-8")
        if self.bundles is not None:
            (folder / bundles_surface.NAME).mkdir(parents=True)
            self.bundles.save(folder / bundles_surface.NAME)
        if self.brands is not None:
            self.brands.save(folder / brands_surface.NAME)
        if self.campaigns is not None:
            self.campaigns.save(folder / campaigns_surface.NAME)
        if self.trends is not None:
            self.trends.save(folder / trends_surface.NAME)


def fit_surfaces(
    visible: Visible,
    recommender: Recommender,
    store: TableStore,
    users: Vocabulary,
    config: Config,
    *,
    progress: Progress = SILENT,
) -> Learned:
    """Learn what the surfaces need beside the recommender.

    Args:
        visible: the whole log, in the items of its catalogue.
        recommender: fitted on it; the response to offers reads its text vectors, which the release keeps.
        store: the shop's tables, for what histories do not hold.
        users: user_id ↔ row of the histories.
        config: of the shop.
        progress: told of the steps.
    """
    baskets = build_baskets(store.read(c.INTERACTIONS, COLUMNS), visible.catalogue.items, users)
    together = int(np.count_nonzero(baskets.histories.lengths > 1))
    branded = bool((visible.catalogue.brand[visible.histories.items] >= 0).any())
    completion = CompletionConfig(seed=config.seed, ranking=config.ranking)
    promoted = store.read(c.CAMPAIGNS).height > 0
    timed = visible.histories.timed and len(visible.histories.items) > 0
    return Learned(
        len(visible.catalogue),
        bundles=fit_completion(visible, baskets, completion, progress) if together else None,
        brands=Brands.fit(visible, config.signals, config.ranking, config.live, progress) if branded else None,
        campaigns=_response(visible, recommender, store, users, config.seed, progress) if promoted else None,
        trends=_growth(visible, config.seed, progress) if timed else None,
    )


def _growth(visible: Visible, seed: int, progress: Progress) -> Growth:
    with progress.step("Learning what grows"):
        counts = weekly(visible.histories, visible.now + 1)
        return Growth.fit(counts, visible.catalogue.category, GrowthConfig(seed=seed))


def _response(
    visible: Visible, recommender: Recommender, store: TableStore, users: Vocabulary, seed: int, progress: Progress
) -> Response:
    with progress.step("Learning who uses an offer"):
        setting = setting_of(visible.catalogue, visible.histories, recommender, store, users)
        return Response.fit(setting, ResponseConfig(seed=seed))
