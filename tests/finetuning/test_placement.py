"""What is computed lies where the model is; torch's ``meta`` device stands for a GPU."""

import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.finetuning import rewriting
from kuapin.finetuning.augmentation import AugmentationConfig
from kuapin.finetuning.change import assembled
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trained import from_bytes, to_bytes

torch = pytest.importorskip("torch")


def test_what_adalora_keeps_beside_its_matrices_goes_on_where_these_are(material, bert):
    config = FinetuningConfig(strategy="adalora", adalora={"every": 1, "start": 0.0, "initial_rank": 4, "rank": 2})
    objective, backbone = make_objective(config, material), Backbone.resolve(str(bert))
    strategy = make_strategy(config)
    reader = assembled(backbone, type(objective), objective.facts, strategy, config, 10)
    reader.train()
    for step in (1, 2):
        objective.loss(reader, objective.collate(objective.train[:8], Tokens(backbone, 64))).backward()
        strategy.after_step(reader, step)
    kept = to_bytes(reader, strategy)
    again = make_strategy(config)
    other = assembled(backbone, type(objective), objective.facts, again, config, 10)
    other.to("meta")
    from_bytes(kept, other, again, "here")
    allocator = other.backbone.base_model.rankallocator
    assert allocator.ipt.keys() == reader.backbone.base_model.rankallocator.ipt.keys()
    for scores in (allocator.ipt, allocator.exp_avg_ipt, allocator.exp_avg_unc):
        assert {score.device.type for score in scores.values()} == {"meta"}


def test_what_rewrites_titles_runs_where_training_does(bert, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    model = transformers.BertForMaskedLM(transformers.AutoConfig.from_pretrained(bert))
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    seen = []

    def to_device(batch, model):
        seen.append(type(model).__name__)
        return dict(batch)

    monkeypatch.setattr(rewriting, "to_device", to_device)
    asked = AugmentationConfig(masked=0.5, masked_model=str(tmp_path), rewritings=1)
    assert rewriting.rewritings(["rose soap small"], asked, 0).masked
    assert seen == ["BertForMaskedLM"]
    monkeypatch.setattr(rewriting, "training_device", lambda: torch.device("meta"))
    _, opened = rewriting._opened(str(tmp_path), "AutoModelForMaskedLM")
    assert {parameter.device.type for parameter in opened.parameters()} == {"meta"}
