"""Home pages that follow each person, on a simulated shop whose preferences are known.

Every simulated user likes each surface more or less than others do (a factor of exp(N(0, TASTE)) on its rate), the rows
of a surface earn less the further down they stand, and the dial of products suits some when turned to what is new and
others when turned to more of the same. A policy that knows nothing and draws strategies evenly makes the log; from it
the policy is learnt as a shop learns it (``HomeStrategies``), and then

- ``ratio``: what it earns a page, its expectation taken exactly, against the best fixed mix: of all strategies, of the
  corners of the shop's bounds (all surfaces but one at a bound) and of 1,000 mixes drawn within them, with any of the
  three dials, the one that earns most, chosen knowing the truth;
- ``online.ratio``: the same while it goes on learning, by Thompson sampling, from its first page on;
- ``covered``: of the runs, in how many the 95 % interval of its off-policy estimate covers the truth. The policy is
  learnt on one half of the users, the estimate and the truth are of the pages of the other half.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, parse_arguments, print_table, write_result
from kuapin.evaluation.bootstrap import interval
from kuapin.evaluation.off_policy import OffPolicy, off_policy
from kuapin.surfaces.home import SHARES, quotas
from kuapin.surfaces.home_strategies import (
    HomeStrategies,
    Pages,
    StrategiesConfig,
    Strategy,
    features,
    learn,
)

ROWS, TASTE, FADES, TURN = 20, 0.9, 0.97, 0.3
USUAL = {"products": 0.06, "bundles": 0.05, "similar": 0.05, "brands": 0.04, "campaigns": 0.05, "trends": 0.04}
"""Share of rows that succeed, by surface; statements of a profile are not clicked."""
DRAWN_MIXES = 1_000


@dataclass(frozen=True)
class People:
    """A simulated shop.

    Attributes:
        rate: float64 (n_users, surfaces), success of a surface's first row.
        turn: float64 (n_users,), how much more products succeed when the dial is turned to 1.
    """

    rate: NDArray[np.float64]
    turn: NDArray[np.float64]

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> "People":
        """Some users."""
        usual = np.array([USUAL.get(name, 0.0) for name in SHARES])
        rate = np.clip(usual * np.exp(rng.normal(-(TASTE**2) / 2, TASTE, (n, len(SHARES)))), 0, 0.5)
        return cls(rate, rng.normal(0, TURN / 0.25, n))

    def rates(self, users: NDArray[np.integer], shares: dict[str, float], dial: float) -> NDArray[np.float64]:
        """Success of every row of a page, float64 (len(users), ROWS), and whose surface each is."""
        rows = quotas(ROWS, shares)
        surface = np.repeat(np.arange(len(SHARES)), [rows[name] for name in SHARES])
        place = np.concatenate([np.arange(rows[name]) for name in SHARES])
        products = surface == list(SHARES).index("products")
        suits = np.clip(1 + self.turn[users] * dial - 2 * dial**2, 0.1, 2)
        rate = self.rate[users][:, surface] * FADES**place
        return np.where(products, rate * suits[:, None], rate)

    def worth(self, known: tuple[Strategy, ...]) -> NDArray[np.float64]:
        """What a page earns, float64 (n_users, strategies)."""
        every = np.arange(len(self.rate))
        return np.column_stack([self.rates(every, one.shares, one.discovery).mean(axis=1) for one in known])


def visits(
    people: People,
    known: tuple[Strategy, ...],
    chosen: NDArray[np.int64],
    chance: NDArray[np.float64],
    day: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """One page a user as a log of impressions and clicks."""
    parts = []
    for number in np.unique(chosen):
        users, one = np.flatnonzero(chosen == number), known[number]
        rows = quotas(ROWS, one.shares)
        surface = np.repeat(list(SHARES), [rows[name] for name in SHARES])
        good = rng.random((len(users), ROWS)) < people.rates(users, one.shares, one.discovery)
        owner = np.repeat(users, ROWS)
        shown = pl.DataFrame(
            {
                "user_id": [f"u{user:05d}" for user in owner],
                "item_id": np.tile([f"i{k}" for k in range(ROWS)], len(users)),
                "event": "impression",
                "timestamp": np.full(len(owner), day * 86_400),
                "ranking_id": [f"{one.name}.{user}-{day}" for user in owner],
                "surface": np.tile(surface, len(users)),
                "propensity": np.repeat(chance[users], ROWS),
            }
        )
        parts += [shown, shown.filter(pl.Series(good.ravel())).with_columns(event=pl.lit("click"))]
    return pl.concat(parts)


def best_fixed(
    people: People, config: StrategiesConfig, known: tuple[Strategy, ...], rng: np.random.Generator
) -> float:
    """What the best mix for all earns: of the strategies, the corners of the bounds and many drawn within them."""
    best, usual = people.worth(known).mean(axis=0).max(), np.array(list(SHARES.values()))
    for shares in [*corners(usual, config.least, config.most), *drawn(usual, config, rng)]:
        mix = dict(zip(SHARES, shares.tolist(), strict=True))
        for dial in (0.0, config.same, config.discover):
            best = max(best, float(people.worth((Strategy("fixed", mix, dial),)).mean()))
    return float(best)


def corners(usual: NDArray[np.float64], least: float, most: float) -> Iterator[NDArray[np.float64]]:
    """The mixes of which all shares but one are ``least`` or ``most`` times the usual ones, and that one between.

    What a page earns is nearly a sum over shares, so that one of them earns nearly the most.
    """
    for free in range(len(usual)):
        for factors in product((least, most), repeat=len(usual) - 1):
            shares = usual * np.insert(np.array(factors), free, 0.0)
            shares[free] = 1 - shares.sum()
            if least * usual[free] - 1e-9 <= shares[free] <= most * usual[free] + 1e-9:
                yield shares


def drawn(
    usual: NDArray[np.float64], config: StrategiesConfig, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Mixes anywhere within the bounds."""
    for _ in range(DRAWN_MIXES):
        factor = rng.uniform(config.least, config.most, len(usual))
        shares = usual * factor / (usual * factor).sum()
        if (shares >= config.least * usual).all() and (shares <= config.most * usual).all():
            yield shares


