"""Titles as language models write them: another word where one was hidden, and there and back through another language.

Masked-model substitution (Wu et al. 2019, arXiv:1812.06705) and back-translation (Sennrich et al. 2016,
arXiv:1511.06709). Both are drawn before training, because a model that writes takes longer than one that learns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kuapin.device import training_device
from kuapin.encoding.backbone import find_folder
from kuapin.encoding.export import quietly
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.augmentation import AugmentationConfig
from kuapin.finetuning.objective import batches, to_device

LIKELY = 10
"""A hidden word is drawn from so many of the most likely, the hidden one left out."""
LONGEST = 128
BATCH = 32


@dataclass(frozen=True)
class Rewritings:
    """What models made of titles.

    Attributes:
        masked: title → its forms with other words in it.
        translated: title → its forms out of another language, none where nothing changed.
        share: of the titles that are read as translated.
    """

    masked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    translated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    share: float = 0.0

    def drawn(self, title: str, rng: np.random.Generator) -> str:
        """One form of a title: out of another language at times, else one with other words where there is any."""
        come_back = self.translated.get(title, ())
        if come_back and rng.random() < self.share:
            return come_back[int(rng.integers(len(come_back)))]
        forms = self.masked.get(title, ())
        return forms[int(rng.integers(len(forms)))] if forms else title


def rewritings(titles: Sequence[str], config: AugmentationConfig, seed: int) -> Rewritings:
    """Rewrite titles by the models that the settings name; nothing where they name none.

    Args:
        titles: that are learnt from.
        config: models and shares.
        seed: of the draws.

    Raises:
        InputError: a model is not there or lacks the head that writes.
    """
    distinct = list(dict.fromkeys(titles))
    rng = np.random.default_rng([seed, 17])
    masked: dict[str, list[str]] = {}
    translated: dict[str, list[str]] = {}
    if config.masked and config.masked_model is not None:
        filler = _opened(config.masked_model, "AutoModelForMaskedLM")
        for _ in range(config.rewritings):
            for part in batches(distinct, BATCH):
                for title, text in zip(part, _refilled(part, filler, config.masked, rng), strict=True):
                    masked.setdefault(title, []).append(text)
    if config.translated:
        there, back = (_opened(name, "AutoModelForSeq2SeqLM") for name in config.translators)
        for turn in range(config.rewritings):
            for part in batches(distinct, BATCH):
                foreign = _translated(part, there, seed + turn)
                for title, text in zip(part, _translated(foreign, back, seed + turn), strict=True):
                    if text.strip() and text != title:
                        translated.setdefault(title, []).append(text)
    return Rewritings(masked, translated, config.translated)


def _opened(name: str, kind: str) -> tuple[Any, Any]:
    """Tokenizer and model of a folder or hub id.

    Raises:
        InputError: there is no such model, or it cannot do what is asked.
    """
    transformers = require("transformers", "train")
    folder = find_folder(name)
    with quietly():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, told = getattr(transformers, kind).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (ValueError, KeyError, OSError, RuntimeError, ImportError) as error:
            raise InputError(
                f"training.augmentation: {name!r} cannot be opened as {kind} ({str(error).splitlines()[0]}). "
                "Choose another model, or leave it out."
            ) from error
    if told["missing_keys"]:
        raise InputError(
            f"training.augmentation: {name!r} has no trained head for {kind}; {len(told['missing_keys'])} of its "
            "weights are missing. Choose a model with its head."
        )
    model.eval()
    return tokenizer, model.to(training_device())


def _refilled(texts: Sequence[str], filler: tuple[Any, Any], share: float, rng: np.random.Generator) -> list[str]:
    """A share of the words of each text, one at least, hidden and written again from the likely ones."""
    torch = require("torch", "train")
    tokenizer, model = filler
    words = [text.split() for text in texts]
    hidden = [_some(len(one), share, rng) for one in words]
    asked = [
        " ".join(tokenizer.mask_token if place in out else word for place, word in enumerate(one))
        for one, out in zip(words, hidden, strict=True)
    ]
    batch = tokenizer(asked, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    batch.pop("token_type_ids", None)
    batch = to_device(batch, model)
    with torch.inference_mode():
        logits = model(**batch).logits  # (B, T, vocabulary)
        logits[..., tokenizer.all_special_ids] = -np.inf
    for row, one in enumerate(words):
        places = (batch["input_ids"][row] == tokenizer.mask_token_id).nonzero().flatten().tolist()
        for place, word in zip(places, sorted(hidden[row]), strict=False):  # what lies behind the cut stays
            one[word] = _drawn(tokenizer, logits[row, place], one[word], rng)
    return [" ".join(one) for one in words]


def _some(n: int, share: float, rng: np.random.Generator) -> set[int]:
    if n < 2:
        return set()
    out = set(np.flatnonzero(rng.random(n) < share).tolist())
    return out or {int(rng.integers(n))}


def _drawn(tokenizer: Any, logits: Any, word: str, rng: np.random.Generator) -> str:
    """A whole word by its probability among the likely ones; the old one where none is a whole word."""
    likely = logits.topk(min(4 * LIKELY, len(logits)))
    found: list[tuple[float, str]] = []
    for value, token in zip(likely.values.tolist(), likely.indices.tolist(), strict=True):
        text = tokenizer.decode([token]).strip()
        whole = bool(text) and "#" not in text and text.isalnum() and text.lower() != word.lower()
        if whole and np.isfinite(value):
            found.append((value, text))
    if not found:
        return word
    found = found[:LIKELY]
    weight = np.exp(np.array([value for value, _ in found]) - found[0][0])
    return found[int(rng.choice(len(found), p=weight / weight.sum()))][1]


def _translated(texts: Sequence[str], translator: tuple[Any, Any], seed: int) -> list[str]:
    """What the model writes, sampled, so that two turns differ."""
    torch = require("torch", "train")
    tokenizer, model = translator
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    batch.pop("token_type_ids", None)
    batch = to_device(batch, model)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        written = model.generate(**batch, do_sample=True, top_k=LIKELY, max_new_tokens=LONGEST)
    return [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
