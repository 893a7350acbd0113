"""Every source of candidates; one file each."""

from kuapin.retrieval.source import Source
from kuapin.retrieval.sources.als import Als
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.popularity import DecayedPopularity, Popularity, RecentPopularity
from kuapin.retrieval.sources.repeat import Repeat

SOURCES: dict[str, type[Source]] = {
    source.name: source
    for source in (Repeat, Popularity, RecentPopularity, DecayedPopularity, Content, ItemKnn, Ease, Als)
}
"""Source classes by name; each takes its config, or nothing for the defaults."""
