import json

import numpy as np
import polars as pl
import pytest

from benchmarks import kept_cells
from benchmarks.cell import Cell
from benchmarks.cells import FROZEN
from benchmarks.kept_cells import KeptCells
from benchmarks.launch import (
    Row,
    below_reference,
    domains,
    figures_of,
    over_launches,
    pooled,
    second_levels,
    store_scores,
)
from benchmarks.sets import DataSet, cache_folder, load_set, set_items
from kuapin.data.dataset import build_dataset
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.pipeline.report_pool import MODEL


def write(folder, items, log):
    folder.mkdir()
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    pl.DataFrame(log).write_parquet(folder / "interactions.parquet")
    return folder


def test_the_domain_becomes_the_first_step_and_a_text_stands_in_for_the_title():
    items = set_items(
        pl.DataFrame(
            {
                "item_id": [1, 2, 3, 4],
                "title": ["Lamp", None, None, "Ring"],
                "text_id": ["x", "oak desk", None, None],
                "category": ["Home > Lamps", "Desks", None, "Home"],
                "domain": ["Home", "Home", "Home", None],
            }
        )
    )
    assert items["category"].to_list() == ["Home > Lamps", "Home > Desks", "Home", "Home"]
    assert items["shelf"].to_list() == ["Lamps", "Desks", None, "Home"]
    assert items["title"].to_list() == ["Lamp", "oak desk", None, "Ring"]
    assert items["item_id"].to_list() == ["1", "2", "3", "4"]


def test_without_times_pos_gives_the_order_within_user_and_domain(tmp_path):
    folder = write(
        tmp_path / "s",
        {"item_id": ["a", "b", "c"], "title": ["a", "b", "c"], "domain": ["X", "X", "Y"]},
        {
            "user_id": ["u", "u", "u"], "item_id": ["a", "c", "b"], "domain": ["X", "Y", "X"], "pos": [1, 0, 0],
            "timestamp": [None, None, 3],
        },
    )  # fmt: skip
    data = load_set(folder)
    assert data.name == "s"
    assert not data.dataset.histories.timed
    assert [data.dataset.catalogue.items.id(row) for row in data.dataset.histories.of(0)] == ["b", "a", "c"]


def crossing(n_users):
    """Everybody meets one item of each of X > 1, X > 2 and Y > 1; two items in Z that nobody meets."""
    items = pl.DataFrame(
        {"item_id": list("abcdef"), "category": ["X > 1", "X > 2", "Y > 1", "Y > 1", "Z", "Z"], "shelf": [None] * 6}
    )
    users = [f"u{k:03d}" for k in range(n_users) for _ in range(3)]
    return DataSet(
        "made", items, build_dataset(items, pl.DataFrame({"user_id": users, "item_id": list("abc") * n_users}))
    )


def test_targets_are_the_categories_with_enough_to_ask():
    data = crossing(200)
    assert [(one.name, one.items.sum()) for one in domains(data)] == [("others->X", 2), ("others->Y", 2)]
    assert [one.name for one in second_levels(data)] == ["others->X > 1", "others->X > 2", "others->Y > 1"]
    assert domains(crossing(20)) == []


def cell(seed, users, ours, popularity, frozen):
    def outcome(values):
        return PerUser({"ndcg@10": np.array(values, float), "hit_rate@10": np.sign(np.array(values, float))}, {})

    outcomes = {MODEL: outcome(ours), "popularity": outcome(popularity)}
    outcomes |= {f"{FROZEN}: {name}": outcome(values) for name, values in frozen.items()}
    return Cell(0.1, seed, np.array(users, np.int32), outcomes, 3.0 + seed)


@pytest.fixture
def row() -> Row:
    return pooled(
        "A->B",
        [
            cell(0, [1, 2], [0.5, 0.5], [0.2, 0.2], {"t, mean": [0.4, 0.0], "t, logsumexp": [0.0, 0.1]}),
            cell(1, [1, 3], [0.5, 0.1], [0.2, 0.2], {"t, mean": [0.0, 0.0], "t, logsumexp": [0.0, 0.1]}),
        ],
    )


