import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.data.histories import from_interactions
from kuapin.data.suspects import DAY, HOUR, SuspectsConfig, find_suspects

CONFIG = SuspectsConfig(per_hour=30, interactions=100, burst=10)


def people(n=300, items=60, length=12, seed=0):
    """Rows (user, item, time) of people: a few things on a few days."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(n), length)
    times = np.repeat(rng.integers(0, 100, (n, 3)), length // 3, axis=1).ravel() * DAY + rng.integers(
        0, DAY, len(users)
    )
    return np.column_stack([users, rng.integers(0, items, len(users)), times])


def found(rows, *, timed=True, config=CONFIG):
    rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    times = rows[:, 2] if timed else np.arange(len(rows))
    log = from_interactions(
        rows[:, 0], rows[:, 1], times, np.zeros(len(rows), np.uint8),
        n_users=int(rows[:, 0].max()) + 1, n_items=60, timed=timed,
    )  # fmt: skip
    return find_suspects(log, config), rows


@pytest.mark.parametrize("timed", [True, False])
def test_people_are_no_suspects(timed):
    suspects, _ = found(people(), timed=timed)
    assert suspects.kept.all()
    assert suspects.told() == (
        "All of the log was learnt from: no robot, bulk buyer, repeated click or fake burst was found."
    )


def test_a_robot_works_by_the_hour_not_by_the_day():
    rng = np.random.default_rng(1)
    slow = np.column_stack([np.full(90, 300), rng.integers(0, 60, 90), np.arange(90) * HOUR])
    fast = np.column_stack([np.full(90, 301), rng.integers(0, 60, 90), 5 * DAY + np.arange(90) * 20])
    suspects, rows = found(np.concatenate([people(), slow, fast]))
    assert suspects.robots.tolist() == [301]
    assert len(suspects.bulk) == 0
    assert (~suspects.kept == (rows[:, 0] == 301)).all()
    assert suspects.told() == (
        "Not learnt from: 90 interactions (1 user with more interactions in an hour than people have)."
    )


def test_the_hour_slides():
    """31 interactions in 59 minutes, over the full hour of the clock."""
    rows = np.column_stack([np.full(31, 300), np.arange(31), 10 * HOUR - 1_500 + np.arange(31) * 118])
    suspects, _ = found(np.concatenate([people(length=3), rows]))
    assert suspects.robots.tolist() == [300]
    slower = rows.copy()
    slower[:, 2] = 10 * HOUR + np.arange(31) * 121  # 30 in any hour
    assert len(found(np.concatenate([people(length=3), slower]))[0].robots) == 0


@pytest.mark.parametrize("timed", [True, False])
def test_a_bulk_buyer(timed):
    rows = np.column_stack([np.full(150, 300), np.arange(150) % 60, np.arange(150) * 2 * HOUR])
    suspects, _ = found(np.concatenate([people(), rows]), timed=timed)
    assert suspects.bulk.tolist() == [300]
    everybody = np.concatenate([people(length=120), rows])
    assert len(found(everybody, timed=timed)[0].bulk) == 0  # where all buy so much nobody is suspicious


def test_repeated_clicks_of_one_day_count_so_often():
    clicks = np.column_stack([np.full(12, 300), np.full(12, 7), 3 * DAY + np.arange(12) * 60])
    suspects, rows = found(np.concatenate([people(), clicks]))
    assert suspects.repeats == 7
    assert (~suspects.kept).sum() == 7
    assert (rows[~suspects.kept][:, 2] > 3 * DAY + 4 * 60).all()


@pytest.mark.parametrize("timed", [True, False])
def test_a_burst_of_users_who_did_nothing_else(timed):
    fakes = np.column_stack([300 + np.arange(40), np.full(40, 11), 50 * DAY + np.arange(40) * 300])
    suspects, rows = found(np.concatenate([people(), fakes]), timed=timed)
    assert suspects.bursts.tolist() == [11]
    dropped = rows[~suspects.kept]
    assert len(dropped) >= 35
    assert (dropped[:, 1] == 11).all()
    assert (dropped[:, 0] >= 300).all()


def test_a_young_shop_whose_users_are_all_new_has_no_bursts():
    rng = np.random.default_rng(2)
    rows = np.column_stack([np.arange(2_000), rng.zipf(1.5, 2_000) % 60, np.arange(2_000) * 60])
    suspects, _ = found(rows)
    assert suspects.kept.all()


def test_it_can_be_switched_off_and_an_empty_log_is_none():
    robot = np.column_stack([np.full(90, 300), np.arange(90) % 60, np.arange(90)])
    rows = np.concatenate([people(), robot])
    assert found(rows, config=CONFIG.model_copy(update={"look": False}))[0].kept.all()
    none = from_interactions(*np.empty((2, 0), np.int64), np.empty(0, np.int64), np.empty(0, np.uint8),
                             n_users=0, n_items=3, timed=True)  # fmt: skip
    assert len(find_suspects(none, CONFIG).kept) == 0


def test_who_was_left_out_is_named_and_does_not_answer():
    """A robot, a burst of one-off users on one item, and somebody who clicks one thing all day."""
    rng = np.random.default_rng(2)
    robot = np.column_stack([np.full(90, 300), rng.integers(0, 60, 90), 50 * DAY + np.arange(90) * 20])
    burst = np.column_stack([np.arange(301, 341), np.full(40, 7), 60 * DAY + np.arange(40)])
    clicks = np.column_stack([np.full(9, 5), np.full(9, 3), 70 * DAY + np.arange(9)])
    rows = np.concatenate([people(), robot, burst, clicks])
    items = pl.DataFrame({"item_id": [f"item {k}" for k in range(60)]})
    log = pl.DataFrame(rows, schema=["user", "item", "timestamp"]).select(
        user_id=pl.format("user {}", "user"), item_id=pl.format("item {}", "item"), timestamp="timestamp"
    )
    whole = build_dataset(items, log)
    suspects = find_suspects(whole.histories, CONFIG)
    said = suspects.named(whole)
    assert said["told"] == suspects.told()
    assert said["interactions"] == (~suspects.kept).sum()
    assert said["robots"] == {"count": 1, "users": ["user 300"]}
    assert said["bulk_buyers"] == {"count": 0, "users": []}
    assert said["repeated_clicks"] == {"count": 4, "users": ["user 5"]}
    assert said["bursts"] == {"count": 1, "items": ["item 7"]}
    asked = build_dataset(items, log.filter(pl.col("timestamp") >= 50 * DAY))
    left = suspects.left_out(asked, whole)
    assert left.users is asked.users
    whose = set(left.users.ids.gather(np.unique(left.histories.users)))
    assert "user 300" not in whose
    assert len(whose & {f"user {k}" for k in range(301, 341)}) <= 2  # about as many as by chance
    assert set(map(len, (left.histories, asked.histories))) == {len(asked.users)}
    assert "user 5" in whose  # a person, whose choice counts however often it was clicked
    nobody = find_suspects(whole.histories, SuspectsConfig(look=False))
    assert nobody.told() == "All of the log was learnt from: [live.suspects] look is false."
    assert nobody.left_out(asked, whole).histories.items.tolist() == asked.histories.items.tolist()
