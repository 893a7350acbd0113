"""A small decoder that writes tokens from what the backbone read: the head of TSDAE and of generation."""

from collections.abc import Sequence
from typing import Any

from kuapin.extras import require
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.tokens import IGNORED, Batch, Tokens

LAYERS = 1
LONGEST = 128
"""Positions that the decoder knows."""


def new_decoder(reader: Reader, memory_width: int) -> Module:
    """A decoder of one layer; its token embeddings and output layer are the backbone's own, which it does not hold.

    ``(embeddings, input_ids (B, T), memory (B, S, memory_width), memory_mask (B, S))`` → logits float32
    (B, T, vocabulary).

    Args:
        reader: whose vocabulary and width.
        memory_width: of the vectors that are read.
    """
    torch = require("torch", "train")
    width = int(reader.embeddings().shape[1])
    heads = next(heads for heads in (8, 4, 2, 1) if width % heads == 0)

    class Decoder(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.positions = torch.nn.Embedding(LONGEST, width)
            self.bridge = torch.nn.Linear(memory_width, width)
            layer = torch.nn.TransformerDecoderLayer(width, heads, 4 * width, batch_first=True, norm_first=True)
            self.layers = torch.nn.TransformerDecoder(layer, LAYERS, torch.nn.LayerNorm(width))

        def forward(self, embeddings: Tensor, input_ids: Tensor, memory: Tensor, memory_mask: Tensor) -> Tensor:
            length = input_ids.shape[1]
            place = torch.arange(length, device=input_ids.device)
            inputs = torch.nn.functional.embedding(input_ids, embeddings) + self.positions(place)  # (B, T, h)
            later = torch.ones(length, length, dtype=torch.bool, device=input_ids.device).triu(1)
            hidden = self.layers(
                inputs, self.bridge(memory), tgt_mask=later, memory_key_padding_mask=memory_mask == 0
            )  # (B, T, h)
            return hidden @ embeddings.T

    return Decoder()


def written(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """−log-likelihood of a text, mean over its tokens; labels int64 (B, T) are -100 on padding."""
    functional: Any = require("torch", "train").nn.functional
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing)


def targets(texts: Sequence[str], tokens: Tokens) -> Batch:
    """What a decoder reads and writes: ``target_ids`` starts with a start token, ``labels`` is one token ahead.

    Both int64 (B, T); labels are -100 on padding. Start and end are the tokenizer's own, or its padding token.
    """
    tokenizer = tokens.tokenizer
    start = next(x for x in (tokenizer.cls_token_id, tokenizer.bos_token_id, tokens.pad_id) if x is not None)
    end = next(x for x in (tokenizer.sep_token_id, tokenizer.eos_token_id, tokens.pad_id) if x is not None)
    rows = [[*tokens.ids(text, min(tokens.max_length, LONGEST) - 1), end] for text in texts]
    return padded([[start, *row[:-1]] for row in rows], tokens.pad_id, "target_ids") | padded(rows, IGNORED, "labels")


def padded(rows: Sequence[Sequence[int]], fill: int, name: str) -> Batch:
    """Rows of different lengths as one int64 tensor (B, T)."""
    width = max(len(row) for row in rows)
    return {name: require("torch", "train").tensor([[*row, *[fill] * (width - len(row))] for row in rows])}
