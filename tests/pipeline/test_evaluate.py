from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.config import Config
from kuapin.data.histories import Histories
from kuapin.errors import InputError, UnknownIdError
from kuapin.evaluation import splits
from kuapin.evaluation.launch import launch_split
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.evaluation.ranked import ItemFacts, Ranked
from kuapin.evaluation.verdict import findings, headline
from kuapin.pipeline import report_launch, report_leave_one_out, report_live, report_questions, report_temporal
from kuapin.pipeline.evaluate import baselines_of, report_of
from kuapin.pipeline.report_launch import items_of, largest_categories, measure_launches
from kuapin.pipeline.report_leave_one_out import LAST, measure_leave_one_out
from kuapin.pipeline.report_material import Stopwatch
from kuapin.pipeline.report_pool import MODEL, Pool
from kuapin.pipeline.report_temporal import ALL, DISCOVERY, NEW, REPEATS, measure_temporal

HOW = {"seeds": 2, "max_test_users": 60}


@pytest.fixture(scope="module")
def temporal(material):
    return measure_temporal(material, baselines_of(material), **HOW, watch=Stopwatch())


@pytest.fixture(scope="module")
def launch(untimed):
    return measure_launches(
        untimed, baselines_of(untimed), ["Home"], (0.0, 1.0), seeds=1, max_test_users=60, watch=Stopwatch()
    )


def test_temporal_asks_for_all_for_repeats_and_for_what_is_new(temporal, material):
    by_title = {c.title: c for c in temporal.comparisons}
    assert set(by_title) == {DISCOVERY, ALL, REPEATS, NEW}
    assert by_title[ALL].users == 120  # two seeds of 60
    assert [title for title, c in by_title.items() if not c.judged] == [NEW]
    assert all(c.candidates == 120 and c.protocol == "temporal" for c in temporal.comparisons)
    names = {b.method.name for b in baselines_of(material)}
    assert set(by_title[ALL].results) == {MODEL, *names}
    repeat = by_title[REPEATS].results["repeat"]["ndcg@10"].value
    assert repeat > 3 * by_title[REPEATS].results["random"]["ndcg@10"].value
    assert by_title[DISCOVERY].results["repeat"]["ndcg@10"].value == 0  # it knows nothing new
    assert by_title[DISCOVERY].results[MODEL]["ndcg@10"].value > by_title[NEW].results[MODEL]["ndcg@10"].value
    # one taste a user, in the texts and in the log: random draws from four tastes, ours must not
    assert (
        by_title[DISCOVERY].results[MODEL]["ndcg@10"].value > 2 * by_title[DISCOVERY].results["random"]["ndcg@10"].value
    )
    assert {c.title for c in temporal.categories} == {"Beauty", "Home", "Toys"}
    assert all(c.candidates == 40 for c in temporal.categories)
    assert all(c.results[MODEL]["ndcg@10"].value > c.results["random"]["ndcg@10"].value for c in temporal.categories)
    assert {"Items: warm", "Items: head"} <= {c.title for c in temporal.slices}
    truth = next(mix for mix in temporal.mixes if mix.is_truth)
    assert sum(truth.shares.values()) == pytest.approx(1)


def test_groups_of_users_are_measured_apart_and_small_ones_are_named(temporal, material):
    n = len(material.dataset.users)
    people = pl.DataFrame({"age": ["old" if k % 2 else "young" for k in range(n)], "member": [k < 3 for k in range(n)]})
    asked = report_questions.Outcomes(material.dataset.catalogue, "temporal", {}, groups=people)
    split = splits.temporal(material.dataset, max_test_users=n, seed=0)
    facts = ItemFacts.from_visible(split.visible, material.dataset.catalogue.category)
    ten = np.arange(10, dtype=np.int32)
    lists = {name: Ranked(np.tile(ten + shift, (len(split.test), 1))) for shift, name in enumerate((MODEL, "random"))}
    asked.split(split.test, lists, facts)
    found = {c.title: c for c in asked.compared_parts() if c.title.startswith("Users: ")}
    assert {"Users: age old", "Users: age young", "Users: member false"} == set(found)
    assert found["Users: age old"].users == sum(row % 2 for row in split.test.users)
    few = sum(row < 3 for row in split.test.users)
    assert asked.notes() == (f"Groups with fewer than 30 users asked, left out: member true ({few}).",)
    assert not any(c.title.startswith("Users: ") for c in temporal.slices)  # this shop has no users table


