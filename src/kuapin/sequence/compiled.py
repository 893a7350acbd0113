"""A trained user model for serving: item vectors as an array, the transformer as a compiled graph, no torch."""

import tempfile
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from kuapin.arrays import load_arrays, save_arrays
from kuapin.data.histories import Histories
from kuapin.engines.engine import Inputs
from kuapin.engines.openvino import GRAPH, OpenVINOEngine, openvino_without_telemetry
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require
from kuapin.sequence.batches import LENGTH_STEP, gap_kinds, latest, padded
from kuapin.sequence.item_representation import Vectors, Weights, item_sums, unit, warmth
from kuapin.sequence.model import hidden
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.trained import Trained

FILE = "user_model.safetensors"
TENSOR = "tensor."
"""Before the names of the transformer's weights in it."""
LEARNT = "learnt."
"""Before the names of what its training goes on from."""
TENSORS_AT_ONCE = 2**20
"""Floats of one input batch, about."""
THREADS = 1
"""Of the processor: in so small a graph more of them wait for each other as long as they compute."""

Graph = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""A graph of OpenVINO, its structure and its weights."""


class Learnt(NamedTuple):
    """What the training of a model goes on from, besides what it answers with.

    Attributes:
        lengths: float32 (n_items,), of the items' vectors before they were brought to length 1.
        read: float32 (n_items,), of their texts' part in these.
        interactions: int64 (n_items,), of every item.
        category: float32 (n_categories + 1, d), the vectors of categories.
        passes: int64 (1,), over the log that it took.
        adapted: bool (1,), see ``Trained``.
    """

    lengths: Vectors
    read: Vectors
    interactions: NDArray[np.int64]
    category: Vectors
    passes: NDArray[np.int64]
    adapted: NDArray[np.bool_]


class UserModel:
    """Users as vectors, made from the histories at hand: score = user · item.

    Several models are one: their vectors lie side by side, so that a score is the mean of theirs, and whoever reads
    vectors need not know.

    Attributes:
        config: how it was built.
        items: float32 (n_items, models * d), unit vectors.
        categories: int64 (n_items,), the code that the graph reads with each item.
        text: float32 (d_text, models * d), what makes the vector of an item that comes; without rows where texts are
            not read.
        none: the code of every category that came after training.
        graph: the transformers.
        weights: every transformer's, for a training that begins from it; empty in a model of an older Kuapin.
        known: so many codes of categories are those of training; greater ones are read as none.
        learnt: what the training of every model goes on from; empty in a model of an older Kuapin, or that was not
            trained here.
    """

    def __init__(
        self,
        config: SequenceConfig,
        items: Vectors,
        categories: NDArray[np.int64],
        text: Vectors,
        none: int,
        graph: Graph,
        weights: tuple[Weights, ...],
        *,
        known: int | None = None,
        learnt: tuple[Learnt, ...] = (),
    ) -> None:
        self.learnt = learnt
        self.config, self.items, self.categories, self.text, self.none = config, items, categories, text, none
        self.graph, self.weights, self.known = graph, weights, none if known is None else known
        self._engine = OpenVINOEngine((graph[0].tobytes(), graph[1].tobytes()), "f32", THREADS)

    @classmethod
    def of(
        cls,
        trained: Trained | Sequence[Trained],
        text: Vectors | None,
        interactions: NDArray[np.integer],
        categories: NDArray[np.int32],
    ) -> Self:
        """Compile a trained model, or several as one.

        Args:
            trained: the models, all of one log, one shape.
            text: float32 (n_items, d), as in training; more rows are items that came since.
            interactions: (n_items,), how many every item has had by now.
            categories: int32 (n_items,), codes as in training; new ones are read as none.

        Raises:
            InputError: the arrays are of different catalogues, or the model reads texts and there are none.
        """
        models = (trained,) if isinstance(trained, Trained) else tuple(trained)
        n, first = len(interactions), models[0]
        if first.config.text and text is None:
            raise InputError("This user model reads texts, and no text vectors came. Encode the items.")
        if not len(first.interactions) <= n == len(categories) == (n if text is None else len(text)):
            raise InputError(
                f"A user model is made with one catalogue: {n} counts of interactions, {len(categories)} categories "
                f"and {n if text is None else len(text)} text vectors came, for {len(first.interactions)} items of "
                "training."
            )
        own = np.full(n, -1)  # of an item that nobody met in training nothing of its own was learnt
        met = np.flatnonzero(first.interactions)
        own[met] = met
        items, learnt = [], []
        for model in models:
            vectors = item_sums(model.weights, model.config, text, own, interactions)
            items.append(unit(vectors))
            learnt.append(_learnt(model, text, np.linalg.norm(vectors, axis=1), interactions))
        none = len(first.weights["category"]) - 1
        known = np.minimum(categories.astype(np.int64), none)
        projection = np.hstack([model.weights["text"] for model in models])
        config = first.config.model_copy(update={"models": len(models)})
        weights = tuple(_of_any_shop(model.weights) for model in models)
        graph = _compiled(models)
        return cls(config, _side_by_side(items), known, projection, none, graph, weights, learnt=tuple(learnt))

    def trained(self, text: Vectors | None, n_items: int) -> tuple[Trained, ...]:
        """What the training of every model leaves, to go on from; empty where this model does not know.

        Args:
            text: float32 (n_items, d_text), whitened as in training; ``None``: no texts are read.
            n_items: those of training, and behind them what came since; that begins as its text, and so does what has
                another text by now.
        """
        return tuple(self._trained(number, text, n_items) for number in range(len(self.learnt)))

    def _trained(self, number: int, text: Vectors | None, n_items: int) -> Trained:
        lengths, read, interactions, category, passes, adapted = self.learnt[number]
        config, n = self.config.member(number), len(lengths)
        size, models = config.embedding_size, self.config.models
        mine = np.s_[:, number * size : (number + 1) * size]
        own = np.zeros((n_items if config.ids else 0, size), np.float32)
        if config.ids:
            texts = np.zeros_like(own[:n]) if text is None else text[:n] @ self.text[mine]
            same = np.isclose(np.linalg.norm(texts, axis=1), read, rtol=1e-3, atol=1e-5)
            warm = np.where(same, warmth(interactions, config.fade), 0)[:, None]
            sums = self.items[:n][mine] * (np.float32(models**0.5) * lengths[:, None])
            np.divide(sums - texts, warm, out=own[:n], where=warm > 0)
        weights = self.weights[number] | {"text": self.text[mine], "ids": own, "category": category}
        met = np.append(interactions, np.zeros(n_items - n, np.int64))
        return Trained(config, weights, met, (np.nan,) * int(passes[0]), 0.0, bool(adapted[0]))

    def users(self, histories: Histories) -> Vectors:
        """Vectors of users, float32 (n_users, models * d), all of one length; 0 for those without a history.

        Raises:
            InputError: a history holds an item that the model does not know.
        """
        newest = int(histories.items.max(initial=-1))
        if newest >= len(self.items):
            raise InputError(
                f"A history holds the item row {newest}; this user model knows {len(self.items)} items. Make it again "
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
            found[users] = self._engine.run(inputs)
        return found

    def cold(self, text: Vectors) -> Vectors:
        """Unit vectors of items that nobody has met: their text, exactly; 0 where the model reads no texts.

        Args:
            text: float32 (n, d_text), as in training.
        """
        if not self.config.text:
            return np.zeros((len(text), self.items.shape[1]), np.float32)
        return read_cold(text, self.text, self.config.models)

    def with_items(self, items: Vectors, categories: NDArray[np.integer]) -> "UserModel":
        """The same model with other items: vectors (n, models * d) and codes of their categories (n,)."""
        other = copy(self)  # with the same compiled graph
        other.items, other.categories = items, np.where(categories < self.known, categories, self.none).astype(np.int64)
        return other

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All that it is, as named arrays fit for safetensors."""
        config = np.frombuffer(self.config.model_dump_json().encode(), np.uint8)
        return {
            "items": self.items, "categories": self.categories, "text": self.text, "config": config,
            "none": np.array([self.none, self.known]), "graph": self.graph[0], "weights": self.graph[1],
            **_numbered(TENSOR, self.weights),
            **_numbered(LEARNT, [one._asdict() for one in self.learnt]),
        }  # fmt: skip

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Take what ``arrays`` gave.

        Raises:
            ModelFolderError: a part is missing, or they do not fit together.
        """
        try:
            config = SequenceConfig.model_validate_json(arrays["config"].tobytes())
            items, text = (np.asarray(arrays[name], np.float32) for name in ("items", "text"))
            categories, none = np.asarray(arrays["categories"], np.int64), int(arrays["none"][0])
            graph, numbers = (np.asarray(arrays[name], np.uint8) for name in ("graph", "weights"))
            known = int(arrays["none"][-1])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise ModelFolderError(f"The user model cannot be read ({error}). Train again.") from error
        if items.shape != (len(categories), config.models * config.embedding_size):
            raise ModelFolderError("The parts of the user model do not fit together. Train again.")
        parts = [_named(arrays, LEARNT, number) for number in range(config.models)]
        learnt = tuple(Learnt(**part) for part in parts if part.keys() == set(Learnt._fields))
        tensors = [_named(arrays, TENSOR, number) for number in range(config.models)]
        weights = tuple({name: np.asarray(value, np.float32) for name, value in part.items()} for part in tensors)
        return cls(
            config,
            items,
            categories,
            text,
            none,
            (graph, numbers),
            weights if all(weights) else (),
            known=known,
            learnt=learnt if len(learnt) == config.models else (),
        )

    def save(self, folder: Path) -> None:
        """Write ``user_model.safetensors`` into a folder."""
        save_arrays(folder / FILE, self.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: it is missing, cut short or of another format.
        """
        return cls.restore(load_arrays(folder / FILE))


