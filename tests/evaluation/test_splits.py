"""The splits: what they hide is hidden, bit for bit."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.evaluation.splits import launch_split, leave_one_out, temporal

N_ITEMS, N_USERS = 60, 400
SHOTS = (0.0, 0.01, 0.1, 1.0)


def shop(seed: int = 0, *, timed: bool = True) -> Dataset:
    """400 users with 3 to 20 interactions over 60 items of 3 categories, times from 0 to 9,999."""
    rng = np.random.default_rng(seed)
    items = pl.DataFrame(
        {
            c.ITEM_ID: [f"i{i:03}" for i in range(N_ITEMS)],
            c.CATEGORY: [f"{'ABC'[i % 3]} > {'xy'[i % 2]}" for i in range(N_ITEMS)],
        }
    )
    lengths = rng.integers(3, 21, N_USERS)
    n = int(lengths.sum())
    log = pl.DataFrame(
        {
            c.USER_ID: [f"u{u:04}" for u in np.repeat(np.arange(N_USERS), lengths)],
            c.ITEM_ID: [f"i{i:03}" for i in rng.integers(0, N_ITEMS, n)],
            c.TIMESTAMP: rng.integers(0, 10_000, n),
            c.EVENT: [("view", "purchase", "impression")[e] for e in rng.integers(0, 3, n)],
        }
    )
    return build_dataset(items, log if timed else log.drop(c.TIMESTAMP))


def in_category(dataset: Dataset, name: str = "A") -> np.ndarray:
    return dataset.catalogue.category == dataset.catalogue.categories.index(name)


def reshuffled(dataset: Dataset, mask: np.ndarray, seed: int = 1) -> Dataset:
    """The same log with the items of the masked interactions dealt anew, so that each stays in its category."""
    rng = np.random.default_rng(seed)
    histories, items = dataset.histories, dataset.histories.items.copy()
    category = dataset.catalogue.category
    for code in range(len(dataset.catalogue.categories)):
        rows = np.flatnonzero(mask & (category[histories.items] == code))
        items[rows] = rng.choice(np.flatnonzero(category == code), len(rows))
    assert (items != histories.items).sum() > 50
    return replace(dataset, histories=replace(histories, items=items))


def assert_same(one: Histories, other: Histories) -> None:
    """Bit for bit."""
    for name in ("indptr", "items", "times", "events"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes(), name
    assert (one.n_items, one.timed) == (other.n_items, other.timed)


# --- temporal ---------------------------------------------------------------------------------------------------------


def test_temporal_inputs_lie_before_the_cut_and_answers_after():
    split = temporal(shop(), share=0.2)
    assert (split.visible.times < split.cut).all()
    assert (split.test.queries.times < split.cut).all()
    assert (split.test.answers.times >= split.cut).all()
    hidden = 1 - len(split.visible.items) / len(shop().histories.items)
    assert hidden == pytest.approx(0.2, abs=0.01)
    assert (split.test.queries.lengths > 0).all()
    assert (split.test.answers.lengths > 0).all()


def test_temporal_permuting_what_lies_after_the_cut_changes_no_input():
    dataset = shop()
    split = temporal(dataset, share=0.2)
    again = temporal(reshuffled(dataset, dataset.histories.times >= split.cut), share=0.2)
    assert again.cut == split.cut
    assert_same(split.visible, again.visible)
    assert_same(split.test.queries, again.test.queries)
    np.testing.assert_array_equal(split.test.users, again.test.users)
    assert split.test.answers.items.tobytes() != again.test.answers.items.tobytes()


def test_temporal_new_and_repeated_answers_are_apart():
    split = temporal(shop(), share=0.3)
    for part, expected in ((split.new, False), (split.repeats, True)):
        assert len(part) > 20
        for row in range(len(part)):
            met = set(part.queries.of(row).tolist())
            assert all((item in met) is expected for item in part.answers.of(row).tolist())
        np.testing.assert_array_equal(split.test.users[split.test.positions(part)], part.users)
    together = len(split.new.answers.items) + len(split.repeats.answers.items)
    assert together == len(split.test.answers.items)


def test_temporal_asking_fewer_users_leaves_the_visible_part_alone():
    every, few = temporal(shop()), temporal(shop(), max_test_users=30)
    assert len(few.test) == 30
    assert_same(every.visible, few.visible)
    assert set(few.test.users) < set(every.test.users)
    assert not np.array_equal(few.test.users, temporal(shop(), max_test_users=30, seed=1).test.users)


def test_temporal_needs_times():
    with pytest.raises(InputError, match="needs times; this log has none"):
        temporal(shop(timed=False))


def test_temporal_names_a_cut_that_leaves_nobody():
    with pytest.raises(InputError, match="both before and after the cut at 0"):
        temporal(shop(), cut=0)


# --- leave-one-out ----------------------------------------------------------------------------------------------------


def test_leave_one_out_takes_the_last_and_the_one_before():
    dataset = build_dataset(
        pl.DataFrame({c.ITEM_ID: list("abcdef")}),
        pl.DataFrame(
            {
                c.USER_ID: ["u"] * 4 + ["v"] * 2 + ["w"] * 3,
                c.ITEM_ID: list("abcd") + list("ef") + list("aba"),
            }
        ),
    )
    split = leave_one_out(dataset)
    assert [split.visible.of(u).tolist() for u in range(3)] == [[0, 1], [4, 5], [0]]
    assert split.validation.users.tolist() == [0, 2]
    assert split.validation.queries.of(0).tolist() == [0, 1]
    assert split.validation.answers.of(0).tolist() == [2]
    # The last item of w is one that w has met: it is left out of the ranking, so w is not asked.
    assert split.test.users.tolist() == [0]
    assert split.test.queries.of(0).tolist() == [0, 1, 2]
    assert split.test.answers.of(0).tolist() == [3]


def test_leave_one_out_permuting_the_last_two_changes_nothing_visible():
    dataset = shop(timed=False)
    split = leave_one_out(dataset)
    histories = dataset.histories
    from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
    long_enough = np.repeat(histories.lengths >= 3, histories.lengths)
    again = leave_one_out(reshuffled(dataset, long_enough & (from_end <= 2)))
    assert_same(split.visible, again.visible)


def test_leave_one_out_needs_three_interactions():
    dataset = build_dataset(
        pl.DataFrame({c.ITEM_ID: ["a", "b"]}), pl.DataFrame({c.USER_ID: ["u", "u"], c.ITEM_ID: ["a", "b"]})
    )
    with pytest.raises(InputError, match="at least three interactions"):
        leave_one_out(dataset)


# --- launch -----------------------------------------------------------------------------------------------------------

KINDS = [("order-free", False), ("order-free", True), ("timed", True)]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'times' if kind[1] else 'no-times'}")
def case(request):
    kind, timed = request.param
    dataset = shop(timed=timed)
    return dataset, kind


@pytest.mark.parametrize("seen", [False, True])
def test_launch_hidden_interactions_reach_no_input(case, seen):
    dataset, kind = case
    mask = in_category(dataset)
    for launch in launch_split(dataset, mask, SHOTS, seed=3, kind=kind, seen=seen):
        assert not mask[launch.queries.items].any()
        assert mask[launch.answers.items].all()
        assert (launch.answers.lengths > 0).all()
        assert (launch.queries.lengths > 0).all()
        visible_of_asked = launch.visible.select(launch.test_users)
        assert not mask[visible_of_asked.items].any()
        if seen:
            assert_same(visible_of_asked, launch.queries)
        else:
            assert len(visible_of_asked.items) == 0
        np.testing.assert_array_equal(launch.items, np.flatnonzero(mask))
        assert launch.category == dataset.catalogue.categories.index("A")


def test_launch_permuting_the_test_users_category_changes_no_input(case):
    dataset, kind = case
    mask = in_category(dataset)
    launches = launch_split(dataset, mask, SHOTS, seed=3, kind=kind)
    asked = np.isin(dataset.histories.users, launches[0].test_users)
    other = reshuffled(dataset, asked & mask[dataset.histories.items])
    for one, two in zip(launches, launch_split(other, mask, SHOTS, seed=3, kind=kind), strict=True):
        assert_same(one.visible, two.visible)
        assert_same(one.queries, two.queries)
        assert one.test_users.tobytes() == two.test_users.tobytes()
        assert one.now == two.now
        assert one.answers.items.tobytes() != two.answers.items.tobytes()


def test_launch_permuting_the_category_changes_nothing_at_shot_0(case):
    dataset, kind = case
    mask = in_category(dataset)
    other = reshuffled(dataset, mask[dataset.histories.items])
    one, two = (launch_split(d, mask, [0.0], seed=3, kind=kind)[0] for d in (dataset, other))
    assert not mask[one.visible.items].any()
    assert_same(one.visible, two.visible)
    assert_same(one.queries, two.queries)


def test_launch_timed_permuting_all_that_lies_after_changes_no_input():
    dataset = shop()
    mask = in_category(dataset)
    options = {"seed": 3, "kind": "timed", "tau": 6_000, "until": 8_000}
    launches = launch_split(dataset, mask, SHOTS, **options)
    other = reshuffled(dataset, dataset.histories.times >= 8_000)
    for one, two in zip(launches, launch_split(other, mask, SHOTS, **options), strict=True):
        assert_same(one.visible, two.visible)
        assert_same(one.queries, two.queries)


def test_launch_timed_keeps_the_order_of_time():
    dataset = shop()
    mask = in_category(dataset)
    launches = launch_split(dataset, mask, SHOTS, seed=3, kind="timed", tau=6_000, until=8_000)
    for launch in launches:
        inside = mask[launch.visible.items]
        assert (launch.visible.times[~inside] < 6_000).all()
        assert ((launch.visible.times[inside] >= 6_000) & (launch.visible.times[inside] < launch.now)).all()
        assert (launch.queries.times < 6_000).all()
        assert (launch.answers.times >= 8_000).all()
    moments = [launch.now for launch in launches]
    assert (moments[0], moments[-1]) == (6_000, 8_000)
    assert moments == sorted(moments)


def test_launch_timed_shows_the_first_who_came():
    dataset = shop()
    mask = in_category(dataset)
    launch = launch_split(dataset, mask, [0.1], seed=3, kind="timed", tau=6_000, until=8_000)[0]
    histories = dataset.histories
    window = mask[histories.items] & (histories.times >= 6_000) & (histories.times < 8_000)
    window &= ~np.isin(histories.users, launch.test_users)
    arrivals = {u: histories.times[window & (histories.users == u)].min() for u in np.unique(histories.users[window])}
    first = sorted(arrivals, key=arrivals.get)[: round(0.1 * len(arrivals))]
    shown = np.unique(launch.visible.users[mask[launch.visible.items]])
    assert shown.tolist() == sorted(first)
    assert launch.now == arrivals[first[-1]] + 1


def test_launch_shots_are_nested_and_of_the_size_asked_for(case):
    dataset, kind = case
    mask = in_category(dataset)
    launches = launch_split(dataset, mask, SHOTS, seed=3, kind=kind)
    shown = [set(zip(*_inside(launch.visible, mask), strict=True)) for launch in launches]
    users = [len({user for user, _, _ in pairs}) for pairs in shown]
    assert users[0] == 0
    assert users[1] == max(1, round(0.01 * users[3]))
    assert users[2] == round(0.1 * users[3])
    for smaller, greater in itertools.pairwise(shown):
        assert smaller < greater
    alone = launch_split(dataset, mask, [0.1], seed=3, kind=kind)[0]
    assert_same(alone.visible, launches[2].visible)


@pytest.mark.parametrize("timed", [False, True])
def test_launch_order_free_at_full_shot_shows_all_of_the_others(timed):
    dataset = shop(timed=timed)
    launch = launch_split(dataset, in_category(dataset), [1.0], seed=3, kind="order-free")[0]
    others = np.setdiff1d(np.arange(N_USERS), launch.test_users)
    assert launch.visible.select(others).items.tobytes() == dataset.histories.select(others).items.tobytes()


def test_launch_asks_the_share_of_the_eligible(case):
    dataset, kind = case
    mask = in_category(dataset)
    fifth, half = (launch_split(dataset, mask, [0], seed=3, kind=kind, test_share=s)[0] for s in (0.2, 0.5))
    assert len(fifth.test_users) == pytest.approx(0.4 * len(half.test_users), abs=1)
    assert set(fifth.test_users) < set(half.test_users)
    few = launch_split(dataset, mask, [0], seed=3, kind=kind, max_test_users=10)[0]
    assert len(few.test_users) == 10


def test_launch_is_decided_by_the_seed(case):
    dataset, kind = case
    mask = in_category(dataset)
    one, same, other = (launch_split(dataset, mask, [0.1], seed=s, kind=kind)[0] for s in (5, 5, 6))
    assert_same(one.visible, same.visible)
    assert_same(one.answers, same.answers)
    assert not np.array_equal(one.test_users, other.test_users)


def test_launch_without_times_numbers_histories_anew():
    """Gaps in the numbering would tell where an interaction was hidden."""
    launch = launch_split(shop(timed=False), in_category(shop()), [0.1], seed=3)[0]
    assert launch.kind == "order-free"
    for histories in (launch.visible, launch.queries):
        expected = np.arange(len(histories.items)) - np.repeat(histories.indptr[:-1], histories.lengths)
        np.testing.assert_array_equal(histories.times, expected)


def test_launch_of_a_second_level_category():
    dataset = shop()
    leaves = np.array(dataset.catalogue.leaves)[dataset.catalogue.leaf]
    launch = launch_split(dataset, leaves == "A > x", [1.0])[0]
    assert launch.category == dataset.catalogue.categories.index("A")
    assert launch.kind == "timed"
    # The other half of A is an input.
    assert (leaves[launch.queries.items] == "A > y").any()
    mixed = launch_split(dataset, np.char.endswith(leaves.astype(str), "x"), [1.0])[0]
    assert mixed.category == -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_items_mask": np.zeros(N_ITEMS, bool)}, "0 of 60 are inside"),
        ({"category_items_mask": np.ones(N_ITEMS, bool)}, "60 of 60 are inside"),
        ({"category_items_mask": np.ones(3, bool)}, r"bool \(60,\).* bool \(3,\) came"),
        ({"shots": [5]}, r"shares from 0 to 1; \[5\] came"),
        ({"test_share": 1.0}, "between 0 and 1; 1.0 came"),
        ({"tau": 9, "until": 3}, "tau 9 is after until 3"),
        ({"tau": 0, "until": 5}, "Nobody has interactions outside the category before 0"),
    ],
)
def test_launch_refuses_what_makes_no_question(change, message):
    dataset = shop()
    arguments = {"category_items_mask": in_category(dataset), "shots": SHOTS} | change
    with pytest.raises(InputError, match=message):
        launch_split(dataset, **arguments)


def test_launch_timed_needs_times():
    with pytest.raises(InputError, match="A timed launch needs times"):
        launch_split(shop(timed=False), in_category(shop()), kind="timed")


def _inside(histories: Histories, mask: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    inside = mask[histories.items]
    position = np.arange(len(histories.items)) - np.repeat(histories.indptr[:-1], histories.lengths)
    order = histories.times if histories.timed else position
    return histories.users[inside].tolist(), histories.items[inside].tolist(), order[inside].tolist()
