"""Texts as padded token ids, by the backbone's own tokenizer."""

from collections.abc import Sequence
from typing import Any

from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import quietly
from kuapin.encoding.tokens import read_tokenizer

Batch = dict[str, Any]
"""Named tensors of one batch."""

USUAL_LENGTH = 64
"""The longest text in training where nothing else is set, tokens."""
IGNORED = -100
"""The label of a token that counts in no loss."""


class Tokens:
    """Reads texts as the encoder will: the same prefix, the same cut.

    Args:
        backbone: whose tokenizer it is.
        max_length: longest text, tokens, special tokens included; the rest is cut off, as it is where the backbone's
            own longest ends. ``None``: ``USUAL_LENGTH``.

    Raises:
        InputError: the tokenizer is damaged, or lacks a part.
    """

    def __init__(self, backbone: Backbone, max_length: int | None = None) -> None:
        with quietly():
            self.tokenizer: Any = read_tokenizer(backbone.folder)
        if self.tokenizer.pad_token is None:  # padding is masked, so any token will do
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.convert_ids_to_tokens(0)
        self.tokenizer.padding_side = "right"
        self.prefix = backbone.prefix
        self.max_length = min(max_length or USUAL_LENGTH, backbone.max_length)

    def __call__(self, texts: Sequence[str], max_length: int | None = None) -> Batch:
        """``input_ids`` and ``attention_mask``, int64 (B, T), padded on the right to the longest."""
        return dict(self.encoding(texts, max_length).convert_to_tensors("pt"))

    def encoding(self, texts: Sequence[str], max_length: int | None = None) -> Any:
        """The tokenizer's own result, padded, with the characters that every token stands for."""
        return self.tokenizer(
            [self.prefix + text for text in texts],
            padding=True,
            truncation=True,
            max_length=max_length or self.max_length,
            return_token_type_ids=False,
        )

    def ids(self, text: str, max_length: int) -> list[int]:
        """Token ids of one text without special tokens or prefix."""
        return list(self.tokenizer(text, add_special_tokens=False, truncation=True, max_length=max_length)["input_ids"])

    @property
    def pad_id(self) -> int:
        """The token that fills shorter texts."""
        return int(self.tokenizer.pad_token_id)

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that are no words."""
        return frozenset(self.tokenizer.all_special_ids)
