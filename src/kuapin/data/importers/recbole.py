"""RecBole atomic files: tab-separated, every header ``name:type`` with type token, token_seq, float or float_seq.

``.inter`` holds interactions, ``.item`` items, ``.user`` users, ``.kg`` relations between entities; a ``.link`` file
beside the ``.kg`` file says which entity is which item. Interactions are ratings where there is a rating, else views.
"""

from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.importers.format import Imported, Sources, one_each, renamed
from kuapin.data.readers import read_table
from kuapin.errors import InputError

NAME = "recbole"

_KIND = "atomic"
_SUFFIXES = {c.INTERACTIONS: ".inter", c.ITEMS: ".item", c.USERS: ".user", c.RELATIONS: ".kg"}
_TITLES = ("title", "name", "item_name", "movie_title", "product_name")
_CATEGORIES = ("category", "categories", "class", "genre", "genres")
_NAMES = {
    c.INTERACTIONS: {"rating": c.VALUE},
    c.ITEMS: dict.fromkeys(_TITLES, c.TITLE) | dict.fromkeys(_CATEGORIES, c.CATEGORY),
    c.RELATIONS: {"head_id": c.HEAD, "relation_id": c.RELATION, "tail_id": c.TAIL},
}


def detect(sources: Sources) -> bool:
    """Whether a file is named as an atomic file."""
    return any(_suffix(path) in _SUFFIXES.values() for path in sources.values())


def files(sources: Sources) -> dict[str, tuple[Path, ...]]:
    """The named files, and the ``.link`` file beside a ``.kg`` file."""
    found = one_each(sources)
    link = _link(sources)
    if link is not None:
        found[c.RELATIONS] = (sources[c.RELATIONS], link)
    return found


def read(sources: Sources) -> Imported:
    """Every atomic file under our names.

    Raises:
        InputError: a file is of another table than it was given for, or a header has no type.
    """
    tables, names = {}, {}
    for table, path in sources.items():
        if table not in _SUFFIXES:
            raise InputError(f"{path.name}: RecBole has no file for {table}. Import it on its own with --format plain.")
        if _suffix(path) != _SUFFIXES[table]:
            raise InputError(f"{path.name}: the {table} of RecBole are in a {_SUFFIXES[table]} file. Give that file.")
        frame, types = _typed(path)
        frame, names[table] = renamed(frame, _first_of_each(frame, _NAMES.get(table, {})))
        tables[table] = _shaped(table, frame, types)
    link = _link(sources)
    if link is not None:
        tables[c.RELATIONS] = _with_items(tables[c.RELATIONS], link)
    return Imported(tables, names)


def _suffix(path: Path) -> str:
    return next((suffix for suffix in reversed(path.suffixes) if suffix not in (".gz", ".gzip")), "")


def _link(sources: Sources) -> Path | None:
    if c.RELATIONS not in sources:
        return None
    path = sources[c.RELATIONS]
    beside = path.with_name(path.name.replace(".kg", ".link"))
    return beside if beside != path and beside.is_file() else None


def _typed(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The cells of an atomic file, and the type of every column."""
    frame = read_table(path, kind=_KIND)
    types = {}
    for header in frame.columns:
        name, separator, kind = header.rpartition(":")
        if not separator:
            raise InputError(f"{path.name} line 1: the column {header} has no type. Write name:token or name:float.")
        types[name] = kind
    frame.columns = list(types)
    numbers = [frame[name].cast(pl.Float64, strict=False) for name, kind in types.items() if kind == "float"]
    return frame.with_columns(read for read in numbers if read.null_count() == frame[read.name].null_count()), types


def _first_of_each(frame: pl.DataFrame, names: dict[str, str]) -> dict[str, str]:
    """Of several columns that mean the same, only the first is renamed."""
    chosen: dict[str, str] = {}
    for theirs, ours in names.items():
        if theirs in frame.columns and ours not in chosen.values():
            chosen[theirs] = ours
    return chosen


def _shaped(table: str, frame: pl.DataFrame, types: dict[str, str]) -> pl.DataFrame:
    if table == c.INTERACTIONS and c.EVENT not in frame.columns:
        return frame.with_columns(pl.lit("rating" if c.VALUE in frame.columns else "view").alias(c.EVENT))
    if table == c.ITEMS and c.CATEGORY in frame.columns:
        sequence = any(types.get(name) == "token_seq" for name in _CATEGORIES)
        return frame.with_columns(_path(frame[c.CATEGORY]) if sequence else frame[c.CATEGORY])
    return frame


def _path(tokens: pl.Series) -> pl.Series:
    """A sequence of tokens as a category path: quoted steps, or steps without spaces."""
    quoted = tokens.str.extract_all(r"'[^']+'|\"[^\"]+\"").list.eval(pl.element().str.slice(1).str.head(-1))
    words = tokens.str.extract_all(r"[^\s,\[\]]+")
    steps = words.zip_with((quoted.list.len() == 0).fill_null(value=True), quoted)
    return steps.list.join(c.CATEGORY_SEPARATOR).replace("", None)


def _with_items(relations: pl.DataFrame, link: Path) -> pl.DataFrame:
    """Entities that are items under their item ids."""
    linked, _ = _typed(link)
    item_of = dict(zip(linked["entity_id"], linked[c.ITEM_ID], strict=True))
    return relations.with_columns(relations[name].replace(item_of) for name in (c.HEAD, c.TAIL))
