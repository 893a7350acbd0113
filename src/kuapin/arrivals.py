"""Items that come to a release after its training: read by its own encoder, and ranked without learning anything."""

import warnings
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import build_catalogue
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import encoded_now
from kuapin.encoding.opening import load_encoder
from kuapin.errors import InputError, MissingExtraError, ModelFolderError
from kuapin.list_layer import open_reranker
from kuapin.manifest import part_of, read_manifest, read_routing
from kuapin.model import Model
from kuapin.ranking.routed import Routed, Served
from kuapin.ranking.safety import SCHEMA, Opinion, decide, texts_of
from kuapin.ranking.safety_classifier import TextClassifier
from kuapin.ranking.safety_judge import Judge
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.whitening import load_whitening
from kuapin.text.template import TextConfig, render_titles
from kuapin.workspace import Shop


def with_surfaces(model: Model, before: Model) -> Model:
    """A model with the surfaces of the one that it comes from."""
    if before.storefront is not None:
        model.storefront = before.storefront.of(model)
    return model


class Arrivals:
    """Adds items to models of one release.

    Args:
        shop: whose rules hold for them.
        folder: of the release, verified.
    """

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.folder = folder
        self.decisions = pl.DataFrame(schema=SCHEMA)
        """Of safety, on the items that were added."""

    def add(self, model: Model, items: pl.DataFrame) -> Model:
        """A model that knows more items, and others in place of those with the same id; the old one is unchanged.

        Args:
            model: of this release.
            items: as in the items table, ids distinct.

        Raises:
            ModelFolderError: the release was trained before this was possible.
        """
        if items.height == 0:
            return model
        whole, vectors = model.recommender, self._read(model, items)
        default = whole.default if isinstance(whole, Routed) else whole
        grown = default.with_items(items, model.catalogue, self._white(".", vectors))
        recommender = grown.recommender
        if isinstance(whole, Routed):
            others = []
            for one in whole.others:
                seen = self._read_apart(one.folder, items) if one.folder in self._apart else vectors
                part = one.recommender.with_items(items, one.catalogue, self._white(one.folder, seen))
                others.append(Served.of(part.recommender, part.catalogue, one.categories, one.folder, grown.catalogue))
            recommender = Routed.of(grown.recommender, others)
        histories = replace(model.histories, n_items=len(grown.catalogue))
        release = self.shop.models / model.release
        made = self._decided(items, vectors)
        before = self.decisions.join(made, on=c.ITEM_ID, how="anti", maintain_order="left")
        self.decisions = pl.concat([before, made])
        tries = model.reranker.exploration
        reranker = open_reranker(
            self.shop,
            recommender,
            grown.catalogue,
            model.users,
            release,
            later=self.decisions,
            seen=None if tries is None else tries.seen,
        )
        grown_model = Model(model.release, recommender, grown.catalogue, model.users, histories, reranker)
        return with_surfaces(grown_model, model)

    def warm(self) -> None:
        """Read the encoder, so that the first item does not wait for it."""
        if self._encoder is not None:
            self._encoder.encode(["warm"])
        for encoder in self._apart.values():
            encoder.encode(["warm"])

    def _read(self, model: Model, items: pl.DataFrame) -> NDArray[np.float32] | None:
        if TEXTS not in model.recommender.signals.signals or self._encoder is None:
            return None
        return self._encoded(self._encoder, items)

    def _read_apart(self, part: str, items: pl.DataFrame) -> NDArray[np.float32]:
        """By the encoder that a part has for itself."""
        return self._encoded(self._apart[part], items)

    def _encoded(self, encoder: Encoder, items: pl.DataFrame) -> NDArray[np.float32]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing title
            return encoded_now(encoder, self._text, items)

    @cached_property
    def _text(self) -> TextConfig:
        try:
            return TextConfig.model_validate(read_manifest(self.folder).config["text"])
        except (KeyError, ValueError) as error:
            raise ModelFolderError(
                f"Release {self.folder.name} takes no new items: it was trained by an older Kuapin. Train again."
            ) from error

    def decided(self, items: pl.DataFrame) -> pl.DataFrame:
        """Whether items may be shown, as ``add`` decides it: the columns of ``safety.SCHEMA``."""
        if items.height == 0:
            return pl.DataFrame(schema=SCHEMA)
        encoder = self._encoder if self._judge is not None else None
        return self._decided(items, None if encoder is None else self._encoded(encoder, items))

    def _decided(self, items: pl.DataFrame, vectors: NDArray[np.float32] | None) -> pl.DataFrame:
        """As at training: by lists of words, and by what their titles read like."""
        if not self.shop.config.safety.enabled:
            return pl.DataFrame(schema=SCHEMA)
        margin = None
        if vectors is not None and self._judge is not None and self._encoder is not None:
            titles, of_titles = render_titles(items, self._text), vectors.copy()
            titled = (titles != "").to_numpy()
            if self._text.title_alone is not None and titled.any():
                of_titles[titled] = self._encoder.encode(titles.filter(titled).to_list())
            shelf = build_catalogue(items)
            margin = self._judge.margin(of_titles, [shelf.leaves[int(code)] for code in shelf.leaf])
        return decide(items, margin, self.shop.config.safety, self._opinions(items))

    def _opinions(self, items: pl.DataFrame) -> list[Opinion] | None:
        """What the shop's text-classification model says; without it no item comes in unread."""
        try:
            return None if self._classifier is None else self._classifier.opinions(texts_of(items))
        except (InputError, MissingExtraError) as error:
            raise ModelFolderError(f"Release {self.folder.name} takes no new items here: {error}") from error

    @cached_property
    def _classifier(self) -> TextClassifier | None:
        return TextClassifier.open(self.shop.config.safety)

    @cached_property
    def _judge(self) -> Judge | None:
        return Judge.load(self.folder)

    def _white(self, part: str, vectors: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        return None if vectors is None else load_whitening(self.folder / part).of(vectors)

    @cached_property
    def _apart(self) -> dict[str, Encoder]:
        """Part → its encoder, of the parts that have another than the default one."""
        routing = read_routing(self.folder)
        own = {part_of(route): route.encoder for route in routing.categories.values()}
        shared = (None, routing.default.encoder)
        return {part: load_encoder(self.folder / name) for part, name in own.items() if name not in shared}

    @cached_property
    def _encoder(self) -> Encoder | None:
        part = read_routing(self.folder).default.encoder
        return None if part is None else load_encoder(self.folder / part)
