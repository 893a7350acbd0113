"""A text-classification model of the shop's choice: found in a cache of the hub, read, and named where it blocks."""

import numpy as np
import polars as pl
import pytest

from kuapin.errors import InputError
from kuapin.ranking import safety_classifier
from kuapin.ranking.safety import SafetyConfig, decide
from kuapin.ranking.safety_classifier import TextClassifier
from tests.classifier import tiny

NAME = "someone/tiny-judge"
TITLES = pl.Series(["oak lamp", "a cruel knife for cruel work", "oak lamp", "", "mint soap, six bars"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache as the hub's library keeps it, in which a tiny BERT classifier lies; the hub is off."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--someone--tiny-judge"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc", encoding="utf-8")
    tiny(model / "snapshots" / "abc", ["safe", "toxic", "Hate"])
    return model / "snapshots" / "abc"


def opened(name, labels=(), **settings) -> TextClassifier:
    return TextClassifier.open(SafetyConfig(classifier=str(name), classifier_labels=labels, **settings))


def by_hand(folder, text):
    """Probabilities of one text alone, without padding."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1).numpy()[0]


def test_none_is_named():
    assert TextClassifier.open(SafetyConfig()) is None


def test_a_model_in_the_hubs_cache_reads_every_text(hub, monkeypatch):
    monkeypatch.setattr(safety_classifier, "BATCH", 2)
    said = opened(NAME).opinions(TITLES)
    for text, one in zip(TITLES, said, strict=True):
        chance = by_hand(hub, text)
        assert one.model == NAME
        assert one.label == ("toxic" if chance[1] > chance[2] else "Hate")
        assert one.probability == pytest.approx(chance[1] + chance[2], abs=1e-5)
    assert len({one.probability for one in said}) == 4


def test_labels_of_several_at_once_have_a_probability_each(tmp_path):
    folder = tiny(tmp_path / "m", ["toxic", "threat"], problem_type="multi_label_classification")
    (one,) = opened(folder).opinions(TITLES[1:2])
    chance = by_hand(folder, TITLES[1])
    odds = np.log(chance)  # softmax keeps the difference alone
    assert opened(folder).several
    assert one.label == ("toxic", "threat")[int(odds.argmax())]


def test_what_it_blocks_says_so_and_lists_come_first(hub):
    items = pl.DataFrame({"item_id": list("abcde"), "title": TITLES})
    said = opened(NAME).opinions(TITLES)
    chance = np.array([one.probability for one in said])
    above = float(np.median(np.unique(chance)[1:]))
    made = decide(items, None, SafetyConfig(classifier=NAME, classifier_above=above), said)
    assert (made["decision"] == "block").to_list() == (chance >= above).tolist()
    first = made.row(int(chance.argmax()), named=True)
    assert first["code"] == NAME
    assert first["reason"] == f"{NAME} reads it as {said[int(chance.argmax())].label} ({chance.max():.2f})"
    worded = decide(items.with_columns(title=pl.lit("pistol")), None, SafetyConfig(classifier_above=1e-9), said)
    assert set(worded["code"]) == {"weapons"}


def test_a_text_longer_than_the_model_is_cut_off(hub):
    assert 0 < opened(NAME).opinions(pl.Series(["oak " * 500]))[0].probability < 1


@pytest.mark.parametrize(
    ("labels", "asked", "harmful"),
    [
        (["LABEL_0", "LABEL_1"], (), (1,)),
        (["non-toxic", "toxic"], (), (1,)),
        (["OK", "H", "V"], (), (1, 2)),
        (["OK", "H", "V"], ("V",), (2,)),
        (["nothate", "hate"], (), (1,)),
    ],
)
def test_which_labels_mean_harm(tmp_path, labels, asked, harmful):
    assert opened(tiny(tmp_path / "m", labels), asked).harmful == harmful


def test_labels_that_tell_nothing_and_labels_that_are_not_there(tmp_path, hub):
    with pytest.raises(InputError, match=r"cannot be told from their names: its labels are red, green\. Name"):
        opened(tiny(tmp_path / "m", ["red", "green"]))
    with pytest.raises(
        InputError, match=r"has 'rude', which someone/tiny-judge lacks: its labels are safe, toxic, Hate"
    ):
        opened(NAME, ("rude",))


def test_what_is_missing_is_one_line(hub, tmp_path):
    with pytest.raises(
        InputError, match=r"^safety\.classifier 'someone/else': it is no folder, it is not in the hub's"
    ):
        opened("someone/else")
    with pytest.raises(
        InputError, match=r"^safety\.classifier '\S+/nowhere': there is no such folder\. Correct the path\.$"
    ):
        opened(tmp_path / "nowhere")
    config = hub / "config.json"
    config.write_text(config.read_text().replace("BertForSequenceClassification", "BertModel"), encoding="utf-8")
    with pytest.raises(InputError, match="holds no model for text classification"):
        opened(NAME)
    (hub / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"safety\.classifier '\S+': \S+ has no weights"):
        opened(NAME)


def test_what_is_damaged_is_one_line_before_anything_is_read(hub, tmp_path):
    for content in ("{", "[]", '{"id2label": {"one": "safe"}}', '{"id2label": 3}'):
        folder = tiny(tmp_path / "m", ["safe", "toxic"])
        (folder / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(
            InputError, match=r"^safety\.classifier '\S+': \S+ cannot be read \(.+\)\. Fetch it again\.$"
        ):
            opened(folder)
    tokenizer = hub / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text()[:-9], encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot be read \(.+\)\. Fetch it again\.$"):
        opened(NAME)
    weights = tiny(tmp_path / "w", ["safe", "toxic"]) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"cannot be read \(.+\)\. Fetch it again\.$"):
        opened(weights.parent).opinions(TITLES)


def test_a_tokenizer_that_cannot_pad_is_told_at_once(tmp_path):
    import transformers

    folder = tiny(tmp_path / "m", ["safe", "toxic"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match=r"its tokenizer has no pad token, .* save tokenizer and model anew\.$"):
        opened(folder)


def test_where_safety_is_off_no_model_is_wanted(tmp_path):
    assert opened(tmp_path / "nowhere", enabled=False) is None
