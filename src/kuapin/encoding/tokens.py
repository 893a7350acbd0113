"""Texts as token ids, grouped into batches of similar length."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kuapin.engines.engine import Inputs
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require


@dataclass(frozen=True)
class Batch:
    """Texts to encode together.

    Attributes:
        rows: int64 (B,), which texts they are.
        inputs: ``input_ids`` and ``attention_mask``, int64 (B, T), padded on the right to the longest of them.
    """

    rows: NDArray[np.int64]
    inputs: Inputs


class TokenBatches:
    """Cuts texts into batches.

    Args:
        tokenizer: a ``tokenizer.json`` file.
        max_length: tokens of the longest text, special tokens included; the rest of a text is cut off.
        pad_id: token that fills the shorter texts of a batch.

    Raises:
        ModelFolderError: the file is missing or no tokenizer.
    """

    def __init__(self, tokenizer: Path, max_length: int, pad_id: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises bare Exception
            raise ModelFolderError(
                f"{tokenizer}: this is not a tokenizer ({error}). Delete its folder and run the step again."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._pad_id = pad_id

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of every text, on all cores."""
        return [encoding.ids or [self._pad_id] for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Share of the texts' tokens that the vocabulary lacks; 0 where it has no token for what it lacks."""
        unknown = self._tokenizer.token_to_id(str(getattr(self._tokenizer.model, "unk_token", "")))
        ids = [one for text in self.ids(texts) for one in text]
        return ids.count(unknown) / len(ids) if unknown is not None and ids else 0.0

    def batches(self, texts: Sequence[str], token_budget: int) -> Iterator[Batch]:
        """Batches of at most ``token_budget`` tokens, padding included, the longest texts first.

        The longest come first so that memory is at its peak at once, and the remaining time is never underestimated.
        """
        ids = self.ids(texts)
        lengths = np.array([len(one) for one in ids], dtype=np.int64)
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            rows = order[start : start + max(1, token_budget // int(lengths[order[start]]))]
            yield Batch(rows, self._padded([ids[row] for row in rows]))
            start += len(rows)

    def _padded(self, ids: list[list[int]]) -> Inputs:
        width = max(len(one) for one in ids)
        padded = np.full((len(ids), width), self._pad_id, np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for row, one in enumerate(ids):
            padded[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return {"input_ids": padded, "attention_mask": mask}


def read_tokenizer(folder: Path) -> Any:
    """A backbone's tokenizer, as transformers opens it.

    Raises:
        InputError: it is damaged, or lacks a part.
    """
    transformers = require("transformers", "train")
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises bare Exception, the converters whatever they stumble over
        raise InputError(
            f"{folder}: its tokenizer cannot be read ({type(error).__name__}: {error}). Fetch the backbone again."
        ) from error


def write_tokenizer(backbone_folder: Path, target: Path) -> int:
    """Put a backbone's tokenizer into ``target`` (``tokenizer.json``) and return the padding token's id.

    A folder with a slow tokenizer only is converted by transformers.

    Raises:
        InputError: it is damaged, or lacks a part.
    """
    source = backbone_folder / "tokenizer.json"
    if source.is_file():
        target.write_bytes(source.read_bytes())
    else:
        read_tokenizer(backbone_folder).backend_tokenizer.save(str(target))
    try:
        pad = Tokenizer.from_file(str(target)).padding
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{source}: this is not a tokenizer ({error}). Fetch the backbone again.") from error
    if pad is not None:
        return int(pad["pad_id"])
    said = json.loads((backbone_folder / "config.json").read_text(encoding="utf-8")).get("pad_token_id")
    return int(said) if said is not None else 0  # padding is masked, so any token will do