def read_cold(text: Vectors, projection: Vectors, models: int) -> Vectors:
    """Items that are their text: float32 (n, models * d), the unit vectors of all models side by side.

    Args:
        text: float32 (n, d_text), as in training.
        projection: float32 (d_text, models * d).
        models: how many.
    """
    return _side_by_side([unit(part) for part in np.split(text @ projection, models, axis=1)])


def _side_by_side(parts: Sequence[Vectors]) -> Vectors:
    """Unit vectors of several models as unit vectors of one."""
    return np.asarray(np.hstack(parts) / np.float32(len(parts) ** 0.5), np.float32)


def _learnt(model: Trained, text: Vectors | None, lengths: Vectors, interactions: NDArray[np.integer]) -> Learnt:
    texts = text @ model.weights["text"] if model.config.text and text is not None else np.zeros((len(lengths), 1))
    return Learnt(
        lengths,
        np.linalg.norm(texts, axis=1).astype(np.float32),
        interactions.astype(np.int64),
        model.weights["category"],
        np.array([model.passes]),
        np.array([model.adapted]),
    )


def _prefix(kind: str, number: int) -> str:
    """Before the names of the parts of a model; the first of several is named as one alone."""
    return f"{number}.{kind}" if number else kind


def _numbered(kind: str, parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    named = [(_prefix(kind, number), part) for number, part in enumerate(parts)]
    return {f"{prefix}{name}": value for prefix, part in named for name, value in part.items()}


def _named(arrays: Mapping[str, NDArray[np.generic]], kind: str, number: int) -> dict[str, Any]:
    prefix = _prefix(kind, number)
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _of_any_shop(weights: Weights) -> Weights:
    """What is no shop's own."""
    return {name: value for name, value in weights.items() if name not in ("text", "ids", "category")}


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


def _compiled(models: Sequence[Trained]) -> Graph:
    """The transformers as an OpenVINO graph: a padded history in, the vector after its last interaction out."""
    torch, ov = require("torch", "train"), openvino_without_telemetry()
    every = [
        {name: torch.from_numpy(value) for name, value in model.weights.items() if name not in ("text", "ids")}
        for model in models
    ]
    config, length = models[0].config, len(models) ** 0.5

    class Transformers(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, vectors: Any, events: Any, gaps: Any, categories: Any, last: Any) -> Any:
            found = []
            for weights, mine in zip(every, vectors.split(config.embedding_size, dim=-1), strict=True):
                one = hidden(weights, config, mine * length, events, gaps, categories, only=last)  # (B, 1, d)
                found.append(one.squeeze(1) * weights["scale"].exp() / length)
            return torch.cat(found, dim=-1)  # (B, models * d)

    kinds = torch.zeros(2, 3, dtype=torch.long)
    example = {
        "vectors": torch.zeros(2, 3, len(models) * config.embedding_size),
        "events": kinds, "gaps": kinds.clone(), "categories": kinds.clone(),
        "last": torch.zeros(2, dtype=torch.long),
    }  # fmt: skip
    shapes = [
        ("vectors", [-1, -1, len(models) * config.embedding_size], ov.Type.f32),
        *((name, [-1, -1], ov.Type.i64) for name in ("events", "gaps", "categories")),
        ("last", [-1], ov.Type.i64),
    ]
    graph = ov.convert_model(Transformers().eval(), example_input=example, input=shapes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / GRAPH
        ov.save_model(graph, path, compress_to_fp16=False)
        structure, numbers = (one.read_bytes() for one in (path, path.with_suffix(".bin")))
    return np.frombuffer(structure, np.uint8), np.frombuffer(numbers, np.uint8)
