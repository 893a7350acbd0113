"""What is worth labelling, by hand; and a classifier that asks for labels, is answered, and may answer itself."""

import json

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.finetuning.labelled import PSEUDO
from kuapin.finetuning.labelling import margins, spread, worth_labelling
from kuapin.workspace import Shop
from tests import market

torch = pytest.importorskip("torch")
TASK = "theme"


def test_the_margin_is_the_lead_of_the_best_over_the_second():
    chances = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]], np.float32)
    assert margins(chances, "multi-class").tolist() == pytest.approx([0.5, 0.05])
    assert margins(np.array([[0.9, 0.55]], np.float32), "multi-label").tolist() == pytest.approx([0.1])


def test_the_farthest_is_taken_first_and_its_like_is_left():
    """From (1, 0): cosines 0.8, -1, -0.96 and 0. The opposite first; then, not its neighbour, the right angle."""
    vectors = np.array([[1, 0], [0.8, 0.6], [-1, 0], [-0.96, 0.28], [0, 1]], np.float32)
    chosen = spread(vectors, np.array([0]), np.array([1, 2, 3, 4]), 2)
    assert chosen.tolist() == [2, 4]
    assert spread(vectors, np.array([], np.int64), np.array([4, 1]), 1).tolist() == [4]  # the most wanted


def test_what_it_is_sure_of_is_not_asked():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lead = np.linspace(0, 1, 60, dtype=np.float32)  # row 0 is the least sure
    chances = np.stack([(1 + lead) / 2, (1 - lead) / 2], axis=1)
    asked = worth_labelling(chances, "multi-class", vectors, np.arange(0), np.arange(60), 2)
    assert asked.max() < 20


@pytest.fixture
def shop(tmp_path, bert):
    items = market.items()
    items.write_csv(tmp_path / "items.csv")
    market.log(n_users=40).write_csv(tmp_path / "log.csv")
    labels = items.select(
        c.ITEM_ID, pl.lit(TASK).alias(c.TASK), (pl.col("item_id").hash() % 3).cast(pl.String).alias(c.LABEL)
    )
    labels.head(60).write_csv(tmp_path / "labels.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", labels=tmp_path / "labels.csv")
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text().replace('backbone = "minilm"', f'backbone = "{bert}"'))
    return Shop.open(shop.path)


def sources(shop, sheet):
    """Where the labels of a sheet's items come from, in its order."""
    table = Shop.open(shop.path).store.read(c.LABELS)
    return sheet.select(c.ITEM_ID).join(table, on=c.ITEM_ID, maintain_order="left")[c.SOURCE].to_list()


