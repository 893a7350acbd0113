"""A shop moves to a tuned encoder: a category that loses by it keeps the old one, for what it knows and what comes."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import kuapin
from kuapin import columns as c
from kuapin.arrays import load_arrays
from kuapin.arrivals import Arrivals
from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.cli.refresh import _why_none
from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.encoding.items import encoded_now
from kuapin.encoding.opening import load_encoder
from kuapin.errors import GateRefusedError
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.gate import GateConfig, Paired, judge
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.manifest import ROUTING, read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline import finetune as finetuning
from kuapin.pipeline import refresh as refreshing
from kuapin.pipeline import served_worse
from kuapin.pipeline import train as training
from kuapin.pipeline.challenges import CHALLENGES
from kuapin.pipeline.finetune import finetune
from kuapin.pipeline.forget import forget, has_forgotten_since
from kuapin.pipeline.newest import newest_stretch
from kuapin.pipeline.refresh import refresh
from kuapin.pipeline.served_worse import UNMEASURED, held_back, noted, read_by, write_note
from kuapin.pipeline.train import train
from kuapin.pipeline.tuned_encoder import tuned
from kuapin.release_parts import LATER_VECTORS
from kuapin.retrieval.whitening import load_whitening
from kuapin.workspace import Shop
from tests import market
from tests.finetuning.conftest import bert as _bert  # noqa: F401 - a fixture

LOOP = TrainingConfig(max_steps=6, learning_rate=0.02, evaluate_every=100, precision="f32", tracker="none")


@pytest.fixture(name="bert")
def bert_fixture(_bert):  # noqa: F811
    return _bert


def imported(shop, tmp_path, **tables):
    for name, table in tables.items():
        path = tmp_path / f"{name}-{table.height}.parquet"
        table.write_parquet(path)
        shop.import_files(**{name: path})


def with_setting(shop, old, new):
    path = shop.path / "kuapin.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return Shop.open(shop.path)


@pytest.fixture
def trained(tmp_path, bert):
    """With a live model, whose encoder is the untuned one."""
    log = market.log(n_users=200).sort("timestamp")
    shop = Shop.init(tmp_path / "shop")
    shop = with_setting(shop, 'backbone = "minilm"', f'backbone = "{bert}"')
    for old, new in (
        ('precision = "auto"', 'precision = "f32"'),
        # A model with random weights takes anything for harm, each its own things: that would change the lists
        ("decisions are made at training.\nenabled = true", "decisions are made at training.\nenabled = false"),
        ("margin = 0.1", "margin = 0.5"),
        ("least_users = 50", "least_users = 20"),
        ("candidates = 100", "candidates = 20"),
    ):
        shop = with_setting(shop, old, new)
    imported(shop, tmp_path, items=market.items(), interactions=log)
    train(shop, quick=True)
    return shop


@pytest.fixture
def moved(trained, bert, monkeypatch):
    """Refreshed with a tuned encoder, by which Home loses; before and after."""
    before = Model.load(trained)
    tuned = finetune(trained, FinetuningConfig(strategy="full", training=LOOP), measure=False)
    shop = with_setting(trained, f'"{bert}"', f'"{tuned.name}"')
    good = np.random.default_rng(0).random(100)
    pairs = {name: Paired(good, good + 0.01) for name in ("Beauty", "Garden", "Pets")}
    pairs["Home"] = Paired(good, good / 4)
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: dict(pairs))
    done = refresh(shop)
    return shop, before, done


def new_items():
    return pl.DataFrame(
        {"item_id": ["H-new"], "title": ["sun lamp and candle"], "category": ["Home"], "brand": ["Sun"], "price": [3.0]}
    )


def test_a_category_keeps_its_encoder_where_the_new_one_loses(moved, tmp_path):
    shop, before, done = moved
    assert not done.nothing_new  # no row came, but the encoder is another
    assert not done.unseen  # so that the live model knows the answers, and what it finds more is no loss
    assert {verdict.category: verdict.decision for verdict in done.verdicts}["Home"] == "undecided"
    live = Releases(shop.models).open_live()
    routing = read_routing(live)
    assert routing.categories.keys() == {"Home"}
    place = f"parts/{before.release}"
    assert routing.categories["Home"].encoder == f"{place}/encoder"
    model = Model.load(shop)
    asked = {"users": ["user 001", "user 050"], "n": 10, "categories": ["Home"]}
    assert model.recommend(**asked).drop(c.RELEASE).equals(before.recommend(**asked).drop(c.RELEASE))
    texts = shop.config.text
    by = {name: encoded_now(load_encoder(live / name), texts, new_items()) for name in (f"{place}/encoder", "encoder")}
    old, new = by.values()
    assert not np.allclose(old, new, atol=1e-2)

    # What comes afterwards is read by the encoder of the part that serves it
    arrivals = Arrivals(shop, live)
    arrivals.warm()
    grown = arrivals.add(model, new_items())
    shown = grown.recommend("user 001", n=40, categories=["Home"])[c.TARGET_ID].to_list()
    assert "H-new" in shown

    imported(shop, tmp_path, items=new_items())
    done = refresh(shop)
    live = Releases(shop.models).open_live()
    assert read_routing(live).categories["Home"].encoder == f"{place}/encoder"  # kept once more
    white = load_arrays(live / place / LATER_VECTORS)["white"]
    right, wrong = (load_whitening(live / place).of(vectors) for vectors in (old, new))
    assert np.allclose(white, right, atol=1e-5)
    assert not np.allclose(white, wrong, atol=1e-2)
    assert refresh(shop).nothing_new


def test_forced_it_serves_all(moved):
    shop, _, _ = moved
    refresh(shop, force=True)
    assert read_routing(Releases(shop.models).open_live()).categories == {}


@pytest.fixture
def all_pass(monkeypatch):
    """What the gate sees: by the new model every category is better."""
    good = np.random.default_rng(0).random(100)
    pairs = {name: Paired(good, good + 0.01) for name in ("Beauty", "Garden", "Home", "Pets")}
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: dict(pairs))


@pytest.fixture
def home_is_worse(monkeypatch):
    """What fine-tuning measures: by the new encoder people find a fifth of what they found at the opening of Home."""

    def compared(shop, dataset, asked, *_):
        ratio = {"Home": Interval(0.2, 0.1, 0.3)}
        return tuple(replace(one, decides=ratio.get(one.category, Interval(1, 0.9, 1.1))) for one in asked)

    monkeypatch.setattr(finetuning, "compared", compared)


def tuned_with(shop, bert, **options):
    tuned = finetune(shop, FinetuningConfig(strategy="full", training=LOOP), **options)
    return with_setting(shop, f'"{bert}"', f'"{tuned.name}"')


WORSE = "Home (0.20 of NDCG@10 [0.10, 0.30])"


def test_what_fine_tuning_found_worse_stays_although_the_gate_lets_it_pass(
    trained, bert, all_pass, home_is_worse, monkeypatch, capsys
):
    before = Releases(trained.models).live()
    tuned = kuapin.finetune(trained, kuapin.FinetuningConfig(strategy="full", training=LOOP))
    shop = with_setting(trained, f'"{bert}"', f'"{tuned.name}"')
    with pytest.raises(GateRefusedError, match=re.escape(f"served worse: {WORSE}. Choose: kuapin refresh")):
        train(shop, quick=True)

    with monkeypatch.context() as patch:  # a shop that moves as one stays as one
        patch.setattr(refreshing, "_mixes", lambda *_: False)
        assert run(app, ["refresh", str(shop.path)]) == 3
    out = capsys.readouterr()
    told = "Home is held back from the encoder of the new model: 0.20 of NDCG@10 [0.10, 0.30]. It keeps what it has."
    assert told in " ".join(out.out.split())
    assert "what passes would be served worse by the new encoder (Home)" in " ".join(out.err.split())

    (shop.models / CHALLENGES).unlink()  # it would be the same question
    done = refresh(shop)
    assert {one.category: one.passes for one in done.verdicts}["Home"]
    assert set(done.passed) == {"Beauty", "Garden", "Pets"}
    assert done.held == {"Home": "0.20 of NDCG@10 [0.10, 0.30]"}
    live = Releases(shop.models).open_live()
    hashes = {name: read_by(live, read_routing(live).of(name)) for name in ("Beauty", "Home")}
    assert hashes["Home"] == Backbone.resolve(str(bert)).weights_hash
    assert hashes["Beauty"] == Backbone.resolve(shop.config.encoding.backbone).weights_hash != hashes["Home"]
    assert read_routing(live).categories["Home"].encoder == f"parts/{before}/encoder"

    with pytest.warns(UserWarning, match=rf"nothing is held against the backbone {tuned.name} any more.*: Home\."):
        train(shop, quick=True, force=True)
    live = Releases(shop.models).open_live()
    assert read_routing(live).categories == {}
    assert noted(shop.backbones / tuned.name) == {}  # settled: no later night is refused


@pytest.fixture
def noted_shop(trained, bert):
    """Its configuration names a tuned encoder, against which something is held."""
    tuned = finetune(trained, FinetuningConfig(strategy="full", training=LOOP), measure=False)
    write_note(trained.backbones / tuned.name, {"Home": "0.2"})
    return with_setting(trained, f'"{bert}"', f'"{tuned.name}"')


def test_what_was_learnt_of_somebody_who_was_erased_goes_whatever_is_held(noted_shop, all_pass):
    shop = noted_shop
    refresh(shop)
    forget(shop, "user 001")
    refresh(Shop.open(shop.path))
    live = Releases(shop.models).open_live()
    assert read_routing(live).categories.keys() == {"Home"}  # its part is older than the erasure, the release is not
    assert not has_forgotten_since(Shop.open(shop.path), live.name)
    with pytest.warns(UserWarning, match=r"served worse: Home \(0\.2\)\. It does, because somebody was erased since"):
        train(Shop.open(shop.path), quick=True)
    live = Releases(shop.models).open_live()
    assert read_routing(live).categories == {}
    assert held_back(shop, live) == {}  # it is served by this encoder already
    assert noted(Path(shop.config.encoding.backbone)) == {"Home": "0.2"}


@pytest.mark.parametrize("module", [training, refreshing])
def test_what_is_forced_and_fails_leaves_what_is_held(noted_shop, monkeypatch, module):
    def full(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(module, "write_default", full)
    with pytest.raises(OSError, match="full"):
        train(noted_shop, quick=True, force=True) if module is training else refresh(noted_shop, force=True)
    assert noted(Path(noted_shop.config.encoding.backbone)) == {"Home": "0.2"}


def test_a_damaged_live_release_is_none_to_training(noted_shop):
    live = Releases(noted_shop.models).open_live()
    (live / ROUTING).write_text("{", encoding="utf-8")
    with pytest.raises(GateRefusedError, match="Choose: name another one in"):
        train(noted_shop, quick=True)


def test_an_interrupted_comparison_leaves_a_backbone_that_is_not_trusted(trained, bert, home_is_worse, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "compared", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(trained, FinetuningConfig(strategy="full", training=LOOP))
    (folder,) = trained.backbones.iterdir()
    assert noted(folder) == dict.fromkeys(("Beauty", "Garden", "Home"), UNMEASURED)  # of Pets too few can be asked
    finetune(trained, FinetuningConfig(strategy="full", training=LOOP))
    assert [*trained.backbones.iterdir()] == [folder]
    assert noted(folder).keys() == {"Home"}


def test_what_passes_and_is_held_is_named_and_nothing_else():
    good = np.random.default_rng(0).random(100)
    pairs = {"Home": Paired(good, good + 0.01), "Pets": Paired(good, good / 4)}
    held = {"Home": "0.2", "Pets": "0.3"}
    done = refreshing.Refreshed("r", None, tuple(judge(pairs, GateConfig(margin=0.5))), held=held)
    assert _why_none(done, 0.1).endswith("by the new encoder (Home)")
    whole = tuple(judge({refreshing.WHOLE_SHOP: pairs["Home"]}, GateConfig(margin=0.5)))
    assert _why_none(replace(done, verdicts=whole), 0.1).endswith("by the new encoder (Home, Pets)")


@pytest.fixture
def opening(tmp_path, bert):
    """Trained before anybody bought for pets; since then everybody does."""
    log = market.log(n_users=200).sort("timestamp")
    shop = Shop.init(tmp_path / "shop")
    for old, new in (
        ('backbone = "minilm"', f'backbone = "{bert}"'),
        ('precision = "auto"', 'precision = "f32"'),
        ("decisions are made at training.\nenabled = true", "decisions are made at training.\nenabled = false"),
        ("margin = 0.1", "margin = 0.9"),
        ("least_users = 50", "least_users = 20"),
        ("candidates = 100", "candidates = 20"),
    ):
        shop = with_setting(shop, old, new)
    pets = pl.col(c.ITEM_ID).str.starts_with("P-")
    first, rest = log[:3_000].filter(~pets), log[3_000:].filter(pets)
    imported(shop, tmp_path, items=market.items(), interactions=first)
    train(shop, quick=True)
    imported(shop, tmp_path, interactions=pl.concat([first, rest]))
    return Shop.open(shop.path)


def test_what_people_buy_moved_and_the_language_model_is_tuned(opening, bert, tmp_path):
    before = Releases(opening.models).live()
    write_note(bert, {"Home": "0.2"})
    with pytest.warns(UserWarning, match="nothing is held against"):
        done = refresh(opening, force=True)
    assert noted(bert) == {}
    assert done.encoder is not None
    assert noted(opening.backbones / done.encoder) == {}
    assert done.encoder.startswith("refresh-")
    shop = Shop.open(opening.path)
    assert shop.config.encoding.backbone == str((shop.backbones / done.encoder).resolve())
    assert shop.named_backbone == str(bert)
    hashes = [load_encoder(shop.models / name / "encoder").description.weights_hash for name in (before, done.release)]
    assert hashes[0] != hashes[1]
    assert refresh(shop).nothing_new
    assert not [*shop.runs.iterdir()]
    forget(shop, "user 001")  # a sum with a part of everybody: it goes, and the one that is named reads
    assert Shop.open(shop.path).config.encoding.backbone == str(bert)
    assert [*shop.backbones.iterdir()] == []
    other = with_setting(shop, str(bert), "minilm")  # whoever names another backbone is read by that
    assert other.config.encoding.backbone == "minilm"


def test_a_language_model_that_does_not_serve_is_dropped(opening, monkeypatch):
    good = np.random.default_rng(0).random(100)
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: {"Pets": Paired(good, good / 40)})
    done = refresh(opening)
    assert (done.release, done.encoder) == (None, None)
    assert [path.name for path in opening.backbones.iterdir()] == []


def test_the_language_model_is_left_where_that_is_wanted(opening):
    shop = with_setting(opening, "encoder = true", "encoder = false")
    done = refresh(shop, force=True)
    assert (done.encoder, done.untuned) == (None, None)
    assert [*shop.backbones.iterdir()] == []


@pytest.mark.parametrize("held", [{}, {"Home": "0.2"}])
def test_only_what_has_not_moved_stays_held_back_and_no_text_is_longer_than_the_backbone_reads(
    opening, bert, tmp_path, held, monkeypatch
):
    short = shutil.copytree(bert, tmp_path / "short")
    (short / "sentence_bert_config.json").write_text('{"max_seq_length": 20, "do_lower_case": false}', encoding="utf-8")
    write_note(short, {"Home": "0.2"})
    shop = with_setting(opening, str(bert), str(short))
    moved = None if held else Backbone.resolve(str(short)).weights_hash
    monkeypatch.setattr(served_worse, "read_by", lambda *_: moved)
    found = tuned(shop, shop.dataset(), newest_stretch(shop, None, 20))
    assert noted(shop.backbones / found.name) == held
    change = json.loads((shop.backbones / found.name / CHANGE / "change.json").read_text())
    assert change["settings"]["max_length"] == 20
