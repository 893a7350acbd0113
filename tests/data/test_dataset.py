import numpy as np
import polars as pl

from kuapin.data.dataset import build_dataset
from kuapin.evaluation.splits import leave_one_out
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.popularity import Popularity
from kuapin.retrieval.sources.repeat import Repeat

ITEMS = pl.DataFrame({"item_id": list("abcdef")})
LOG = pl.DataFrame(
    [
        ("u", "a", "purchase", 1),
        ("u", "f", "impression", 2),
        ("u", "b", "redeem", 3),
        ("u", "e", "search", 4),
        ("u", "c", None, 5),
        ("u", "f", "impression", 9),
        ("v", "f", "impression", 3),
    ],
    schema=["user_id", "item_id", "event", "timestamp"],
    orient="row",
)


def test_what_was_merely_shown_or_looked_for_was_not_met():
    dataset = build_dataset(ITEMS, LOG)
    histories = dataset.histories
    assert histories.of(0).tolist() == [0, 1, 2]  # bought, redeemed, and an event that the log does not name
    assert dataset.users.ids.to_list() == ["u", "v"]  # known, with an empty history
    assert histories.of(1).tolist() == []
    visible = Visible(dataset.catalogue, histories, None, 10)
    for source in (Popularity(), Repeat()):
        scores = source.fit(visible).score(histories)
        assert np.all(scores[0, :3] > 0)
        assert np.all(scores[:, 3:] == 0)
    assert leave_one_out(dataset).test.answers.items.tolist() == [2]  # not the impression that came last


def test_impressions_without_times_do_not_make_the_log_order_free():
    log = LOG.with_columns(timestamp=pl.when(pl.col("event") != "impression").then("timestamp").otherwise(None))
    log = log.with_columns(timestamp=pl.col("timestamp").fill_null(pl.when(pl.col("event").is_null()).then(5)))
    assert log["timestamp"].null_count() == 3
    assert build_dataset(ITEMS, log).histories.timed
    assert build_dataset(ITEMS, log).histories.times.tolist() == [1, 3, 5]
