"""Does a profile say the same again? Statements about 300 households of Complete Journey, from other draws of them.

``drawn_again``: share of a household's statements that its profile still makes when its days are drawn again, with
replacement, as many as there were; of rhythm and of items that are due, which rest on the order of the days, when each
day is kept with a chance of .8. ``later``: share of what the first half of a household's days says that the second half
says too; what was due then is left out. A rhythm is the same within a quarter, or a day. ``sure``: of the statements
made with a confidence of .9 or more; ``unsure``: of the others; else of one kind. ``traceable``: statements all of
whose named events lie in the history with that time, among all.
"""

import datetime as dt
import re

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.ranking_of import figure
from benchmarks.sets import complete_journey
from kuapin.data.histories import Histories
from kuapin.surfaces.profile import DAY, DUE, KINDS, RHYTHM, Profiles, Statement

HOUSEHOLDS, DRAWS, SURE, LEAST_DAYS, KEPT = 300, 5, 0.9, 10, 0.8
_EVENT = re.compile(r"([^ ,]+) \((\d{4}-\d\d-\d\d \d\d:\d\d)\)")
Again = list[tuple[Statement, bool, int]]
"""A statement, whether it was made again, and of which household."""


def main() -> None:
    """Measure, print, write ``results/profile_stability.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    dataset = complete_journey().dataset
    profiles = Profiles(dataset.catalogue, dataset.histories, int(dataset.histories.times.max()))
    rng = np.random.default_rng([seed, 81])
    again, later, traced = Again(), Again(), list[float]()
    households = [dataset.histories.select(np.array([user])) for user in rng.permutation(len(dataset.users))]
    households = [own for own in households if len(np.unique(days(own))) >= LEAST_DAYS]
    for number, own in enumerate(households[: 30 if arguments.quick else HOUSEHOLDS]):
        said = profiles.profile(own)
        traced += [float(traceable(one, own, profiles)) for one in said]
        lasting = [one for one in said if one.kind not in (RHYTHM, DUE)]
        timely = [one for one in said if one.kind in (RHYTHM, DUE)]
        for _ in range(DRAWS):
            again += compared(lasting, profiles.profile(drawn_again(own, rng)), number)
            again += compared(timely, profiles.profile(thinned(own, rng)), number)
        middle = np.median(np.unique(days(own)))
        first, second = (profiles.profile(own.keep(side)) for side in (days(own) < middle, days(own) >= middle))
        later += compared([one for one in first if one.kind != DUE], second, number)
    figures = shares("drawn_again", again) | shares("later", later)
    figures |= {"traceable": figure(np.array(traced)), "statements": Figure(float(len(traced)), unit="statements")}
    write_result("profile_stability", figures, seeds=[seed], quick=arguments.quick)


def days(own: Histories) -> NDArray[np.int64]:
    """Day of every event."""
    return own.times // DAY


def drawn_again(own: Histories, rng: np.random.Generator) -> Histories:
    """As many days as one's history has, drawn from it with replacement, with all that was done on them."""
    known, of = np.unique(days(own), return_inverse=True)
    times = np.bincount(rng.integers(0, len(known), len(known)), minlength=len(known))[of]
    rows = np.repeat(np.arange(len(of)), times)
    return Histories(
        np.array([0, len(rows)], np.int64), own.items[rows], own.times[rows], own.events[rows], own.n_items, own.timed
    )


def thinned(own: Histories, rng: np.random.Generator) -> Histories:
    """The history without some of its days."""
    known, of = np.unique(days(own), return_inverse=True)
    return own.keep((rng.random(len(known)) < KEPT)[of])


def compared(said: list[Statement], anew: list[Statement], household: int) -> Again:
    """Which statements are among other ones."""
    made = {(one.kind, one.value) for one in anew}
    rhythms = [gap(one) for one in anew if one.kind == RHYTHM]
    found = Again()
    for one in said:
        near = one.kind == RHYTHM and any(abs(gap(one) - other) <= max(0.25 * gap(one), 1.0) for other in rhythms)
        found.append((one, near or (one.kind, one.value) in made, household))
    return found


def gap(rhythm: Statement) -> float:
    """Days of a rhythm, of ``every 3 days`` or ``every day``."""
    return float(re.sub(r"[^\d.]", "", rhythm.value) or 1)


def traceable(one: Statement, own: Histories, profiles: Profiles) -> bool:
    """Whether a statement names events, and each of them is there."""
    named = _EVENT.findall(one.evidence)
    ids = profiles.catalogue.items.take(own.items)
    there = {
        (item, f"{dt.datetime.fromtimestamp(t, dt.UTC):%Y-%m-%d %H:%M}") for item, t in zip(ids, own.times, strict=True)
    }
    return bool(named) and set(named) <= there


def shares(name: str, found: Again) -> dict[str, Figure]:
    """Shares made again, by confidence and by kind; households are drawn whole for the intervals."""
    parts = {"": found, ".sure": [one for one in found if one[0].confidence >= SURE]}
    parts[".unsure"] = [one for one in found if one[0].confidence < SURE]
    parts |= {f".{kind}": [one for one in found if one[0].kind == kind] for kind in KINDS}
    return {
        f"{name}{part}": figure(np.array([float(made) for _, made, _ in ones]), np.array([of for *_, of in ones]))
        for part, ones in parts.items()
        if ones
    }


if __name__ == "__main__":
    main()
