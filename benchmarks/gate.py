"""How often the gate errs: an equal model kept out, and one that loses 5, 15 or 30 % let in.

The users are real: NDCG@10 of one model on the last tenth of Complete Journey's year, and of a second one that was
trained with another seed and is as good. From their pairs users are drawn with replacement; a loss is planted by taking
every hit of the second model away with that chance, which is the noisiest way to lose. ``year``: one live model is
challenged every week of a year, each time by another model with the same loss and on other users: the share of the
years in which any of them passes, with the level spent over looks as ``kuapin refresh`` spends it, and
``uncorrected``. A loss of just the margin is the least that must not pass; its share is asked to be at most the level.
``--set FOLDER`` takes another log; one without categories is one category.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.batch import make_shop
from benchmarks.harness import Figure, parse_arguments, print_table, write_result
from kuapin.data.dataset import build_dataset
from kuapin.evaluation.gate import GateConfig, Paired, judge
from kuapin.model import Model
from kuapin.pipeline.challenge import everything_available, paired
from kuapin.pipeline.newest import newest_stretch
from kuapin.pipeline.train import fit, read_texts
from kuapin.workspace import Shop

USERS = (50, 100, 300, 1_000, 3_000, 10_000)
LOSSES = (0.0, 0.05, 0.15, 0.30)
CATEGORIES = (1, 10)
TRIALS = 1_000
WEEKS, YEARS = 52, 400
REPEATED_USERS, REPEATED_CATEGORIES = (50, 100, 300, 1_000), 10


def equal_models(shop: Shop, seed: int) -> Paired:
    """NDCG@10 of people under two models that differ by their seeds alone, all categories together."""
    newest, dataset = newest_stretch(shop, None, 50), shop.dataset()
    read = read_texts(shop, dataset.catalogue)
    before, after = (build_dataset(dataset.catalogue.frame, log) for log in (newest.before, newest.after))
    models = []
    for number in range(2):
        config = shop.config.model_copy(
            update={
                "live": shop.config.live.model_copy(update={"seed": seed + number}),
                "ranking": shop.config.ranking.model_copy(update={"seed": seed + number}),
            }
        )
        recommender = fit(config, before, read).recommender
        model = Model(f"seed {number}", recommender, before.catalogue, before.users, before.histories)
        models.append(everything_available(model, dataset.catalogue.items))
    pairs = paired(models[0], models[1], after, newest.users)
    return Paired(
        *(np.concatenate([getattr(one, side) for one in pairs.values()]) for side in ("champion", "challenger"))
    )


def shop_of(pool: Paired, users: int, loss: float, categories: int, rng: np.random.Generator) -> dict[str, Paired]:
    """Users drawn for every category; the first one's challenger loses hits, so that its ratio is 1 - ``loss``."""
    better = float(pool.challenger.mean() / pool.champion.mean())
    shop = {}
    for number in range(categories):
        rows = rng.integers(0, len(pool.champion), users)
        kept = rng.random(users) < ((1 - loss) / better if number == 0 else 1.0)
        shop[str(number)] = Paired(pool.champion[rows], pool.challenger[rows] * kept)
    return shop


def passing(pool: Paired, users: int, loss: float, categories: int, trials: int, seed: int) -> float:
    """Share of the trials in which the first category passes, the others being equal."""
    rng = np.random.default_rng([seed, users, round(100 * loss), categories])
    drawn = (shop_of(pool, users, loss, categories, rng) for _ in range(trials))
    return float(np.mean([judge(shop, GateConfig())[0].passes for shop in drawn]))


def passing_in_a_year(pool: Paired, users: int, loss: float, years: int, seed: int, *, corrected: bool) -> float:
    """Share of the years in which any of the weekly challengers of the first category passes."""
    rng, passed = np.random.default_rng([seed, users, round(100 * loss)]), 0
    for _ in range(years):
        for week in range(1, WEEKS + 1):
            shop = shop_of(pool, users, loss, REPEATED_CATEGORIES, rng)
            if judge(shop, GateConfig(), {"0": week} if corrected else None)[0].passes:
                passed += 1
                break
    return passed / years


def over_a_year(pool: Paired, years: int, seed: int) -> dict[str, Figure]:
    """Figures ``year.nUSERS.lossPERCENT.passes`` and ``.uncorrected``, at the margin and at a loss of 15 %."""
    figures = {}
    for users in REPEATED_USERS:
        for loss in (GateConfig().margin, 0.15):
            name = f"year.n{users}.loss{round(100 * loss)}"
            for kind, corrected in (("passes", True), ("uncorrected", False)):
                share = passing_in_a_year(pool, users, loss, years, seed, corrected=corrected)
                figures[f"{name}.{kind}"] = _share(share, years)
    return figures


def _share(share: float, trials: int) -> Figure:
    half = 1.96 * np.sqrt(max(share * (1 - share), 1 / trials) / trials)
    return Figure(share, max(0.0, share - half), min(1.0, share + half))


def characteristic(pool: Paired, trials: int, seed: int) -> dict[str, Figure]:
    """Figures ``cCATEGORIES.nUSERS.lossPERCENT.passes``, with the interval of a share of so many trials (Wald)."""
    figures = {}
    for categories in CATEGORIES:
        for users in USERS:
            for loss in LOSSES:
                name = f"c{categories}.n{users}.loss{round(100 * loss)}.passes"
                figures[name] = _share(passing(pool, users, loss, categories, trials, seed), trials)
    return figures


def rows_of(figures: Mapping[str, Figure]) -> list[list[str]]:
    """The table: one line a number of categories and users."""
    return [
        [str(c), f"{n:,}", *(f"{figures[f'c{c}.n{n}.loss{round(100 * loss)}.passes'].value:.1%}" for loss in LOSSES)]
        for c in CATEGORIES
        for n in USERS
    ]


def main() -> None:
    """Measure, print, write ``results/gate.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    with tempfile.TemporaryDirectory() as scratch:
        pool = equal_models(make_shop(Path(scratch), arguments, seed), seed)
    figures = characteristic(pool, TRIALS // 10 if arguments.quick else TRIALS, seed)
    heads = ["categories", "users each", *(f"passes, loss {loss:.0%}" for loss in LOSSES)]
    print_table("The gate", heads, rows_of(figures))
    year = over_a_year(pool, YEARS // 20 if arguments.quick else YEARS, seed)
    print_table("A year of refreshes", ["figure", "share"], [[name, one.value] for name, one in year.items()])
    figures |= year
    figures["pool.users"] = Figure(len(pool.champion))
    figures["pool.champion.ndcg"] = Figure(float(pool.champion.mean()))
    figures["pool.challenger.ndcg"] = Figure(float(pool.challenger.mean()))
    extra = {"gate": GateConfig().model_dump(mode="json"), "trials": TRIALS, "years": YEARS}
    write_result("gate", figures, seeds=[seed], quick=arguments.quick, extra=extra)


if __name__ == "__main__":
    main()
