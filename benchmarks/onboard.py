"""A category opens: how long ``kuapin onboard`` takes for 10,000 items, and in how much memory.

A shop of amazon18_arts_office without about 10,000 items (whole shelves of Office, drawn at random) is trained, in
little time: how well its ranker knows it makes no difference here, openings do without the user model, and the vectors
of its own items come from the benchmarks' cache. Then a fresh process opens the others as a category; all their texts
are encoded. ``seconds`` is of the whole command; ``cpu_s`` what it computed in all its threads, which on a busy machine
is the better figure; ``peak_mb`` its memory.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.harness import Figure, data_set, parse_arguments, run_fresh, write_result
from benchmarks.launch import SET
from benchmarks.sets import DataSet, load_set, set_items, set_log
from kuapin import columns as c
from kuapin.encoding.cache import VectorCache, text_key
from kuapin.encoding.items import cache_name, cached_vectors
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.pipeline.train import train
from kuapin.text.template import TextConfig, render, render_titles
from kuapin.workspace import Shop

ITEMS, NEW = 10_000, "New"
LITTLE = {"users": 100, "pruned": "false", "least_users": 1_000_000}
"""Settings by their first key of that name in ``kuapin.toml``: the ranker learns little, the user model nothing."""
COMMAND = """
import json, resource, sys, time
from kuapin import Shop
from kuapin.pipeline.onboard import onboard
started = time.perf_counter()
done = onboard(Shop.open(sys.argv[1]), sys.argv[2], sys.argv[3])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"job_s": time.perf_counter() - started, "cpu_s": used.ru_utime + used.ru_stime,
    "strategy": done.opening.strategy}), file=open(sys.argv[4], "w"))
"""


def make_shop(folder: Path, scratch: Path, seed: int, *, quick: bool) -> tuple[Shop, Path, int]:
    """A trained shop without some shelves, the file of these, and how many items it has."""
    items, log = set_items(pl.read_parquet(folder / "items.parquet")), pl.read_parquet(folder / "interactions.parquet")
    new = _shelves(items, 500 if quick else ITEMS, seed)
    opened = items.filter(new).with_columns(
        pl.concat_str(pl.lit(NEW + c.CATEGORY_SEPARATOR), pl.col(c.CATEGORY)).alias(c.CATEGORY)
    )
    rest = items.filter(~new)
    if quick:
        rest = rest.sample(min(3_000, rest.height), seed=seed)
    log = set_log(log).filter(pl.col(c.ITEM_ID).is_in(rest[c.ITEM_ID].implode()))
    kept = [name for name in (c.ITEM_ID, c.TITLE, c.CATEGORY, c.BRAND, c.PRICE) if name in items.columns]
    paths = {name: scratch / f"{name}.parquet" for name in ("new", "items", "interactions")}
    opened.select(kept).write_parquet(paths["new"])
    rest.select(kept).write_parquet(paths["items"])
    log.write_parquet(paths["interactions"])
    shop = Shop.init(scratch / "shop")
    settings = (shop.path / "kuapin.toml").read_text(encoding="utf-8")
    for key, value in LITTLE.items():
        settings = re.sub(rf"^{key} = .*$", f"{key} = {value}", settings, count=1, flags=re.MULTILINE)
    (shop.path / "kuapin.toml").write_text(settings, encoding="utf-8")
    shop.import_files(items=paths["items"], interactions=paths["interactions"])
    _lend_vectors(load_set(folder), rest, shop)
    train(shop, quick=True)
    return shop, paths["new"], opened.height


def _lend_vectors(data: DataSet, items: pl.DataFrame, shop: Shop) -> None:
    """Put the benchmarks' encoder and its vectors of these items into the shop's cache."""
    data.vectors()
    shutil.copytree(data.cache / "encoders", shop.vectors / "encoders")
    text = TextConfig()
    encoder = open_encoder(EncodingConfig(), shop.vectors / "encoders", render(data.items, text).to_list())
    for config, texts in ((text, render(items, text)), (text.title_alone, render_titles(items, text))):
        distinct = [one for one in texts.unique() if one]
        vectors = cached_vectors(encoder, config or text, distinct, data.cache)
        kept = VectorCache(shop.vectors / cache_name(encoder, config or text), encoder.dimension)
        kept.add([text_key(one) for one in distinct], vectors)


def _shelves(items: pl.DataFrame, wanted: int, seed: int) -> pl.Series:
    """Which items are on shelves drawn at random until ``wanted`` are: bool (n_items,)."""
    domain = items[c.CATEGORY].str.split(c.CATEGORY_SEPARATOR).list.first()
    last = items.filter(domain == domain.drop_nulls().unique().sort()[-1])[c.CATEGORY]
    shelves = last.value_counts(sort=True).sort(c.CATEGORY).sample(fraction=1.0, shuffle=True, seed=seed)
    drawn = shelves.filter(pl.col("count").cum_sum() <= wanted)[c.CATEGORY]
    return items[c.CATEGORY].is_in(drawn.implode()).fill_null(value=False)


def timed(folder: Path, seed: int, *, quick: bool) -> tuple[dict[str, Figure], dict[str, object]]:
    """Seconds and memory of the command."""
    with tempfile.TemporaryDirectory() as scratch:
        shop, path, items = make_shop(folder, Path(scratch), seed, quick=quick)
        said_path = Path(scratch) / "said.json"
        peak = run_fresh(COMMAND, str(shop.path), str(path), NEW, str(said_path))
        said = json.loads(said_path.read_text(encoding="utf-8"))
    figures = {
        "seconds": Figure(peak.seconds, unit="s"),
        "cpu_s": Figure(said["cpu_s"], unit="s"),
        "peak_mb": Figure(peak.mb, unit="MB"),
        "items": Figure(items),
    }
    return figures, {"strategy": said["strategy"], "job_s": said["job_s"]}


def main() -> None:
    """Measure, print, write ``onboard.json``."""
    arguments = parse_arguments(__doc__)
    folder, seed = arguments.folder or data_set(SET), (arguments.seeds or (0,))[0]
    figures, extra = timed(folder, seed, quick=arguments.quick)
    write_result("onboard", figures, seeds=[seed], quick=arguments.quick, extra={"set": folder.name, **extra})


if __name__ == "__main__":
    main()
