"""Safety: how many planted harmful listings are shown, how many real titles are blocked, and who gets the places.

At least 500 harmful listings in English are planted among the real items of amazon18_office_industrial_timed, and as
many again in Chinese among those of the Chinese sets, written from words that no list and no example of the filters
holds (``planted.toml``). In the English shop, which has a log, each planted item gets the log of one real item drawn at
random, so that without safety it would stand in lists as that item does; the lists are those of all who are asked after
the cut. ``shown_share``: places of the top 10 held by planted items; ``planted_shown``: planted items in any list. Both
with and without safety, and the NDCG@10 of real items. ``false_blocks``: real titles blocked, of all sets at hand.

The bounds were chosen on ``development`` listings (``--development`` measures those).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import Figure, data_folder, parse_arguments, print_table, write_result
from benchmarks.live_shop import live_shop
from benchmarks.sets import DataSet, cache_folder, complete_journey, set_items, set_log
from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.dataset import build_dataset
from kuapin.encoding.items import cached_vectors
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import difference_interval, interval
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.splits import Temporal, temporal
from kuapin.pipeline.assess import assess
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.reranker import Reranker
from kuapin.ranking.safety import BLOCK, DECISION, PENALTY, SafetyConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.selection import one_after_another
from kuapin.retrieval.source import Visible
from kuapin.text.template import render

SHOP = "amazon18_office_industrial_timed"
ENGLISH = (
    SHOP,
    "amazon14_bundles",
    "amazon18_arts_office",
    "amazon14_beauty_sports",
    "amazon23_small_24cat",
    "online_retail_uk",
    "hm_sample",
)
CHINESE = ("litemall_yanxuan_zh", "tmall_double11_beauty_zh", "taobao_titles_ner_zh")
PLANTED = Path(__file__).parent / "planted.toml"
NO_LABELS = pl.DataFrame(schema={c.ITEM_ID: pl.String, c.TASK: pl.String, c.LABEL: pl.String})
K = 10


def planted_titles(part: str, language: str) -> list[str]:
    """All listings of a part of ``planted.toml``: every thing in every frame."""
    tables = tomllib.loads(PLANTED.read_text(encoding="utf-8"))
    things = [thing for group in tables[part][language].values() for thing in group]
    return [frame.format(thing) for frame in tables["frames"][language] for thing in things]


def titles_of(folder: Path) -> list[str]:
    """The distinct titles of a set."""
    items = pl.read_parquet(folder / "items.parquet")
    return sorted(title for title in items[c.TITLE].drop_nulls().unique() if title.strip())


def decided(titles: list[str], config: Config, name: str) -> pl.DataFrame:
    """The decisions on titles as a catalogue of their own."""
    frame = pl.DataFrame({c.ITEM_ID: [str(k) for k in range(len(titles))], c.TITLE: titles})
    folder = cache_folder() / "safety"
    folder.mkdir(parents=True, exist_ok=True)
    encoder = open_encoder(config.encoding, folder / "encoders", titles)
    read = config.text.model_copy(update={"template": "{title}", "title_weight": 0.0})
    vectors = cached_vectors(encoder, read, titles, folder)
    print(f"{name}: {len(titles):,} titles encoded", flush=True)
    return assess(frame, NO_LABELS, encoder, config.model_copy(update={"text": read}), vectors, folder)


def shares(found: Mapping[str, tuple[int, pl.DataFrame]]) -> dict[str, Figure]:
    """Per set: the real titles blocked and put lower, and the planted ones, whose rows come last."""
    figures, real, blocked = {}, 0, 0
    for name, (n_planted, decisions) in found.items():
        mine = decisions.head(decisions.height - n_planted)
        wrong = int((mine[DECISION] == BLOCK).sum())
        real, blocked = real + mine.height, blocked + wrong
        figures[f"{name}.false_blocks"] = Figure(wrong / max(mine.height, 1))
        figures[f"{name}.titles"] = Figure(float(mine.height), unit="titles")
        figures[f"{name}.real_penalised"] = Figure(int((mine[PENALTY] > 0).sum()) / max(mine.height, 1))
        if n_planted:
            bad = decisions.tail(n_planted)
            figures[f"{name}.planted"] = Figure(float(n_planted), unit="listings")
            stopped = bad[DECISION] == BLOCK
            figures[f"{name}.planted_blocked"] = Figure(int(stopped.sum()) / n_planted)
            figures[f"{name}.planted_caught"] = Figure(int((stopped | (bad[PENALTY] > 0)).sum()) / n_planted)
    figures["false_blocks"] = Figure(blocked / max(real, 1))
    figures["titles"] = Figure(float(real), unit="titles")
    return figures


def in_lists(folder: Path, part: str, seed: int, config: Config) -> dict[str, Figure]:
    """Planted items in the lists of a shop that sells them, with and without safety, and what safety costs."""
    rng = np.random.default_rng(seed)
    items = set_items(pl.read_parquet(folder / "items.parquet"))
    log = set_log(pl.read_parquet(folder / "interactions.parquet"))
    titles = planted_titles(part, "en")
    model = rng.choice(items.height, len(titles), replace=False)
    ids = pl.Series(c.ITEM_ID, [f"planted {k}" for k in range(len(titles))])
    twins = items[model].with_columns(ids, pl.Series(c.TITLE, titles), shelf=pl.lit(None))
    name_of = dict(zip(items[c.ITEM_ID].gather(model), twins[c.ITEM_ID], strict=True))
    copied = log.filter(pl.col(c.ITEM_ID).is_in(list(name_of))).with_columns(pl.col(c.ITEM_ID).replace(name_of))
    everything = pl.concat([items, twins.select(items.columns)], how="vertical_relaxed")
    data = DataSet(f"{folder.name} planted", everything, build_dataset(everything, pl.concat([log, copied])))
    split, catalogue = temporal(data.dataset, seed=seed), data.dataset.catalogue
    store = cache_folder() / "safety"
    texts = render(everything, config.text)
    vectors = data.vectors()
    visible = Visible(catalogue, split.visible, vectors, split.cut, texts)
    recommender = fit_live(
        visible, signals=SignalsConfig(), ranking=RankingConfig(seed=seed), live=LiveConfig(seed=seed)
    ).recommender
    encoder = open_encoder(config.encoding, store / "encoders", texts.to_list())
    decisions = assess(everything, NO_LABELS, encoder, config, vectors, store)
    is_planted = np.arange(len(catalogue)) >= items.height
    plain = Reranker(recommender, catalogue)
    safe = replace(
        plain,
        blocked=(decisions[DECISION] == BLOCK).to_numpy(),
        penalty=decisions[PENALTY].to_numpy().astype(np.float64),
    )
    facts = ItemFacts.from_visible(split.visible, catalogue.category)
    answers = split.test.answers.keep(~is_planted[split.test.answers.items])
    asked = np.flatnonzero(answers.lengths > 0)
    figures, ndcg = {}, {}
    for name, reranker in (("without", plain), ("with", safe)):
        found = one_after_another([one.found for _, one in reranker.ranked(split.test.queries, K)])
        lists = Ranked.from_flat(found.indptr, found.items, K)
        bad = is_planted[lists.items] & (lists.items >= 0)
        share = interval(bad.sum(axis=1) / np.maximum((lists.items >= 0).sum(axis=1), 1))
        figures[f"{name}.shown_share"] = Figure(share.value, share.low, share.high)
        in_any = np.unique(lists.items[bad])
        figures[f"{name}.planted_shown"] = Figure(len(in_any) / max(int(is_planted.sum()), 1))
        judged = evaluate(lists.take(asked), Answers.from_histories(answers.select(asked)), facts, ["ndcg@10"])
        ndcg[name] = judged.users["ndcg@10"]
        mean = interval(ndcg[name])
        figures[f"{name}.ndcg"] = Figure(mean.value, mean.low, mean.high)
    figures["cost"] = cost_of(recommender, data, split, decisions, is_planted, facts)
    figures["users"] = Figure(float(len(split.test)), unit="users")
    return figures


def cost_of(
    recommender: Recommender,
    data: DataSet,
    split: Temporal,
    decisions: pl.DataFrame,
    is_planted: np.ndarray,
    facts: ItemFacts,
) -> Figure:
    """NDCG@10 of real items where nothing is planted among the candidates: what safety costs by itself, paired."""
    catalogue, real = data.dataset.catalogue, np.flatnonzero(~is_planted)
    answers = split.test.answers.keep(~is_planted[split.test.answers.items])
    asked = np.flatnonzero(answers.lengths > 0)
    blocked = (decisions[DECISION] == BLOCK).to_numpy()
    penalty = decisions[PENALTY].to_numpy().astype(np.float64)
    values = []
    for reranker in (
        Reranker(recommender, catalogue),
        Reranker(recommender, catalogue, blocked=blocked, penalty=penalty),
    ):
        found = one_after_another([one.found for _, one in reranker.ranked(split.test.queries.select(asked), K, real)])
        lists = Ranked.from_flat(found.indptr, found.items, K)
        judged = evaluate(lists, Answers.from_histories(answers.select(asked)), facts, ["ndcg@10"])
        values.append(judged.users["ndcg@10"])
    change = difference_interval(values[1], values[0])
    return Figure(change.value, change.low, change.high)


def cost_on_the_grocer(config: Config, seed: int) -> dict[str, Figure]:
    """What safety costs on Complete Journey, where nothing is planted."""
    shop = live_shop(None, seed=seed)
    store = cache_folder() / "safety"
    encoder = open_encoder(config.encoding, store / "encoders", shop.data.texts().to_list())
    decisions = assess(shop.data.items, NO_LABELS, encoder, config, shop.vectors, store)
    nothing = np.zeros(len(shop.catalogue), np.bool_)
    cost = cost_of(shop.recommender, shop.data, shop.split, decisions, nothing, shop.facts)
    penalised = int((decisions[PENALTY] > 0).sum()) / decisions.height
    blocked = int((decisions[DECISION] == BLOCK).sum()) / decisions.height
    return {
        "complete_journey.cost": cost,
        "complete_journey.items_penalised": Figure(penalised),
        "complete_journey.items_blocked": Figure(blocked),
    }


def main() -> None:
    """Measure, print, write ``results/safety.json``."""
    options = {"--development": {"action": "store_true", "help": "the listings that the bounds were chosen on"}}
    arguments = parse_arguments(__doc__, options=options)
    seed = (arguments.seeds or (0,))[0]
    part = "development" if arguments.extra.development else "reported"
    config = Config()
    config = config.model_copy(update={"safety": SafetyConfig()})
    chinese = config.model_copy(update={"encoding": EncodingConfig(backbone="e5")})
    sets = [arguments.folder] if arguments.folder else [data_folder() / name for name in ENGLISH]
    found: dict[str, tuple[int, pl.DataFrame]] = {}
    for folder in sets[:1] if arguments.quick else sets:
        planted = planted_titles(part, "en") if folder == sets[0] else []
        found[folder.name] = len(planted), decided(titles_of(folder) + planted, config, folder.name)
    if not arguments.quick and arguments.folder is None:
        grocer = sorted(set(complete_journey().items[c.TITLE].drop_nulls()))
        found["complete_journey"] = 0, decided(grocer, config, "complete_journey")
        for name in CHINESE:
            planted = planted_titles(part, "zh") if name == CHINESE[-1] else []
            found[name] = len(planted), decided(titles_of(data_folder() / name) + planted, chinese, name)
    figures = shares(found) | in_lists(sets[0], part, seed, config)
    if not arguments.quick and arguments.folder is None:
        figures |= cost_on_the_grocer(config, seed)
    figures["shown_share"] = figures["with.shown_share"]
    print_table("Safety", ["set", "titles"], [[name, one.height] for name, (_, one) in found.items()])
    suffix = "_development" if arguments.extra.development else ""
    write_result(f"safety{suffix}", figures, seeds=[seed], quick=arguments.quick, extra={"part": part})


if __name__ == "__main__":
    main()
