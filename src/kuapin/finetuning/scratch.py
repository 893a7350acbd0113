"""A small language model with random weights and a tokenizer of the shop's own words.

For places where no hub can be reached, and for languages without a bundled model.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kuapin.encoding.export import quietly
from kuapin.errors import InputError
from kuapin.extras import require

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_EDGE, _PAD = "<|endoftext|>", "<|pad|>"


class ScratchConfig(BaseModel):
    """Size of a model that starts without a backbone (from_scratch)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary: int = Field(8000, ge=300, le=200_000, description="Pieces of words that the tokenizer learns at most.")
    width: int = Field(256, ge=8, le=8192, description="Of a token vector.")
    layers: int = Field(4, ge=1, le=96, description="Layers of the transformer.")
    heads: int = Field(4, ge=1, le=128, description="Attention heads; width is a multiple of it.")
    positions: int = Field(128, ge=16, le=8192, description="Longest text, tokens.")
    characters: bool = Field(
        default=False, description="Every character is a token (BERT-like): for Chinese, whose titles have no spaces."
    )

    @model_validator(mode="after")
    def _divides(self) -> "ScratchConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}; change one of them")
        return self


def write_scratch(folder: Path, texts: Sequence[str], config: ScratchConfig, *, left_to_right: bool, seed: int) -> None:
    """Write an untrained backbone: GPT-like (byte-level BPE), or BERT-like (word pieces, or characters).

    Args:
        folder: to write into.
        texts: masked; the tokenizer learns from them.
        config: sizes.
        left_to_right: whether it is GPT-like.
        seed: of the weights.

    Raises:
        InputError: there is no text.
    """
    if not any(texts):
        raise InputError("from_scratch needs texts to learn words from; no item has any. Import items with titles.")
    transformers = require("transformers", "train")
    tokenizer, names = _bpe(texts, config) if left_to_right else _pieces(texts, config)
    with quietly():
        wrapped = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, model_max_length=config.positions, **names
        )
        wrapped.save_pretrained(folder)
        transformers.set_seed(seed)
        _model(config, wrapped, left_to_right=left_to_right).save_pretrained(folder)


def _model(config: ScratchConfig, tokenizer: Any, *, left_to_right: bool) -> Any:
    transformers = require("transformers", "train")
    if left_to_right:
        return transformers.GPT2Model(
            transformers.GPT2Config(
                vocab_size=len(tokenizer),
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                n_positions=config.positions,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.width,
            max_position_embeddings=config.positions,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _bpe(texts: Sequence[str], config: ScratchConfig) -> tuple[Any, dict[str, str]]:
    """Byte-level pair encoding: no text is unknown to it."""
    parts = {
        name: require(f"tokenizers.{name}", "train") for name in ("models", "pre_tokenizers", "decoders", "trainers")
    }
    tokenizer = require("tokenizers", "train").Tokenizer(parts["models"].BPE())
    tokenizer.pre_tokenizer = parts["pre_tokenizers"].ByteLevel(add_prefix_space=False)
    tokenizer.decoder = parts["decoders"].ByteLevel()
    trainer = parts["trainers"].BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[_EDGE, _PAD],
        initial_alphabet=parts["pre_tokenizers"].ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_chunks(texts), trainer)
    return tokenizer, {"bos_token": _EDGE, "eos_token": _EDGE, "pad_token": _PAD}


def _pieces(texts: Sequence[str], config: ScratchConfig) -> tuple[Any, dict[str, str]]:
    """Word pieces of lower-case words; Chinese characters stand alone always."""
    parts = {n: require(f"tokenizers.{n}", "train") for n in ("models", "normalizers", "pre_tokenizers", "processors")}
    trainers = require("tokenizers.trainers", "train")
    tokenizer = require("tokenizers", "train").Tokenizer(parts["models"].WordPiece(unk_token=_SPECIAL[1]))
    tokenizer.normalizer = parts["normalizers"].BertNormalizer(lowercase=True)
    split = parts["pre_tokenizers"]
    words = split.BertPreTokenizer()
    single = split.Split(require("tokenizers", "train").Regex("."), "isolated")
    tokenizer.pre_tokenizer = split.Sequence([words, single]) if config.characters else words
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocabulary, special_tokens=list(_SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(_chunks(texts), trainer)
    first, last = _SPECIAL[2], _SPECIAL[3]
    tokenizer.post_processor = parts["processors"].TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B {last}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    return tokenizer, {f"{name.strip('[]').lower()}_token": name for name in _SPECIAL}


def _chunks(texts: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield list(texts[start : start + size])
