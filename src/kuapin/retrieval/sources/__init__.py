"""Every source of candidates; one file each."""

from kuapin.retrieval.source import Source
from kuapin.retrieval.sources.adapted import Adapted
from kuapin.retrieval.sources.affinity import BrandAffinity, LeafAffinity
from kuapin.retrieval.sources.als import Als
from kuapin.retrieval.sources.brand import Brand, Leaf
from kuapin.retrieval.sources.complement import Complement
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.graph import Graph
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.lexical import Lexical
from kuapin.retrieval.sources.lift import Lift
from kuapin.retrieval.sources.popularity import DecayedPopularity, Popularity, RecentPopularity
from kuapin.retrieval.sources.predicted_popularity import PredictedPopularity
from kuapin.retrieval.sources.repeat import Due, FadingRepeat, LatestRepeat, Repeat
from kuapin.retrieval.sources.ridge import Ridge
from kuapin.retrieval.sources.segments import Segments
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.retrieval.sources.text_popularity import TextPopularity

SOURCES: dict[str, type[Source]] = {
    source.name: source
    for source in (
        Repeat,
        FadingRepeat,
        LatestRepeat,
        Due,
        Popularity,
        RecentPopularity,
        DecayedPopularity,
        TextPopularity,
        PredictedPopularity,
        Content,
        Adapted,
        Complement,
        Lexical,
        Brand,
        Leaf,
        BrandAffinity,
        LeafAffinity,
        Segments,
        Graph,
        ItemKnn,
        Lift,
        Ease,
        Als,
        Ridge,
        Sequence,
    )
}
"""Source classes by name; each takes its config, or nothing for the defaults."""
