"""Titles that models write again: models of random weights, laid out like the hub's cache."""

import numpy as np
import pytest

from kuapin.encoding.backbone import Backbone
from kuapin.errors import InputError
from kuapin.finetuning.augmentation import AugmentationConfig
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.rewriting import Rewritings, rewritings
from kuapin.finetuning.settings import FinetuningConfig, TrainingConfig
from kuapin.finetuning.tokens import Tokens
from tests import market

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
TITLES = ["sun soap", "rose candle small", "rose"]


def of_words(**names):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = sorted({word for title in market.items()["title"] for word in title.split()})
    every = [*names.values(), *words]
    known = {word: number for number, word in enumerate(every)}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token=names["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """As ``huggingface_hub`` keeps models: ``models--OWNER--NAME`` with refs and snapshots."""
    root = tmp_path_factory.mktemp("hub")

    def kept(name, model, tokenizer):
        place = root / f"models--{name.replace('/', '--')}"
        folder = place / "snapshots" / ("0" * 40)
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("0" * 40)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    torch.manual_seed(0)
    bert = of_words(pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(bert), **sizes)
    kept("shop/filler", transformers.BertForMaskedLM(config), bert)
    kept("shop/headless", transformers.BertModel(config), bert)
    for name in ("shop/there", "shop/back"):
        bart = of_words(pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>")
        model = transformers.BartForConditionalGeneration(
            transformers.BartConfig(
                vocab_size=len(bart), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=200,
                pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2, forced_eos_token_id=3,
            )
        )  # fmt: skip
        kept(name, model, bart)
    return root


@pytest.fixture(autouse=True)
def _hub(cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_some_words_get_others_in_their_place():
    config = AugmentationConfig(masked=0.3, masked_model="shop/filler", rewritings=3)
    found = rewritings([*TITLES, TITLES[0]], config, 0)
    assert found.masked.keys() == set(TITLES)
    for title in TITLES[:2]:
        words = title.split()
        assert len(found.masked[title]) == 3
        for text in found.masked[title]:
            assert len(text.split()) == len(words)
            changed = [a != b for a, b in zip(words, text.split(), strict=True)]
            assert any(changed)
        assert not all(all(a != b for a, b in zip(words, text.split(), strict=True)) for text in found.masked[title])
    assert found.masked["rose"] == ["rose"] * 3  # of a word by itself nothing says what may stand there
    assert rewritings(TITLES, config, 0) == found
    assert rewritings(TITLES, config, 1) != found


def test_titles_come_back_from_another_language():
    config = AugmentationConfig(translated=0.5, translators=["shop/there", "shop/back"], rewritings=2)
    before = torch.get_rng_state()
    found = rewritings(TITLES, config, 0)
    assert torch.equal(torch.get_rng_state(), before)  # training draws what it would have drawn
    assert found.translated
    for title, forms in found.translated.items():
        assert title in TITLES
        assert title not in forms
    assert rewritings(TITLES, config, 0) == found
    rng = np.random.default_rng(0)
    drawn = [Rewritings({}, {"a": ["b"]}, 0.25).drawn("a", rng) for _ in range(2000)]
    assert drawn.count("b") == pytest.approx(500, abs=80)
    assert Rewritings({"a": ["c"]}, {"a": ["b"]}, 0.0).drawn("a", rng) == "c"
    assert Rewritings().drawn("a", rng) == "a"


def test_a_classifier_learns_from_what_was_rewritten_and_is_measured_on_what_was_not(material, bert):
    loop = TrainingConfig(augmentation={"masked": 0.5, "masked_model": "shop/filler"})
    objective = make_objective(FinetuningConfig(objective="item-classification", training=loop), material)
    tokens = Tokens(Backbone.resolve(str(bert)), 64)
    examples = objective.train[:16]
    plain, changed = objective.collate(examples, tokens), objective.collate_training(examples, tokens)
    assert not torch.equal(plain["input_ids"], changed["input_ids"])
    torch.testing.assert_close(objective.collate_training(examples, tokens), changed)
    assert objective.rewritten.masked.keys() == {objective.titles[row] for row, _ in objective.train}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masked": 0.1, "masked_model": "shop/headless"}, "'shop/headless' has no trained head"),
        ({"masked": 0.1, "masked_model": "shop/nowhere"}, "not in the hub's cache"),
        (
            {"translated": 0.1, "translators": ["shop/there", "shop/filler"]},
            "opened as AutoModelForSeq2SeqLM",
        ),
    ],
)
def test_models_that_cannot_write_are_one_line(options, message):
    with pytest.raises(InputError, match=message):
        rewritings(TITLES, AugmentationConfig(**options), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masked": 0.1}, "needs masked_model"),
        ({"translated": 0.1}, "0 given"),
        ({"replaced": 0.9}, "replaced needs synonyms"),
    ],
)
def test_what_writes_must_be_named(options, message):
    with pytest.raises(ValueError, match=message):
        AugmentationConfig(**options)
