"""What is planted into a log: how much, of which kinds and sizes, and what of it is counted as found."""

import numpy as np
import polars as pl
import pytest

from benchmarks import dirty_logs
from benchmarks.dirty_logs import BURST, CLICKS, PERSON, ROBOT, found_of, planted
from kuapin.data.dataset import build_dataset
from kuapin.data.suspects import SuspectsConfig

rng = np.random.default_rng(0)
N = 20_000


@pytest.fixture(scope="module")
def dataset():
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(400)], "category": [f"c{n % 9}" for n in range(400)]})
    users, items_of = rng.integers(0, 2_000, N), rng.integers(0, 400, N)
    log = pl.DataFrame({"user_id": users, "item_id": items_of, "timestamp": rng.integers(0, 10**8, N)})
    log = log.with_columns(user_id=pl.concat_str(pl.lit("u"), "user_id"), item_id=pl.concat_str(pl.lit("i"), "item_id"))
    return build_dataset(items, log)


def test_so_much_is_planted_of_every_kind_and_people_stay_as_they_were(dataset):
    clean = dataset.histories
    dirty = planted(clean, dataset, 0.2, (ROBOT, BURST), 0)
    shares = np.bincount(dirty.kind, minlength=5) / len(dirty.kind)
    assert shares[ROBOT] == pytest.approx(0.1, abs=0.05)  # the last one goes beyond
    assert shares[BURST] == pytest.approx(0.1, abs=0.03)
    people = dirty.log.keep(dirty.kind == PERSON)
    assert np.array_equal(people.items, clean.items)
    assert np.array_equal(people.users, clean.users)
    robots = dirty.log.users[dirty.kind == ROBOT]
    sizes = dirty.size[dirty.kind == ROBOT]
    assert all(np.unique(sizes[robots == one]) == np.count_nonzero(robots == one) for one in np.unique(robots))
    within = [np.ptp(dirty.log.times[dirty.log.users == one]) for one in np.unique(robots)]
    assert max(within) < 3_600


def test_what_is_found_is_told_by_kind_and_size(dataset, monkeypatch):
    dirty = planted(dataset.histories, dataset, 0.2, (ROBOT, CLICKS), 0)
    figures = found_of([dirty], {ROBOT: (50, 500), CLICKS: (10,)})
    assert figures["robot.500.found"].value == 1.0
    assert figures["clicks.10.found"].value > 0.5
    monkeypatch.setattr(dirty_logs, "SuspectsConfig", lambda: SuspectsConfig(look=False))
    assert {one.value for one in found_of([dirty], {ROBOT: (50, 500), CLICKS: (10,)}).values()} == {0.0}
