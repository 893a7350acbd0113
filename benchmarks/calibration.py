"""One scale: does what the lists promise come true, in every category?

A shop is trained on its log without a last stretch of some users, and promises a probability for every candidate of
theirs (Complete Journey: everything after a moment; arts_office, which has no times: the last fifth of the histories of
users who are in no training; or ``--set FOLDER``). What they did in a stretch as long as the one that training hid is
held against it. ``ece``: expected calibration error over ten bins of equal size, of all candidates, of the first ten
of every list, and of each category that at least 50 of the asked users took something from. ``chance``: what the same
bins would show if every promise were exactly true, with the interval of that: bins of a small category hold few
candidates. ``came``: what came to what was promised, with its interval over users. Asked for: ``ece`` ≤ .02.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.harness import Figure, data_set, parse_arguments, write_result
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import ratio_interval
from kuapin.ranking.calibration import TRUST, expected_calibration_error
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.live import LiveConfig, fit_live, temporal_replay
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.replays import Replay
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Visible

ARTS = "amazon18_arts_office"
DRAWS, TOP = 200, 10
Vector = NDArray[np.float64]


def as_long(replay: Replay, live: LiveConfig) -> Histories:
    """The answers of a stretch as long as the one that a training on ``replay.visible`` hides."""
    seen = replay.visible.histories
    if not seen.timed:
        return replay.answers
    length = int(seen.times.max()) + 1 - temporal_replay(replay.visible, live).visible.now
    return replay.answers.keep(replay.answers.times < replay.visible.now + length)


def of_rows(
    name: str, promised: Vector, came: NDArray[np.bool_], users: NDArray[np.integer], seed: int
) -> dict[str, Figure]:
    """The figures of some candidates."""
    rng = np.random.default_rng([seed, 71])
    drawn = [expected_calibration_error(promised, rng.random(len(promised)) < promised) for _ in range(DRAWS)]
    ratio = ratio_interval(came.astype(np.float64), promised, clusters=users)
    return {
        name: Figure(expected_calibration_error(promised, came)),
        f"{name}.chance": Figure(float(np.mean(drawn)), *np.quantile(drawn, [0.025, 0.975]).tolist()),
        f"{name}.came": Figure(ratio.value, ratio.low, ratio.high, "× promised"),
    }


def of_shop(name: str, data: DataSet, seed: int, users: int) -> dict[str, Figure]:
    """One shop."""
    catalogue, histories = data.dataset.catalogue, data.dataset.histories
    whole = Visible(catalogue, histories, data.vectors(), int(histories.times.max(initial=0)), data.texts())
    replay = temporal_replay(whole, LiveConfig(users=users, seed=seed + 1))
    live = LiveConfig(seed=seed)
    recommender = fit_live(
        replay.visible, signals=SignalsConfig(), ranking=RankingConfig(seed=seed), live=live
    ).recommender
    asked = Asked.make(recommender.signals, replay.queries, as_long(replay, live))
    lists, category = asked.lists, catalogue.category[asked.lists.items]
    if recommender.calibration is None:
        raise SystemExit(f"{name} has no scale: too few users came back.")
    promised = expit(recommender.calibration.logit(recommender.ranker.score(lists.features), category))
    figures = of_rows(f"{name}.ece", promised, lists.relevant, lists.users, seed)
    order = np.lexsort((-promised, lists.users))
    first = order[np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths) < TOP]
    figures |= of_rows(f"{name}.ece.first_{TOP}", promised[first], lists.relevant[first], lists.users[first], seed)
    for code, title in enumerate(catalogue.categories):
        rows = category == code
        if len(np.unique(lists.users[rows & lists.relevant])) >= TRUST:
            figures |= of_rows(f"{name}.ece.{title}", promised[rows], lists.relevant[rows], lists.users[rows], seed)
    return figures


def main() -> None:
    """Measure, print, write ``results/calibration.json``."""
    arguments = parse_arguments(__doc__)
    seed, figures = (arguments.seeds or (0,))[0], {}
    if arguments.folder is not None:
        sets = {arguments.folder.resolve().name: arguments.folder}
    else:
        sets = {ARTS: data_set(ARTS)} | ({} if arguments.quick else {"complete_journey": None})
    for name, folder in sets.items():
        data = complete_journey() if folder is None else load_set(folder)
        figures |= of_shop(name, data, seed, 500 if arguments.quick else 3_000)
    write_result("calibration", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
