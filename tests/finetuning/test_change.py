"""What a change says of where it started, and what is left of a folder that could not be finished."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.errors import ModelFolderError
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import DESCRIPTION, load_change, start_of
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.pipeline.ensemble import members, said_together
from kuapin.pipeline.finetune import STARTING_POINT, prune, starting_backbone
from kuapin.pipeline.forget import forget
from kuapin.pipeline.label import suggested
from kuapin.workspace import Shop
from tests import market
from tests.finetuning.conftest import material_of

torch = pytest.importorskip("torch")
ITEMS = market.items()
TITLES = ITEMS["title"].to_list()[:8]
LABELS = ITEMS.head(60).select(c.ITEM_ID, pl.lit("t").alias(c.TASK), pl.col(c.BRAND).alias(c.LABEL))
CLASSIFIER = {
    "objective": "item-classification",
    "strategy": "full",
    "item_classification": {"task": "t", "probe": False},
    "training": {"max_steps": 1, "batch_size": 4, "tracker": "none"},
}


@pytest.fixture
def tune(tmp_path):
    """Trains a classifier for a step."""
    material = material_of(market.dataset(n_users=5), labels=LABELS)

    def tuned(target, start, **settings):
        config = FinetuningConfig.model_validate(CLASSIFIER | settings)
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        return adapt(material, config, start, run, target).folder

    return tuned


@pytest.fixture
def shop(tmp_path):
    ITEMS.write_csv(tmp_path / "items.csv")
    market.log(n_users=5).write_csv(tmp_path / "log.csv")
    LABELS.write_csv(tmp_path / "labels.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv", labels=tmp_path / "labels.csv")
    return shop


@pytest.mark.parametrize("pooling", [None, "ends"])
def test_a_tuned_backbone_keeps_its_pooling_and_knows_that_of_its_start(bert, tmp_path, tune, pooling):
    start = Backbone.resolve(str(bert), "cls")
    folder = tune(tmp_path / "new", start, pooling=pooling)
    for asked in (None, "cls", "mean"):
        assert Backbone.resolve(str(folder), asked).pooling == (pooling or "cls")
    assert start_of(folder / CHANGE) == start
    load_change(folder / CHANGE, start_of(folder / CHANGE))
    chances, _ = said_together(folder, TITLES)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)


def test_a_shop_can_be_moved(bert, shop, tune):
    shutil.copytree(bert, shop.backbones / "start")
    start = Backbone.resolve(str(shop.backbones / "start"))
    tune(shop.backbones / "c", start)
    moved = Shop.open(shop.path.rename(shop.path.with_name("elsewhere")))
    assert suggested(moved, 3).rows.height == 3
    assert start_of(moved.backbones / "c" / CHANGE).folder == moved.backbones.resolve() / "start"


def test_what_cannot_be_read_is_left_out_with_a_remark(bert, shop, tune):
    folder = tune(shop.backbones / "c", Backbone.resolve(str(bert)))
    shutil.copytree(folder, shop.backbones / "torn")
    (shop.backbones / "torn" / CHANGE / DESCRIPTION).write_text("{", encoding="utf-8")
    shutil.copytree(folder, shop.backbones / "other")
    told = json.loads((folder / CHANGE / DESCRIPTION).read_text(encoding="utf-8"))
    told["settings"]["gone"] = 1
    (shop.backbones / "other" / CHANGE / DESCRIPTION).write_text(json.dumps(told), encoding="utf-8")
    shutil.copytree(folder, shop.backbones / ".c.1.partial")
    shutil.copytree(bert, shop.backbones / "c-2")
    assert members(folder) == [folder]
    with pytest.warns(UserWarning, match=r"cannot be read: (torn, other|other, torn)\.$"):
        assert suggested(shop, 3).model == "c"
    with pytest.raises(ModelFolderError, match=r"torn/change/change\.json is damaged"):
        suggested(shop, 3, "torn")


def test_no_folder_is_left_without_its_change(bert, tmp_path, tune, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kuapin.finetuning.adapting.save_change", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "a" / "new", Backbone.resolve(str(bert)))
    assert list((tmp_path / "a").iterdir()) == []


def test_a_start_from_scratch_is_whole_or_not_there(shop, monkeypatch):
    def interrupted(folder, *_, **__):
        (folder / "config.json").write_text("{}", encoding="utf-8")
        raise KeyboardInterrupt

    config = FinetuningConfig(objective="masked-lm", from_scratch=True, scratch={"width": 16, "layers": 1})
    material = material_of(market.dataset(n_users=5))
    with monkeypatch.context() as patch:
        patch.setattr("kuapin.pipeline.finetune.write_scratch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            starting_backbone(shop, config, material)
    assert list(shop.backbones.iterdir()) == []
    made = starting_backbone(shop, config, material).folder
    (made / "tokenizer_config.json").unlink()
    assert starting_backbone(shop, config, material).folder == made  # once made it is not looked through again
    (made / STARTING_POINT).unlink()
    assert (starting_backbone(shop, config, material).folder / "tokenizer_config.json").is_file()


def test_starting_points_go_when_nothing_needs_them(shop):
    for name in ("scratch-bert-a", "x-first", "scratch-bert-b"):
        (shop.backbones / name).mkdir()
        (shop.backbones / name / STARTING_POINT).touch()
    (shop.backbones / "clinical-first").mkdir()
    change = shop.backbones / "x" / CHANGE
    change.mkdir(parents=True)
    (change / DESCRIPTION).write_text('{"backbone": "/was/x-first", "wei', encoding="utf-8")  # cut short
    (shop.runs / "search-abc").mkdir(parents=True)
    assert prune(shop) == ()
    (shop.runs / "search-abc").rmdir()
    assert prune(shop) == ("scratch-bert-a", "scratch-bert-b")
    assert sorted(path.name for path in shop.backbones.iterdir()) == ["clinical-first", "x", "x-first"]


def test_an_erasure_names_what_learnt_from_the_log_and_what_cannot_say(shop):
    said = {
        "of-log": '{"settings": {"objective": "next-item"}}',
        "of-texts": '{"settings": {"objective": "simcse"}}',
        "torn": "{",
    }
    for name, content in said.items():
        (shop.backbones / name / CHANGE).mkdir(parents=True)
        (shop.backbones / name / CHANGE / DESCRIPTION).write_text(content, encoding="utf-8")
    remains = " ".join(forget(shop, "user 000").remains)
    assert [name for name in said if f"backbones/{name} was tuned" in remains] == ["of-log", "torn"]
