"""The settings of all sources that can be set: the sections ``[sources.*]`` of ``kuapin.toml``."""

from pydantic import BaseModel, ConfigDict

from kuapin.retrieval.sources.als import AlsConfig
from kuapin.retrieval.sources.content import ContentConfig
from kuapin.retrieval.sources.ease import EaseConfig
from kuapin.retrieval.sources.graph import GraphConfig
from kuapin.retrieval.sources.item_knn import ItemKnnConfig
from kuapin.retrieval.sources.popularity import PopularityConfig
from kuapin.retrieval.sources.repeat import RepeatConfig
from kuapin.retrieval.sources.ridge import RidgeConfig
from kuapin.retrieval.sources.segments import SegmentsConfig
from kuapin.sequence.settings import SequenceConfig


class SourcesConfig(BaseModel):
    """The ways in which candidates are proposed: for the ranker's signals and for the baselines alike.

    ``content`` and ``ease`` are for the baselines of evaluations alone: the ranker reads texts in ways of its own, and
    an EASE of 3,000 items with L2 500.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeat: RepeatConfig = RepeatConfig()
    popularity: PopularityConfig = PopularityConfig()
    content: ContentConfig = ContentConfig()
    item_knn: ItemKnnConfig = ItemKnnConfig()
    ease: EaseConfig = EaseConfig()
    als: AlsConfig = AlsConfig()
    ridge: RidgeConfig = RidgeConfig()
    segments: SegmentsConfig = SegmentsConfig()
    sequence: SequenceConfig = SequenceConfig()
    graph: GraphConfig = GraphConfig()
