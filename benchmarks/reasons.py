"""Reasons: how many rows name something, and whether what they name holds.

The first ten rows of users asked after the cut (Complete Journey and amazon18_office_industrial_timed; or
``--set FOLDER``, with times). ``specific_share``: rows whose reason names history items, a brand or a shelf of the user
(not that people of like taste met it, that it is popular, or new). ``deletion_holds``: of those, rows where taking the
named evidence out of the history lowers the item's rank among the first 100, or its score (log odds) by at least twice
the median drop that random evidence of the same kind causes (as many history items as the evidence, drawn from the rest
of the history, per reason code), and by more than 0. Where a history is nothing but the evidence, there is no random
one; the row counts in the share, and not in the median. ``named_share`` and ``named_holds`` count the rows beside these
that name history items and say that people of like taste met it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from benchmarks.harness import Figure, parse_arguments, print_table, write_result
from benchmarks.live_shop import LiveShop, live_shop, shops_of
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval
from kuapin.ranking.deletion import without as strike
from kuapin.ranking.reason_kinds import ATTRIBUTE, NAMING
from kuapin.ranking.reasons import explain_products

K, DEPTH, DRAWS = 10, 100, 2


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of a shop's lists; arrays have one entry a row.

    Attributes:
        user: whose row it is.
        code: of the reason.
        named: whether it names history items, a brand or a shelf.
        specific: likewise, in another way than by people of like taste.
        lower: whether its rank fell without the evidence; of named rows.
        drop: by how much its score fell; infinite where it left the first 100.
        random: drop without random evidence, NaN where there is none, float64 (n, DRAWS).
    """

    user: NDArray[np.int64]
    code: NDArray[np.str_]
    named: NDArray[np.bool_]
    specific: NDArray[np.bool_]
    lower: NDArray[np.bool_]
    drop: NDArray[np.float64]
    random: NDArray[np.float64]

    def holds(self) -> NDArray[np.bool_]:
        """Whether the named evidence holds, of every row."""
        found = self.lower.copy()
        for code in np.unique(self.code):
            mine = self.code == code
            drawn = self.random[mine]
            usual = float(np.nanmedian(drawn)) if np.isfinite(drawn).any() else 0.0
            found[mine] |= (self.drop[mine] > 0) & (self.drop[mine] >= 2 * usual)
        return found


def measure(shop: LiveShop, users: int, seed: int) -> Outcome:
    """Explain the lists of some users, and rank again without the evidence of every row."""
    rng = np.random.default_rng([seed, 31])
    queries = shop.split.test.queries
    asked = np.sort(rng.permutation(len(queries))[:users])
    queries = queries.select(asked)
    columns: list[tuple[int, str, bool, bool, bool, float, list[float]]] = []
    for block, ranked in shop.recommender.ranked(queries, K):
        mine = queries.select(block)
        said = explain_products(shop.recommender, shop.catalogue, mine, ranked)
        owner = np.repeat(np.arange(len(block)), np.diff(ranked.found.indptr))
        named = [row for row, items in enumerate(said.evidence) if len(items)]
        taken = [(owner[row], said.evidence[row]) for row in named]
        drawn = [(owner[row], _other(mine, owner[row], said.evidence[row], rng)) for row in named for _ in range(DRAWS)]
        rank = np.arange(len(owner)) - ranked.found.indptr[:-1][owner]
        score = logit(np.clip(ranked.found.scores.astype(np.float64), 1e-9, 1 - 1e-9))
        wanted = [ranked.found.items[row] for row in [*named, *np.repeat(named, DRAWS)]]
        after = _again(shop, mine, [*taken, *drawn], wanted)
        place = {row: k for k, row in enumerate(named)}
        for row in range(len(owner)):
            k = place.get(row)
            if k is None:
                nothing = False, False, False, 0.0, [np.nan] * DRAWS
                columns.append((int(asked[block[owner[row]]]), said.codes[row], *nothing))
                continue
            others = [len(named) + DRAWS * k + d for d in range(DRAWS)]
            drops = [score[row] - after[o][1] if len(drawn[o - len(named)][1]) else np.nan for o in others]
            lower = after[k][0] > rank[row]
            found = True, said.codes[row] in (*NAMING, ATTRIBUTE), lower, score[row] - after[k][1], drops
            columns.append((int(asked[block[owner[row]]]), said.codes[row], *found))
    user, code, named, specific, lower, drop, random = zip(*columns, strict=True)
    return Outcome(
        np.array(user),
        np.array(code),
        np.array(named),
        np.array(specific),
        np.array(lower),
        np.array(drop),
        np.array(random, np.float64),
    )


