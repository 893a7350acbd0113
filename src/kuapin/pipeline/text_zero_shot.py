"""What text alone finds at the opening of a category (shot 0), by the encoder that the shop has and by a tuned one."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Dataset
from kuapin.encoding.items import item_vectors
from kuapin.encoding.settings import EncodingConfig
from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import LEVEL, RESAMPLES, Interval, interval, ratio_interval
from kuapin.evaluation.gate import Paired, Verdict, judge
from kuapin.evaluation.launch import Launch, launch_split
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.evaluation.metrics.registry import evaluate as judge_lists
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.progress import SILENT, Progress
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.content import Content
from kuapin.workspace import Shop

METRICS = ("ndcg@10", "precision@10", "recall@10", "recall@50")
DECIDES = METRICS[0]
LISTED = 50
TEST_SHARE = 1 / 3
MAX_TEST_USERS = 2_000
LEAST_TEST_USERS = 30
DRAWS_EACH = 100
"""Resamples for each category that the level is divided by."""


@dataclass(frozen=True)
class Opening:
    """One category as if it opened.

    Attributes:
        category: its name.
        new: whether fine-tuning saw nothing of it, neither texts nor interactions.
        launch: the users asked, their histories elsewhere, their answers; at shot 0.
        before: metric → mean with its interval, by the encoder that the shop has.
        after: the same by the tuned one.
        ratios: metric → after to before, paired.
        decides: the ratio of ``DECIDES`` with an interval that holds for all categories at once; ``None``: nobody was
            asked.
        verdict: of the gate, whether the tuned one may serve it; likewise.
    """

    category: str
    new: bool
    launch: Launch
    before: dict[str, Interval] = field(default_factory=dict)
    after: dict[str, Interval] = field(default_factory=dict)
    ratios: dict[str, Interval] = field(default_factory=dict)
    decides: Interval | None = None
    verdict: Verdict | None = None

    @property
    def worse(self) -> bool:
        """Whether the tuned encoder serves it worse: by the gate, or as the interval that decides lies below 1."""
        lost = self.verdict is not None and self.verdict.decision == "loses"
        return lost or (self.decides is not None and self.decides.high < 1)

    @property
    def better(self) -> bool:
        """Whether the tuned encoder serves it better: the interval that decides lies above 1."""
        return self.decides is not None and self.decides.low > 1

    @property
    def reason(self) -> str:
        """What decides whether it is served worse or better, in figures."""
        ratio = self.decides
        return "" if ratio is None else f"{ratio.value:.2f} of NDCG@10 [{ratio.low:.2f}, {ratio.high:.2f}]"


def openings(dataset: Dataset, allowed: NDArray[np.bool_], seed: int) -> tuple[Opening, ...]:
    """The top-level categories where at least ``LEAST_TEST_USERS`` can be asked, the new ones first.

    Histories that are read lie in the allowed categories alone, as far as a new category is asked about.

    Args:
        dataset: the whole log.
        allowed: bool (n_items,), what training may see.
        seed: of the draw of users.
    """
    catalogue, found = dataset.catalogue, []
    for code, name in enumerate(catalogue.categories):
        inside = catalogue.category == code
        new = not bool((inside & allowed).any())
        seen = inside | allowed
        log = replace(dataset, histories=dataset.histories.keep(seen[dataset.histories.items]))
        try:
            (launch,) = launch_split(log, inside, [0.0], seed, test_share=TEST_SHARE, max_test_users=MAX_TEST_USERS)
        except InputError:  # nobody can be asked
            continue
        if len(launch.test_users) >= LEAST_TEST_USERS:
            found.append(Opening(name, new, launch))
    return tuple(sorted(found, key=lambda opening: not opening.new))


def compared(
    shop: Shop, dataset: Dataset, asked: tuple[Opening, ...], after: Path, progress: Progress = SILENT
) -> tuple[Opening, ...]:
    """The openings with what the encoder of the shop's configuration finds, and a tuned one.

    Args:
        shop: whose encoder, and whose settings of texts and content.
        dataset: the whole log.
        asked: as ``openings`` gives them.
        after: the tuned one's folder.
        progress: told of the encoding.
    """
    if not asked:
        return ()
    own = shop.config.encoding
    first = _outcomes(shop, dataset, asked, own, progress)
    second = _outcomes(shop, dataset, asked, own.model_copy(update={"backbone": str(after.resolve())}), progress)
    pairs = {
        opening.category: Paired(a.users[DECIDES], b.users[DECIDES], opening.launch.test_users.astype(np.int64))
        for opening, a, b in zip(asked, first, second, strict=True)
    }
    verdicts = judge(pairs, shop.config.gate)
    return tuple(_judged(*each, len(asked)) for each in zip(asked, first, second, verdicts, strict=True))


def _judged(opening: Opening, before: PerUser, after: PerUser, verdict: Verdict, of: int) -> Opening:
    """The opening of one category with what both encoders find, one of ``of``, by which its level is divided."""
    pairs = {metric: (before.users[metric], after.users[metric]) for metric in METRICS}
    return replace(
        opening,
        before={metric: interval(a) for metric, (a, _) in pairs.items()},
        after={metric: interval(b) for metric, (_, b) in pairs.items()},
        ratios={metric: ratio_interval(b, a) for metric, (a, b) in pairs.items()},
        decides=ratio_interval(
            pairs[DECIDES][1],
            pairs[DECIDES][0],
            level=1 - (1 - LEVEL) / of,
            resamples=max(RESAMPLES, DRAWS_EACH * of),  # so that the ends are not the last draws
        ),
        verdict=verdict,
    )


def _outcomes(
    shop: Shop, dataset: Dataset, asked: tuple[Opening, ...], encoding: EncodingConfig, progress: Progress
) -> list[PerUser]:
    config = shop.config
    vectors = item_vectors(dataset.catalogue.frame, config.text, encoding, shop.vectors, progress)
    content = Content(config.sources.content).fit(Visible(dataset.catalogue, dataset.histories, vectors, 0))
    found = []
    for opening in asked:
        launch = opening.launch
        lists = content.top(launch.queries, LISTED, launch.items)
        facts = ItemFacts.from_visible(launch.visible, dataset.catalogue.category, launch.items)
        answers = Answers.from_histories(launch.answers)
        found.append(judge_lists(Ranked.from_flat(lists.indptr, lists.items, LISTED), answers, facts, METRICS))
    return found