def test_the_best_reading_and_the_best_baseline_are_chosen_on_pooled_means(row):
    assert set(row.values) == {MODEL, "popularity", FROZEN}
    assert row.reading == "t, mean"  # .1 against .05 pooled, although it is worse under seed 1
    assert row.best == "popularity"
    assert row.ratio().value == pytest.approx(0.4 / 0.2)
    figures = figures_of([row])
    names = ("ratio", "low", "ndcg", "ranker_only.ndcg", "best_baseline")
    assert set(figures) == {f"A->B.0.1.{name}" for name in names}
    assert figures["A->B.0.1.ranker_only.ndcg"] == figures["A->B.0.1.ndcg"]
    assert figures["A->B.0.1.ndcg"].value == pytest.approx(0.4)
    assert figures["A->B.0.1.best_baseline"].value == pytest.approx(0.2)
    assert figures["A->B.0.1.low"].value == figures["A->B.0.1.ratio"].low


def test_the_ratio_over_launches_weighs_every_launch_alike(row):
    figures = over_launches([row, row], "made")
    assert figures["second_level.made.0.1.ratio"].value == pytest.approx(2.0)
    assert figures["second_level.made.0.1.launches"].value == 2


def test_a_weak_baseline_is_told(row, monkeypatch):
    monkeypatch.setattr("benchmarks.launch.REFERENCES", {("A->B", 0.1): {"popularity": 0.25}})
    (fault,) = below_reference([row], 5)
    assert "popularity has NDCG@10 0.2000" in fault
    monkeypatch.setattr("benchmarks.launch.REFERENCES", {("A->B", 0.1): {"popularity": 0.205}})
    assert below_reference([row], 5) == []


def test_scores_of_every_user_are_kept_so_that_ratios_can_be_recomputed(row, tmp_path, monkeypatch):
    told = store_scores([row], tmp_path)
    frame = pl.read_parquet(tmp_path / told["file"])
    assert frame.height == told["rows"] == 4
    assert frame[MODEL].mean() / frame["popularity"].mean() == pytest.approx(2.0)
    assert frame["seed"].to_list() == [0, 0, 1, 1]
    monkeypatch.setattr("benchmarks.launch.MOST_BYTES", 10)
    told = store_scores([row], tmp_path)
    assert told["file"] is None
    assert not (tmp_path / "launch.parquet").exists()
    json.dumps(told)


def test_the_cache_stays_out_of_the_repository(monkeypatch, root, tmp_path):
    monkeypatch.setenv("KUAPIN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("KUAPIN_CACHE", str(root / "cache"))
    with pytest.raises(SystemExit, match="inside the repository"):
        cache_folder()


def test_a_finished_cell_is_found_again_by_the_same_commit_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KUAPIN_CACHE", str(tmp_path))
    monkeypatch.setattr(kept_cells, "commit", lambda: "abc123")
    made = cell(2, [4, 7], [0.25, 1.0], [0.0, 0.125], {"{title}, mean": [0.0, 0.5]})
    KeptCells("A->B", {"users": 5}).put(made)
    again = KeptCells("A->B", {"users": 5}).get(0.1, 2)
    assert (again.shot, again.seed, again.seconds, again.users.tolist()) == (0.1, 2, made.seconds, [4, 7])
    for method, outcome in made.outcomes.items():
        for metric, values in outcome.users.items():
            np.testing.assert_array_equal(again.outcomes[method].users[metric], values)
    assert KeptCells("A->B", {"users": 5}).get(0.1, 3) is None
    assert KeptCells("A->B", {"users": 6}).get(0.1, 2) is None
    monkeypatch.setattr(kept_cells, "commit", lambda: "abc123+")
    assert KeptCells("A->B", {"users": 5}).get(0.1, 2) is None