def test_launch_measures_every_shot_and_leaves_out_what_has_nothing_to_say(launch):
    assert [(c.title, c.shot) for c in launch.comparisons] == [("Home", 0.0), ("Home", 1.0)]
    nothing, everything = launch.comparisons
    assert set(nothing.results) == {MODEL, "frozen text", "frozen text, mean", "random text", "random"}
    assert {"popularity", "item-kNN", "EASE", "implicit ALS"} <= set(everything.results)
    assert nothing.candidates == 40
    for name in ("frozen text", "random"):  # it learns nothing: the same users, the same lists
        assert nothing.results[name]["ndcg@10"] == everything.results[name]["ndcg@10"]
    assert nothing.results[MODEL]["ndcg@10"].value > 1.5 * nothing.results["random"]["ndcg@10"].value
    assert nothing.results["random"]["ndcg@10"].low <= nothing.results["random text"]["ndcg@10"].high


def test_a_launch_tells_head_middle_and_tail_apart(launch, untimed):
    parts = {c.title: c for c in launch.slices}
    names = [
        f"Home, {shot} seen: {third} items"
        for shot in ("0\u00a0%", "100\u00a0%")
        for third in ("head", "middle", "tail")
    ]
    assert list(parts) == names
    for first, later in zip(names[:3], names[3:], strict=True):  # the same people and items at both levels
        assert parts[first].users == parts[later].users >= 30
        assert parts[first].results["random"]["ndcg@10"] == parts[later].results["random"]["ndcg@10"]
    assert {"popularity", "item-kNN"} <= set(parts[names[3]].results)
    found = [parts[name].results["popularity"]["ndcg@10"].value for name in names[3:]]
    assert found[0] > found[1] > found[2] == 0  # ten of forty items are shown to everybody

    histories, catalogue = untimed.dataset.histories, untimed.dataset.catalogue
    inside = catalogue.category == catalogue.categories.index("Home")
    (split,) = launch_split(untimed.dataset, inside, [0.0], 0, test_share=1 / 3, max_test_users=60)
    asked = np.isin(histories.users, split.test_users) & inside[histories.items]
    hidden = replace(histories, items=np.where(asked, np.flatnonzero(inside)[0], histories.items).astype(np.int32))
    one, other = (
        report_launch._thirds(d, split) for d in (untimed.dataset, replace(untimed.dataset, histories=hidden))
    )
    assert [part.users.tolist() for part in one] == [part.users.tolist() for part in other]


def test_leave_one_out_asks_for_the_last_item(untimed):
    measured = measure_leave_one_out(untimed, baselines_of(untimed), **HOW, watch=Stopwatch())
    (last,) = measured.comparisons
    assert (last.title, last.protocol) == (LAST, "leave-one-out")
    assert last.results["repeat"]["hit_rate@10"].value == 0  # items of the history are left out
    assert last.results[MODEL]["hit_rate@10"].value > last.results["random"]["hit_rate@10"].value


@pytest.mark.parametrize(
    ("module", "name", "measure"),
    [
        (report_temporal, "temporal", measure_temporal),
        (report_leave_one_out, "leave_one_out", measure_leave_one_out),
        (report_launch, "launch_split", lambda *a, **k: measure_launches(*a, ["Home"], (0.0,), **k)),
    ],
)
def test_the_shops_seed_draws_who_is_asked(material, monkeypatch, module, name, measure):
    real = getattr(module, name)

    def split(*arguments, **options):
        seed = options.get("seed", arguments[3] if len(arguments) > 3 else None)
        if seed is not None:
            raise InputError(f"seed {seed}")
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, split)
    shop = replace(material, config=Config(seed=5))
    assert list(shop.seeds(2)) == [5, 6]
    assert list(material.seeds(2)) == [0, 1]
    with pytest.raises(InputError, match=r"^seed 5$"):
        measure(shop, [], **HOW, watch=Stopwatch())


def test_temporal_needs_times(untimed):
    with pytest.raises(InputError, match="temporal protocol needs times"):
        measure_temporal(untimed, baselines_of(untimed), **HOW, watch=Stopwatch())


def test_the_report_names_what_was_measured(temporal, launch, material):
    watch = Stopwatch()
    with watch.time("a"):
        pass
    with watch.time("b"), watch.time("a"):
        pass
    report = report_of(material, baselines_of(material), [temporal, launch], watch, title="T", seeds=2)
    assert [t.step for t in report.timings] == ["a", "b"]
    assert report.methods[0].kind == "model"
    assert {m.name for m in report.methods} == {name for c in report.comparisons for name in c.results}
    assert [finding.title for finding in findings(report)] == [DISCOVERY, ALL, REPEATS, "Opening Home"]
    assert headline(report)
    assert any("70 %" in note or "share is asked" in note for note in report.notes)


def permuted(histories: Histories, mask) -> Histories:
    items = histories.items.copy()
    items[mask] = np.random.default_rng(5).permutation(items[mask])
    return replace(histories, items=items)


