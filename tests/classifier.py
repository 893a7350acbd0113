"""A text-classification model with random weights, as ``save_pretrained`` writes it."""

import pytest


def tiny(folder, labels, **config):
    """A BERT of one layer with these labels, in a folder."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oak", "lamp", "mint", "soap", "cruel", "knife", "a", "for"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    said = transformers.BertConfig(
        vocab_size=len(words),
        max_position_embeddings=16,
        initializer_range=1.0,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        **size,
        **config,
    )
    transformers.BertForSequenceClassification(said).save_pretrained(folder)
    return folder
