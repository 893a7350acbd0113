"""A text-classification model of the shop's choice, which reads items beside the lists and the own classifier."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from scipy.special import expit, softmax

from kuapin.device import training_device
from kuapin.encoding.backbone import check_parts, find_folder
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.ranking.safety import Opinion, SafetyConfig

WHAT = "safety.classifier"
_SAFE = (
    "ok",
    "okay",
    "safe",
    "sfw",
    "clean",
    "neutral",
    "normal",
    "none",
    "other",
    "benign",
    "harmless",
    "negative",
    "ham",
)
_HARMS = ("toxic", "hate", "hateful", "offensive", "spam", "harmful", "nsfw")
HARMLESS = frozenset((*_SAFE, *(f"{no}{harm}" for no in ("no", "non", "not") for harm in _HARMS), "label0", "0"))
"""Names of labels that mean no harm, as models on the hub have them: small letters, nothing but letters and digits."""
BATCH, LONGEST = 32, 512


@dataclass(frozen=True)
class TextClassifier:
    """A model in a folder, of transformers' sequence classification, and which of its labels mean harm.

    Attributes:
        name: as it was asked for.
        folder: with ``config.json``, ``*.safetensors`` and a tokenizer.
        labels: of the model, by output.
        harmful: outputs whose label means harm.
        several: whether an item may have several labels at once: each output has a probability of its own.
    """

    name: str
    folder: Path
    labels: tuple[str, ...]
    harmful: tuple[int, ...]
    several: bool

    @classmethod
    def open(cls, config: SafetyConfig) -> Self | None:
        """That of the settings, its weights not read yet; ``None`` where they name none, or safety is off.

        Raises:
            InputError: there is no such model, it is damaged, it classifies nothing, its tokenizer cannot pad, or its
                labels are not those of the settings.
            MissingExtraError: it needs the train extra.
        """
        if config.classifier is None or not config.enabled:
            return None
        name = config.classifier
        folder = find_folder(name, WHAT)
        check_parts(folder, name, WHAT)
        try:
            said: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            named = said.get("id2label") or {str(k): f"LABEL_{k}" for k in range(2)}
            labels = tuple(str(named[key]) for key in sorted(named, key=int))
            made = [str(one) for one in said.get("architectures") or ()]
        except (ValueError, TypeError, AttributeError) as error:
            raise _damaged(name, folder, error) from error
        if not any("ForSequenceClassification" in one for one in made):
            raise InputError(
                f"{WHAT} {name!r}: {folder} holds no model for text classification. Name one whose config.json has an "
                "architecture …ForSequenceClassification."
            )
        several = said.get("problem_type") == "multi_label_classification" or len(labels) == 1
        harmful = _harmful(name, labels, config.classifier_labels, several=several)
        opened = cls(name, folder, labels, harmful, several)
        if opened._tokenizer.pad_token is None:
            raise InputError(
                f"{WHAT} {name!r}: its tokenizer has no pad token, so that texts cannot be read together. Set one, and "
                "save tokenizer and model anew."
            )
        return opened

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What it gives to every label of every text, float32 (n_texts, n_labels); read by a graphics card, if any."""
        torch, device = require("torch", "train"), training_device()
        order = np.argsort([len(text) for text in texts], kind="stable")
        logits = np.zeros((len(texts), len(self.labels)), np.float32)
        tokenizer, model = self._tokenizer, self._model.to(device)
        with torch.inference_mode():
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                some = [texts[row] for row in rows]
                read = tokenizer(some, padding=True, truncation=True, return_tensors="pt").to(device)
                logits[rows] = model(**read).logits.float().cpu().numpy()
        return logits

    def opinions(
        self, texts: pl.Series, read: Callable[[list[str]], NDArray[np.float32]] | None = None
    ) -> list[Opinion]:
        """What it says of every text: the harmful label that is likeliest, and how likely harm is in all.

        Args:
            texts: of items.
            read: gives ``logits`` in its place, out of a cache, say.
        """
        known = texts.unique().sort()
        logits = (read or self.logits)(known.to_list()).astype(np.float64)
        chance = expit(logits) if self.several else softmax(logits, axis=1)
        of_harm = chance[:, list(self.harmful)]
        total = of_harm.max(axis=1) if self.several else of_harm.sum(axis=1)
        likeliest = of_harm.argmax(axis=1)
        made = [
            Opinion(self.name, self.labels[self.harmful[int(label)]], float(p))
            for label, p in zip(likeliest, total, strict=True)
        ]
        return [made[row] for row in known.search_sorted(texts).to_list()]

    @cached_property
    def _tokenizer(self) -> Any:
        return self._read("AutoTokenizer")

    @cached_property
    def _model(self) -> Any:
        model, tokenizer = self._read("AutoModelForSequenceClassification", use_safetensors=True), self._tokenizer
        tokenizer.model_max_length = min(
            tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST
        )
        model.config.pad_token_id = tokenizer.pad_token_id
        return model.eval()

    def _read(self, part: str, **how: Any) -> Any:
        transformers = require("transformers", "train")
        try:
            return getattr(transformers, part).from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False, **how
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            raise _damaged(self.name, self.folder, error) from error


def _damaged(name: str, folder: Path, error: Exception) -> InputError:
    return InputError(f"{WHAT} {name!r}: {folder} cannot be read ({error}). Fetch it again.")


def _harmful(name: str, labels: Sequence[str], asked: Sequence[str], *, several: bool) -> tuple[int, ...]:
    """Outputs that mean harm: those asked for, else all but those whose name means none."""
    plain = [re.sub(r"[^a-z0-9]", "", label.lower()) for label in labels]
    told = f"its labels are {', '.join(labels)}"
    if asked:
        unknown = sorted({one for one in asked if one not in labels})
        if unknown:
            raise InputError(
                f"safety.classifier_labels has {unknown[0]!r}, which {name} lacks: {told}. Name some of these."
            )
        return tuple(place for place, label in enumerate(labels) if label in asked)
    found = tuple(place for place, label in enumerate(plain) if label not in HARMLESS)
    if not found or (len(found) == len(labels) and not several):
        raise InputError(
            f"{WHAT} {name!r}: which of its labels mean harm cannot be told from their names: {told}. Name the harmful "
            "ones in safety.classifier_labels."
        )
    return found
