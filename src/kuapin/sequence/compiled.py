"""A trained user model for serving: item vectors as an array, the transformer as a compiled graph, no torch."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from kuapin.arrays import load_arrays, save_arrays
from kuapin.data.histories import Histories
from kuapin.durable import write_durably
from kuapin.engines.engine import Inputs
from kuapin.engines.openvino import GRAPH, OpenVINOEngine, openvino_without_telemetry
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require
from kuapin.sequence.batches import LENGTH_STEP, gap_kinds, latest, padded
from kuapin.sequence.item_representation import Vectors, item_vectors
from kuapin.sequence.model import hidden
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.training import Trained

DESCRIPTION = "sequence.json"
ITEMS = "items.safetensors"
TENSORS_AT_ONCE = 2**20
"""Floats of one input batch, about."""


class UserModel:
    """Users as vectors, made from the histories at hand: score = user · item.

    Attributes:
        config: how it was built.
        items: float32 (n_items, d), unit vectors.
        categories: int64 (n_items,), the code that the graph reads with each item.
        graph: the compiled transformer.
    """

    def __init__(
        self, config: SequenceConfig, items: Vectors, categories: NDArray[np.int64], graph: OpenVINOEngine
    ) -> None:
        self.config, self.items, self.categories, self.graph = config, items, categories, graph

    def users(self, histories: Histories) -> Vectors:
        """Vectors of users, float32 (n_users, d), all of one length; 0 for those without a history.

        Raises:
            InputError: a history holds an item that came after ``save``.
        """
        newest = int(histories.items.max(initial=-1))
        if newest >= len(self.items):
            raise InputError(
                f"A history holds the item row {newest}; this user model knows {len(self.items)} items. Save it again "
                "with the items of today."
            )
        found = np.zeros((len(histories), self.items.shape[1]), np.float32)
        spans, gaps = latest(histories, self.config.max_history), gap_kinds(histories)
        lengths = np.diff(spans)[:, 0]
        for users in _alike(lengths, self.items.shape[1]):
            batch = padded(histories, gaps, spans[users])
            inputs: Inputs = {
                "vectors": self.items[batch.items],
                "events": batch.events,
                "gaps": batch.gaps,
                "categories": self.categories[batch.items],
                "last": lengths[users] - 1,
            }
            found[users] = self.graph.run(inputs)
        return found

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: a part is missing, cut short or of another format.
        """
        arrays = load_arrays(folder / ITEMS)
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            config = SequenceConfig.model_validate(description["config"])
            items, categories = np.asarray(arrays["vectors"], np.float32), np.asarray(arrays["categories"], np.int64)
        except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
            raise ModelFolderError(f"{folder}: the user model cannot be read ({error}). Train again.") from error
        if items.shape != (len(categories), config.embedding_size):
            raise ModelFolderError(f"{folder}: the parts of the user model do not fit together. Train again.")
        return cls(config, items, categories, OpenVINOEngine(folder / GRAPH, "f32"))


def _alike(lengths: NDArray[np.int64], size: int) -> list[NDArray[np.intp]]:
    """Users with a history, those of like lengths together, at most so many at once that a batch stays small."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    groups, first = [], 0
    while first < len(order):
        longest = -(-lengths[order[first]] // LENGTH_STEP) * LENGTH_STEP
        stop = int(np.searchsorted(lengths[order], longest, side="right"))
        stop = min(stop, first + max(1, TENSORS_AT_ONCE // int(longest * size)))
        groups.append(order[first:stop])
        first = stop
    return groups


def save(
    trained: Trained,
    text: Vectors | None,
    interactions: NDArray[np.integer],
    categories: NDArray[np.int32],
    folder: Path,
) -> None:
    """Compile a trained model into a folder: ``graph.xml``, ``items.safetensors``, ``sequence.json``.

    Args:
        trained: the model.
        text: float32 (n_items, d), as in training; more rows are items that came since.
        interactions: (n_items,), how many every item has had by now.
        categories: int32 (n_items,), codes as in training; new ones are read as none.
        folder: receives the files.

    Raises:
        InputError: the arrays are of different catalogues, or the model reads texts and there are none.
    """
    n = len(interactions)
    if trained.config.text and text is None:
        raise InputError("This user model reads texts, and no text vectors came. Encode the items.")
    if not len(trained.interactions) <= n == len(categories) == (n if text is None else len(text)):
        raise InputError(
            f"A user model is saved with one catalogue: {n} counts of interactions, {len(categories)} categories and "
            f"{n if text is None else len(text)} text vectors came, for {len(trained.interactions)} items of training."
        )
    folder.mkdir(parents=True, exist_ok=True)
    own = np.full(n, -1)  # of an item that nobody met in training nothing of its own was learnt
    met = np.flatnonzero(trained.interactions)
    own[met] = met
    vectors = item_vectors(trained.weights, trained.config, text, own, interactions)
    none = len(trained.weights["category"]) - 1
    known = np.minimum(categories.astype(np.int64), none)
    save_arrays(folder / ITEMS, {"vectors": vectors, "categories": known})
    _compile(trained, folder)
    description = {
        "config": trained.config.model_dump(mode="json"),
        "ndcg": [None if np.isnan(one) else one for one in trained.ndcg],
    }
    write_durably(folder / DESCRIPTION, json.dumps(description, indent=1).encode())


def _compile(trained: Trained, folder: Path) -> None:
    """The transformer as an OpenVINO graph: a padded history in, the vector after its last interaction out."""
    torch, ov = require("torch", "train"), openvino_without_telemetry()
    weights = {name: torch.from_numpy(value) for name, value in trained.weights.items() if name not in ("text", "ids")}
    config = trained.config

    class Graph(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, vectors: Any, events: Any, gaps: Any, categories: Any, last: Any) -> Any:
            found = hidden(weights, config, vectors, events, gaps, categories)  # (B, L, d)
            place = last.view(-1, 1, 1).expand(-1, 1, found.shape[-1])
            return torch.gather(found, 1, place).squeeze(1) * weights["scale"].exp()  # (B, d)

    kinds = torch.zeros(2, 3, dtype=torch.long)
    example = {
        "vectors": torch.zeros(2, 3, config.embedding_size),
        "events": kinds, "gaps": kinds.clone(), "categories": kinds.clone(),
        "last": torch.zeros(2, dtype=torch.long),
    }  # fmt: skip
    shapes = [
        ("vectors", [-1, -1, config.embedding_size], ov.Type.f32),
        *((name, [-1, -1], ov.Type.i64) for name in ("events", "gaps", "categories")),
        ("last", [-1], ov.Type.i64),
    ]
    graph = ov.convert_model(Graph().eval(), example_input=example, input=shapes)
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