def estimate(pages: Pages, known: tuple[Strategy, ...]) -> tuple[OffPolicy, NDArray[np.bool_], NDArray[np.int64]]:
    """The off-policy estimate of the policy learnt from one half of the users, on the pages of the other half."""
    half = np.array([int(user[1:]) % 2 == 1 for user in pages.users])
    policy = learn(pages, known, ~half)
    every = features(pages.context[half], known)
    expected = policy.expected(every)
    new, rows = np.argmax(expected, axis=1), np.arange(len(expected))
    made = pages.strategy[half]
    users = np.array([int(user[1:]) for user in pages.users])[half]
    found = off_policy(
        pages.reward[half],
        pages.propensity[half],
        (made == new).astype(np.float64),
        expected[rows, made],
        expected[rows, new],
        clusters=users,
    )
    return found, half, new


def run(n_users: int, n_pages: int, seed: int) -> dict[str, float]:
    """One simulated shop: log, learn, compare."""
    rng = np.random.default_rng([seed, 51])
    config = StrategiesConfig(enabled=True, seed=seed)
    people = People.draw(n_users, rng)
    known = HomeStrategies.fit(pl.DataFrame({"event": []}, schema={"event": pl.String}), config).known
    even = np.full(n_users, 1 / len(known))
    log = [visits(people, known, rng.integers(0, len(known), n_users), even, day, rng) for day in range(n_pages)]
    worth = people.worth(known)
    fixed = best_fixed(people, config, known, rng)
    learnt = HomeStrategies.fit(pl.concat(log), config)
    context = np.array([learnt.pages.after[f"u{user:05d}"] for user in range(n_users)])
    chosen = np.argmax(learnt.bandit.expected(features(context, known)), axis=1)
    earned = worth[np.arange(n_users), chosen]
    found, half, new = estimate(learnt.pages, known)
    users = np.array([int(user[1:]) for user in learnt.pages.users])[half]
    truth = float(worth[users, new].mean())
    kept = {name: getattr(found, name) for name in ("ips", "snips", "dr")}
    return {
        "ratio": float(earned.mean() / fixed),
        "oracle": float(worth.max(axis=1).mean() / fixed),
        "usual": float(worth[:, 0].mean() / fixed),
        "even": float(worth.mean() / fixed),
        "truth": truth,
        "dr": found.dr.value,
        **{f"covered.{name}": float(one.low <= truth <= one.high) for name, one in kept.items()},
        **{f"width.{name}": (one.high - one.low) / truth for name, one in kept.items()},
    }


def online(n_users: int, n_pages: int, seed: int) -> float:
    """Earned by Thompson sampling from the first page on, all its pages, against the best fixed mix."""
    rng = np.random.default_rng([seed, 52])
    config = StrategiesConfig(enabled=True, seed=seed)
    people = People.draw(n_users, rng)
    ids, log, earned = pl.Series([f"u{user:05d}" for user in range(n_users)]), [], []
    policy = HomeStrategies.fit(pl.DataFrame({"event": []}, schema={"event": pl.String}), config)
    worth = people.worth(policy.known)
    for day in range(n_pages):
        chosen, chance = policy.choose(ids, day)
        earned.append(worth[np.arange(n_users), chosen].mean())
        log.append(visits(people, policy.known, chosen, chance, day, rng))
        policy = HomeStrategies.fit(pl.concat(log), config)
    return float(np.mean(earned) / best_fixed(people, config, policy.known, rng))


def main() -> None:
    """Simulate, print, write ``results/strategies.json``."""
    arguments = parse_arguments(__doc__)
    seeds = arguments.seeds or tuple(range(3 if arguments.quick else 20))
    n_users, n_pages = (400, 20) if arguments.quick else (1000, 20)
    runs = [run(n_users, n_pages, seed) for seed in seeds]
    print_table("Runs", list(runs[0]), [list(one.values()) for one in runs])
    figures = {}
    for name in runs[0]:
        found = interval(np.array([one[name] for one in runs]))
        figures[name] = Figure(found.value, found.low, found.high)
    some = seeds[: 1 if arguments.quick else 5]
    found = interval(np.array([online(n_users, n_pages, seed) for seed in some]))
    figures["online.ratio"] = Figure(found.value, found.low, found.high)
    write_result("strategies", figures, seeds=seeds, quick=arguments.quick, extra={"users": n_users, "pages": n_pages})


if __name__ == "__main__":
    main()
