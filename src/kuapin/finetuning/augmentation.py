"""Texts written a little otherwise: against overfitting in training, and to see what an encoder makes of them."""

from collections.abc import Mapping
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class AugmentationConfig(BaseModel):
    """How the titles that a classifier learns from are changed, anew in every epoch (Wei and Zou 2019, EDA)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropped: float = Field(0.0, ge=0, lt=1, description="Share of words taken away; one always stays.")
    swapped: float = Field(0.0, ge=0, le=1, description="Share of words that change places with the next.")
    typos: float = Field(0.0, ge=0, le=1, description="Share of words with one letter wrong, missing or twice.")
    replaced: float = Field(0.0, ge=0, le=1, description="Share of words with a synonym that get it.")
    synonyms: dict[str, tuple[str, ...]] = Field(
        {},
        description='Word, in small letters → what may stand for it: synonyms.sofa = ["couch", "settee"]. Asked for by '
        "replaced.",
    )
    masked: float = Field(
        0.0, ge=0, lt=1, description="Share of words in whose place a masked language model puts another."
    )
    masked_model: str | None = Field(
        None,
        min_length=1,
        description="That model: a folder or hub id of a BERT-like one with its head. Asked for by masked.",
    )
    translated: float = Field(
        0.0, ge=0, le=1, description="Share of titles that are read as they come back from another language."
    )
    translators: tuple[str, ...] = Field(
        (),
        description="Two translation models, there and back: folders or hub ids, such as Helsinki-NLP/opus-mt-en-fr "
        "and Helsinki-NLP/opus-mt-fr-en. Asked for by translated.",
    )
    rewritings: int = Field(
        2, ge=1, le=64, description="How often a title is rewritten by a model before training; epochs draw from them."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.replaced and not self.synonyms:
            raise ValueError("replaced needs synonyms, what may stand for a word; give some")
        if self.masked and self.masked_model is None:
            raise ValueError("masked needs masked_model, the model that knows what may stand there; name one")
        if self.translated and len(self.translators) != 2:
            raise ValueError(f"translated needs translators, one there and one back; {len(self.translators)} given")
        return self

    @property
    def on(self) -> bool:
        """Whether anything is changed."""
        return bool(self.dropped or self.swapped or self.typos or self.replaced or self.masked or self.translated)


def augmented(text: str, config: AugmentationConfig, rng: np.random.Generator) -> str:
    """The text changed in all the ways that are asked for."""
    if config.replaced:
        text = with_synonyms(text, config.synonyms, config.replaced, rng)
    if config.swapped:
        text = with_swaps(text, config.swapped, rng)
    if config.dropped:
        text = without_words(text, config.dropped, rng)
    return with_typos(text, config.typos, rng) if config.typos else text


def without_words(text: str, share: float, rng: np.random.Generator) -> str:
    """A share of the words taken away; one always stays."""
    words = text.split()
    if not words:
        return text
    keep = rng.random(len(words)) >= share
    keep[rng.integers(len(words))] = True
    return " ".join(word for word, stays in zip(words, keep, strict=True) if stays)


def with_swaps(text: str, share: float, rng: np.random.Generator) -> str:
    """A share of the words in the place of the next, from left to right."""
    words = text.split()
    for place in range(len(words) - 1):
        if rng.random() < share:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def with_typos(text: str, share: float, rng: np.random.Generator) -> str:
    """A share of the words of three letters or more with one inner letter wrong, missing, twice, or after the next."""
    return " ".join(_mistyped(word, rng) if rng.random() < share else word for word in text.split())


def _mistyped(word: str, rng: np.random.Generator) -> str:
    if len(word) < 3:
        return word
    place, kind = int(rng.integers(1, len(word) - 1)), int(rng.integers(4))
    before, letter, behind = word[:place], word[place], word[place + 1 :]
    if kind == 0:
        return before + _LETTERS[rng.integers(len(_LETTERS))] + behind
    if kind == 1:
        return before + behind
    return before + letter * 2 + behind if kind == 2 else before + behind[0] + letter + behind[1:]


def with_synonyms(text: str, synonyms: Mapping[str, tuple[str, ...]], share: float, rng: np.random.Generator) -> str:
    """A share of the words that have synonyms replaced by one of them."""
    out = []
    for word in text.split():
        choices = synonyms.get(word.lower(), ())
        out.append(choices[rng.integers(len(choices))] if choices and rng.random() < share else word)
    return " ".join(out)


def stuffed(text: str, words: tuple[str, ...], n: int, rng: np.random.Generator) -> str:
    """The text with words behind it that sellers hope to be found by."""
    return " ".join([text, *(words[place] for place in rng.integers(0, len(words), n))])