def _other(histories: Histories, user: int, evidence: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
    """As many items of the rest of a history as the evidence has, or all of it where it has fewer."""
    rest = np.setdiff1d(histories.of(user), evidence)
    return rng.permutation(rest)[: len(evidence)].astype(np.int32)


def _again(
    shop: LiveShop,
    histories: Histories,
    without: list[tuple[int, NDArray[np.int32]]],
    items: list[int],
) -> list[tuple[int, float]]:
    """Rank (from 0; ``DEPTH``: not among the first) and log odds of an item where its user lacks some of his."""
    left = strike(histories.select(np.array([user for user, _ in without], np.int64)), [gone for _, gone in without])
    found = shop.recommender.rank(left, DEPTH)
    after = []
    for number, item in enumerate(items):
        own = slice(found.indptr[number], found.indptr[number + 1])
        place = np.flatnonzero(found.items[own] == item)
        if len(place) == 0:
            after.append((DEPTH, -np.inf))
        else:
            score = float(np.clip(found.scores[own][place[0]], 1e-9, 1 - 1e-9))
            after.append((int(place[0]), float(logit(score))))
    return after


def figures_of(name: str, outcome: Outcome) -> dict[str, Figure]:
    """The shares with intervals over users, in all and of every code."""
    holds, figures = outcome.holds(), {}
    for names, shares, held in (
        (outcome.specific, "specific_share", "deletion_holds"),
        (outcome.named, "named_share", "named_holds"),
    ):
        for figure, values, of in ((shares, names, slice(None)), (held, holds[names], names)):
            found = interval(values.astype(float), clusters=outcome.user[of])
            figures[f"{name}{figure}"] = Figure(found.value, found.low, found.high)
    named = outcome.named
    for code in np.unique(outcome.code):
        mine = outcome.code == code
        figures[f"{name}{code}.share"] = Figure(float(mine.mean()))
        if (mine & named).any():
            figures[f"{name}{code}.deletion_holds"] = Figure(float(holds[mine & named].mean()))
            figures[f"{name}{code}.rank_falls"] = Figure(float(outcome.lower[mine & named].mean()))
    return figures


def both(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The rows of all shops, users of different shops apart."""
    offset, parts = 0, []
    for outcome in outcomes.values():
        parts.append(outcome.user + offset)
        offset += int(outcome.user.max(initial=0)) + 1
    rest = [
        np.concatenate([getattr(outcome, name) for outcome in outcomes.values()])
        for name in ("code", "named", "specific", "lower", "drop", "random")
    ]
    return Outcome(np.concatenate(parts), *rest)


def main() -> None:
    """Measure, print, write ``results/reasons.json``."""
    arguments = parse_arguments(__doc__, options={"--users": {"type": int, "help": "asked in each shop"}})
    seed = (arguments.seeds or (0,))[0]
    users = arguments.extra.users or (60 if arguments.quick else 250)
    outcomes = {
        name: measure(live_shop(folder, seed=seed), users, seed) for name, folder in shops_of(arguments).items()
    }
    figures = figures_of("", both(outcomes))
    for name, outcome in outcomes.items():
        figures |= figures_of(f"{name}.", outcome)
        codes, counts = np.unique(outcome.code, return_counts=True)
        print_table(name, ["reason", "rows"], [[str(code), int(n)] for code, n in zip(codes, counts, strict=True)])
    write_result("reasons", figures, seeds=[seed], quick=arguments.quick, extra={"users": users})


if __name__ == "__main__":
    main()
