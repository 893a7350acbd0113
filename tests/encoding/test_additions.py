"""Additions beside weights that they were not learned on."""

import json

import pytest

from kuapin.encoding.additions import DESCRIPTION, WEIGHTS, weights_hash
from kuapin.encoding.export import sentence_module
from kuapin.errors import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
LEARNED_ON_ANOTHER = r"additions\.json was learned on another backbone than the one beside it\. Put it beside"


def bert(folder, *, layers=2, heads=2, seed=0):
    torch.manual_seed(seed)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=9, hidden_size=16, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=32
        )
    ).save_pretrained(folder)
    return folder


def with_prefix(folder, tensor, **said):
    from safetensors.torch import save_file

    save_file({"prefix": tensor}, folder / WEIGHTS)
    (folder / DESCRIPTION).write_text(json.dumps({"kind": "prefix", "size": 3, **said}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("other", [{"layers": 3}, {"layers": 1}, {"heads": 4}])
def test_a_prefix_of_a_backbone_of_another_shape_is_one_line(tmp_path, other):
    with pytest.raises(InputError, match=LEARNED_ON_ANOTHER):
        sentence_module(with_prefix(bert(tmp_path, **other), torch.zeros(4, 2, 3, 8)), "mean", [])


def test_additions_of_other_weights_of_the_same_shape_are_one_line(tmp_path):
    digest = weights_hash(bert(tmp_path))
    with_prefix(tmp_path, torch.zeros(4, 2, 3, 8), weights_hash=digest)
    ids = torch.ones(1, 2, dtype=torch.int64)
    assert sentence_module(tmp_path, "mean", [])(ids, ids).shape == (1, 16)
    bert(tmp_path, seed=1)
    with pytest.raises(InputError, match=LEARNED_ON_ANOTHER):
        sentence_module(tmp_path, "mean", [])
