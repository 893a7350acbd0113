"""What the ranker is measured against: each simple means alone, as ranked lists (DESIGN §6)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.evaluation.report import Method, MethodKind
from kuapin.progress import SILENT, Progress
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.mixing import mixed
from kuapin.retrieval.selection import Best, pairs_by_user, top_by_number_met, top_by_user
from kuapin.retrieval.source import Arrays, Candidates, Scores, Source, Visible
from kuapin.retrieval.sources.als import Als
from kuapin.retrieval.sources.content import Content, ContentConfig, distinct_rows
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.popularity import Popularity, RecentPopularity
from kuapin.retrieval.sources.repeat import Repeat
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.text.template import TextConfig


@dataclass(frozen=True)
class Baseline:
    """One simple means.

    Attributes:
        method: its name in every table, and its formula with its settings.
        source: computes it; fitted by :func:`rank_baselines`.
    """

    method: Method
    source: Source


@dataclass(frozen=True)
class Task:
    """Lists that are wanted of every method.

    Attributes:
        queries: the histories to rank for.
        n: how many items that the user has not met are wanted: a list is longer by at least what he has met of
            ``items``. A method that has nothing to say about an item leaves it out.
        items: ascending rows that may be ranked; ``None``: all.
    """

    queries: Histories
    n: int
    items: NDArray[np.int32] | None = None


def rank_task(top: Callable[[Histories, int, NDArray[np.int32] | None], Candidates], task: Task) -> Candidates:
    """The lists of one task, by a method's ``top(histories, n, items)``; see ``top_by_number_met``."""
    return top_by_number_met(lambda some, n: top(some, n, task.items), task.queries, task.n, task.items)


