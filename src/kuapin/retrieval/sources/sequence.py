"""The user model as a source: what comes next for somebody who did these things in this order."""

from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.category_levels import several_categories
from kuapin.data.histories import Histories
from kuapin.retrieval.source import Arrays, NewItems, Scores, Visible
from kuapin.retrieval.sources.factors import FactorSource
from kuapin.retrieval.start_folder import open_start
from kuapin.retrieval.whitening import fit_whitening
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.starting import Start
from kuapin.sequence.trained import Trained
from kuapin.sequence.training import go_on, train, worth_training


class Sequence(FactorSource):
    """Score = x · y: y the item's unit vector, x what the user model makes of the history (``kuapin.sequence``).

    A causal transformer over the last interactions, trained with a sampled softmax. Nothing of a user is stored: a new
    user, a new interaction and a new item count at once. Floor: 0, users without a history.
    """

    name = "sequence"
    cold_items = True
    personal = True

    model: UserModel
    trained: tuple[Trained, ...] = ()
    """What training goes on from, where this source was fitted and not restored."""

    def __init__(self, config: SequenceConfig | None = None) -> None:
        self.config = config or SequenceConfig()

    def fit(self, visible: Visible) -> Self:
        """Train until the last interactions of some users, which are held out, are found no better.

        With ``start`` it begins from another shop's user model, and is that model where nothing is to be tuned.

        Raises:
            MissingExtraError: torch is not installed.
            InputError: the model to start from does not fit.
        """
        white, start = visible.whitened(), self._start(visible)
        tuned = self.config.tune != "none" and worth_training(visible.histories, self.config)
        if start is not None and white is not None and not tuned:
            self.trained, self.model = (), start.untuned(white)
            self.factors = self.model.items
            return self
        config = self.config if white is not None else self.config.model_copy(update={"text": False, "ids": True})
        openings = several_categories(visible.catalogue)
        trained = [
            train(
                visible.histories,
                white,
                visible.catalogue.category,
                config,
                folder=visible.folder,
                start=start,
                member=member,
                openings=openings,
                progress=visible.progress,
            )
            for member in range(config.models)
        ]
        return self._take(tuple(trained), visible, white)

    def _start(self, visible: Visible) -> Start | None:
        """The model to begin from, for the texts of this shop."""
        white = visible.whitened()
        if visible.vectors is None or white is None:
            return None
        start, path = visible.start, self.config.start
        if isinstance(path, Path):
            start = open_start(path).start
        return None if start is None else start.on(fit_whitening(visible.vectors).axes, white)

    def refit(self, visible: Visible, before: Self) -> Self:
        """Go on from what was fitted on a part of the log, for a share of the passes that it took."""
        white, n = visible.whitened(), len(visible.catalogue)
        done = before.trained or before.model.trained(white if before.model.config.text else None, n)
        if not done:
            return self.fit(visible)
        openings = several_categories(visible.catalogue)

        def gone_on(one: Trained) -> Trained:
            passes = round(one.passes * self.config.more)
            if not passes:
                return one
            return go_on(
                one,
                visible.histories,
                white,
                visible.catalogue.category,
                passes,
                folder=visible.folder,
                openings=openings,
                progress=visible.progress,
            )

        return self._take(tuple(gone_on(one) for one in done), visible, white)

    @property
    def can_go_on(self) -> bool:
        """Whether ``refit`` of another source goes on from this one."""
        return bool(self.trained or self.model.learnt)

    def between(self, history: NDArray[np.integer], items: NDArray[np.integer]) -> Scores:
        """The cosine of each item of a history and each item, float32 (len(history), len(items))."""
        return np.asarray(self.factors[history] @ self.factors[items].T, np.float32)

    def _take(self, trained: tuple[Trained, ...], visible: Visible, white: Scores | None) -> Self:
        counts = np.bincount(visible.histories.items, minlength=len(visible.catalogue))
        text = white if trained[0].config.text else None
        self.trained = trained
        self.model = UserModel.of(trained, text, counts, visible.catalogue.category)
        self.factors = self.model.items
        return self

    def users(self, histories: Histories) -> Scores:
        """Vectors of users, float32 (n_users, models * embedding_size)."""
        return self.model.users(histories)

    def with_items(self, new: NewItems) -> Self:
        """A new item is its text; one that was known stays what was learnt of it."""
        other = copy(self)
        white = np.zeros((len(new.rows), len(self.model.text)), np.float32) if new.white is None else new.white
        fresh = new.rows >= len(self.factors)
        items, categories = new.padded(self.factors), new.padded(self.model.categories)
        items[new.rows[fresh]] = self.model.cold(white[fresh])
        categories[new.rows] = new.catalogue.category[new.rows]
        other.model, other.trained = self.model.with_items(items, categories), ()
        other.factors = items
        return other

    def arrays(self) -> Arrays:
        """The parts of the user model, see ``UserModel.arrays``."""
        return self.model.arrays()

    def restore(self, arrays: Arrays) -> Self:
        """Take the parts of the user model."""
        self.model = UserModel.restore(arrays)
        self.factors = self.model.items
        return self
