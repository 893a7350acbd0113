"""A user model begins from that of another shop: what reads texts and histories is taken along, no item is."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from kuapin.errors import InputError
from kuapin.sequence.compiled import Graph, UserModel, read_cold
from kuapin.sequence.item_representation import Vectors, Weights
from kuapin.sequence.settings import SequenceConfig

SHAPE = ("embedding_size", "layers", "heads", "max_history", "text")
"""Settings that follow from the model that it begins from."""


@dataclass(frozen=True)
class Start:
    """A trained user model in the texts of the shop that begins from it.

    An item of any shop is e = norm(W (t - mean)): the mean is that of the shop's own texts, the axes are those that the
    other shop's texts were whitened by, for its projection was learnt on them. They are part of W.

    Attributes:
        config: of the other shop's.
        text: float32 (d_text, models * d), the projections of text vectors less their mean, or, after ``on``, of
            whitened ones.
        weights: of every transformer, as in ``model.initial_weights``.
        graph: the transformers compiled.
        none: its code of unknown categories.
    """

    config: SequenceConfig
    text: Vectors
    weights: tuple[Weights, ...]
    graph: Graph
    none: int

    @classmethod
    def of(cls, model: UserModel, axes: Vectors) -> Self:
        """What another shop's user model gives.

        Args:
            model: trained, that of the other shop.
            axes: float32 (d_text, d_text), the axes of the whitening of the texts that it was trained on.

        Raises:
            InputError: the model reads no texts, or was trained by an older Kuapin.
        """
        if not model.config.text:
            raise InputError("A user model that reads no texts starts no other shop. Train it with text = true.")
        if not model.weights:
            raise InputError("A user model that an older Kuapin trained starts no other shop. Train it again.")
        return cls(model.config, np.asarray(axes @ model.text, np.float32), model.weights, model.graph, model.none)

    def on(self, axes: Vectors, white: Vectors) -> Self:
        """For whitened vectors of another shop.

        Args:
            axes: float32 (d_text, d_text), of the shop's own whitening.
            white: float32 (n_items, d_text), its whitened vectors.

        Raises:
            InputError: its text vectors are of another length.
        """
        if len(axes) != len(self.text):
            raise InputError(
                f"The user model to start from reads text vectors of length {len(self.text)}, this shop has length "
                f"{len(axes)}. Set the same [encoding] backbone and pooling in both shops."
            )
        projection = np.linalg.solve(axes.astype(np.float64), self.text.astype(np.float64)).astype(np.float32)
        # Beside own vectors its length counts: on average as if the texts filled all directions alike.
        parts = []
        for part in np.split(projection, len(self.weights), axis=1):
            length = float(np.sqrt(np.mean(np.sum((white @ part) ** 2, axis=1))))
            usual = float(np.linalg.norm(part)) / len(part) ** 0.5
            parts.append(part * np.float32(usual / max(length, 1e-9)))
        return replace(self, text=np.hstack(parts))

    def shaped(self, config: SequenceConfig) -> SequenceConfig:
        """A config with the shape of this model, so that its weights fit."""
        return config.model_copy(update={name: getattr(self.config, name) for name in SHAPE})

    def initial(self, config: SequenceConfig, n_items: int, member: int = 0) -> Weights:
        """What training begins with: own vectors are 0 at first, so that it begins with what the texts say.

        Args:
            config: of the training.
            n_items: of the shop.
            member: number of the model that is trained; where there are fewer here, they are taken in turn.
        """
        own, number = np.zeros((n_items if config.ids else 0, config.embedding_size), np.float32), len(self.weights)
        text = np.split(self.text, number, axis=1)[member % number]
        return self.weights[member % number] | {"text": text, "ids": own}

    def untuned(self, white: Vectors) -> UserModel:
        """The model as it is, for a shop's whitened vectors (n_items, d_text): every item is its text."""
        categories = np.full(len(white), self.none, np.int64)
        items = read_cold(white, self.text, len(self.weights))
        return UserModel(self.config, items, categories, self.text, self.none, self.graph, self.weights, known=0)