class Random(Source):
    """Score: a number in [0, 1) from the seed, the items of the history and the row of the item. Floor: none.

    Whoever is asked with whom gets the same list; those whose histories are the same share one.
    """

    name = "random"
    cold_items = True
    personal = True
    learns = False

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.n_items = 0

    def fit(self, visible: Visible) -> Self:
        """Take the size of the catalogue."""
        self.n_items = len(visible.catalogue)
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Random numbers, float32 (n_users, n_items)."""
        rows = np.arange(self.n_items) if items is None else np.asarray(items)
        return np.stack([self._draw(histories.of(user), rows) for user in range(len(histories))])

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """``n`` items at random, others for every history."""
        rows = np.arange(self.n_items) if items is None else np.asarray(items)

        def best(user: int) -> Best:
            scores = self._draw(histories.of(user), rows)
            columns = best_columns(scores, n)
            return rows[columns], scores[columns]

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        return pairs_by_user(lambda user, wanted: self._draw(histories.of(user), wanted), indptr, items)

    def _draw(self, history: NDArray[np.int32], items: NDArray[np.integer]) -> Scores:
        start = np.random.SeedSequence([self.seed, crc32(history.tobytes())]).generate_state(1, np.uint64)[0]
        bits = mixed(start + items.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)  # a float32's 24
        return np.asarray(bits / 2**24, np.float32)

    def arrays(self) -> Arrays:
        """`seed` and `n_items`, int64 (1,) each."""
        return {"seed": np.array([self.seed], np.int64), "n_items": np.array([self.n_items], np.int64)}

    def restore(self, arrays: Arrays) -> Self:
        """Take `seed` and `n_items`."""
        self.seed, self.n_items = int(arrays["seed"][0]), int(arrays["n_items"][0])
        return self


class RandomText(Content):
    """Content on random vectors, one for every distinct text: what is left of it when no text is understood."""

    name = "random_text"

    def __init__(self, config: ContentConfig | None = None, seed: int = 0) -> None:
        super().__init__(config)
        self.seed = seed

    def fit(self, visible: Visible) -> Self:
        """Draw a vector for every distinct text.

        Raises:
            InputError: there are no vectors to tell texts apart by.
        """
        if visible.vectors is None:
            raise InputError("The baseline 'random text' needs text vectors, and none came. Encode the items.")
        texts, text_of = distinct_rows(visible.vectors)
        drawn = np.random.default_rng(self.seed).standard_normal(texts.shape, np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return super().fit(replace(visible, vectors=drawn[text_of], white=None))


def baselines(config: SourcesConfig, *, timed: bool, text: TextConfig | None, seed: int = 0) -> tuple[Baseline, ...]:
    """All baselines that a log allows, in the order of the tables.

    Args:
        config: settings of the sources.
        timed: whether the log has times; without, there are no last 30 days.
        text: how the items became texts; ``None``: no vectors, so no baselines of texts.
        seed: of what is random.
    """
    knn, ease, als, window = config.item_knn, config.ease, config.als, RecentPopularity(config.popularity)
    made = [
        _made(Repeat(), "repeat", "The user's own items, the most frequent first; ties: the latest first."),
        _made(
            Popularity(config.popularity),
            "popularity",
            "Number of users who met the item, ever; ties at random.",
            "popularity",
        ),
    ]
    if timed:
        days = f"{window.config.window_days:g} days"
        made.append(
            _made(
                window, f"popularity, {days}", f"The same over the {days} before the cut; ties at random.", "popularity"
            )
        )
    kept = "all similarities" if knn.neighbours is None else f"the {knn.neighbours} most similar items each"
    made += [
        _made(
            ItemKnn(knn),
            "item-kNN",
            f"Σ over the history of common users / √((users + {knn.shrinkage:g}) · (users + {knn.shrinkage:g})), "
            f"binary; {kept}, {knn.max_pairs:,} in all at most. In a launch those users alone are counted who have "
            "been in the category.",
        ),
        _made(
            Ease(ease),
            "EASE",
            f"Closed-form item weights, L2 {ease.l2:g}, on the {ease.max_items:,} most frequent items at most; "
            "all others score 0.",
        ),
        _made(
            Als(als),
            "implicit ALS",
            f"{als.embedding_size} factors, confidence 1 + {als.alpha:g} · log2(1 + count), L2 {als.regularization:g}, "
            f"{als.epochs} rounds; the user's factors are solved from the history at hand.",
        ),
    ]
    if text is not None:
        made += _texts(config.content, text, seed)
    made.append(_made(Random(seed), "random", f"Uniform draws, seed {seed}.", "chance"))
    return tuple(made)


def _texts(config: ContentConfig, text: TextConfig, seed: int) -> list[Baseline]:
    """Frozen text with two poolings, and the same on random vectors."""
    read = "all items" if config.max_history is None else f"the {config.max_history} latest distinct items"
    pooled = config.model_copy(update={"pooling": "logsumexp", "whitened": False})
    mean = config.model_copy(update={"pooling": "mean", "whitened": False})
    centred = ", vectors centred on the catalogue's mean" if config.centred else ""
    formula = f"log Σ exp(cosine / {config.temperature:g}) over {read} of the history{centred}"
    twice = f" and its title again, weight {text.title_weight:g}" if text.title_alone else ""
    only = f"template “{text.template}”{twice}, the only one whose vectors the shop has"
    return [
        _made(Content(pooled), "frozen text", f"{formula}; the language model as it came; {only}."),
        _made(Content(mean), "frozen text, mean", f"Cosine to the mean vector of {read}{centred}; {only}."),
        _made(
            RandomText(pooled, seed),
            "random text",
            f"{formula}; a random vector for each distinct text, seed {seed}.",
            "control",
        ),
    ]


def _made(source: Source, name: str, formula: str, kind: MethodKind = "baseline") -> Baseline:
    return Baseline(Method(name, kind, formula), source)


def rank_baselines(
    made: Iterable[Baseline],
    visible: Visible,
    tasks: Sequence[Task],
    progress: Progress = SILENT,
) -> list[dict[str, Candidates]]:
    """Fit each baseline on what is visible and let it rank.

    Args:
        made: which.
        visible: all that they may learn from.
        tasks: the lists that are wanted.
        progress: told of every method.

    Returns:
        For every task: name → lists, without the methods that have nothing to say to anybody.
    """
    listed = tuple(made)
    lists: list[dict[str, Candidates]] = [{} for _ in tasks]
    with progress.step("Ranking with the baselines", len(listed), "methods") as step:
        for baseline in listed:
            source = baseline.source.fit(visible)
            for task, of_task in zip(tasks, lists, strict=True):
                found = rank_task(source.top, task)
                if len(found.items):
                    of_task[baseline.method.name] = found
            step.advance()
    return lists