def test_it_asks_and_reads_the_answers(shop, tmp_path, capsys):
    folder, sheet = str(shop.path), str(tmp_path / "sheet.csv")
    assert run(app, ["label", folder, "--suggest", "5", "-o", sheet]) == 2
    assert "no tuned classifier" in capsys.readouterr().err
    tuning = ["--set", f"item_classification.task={TASK}", "--max-steps", "4", "--no-measure", "--strategy", "full"]
    tuning += ["--set", "training.tracker=none"]
    assert run(app, ["finetune", folder, "--objective", "item-classification", *tuning]) == 0
    assert run(app, ["label", folder, "--suggest", "5", "-o", sheet]) == 0
    asked = pl.read_csv(sheet, schema_overrides={c.LABEL: pl.String})
    assert asked.height == 5
    assert asked[c.LABEL].null_count() == 5
    known = set(shop.store.read(c.LABELS)[c.ITEM_ID])
    assert known.isdisjoint(asked[c.ITEM_ID].to_list())
    assert run(app, ["label", folder, "--suggest", "5", "-o", sheet]) == 0  # nothing is lost
    assert run(app, ["label", folder, "--suggest", "5", "-o", str(tmp_path / "labels.csv")]) == 2
    assert "is there already and is no sheet of kuapin label" in capsys.readouterr().err
    assert run(app, ["label", folder, "--read", sheet]) == 2
    assert "no row has a label" in capsys.readouterr().err
    filled = asked.with_columns(pl.when(pl.int_range(pl.len()) < 3).then(pl.lit(" 0 ")).alias(c.LABEL))
    filled.write_csv(sheet)
    content = (tmp_path / "sheet.csv").read_bytes()
    for again in (["--suggest", "5"], ["--pseudo", "0.5"]):
        assert run(app, ["label", folder, *again, "-o", sheet]) == 2
        assert f"{sheet} has 3 labels that the shop does not have yet. Read the file back" in capsys.readouterr().err
    assert (tmp_path / "sheet.csv").read_bytes() == content
    assert run(app, ["label", folder, "--read", sheet]) == 0
    now = Shop.open(shop.path).store.read(c.LABELS)
    assert now.height == 63
    assert set(now.filter(pl.col(c.ITEM_ID).is_in(asked[c.ITEM_ID].head(3).implode()))[c.LABEL]) == {"0"}
    assert "before" not in capsys.readouterr().err
    assert run(app, ["label", folder, "--pseudo", "0.5", "-o", sheet]) == 0
    own = pl.read_csv(sheet, schema_overrides={c.LABEL: pl.String, "guess": pl.String})
    assert (own["confidence"] >= 0.5).all()
    assert own[c.LABEL].to_list() == own["guess"].to_list()
    corrected = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("other ")).otherwise(c.LABEL)
    own = own.with_columns(corrected.alias(c.LABEL))
    own.write_csv(sheet)
    assert run(app, ["label", folder, "--read", sheet]) == 0
    assert f"New labels of {TASK!r}, which no item had before: other. If" in capsys.readouterr().err
    assert sources(shop, own) == [None] + [PSEUDO] * (own.height - 1)
    own.with_columns(pl.lit(None, pl.String).alias(c.SOURCE)).write_csv(sheet)
    assert run(app, ["label", folder, "--read", sheet]) == 0
    assert sources(shop, own) == [None] * own.height


def test_what_a_column_says_is_known(shop, tmp_path, capsys):
    """Every item has a brand but three, which are all that is asked for; answers are learnt from beside the column."""
    items = market.items().with_columns(pl.when(pl.int_range(pl.len()) < 93).then(c.BRAND).alias("make"))
    items.write_csv(tmp_path / "more.csv")
    shop.import_files(items=tmp_path / "more.csv")
    folder, sheet = str(shop.path), tmp_path / "sheet.csv"
    tuning = ["finetune", folder, "--objective", "item-classification", "--max-steps", "1", "--no-measure", "--json"]
    tuning += ["--set", "item_classification.task=make", "--set", "training.tracker=none"]
    assert run(app, tuning) == 0
    before = json.loads(capsys.readouterr().out)
    assert run(app, ["label", folder, "--suggest", "9", "-o", str(sheet)]) == 0
    asked = pl.read_csv(sheet, schema_overrides={c.LABEL: pl.String})
    assert set(asked[c.ITEM_ID]) == set(items[c.ITEM_ID].tail(3))
    asked.with_columns(pl.lit("Sun").alias(c.LABEL)).write_csv(sheet)
    assert run(app, ["label", folder, "--read", str(sheet)]) == 0
    capsys.readouterr()
    assert run(app, tuning) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["examples"] >= before["examples"]
    assert run(app, ["label", folder, "--suggest", "9", "-o", str(sheet)]) == 2
    assert "Every item with a title has a label of 'make'" in capsys.readouterr().err


def test_it_says_how_sure_it_is_where_that_is_not_enough(shop, tmp_path, capsys):
    tuning = ["--set", f"item_classification.task={TASK}", "--max-steps", "1", "--no-measure", "--quiet"]
    assert run(app, ["finetune", str(shop.path), "--objective", "item-classification", *tuning]) == 0
    capsys.readouterr()
    sheet = tmp_path / "sheet.csv"
    assert run(app, ["label", str(shop.path), "--pseudo", "1", "-o", str(sheet)]) == 2
    assert "a label with a probability of 1; the surest has 0." in capsys.readouterr().err
    assert not sheet.exists()


def test_one_thing_at_a_time(shop, capsys):
    assert run(app, ["label", str(shop.path)]) == 2
    assert "one of --suggest N, --pseudo P and --read FILE" in capsys.readouterr().err