def test_what_lies_after_the_cut_changes_no_list(material, monkeypatch):
    """The leakage check: shuffling the hidden interactions leaves the lists of all methods bit-identical."""
    seen = []
    real = report_live.live_lists

    def spy(*arguments):
        lists = real(*arguments)
        seen.append(lists[0])  # over the whole catalogue; who is asked about a category depends on his answers
        return lists

    monkeypatch.setattr("kuapin.pipeline.report_live.live_lists", spy)
    histories = material.dataset.histories
    cut = int(np.quantile(histories.times, 0.9, method="higher"))
    other = replace(material, dataset=replace(material.dataset, histories=permuted(histories, histories.times >= cut)))
    assert (other.dataset.histories.items != histories.items).any()
    for one in (material, other):
        measure_temporal(one, baselines_of(one), seeds=1, max_test_users=50, watch=Stopwatch())
    assert set(seen[0]) == set(seen[1])
    for name, lists in seen[0].items():
        np.testing.assert_array_equal(lists.items, seen[1][name].items, err_msg=name)
        np.testing.assert_array_equal(lists.scores, seen[1][name].scores, err_msg=name)


def test_the_test_users_hidden_interactions_reach_no_launch_list(untimed, monkeypatch):
    seen = []
    real = report_launch.cut
    monkeypatch.setattr(report_launch, "cut", lambda lists: seen.append(lists) or real(lists))
    dataset = untimed.dataset
    inside = items_of(dataset.catalogue, "Home")
    (split,) = launch_split(dataset, inside, [0.1], 0, test_share=1 / 3, max_test_users=60)
    asked = np.isin(dataset.histories.users, split.test_users)
    hidden = asked & inside[dataset.histories.items]
    other = replace(untimed, dataset=replace(dataset, histories=permuted(dataset.histories, hidden)))
    assert (other.dataset.histories.items != dataset.histories.items).any()
    for one in (untimed, other):
        measure_launches(one, baselines_of(one), ["Home"], [0.1], seeds=1, max_test_users=60, watch=Stopwatch())
    methods = len(seen) // 2
    assert methods == 9  # ours, and all but repeat, which has nothing to say, and the last 30 days
    for first, second in zip(seen[:methods], seen[methods:], strict=True):
        np.testing.assert_array_equal(first.items, second.items)
        np.testing.assert_array_equal(first.scores, second.scores)


def test_categories_of_any_level(material):
    catalogue = material.dataset.catalogue
    assert items_of(catalogue, "Home").sum() == 40
    assert items_of(catalogue, "Home>Shelf 2").sum() == 10
    with pytest.raises(
        UnknownIdError,
        match=r"no category 'Hom' in this shop\. Did you mean Home\? The top-level categories are Beauty",
    ):
        items_of(catalogue, "Hom")
    with pytest.raises(UnknownIdError, match=r"Did you mean Toys > Shelf 3\?"):
        items_of(catalogue, "Toys>shelf3")


def test_the_largest_categories_are_those_with_most_to_ask(untimed, monkeypatch):
    with pytest.raises(InputError, match="No category has 100 users"):
        largest_categories(untimed.dataset)
    monkeypatch.setattr(report_launch, "LEAST_TEST_USERS", 20)
    monkeypatch.setattr(report_launch, "MOST_CATEGORIES", 2)
    assert len(largest_categories(untimed.dataset)) == 2


def test_the_largest_categories_are_those_of_the_seed(untimed, monkeypatch):
    seeds = []

    def split(dataset, mask, shots, seed, **_):
        seeds.append(seed)
        raise InputError("nobody")

    monkeypatch.setattr(report_launch, "launch_split", split)
    with pytest.raises(InputError, match="No category has 100 users"):
        largest_categories(untimed.dataset, 5)
    assert seeds == [5, 5, 5]


def test_a_pool_ranks_by_the_mean_over_all_seeds_and_counts_a_user_once():
    pool = Pool()
    nan = float("nan")

    def outcome(values, coverage):
        return PerUser({"ndcg@10": np.array(values, float)}, {"coverage@10": coverage})

    pool.add(np.array([3, 7]), {MODEL: outcome([1, 0], 0.2), "a": outcome([1, 1], 0.1), "b": outcome([0, 1], 0.3)})
    pool.add(np.array([3]), {MODEL: outcome([1], 0.4), "b": outcome([nan], 0.1), "a": outcome([0], 0.1)})
    assert len(pool) == 3
    assert pool.best_baseline() == "a"
    comparison = pool.comparison("T", "Q", "launch", 9, shot=0.1)
    assert comparison.results[MODEL]["ndcg@10"].value == pytest.approx(2 / 3)
    assert comparison.results["b"]["ndcg@10"].value == pytest.approx(1 / 2)  # undefined for one
    assert comparison.results[MODEL]["coverage@10"].value == pytest.approx(0.3)
    assert comparison.ratio.value == pytest.approx(1.0)
    # drawing user 3 alone gives (1 + 1) / 2, drawing user 7 alone gives 0
    assert (comparison.results[MODEL]["ndcg@10"].low, comparison.results[MODEL]["ndcg@10"].high) == (0, 1)
