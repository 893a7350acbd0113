"""A BERT and a GPT of two layers with random weights, and a tokenizer for each, made on the spot."""

import signal

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.finetuning.material import Material
from kuapin.text.template import TextConfig, render
from tests import market

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("accelerate")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _ctrl_c():
    """Python's own handler: a shell that starts the tests in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def material_of(data, *, labels=None, log=None, allowed=None, seed=0) -> Material:
    frame = data.catalogue.frame
    texts = render(frame, TextConfig()).to_list()
    empty = pl.DataFrame(schema=dict.fromkeys((c.ITEM_ID, c.TASK, c.LABEL), pl.String))
    return Material(
        dataset=data,
        texts=tuple(texts),
        titles=tuple(frame["title"].to_list()),
        allowed=np.ones(len(data.catalogue), np.bool_) if allowed is None else allowed,
        labels=empty if labels is None else labels,
        log=market.log() if log is None else log,
        seed=seed,
    )


@pytest.fixture(scope="session")
def material() -> Material:
    """The made-up market: 96 items, 160 users."""
    return material_of(market.dataset())


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A folder with a BERT of two layers and random weights."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word for title in market.items()["title"] for word in title.split()} | {"beauty", "home"})
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{letter}" for letter in letters),
        ",",
        *words,
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))],
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt(tmp_path_factory):
    """A folder with a GPT of two layers and random weights."""
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp("gpt")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        market.items()["title"].to_list(), vocab_size=320, special_tokens=["<|endoftext|>", "<|pad|>"]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>", pad_token="<|pad|>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=tokenizer.get_vocab_size(),
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return folder
