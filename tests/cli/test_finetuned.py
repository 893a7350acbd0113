"""What ``kuapin finetune`` says of its result: no more than the figures do."""

from pathlib import Path

import pytest

from kuapin.cli.finetuned import next_steps, verdict
from kuapin.evaluation.bootstrap import Interval
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.pipeline.encoder_audit import EncoderAudit
from kuapin.pipeline.finetune import Finetuned
from kuapin.pipeline.text_zero_shot import Opening

MEASURED = EncoderAudit((), (), None, 0.0)
CONFIG = FinetuningConfig()
BETTER, OPEN, WORSE = Interval(1.12, 1.03, 1.22), Interval(1.01, 0.98, 1.04), Interval(0.8, 0.7, 0.9)


def tuned(*ratios, audit=MEASURED, **gains):
    openings = tuple(Opening(name, False, None, decides=one) for name, one in zip("ABC", ratios, strict=False))
    return Finetuned("new", None, gains, "minilm", openings, audit)


def told(given, config=CONFIG, *, live=False, force=False):
    return next_steps(given, config, Path("shop"), live=live, force=force)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            tuned(BETTER, OPEN, WORSE),
            "Lists by text get better in A (1.12 of NDCG@10 [1.03, 1.22]); "
            "no difference could be told in B; worse in C.",
        ),
        (tuned(OPEN, OPEN), "No gain in lists by text could be shown; no difference could be told in A, B."),
        (tuned(WORSE), "No gain in lists by text could be shown; worse in A."),
        (tuned(), "No category could be compared with minilm, which the shop has: lists may be worse by it."),
        (tuned(audit=None), "Not compared with minilm, which the shop has (--no-measure): lists may be worse by it."),
        (
            tuned(OPEN, mrr=Interval(-0.2, -0.3, -0.1)),
            "No gain in lists by text could be shown; no difference could be told in A. "
            "mrr of co-interaction itself got worse: -0.2 [-0.3, -0.1].",
        ),
        (tuned(BETTER, mrr=Interval(-0.2, -0.5, 0.1)), "Lists by text get better in A (1.12 of NDCG@10 [1.03, 1.22])."),
    ],
)
def test_the_verdict_is_one_line_and_says_what_the_intervals_do(given, said):
    assert verdict(given, CONFIG) == said


def test_a_loss_gets_worse_upwards():
    config = FinetuningConfig(objective="masked-lm")
    assert "got worse" in verdict(tuned(OPEN, loss=Interval(0.2, 0.1, 0.3)), config)
    assert "got worse" not in verdict(tuned(OPEN, loss=Interval(-0.2, -0.3, -0.1)), config)


def test_where_nothing_was_gained_other_settings_come_first():
    assert told(tuned(BETTER, OPEN))[0].startswith("Next: write backbone")
    assert told(tuned(audit=None))[0].startswith("Next: write backbone")
    assert told(tuned(OPEN))[0].startswith("Next: train with other settings, or write backbone")
    assert told(tuned(BETTER, WORSE))[1] == "      kuapin train shop --force"
    assert told(tuned(BETTER, WORSE), live=True)[1].startswith("      kuapin refresh shop  # a category that may be")


def test_after_a_classifier_labels_are_asked_for_first():
    first, second, third = told(tuned(OPEN), FinetuningConfig(objective="item-classification"))
    assert first.startswith("Next: kuapin label shop --suggest 50")
    assert second.startswith('Or:   write backbone = "new"')
    assert third.startswith("      kuapin train shop")


def test_a_head_on_a_frozen_encoder_is_no_new_encoder():
    config = FinetuningConfig(objective="masked-lm", strategy="head-only")
    assert verdict(tuned(OPEN), config) == "head-only leaves the encoder as it was: of masked-lm only the head is new."
    assert told(tuned(OPEN), config) == []
    classifier = config.model_copy(update={"objective": "item-classification"})
    assert [line[:18] for line in told(tuned(OPEN), classifier)] == ["Next: kuapin label"]
    for other in ({"objective": "simcse"}, {"strategy": "lora"}, {"pooling": "ends"}):
        assert told(tuned(OPEN), config.model_copy(update=other))
