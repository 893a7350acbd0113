"""The surface ``brands``: the user's own brands, and new ones that would suit, apart."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.data.brand_level import TEXT, brand_catalogue, brand_histories, brand_vectors
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.progress import SILENT, Progress
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.phrases import Language
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.reasons import explain_products
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.selection import top_by_number_met, without_met
from kuapin.retrieval.source import Candidates, Visible
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "brands"
LOYAL, NEW = KINDS = ("brand", "new_brand")
"""What a row is: a brand that the user has met, or one that is new to him."""


@dataclass(frozen=True)
class Brands:
    """Ranks brands as the recommender ranks items: a brand is an item whose text, price and people are its items'.

    So a brand that nobody has met yet, or one of a category that has just opened, is found by what its items say, and
    price fit, taste and season count as they do for items.

    Attributes:
        recommender: fitted on the histories in brands.
        catalogue: of the brands that it was fitted on.
        brand: int32 (n_items,), the brand of every item of the shop, a row of ``catalogue``; -1: none.
    """

    recommender: Recommender
    catalogue: Catalogue
    brand: NDArray[np.int32]

    @classmethod
    def fit(
        cls,
        visible: Visible,
        signals: SignalsConfig | None = None,
        ranking: RankingConfig | None = None,
        live: LiveConfig | None = None,
        progress: Progress = SILENT,
    ) -> Self:
        """Learn from the histories, read in brands.

        Args:
            visible: the log in items.
            signals: which sources; ``None``: all.
            ranking: how the ranker is trained.
            live: what is hidden for it.
            progress: told of the steps.
        """
        coarse = in_brands(visible)
        with progress.step("Learning brands"):
            fitted = fit_live(coarse, signals=signals or SignalsConfig(), ranking=ranking or RankingConfig(), live=live)
        return cls(fitted.recommender, coarse.catalogue, visible.catalogue.brand)

    def new(self, histories: Histories, n: int, brands: NDArray[np.integer] | None = None) -> Candidates:
        """The best ``n`` brands that every user has not met.

        Args:
            histories: in brands.
            n: how many.
            brands: ascending rows of those that may be shown; ``None``: all.
        """
        return top_by_number_met(
            lambda some, longer: without_met(self.recommender.rank(some, longer, brands), some, n), histories, n, brands
        )

    def brands(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        *,
        explain: bool = False,
        language: Language = "en",
    ) -> tuple[Answer, pl.Series]:
        """For every user at most n // 2 of his own brands, then new ones; ``n`` in all wherever so many exist.

        Args:
            histories: in items.
            n: brands a user.
            items: ascending rows of the items that may be shown: a brand without one of them is left out; ``None``:
                all.
            explain: whether every row gets its reason.
            language: of the reasons.

        Returns:
            The answer in rows of ``catalogue``, scores falling within either part; and of every row of it whether the
            brand is ``LOYAL`` or ``NEW``.
        """
        coarse = brand_histories(histories, self.brand, len(self.catalogue))
        may = None if items is None else np.unique(self.brand[items][self.brand[items] >= 0])
        longer = n + int(coarse.matrix().getnnz(axis=1).max(initial=0))
        parts, kinds = [], []
        for users, ranked in self.recommender.ranked(coarse, longer, may):
            for place, user in enumerate(users):
                own = np.arange(ranked.found.indptr[place], ranked.found.indptr[place + 1])
                met = np.isin(ranked.found.items[own], coarse.of(int(user)))
                loyal = own[met][: n // 2]
                rows = np.concatenate([loyal, own[~met][: n - len(loyal)]])
                reasons = self._reasons(coarse.select(np.array([user])), ranked, rows, language) if explain else None
                found = ranked.found
                parts.append(Answer(np.full(len(rows), user), found.items[rows], found.scores[rows], reasons))
                kinds += [LOYAL] * len(loyal) + [NEW] * (len(rows) - len(loyal))
        return join(parts), pl.Series("kind", kinds, dtype=pl.String)

    def _reasons(self, history: Histories, ranked: Ranked, rows: NDArray[np.intp], language: Language) -> Reasons:
        found = Candidates(np.array([0, len(rows)], np.int64), ranked.found.items[rows], ranked.found.scores[rows])
        shown = Ranked(found, ranked.features[rows])
        said = explain_products(self.recommender, self.catalogue, history, shown, language)
        return Reasons(said.codes, said.texts)

    def save(self, folder: Path) -> None:
        """Write the recommender; the brands follow from the release's items."""
        folder.mkdir(parents=True, exist_ok=True)
        self.recommender.save(folder)

    @classmethod
    def load(cls, folder: Path, catalogue: Catalogue) -> Self:
        """Read what ``save`` wrote; availability is that of the catalogue's items.

        Raises:
            ModelFolderError: a part is missing, or of another catalogue.
        """
        present = brand_catalogue(catalogue)
        return cls(Recommender.load(folder, present), present, catalogue.brand)


def in_brands(visible: Visible) -> Visible:
    """What is visible, with brands in place of items."""
    catalogue = brand_catalogue(visible.catalogue)
    brand, n = visible.catalogue.brand, len(catalogue)
    return replace(
        visible,
        catalogue=catalogue,
        histories=brand_histories(visible.histories, brand, n),
        vectors=None if visible.vectors is None else brand_vectors(visible.vectors, brand, n),
        texts=catalogue.frame[TEXT],
        white=None,
        opening=None,
    )
