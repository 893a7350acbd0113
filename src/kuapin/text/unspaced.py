"""Words of texts that are written without spaces, found by what stands beside them; no dictionary."""

import numpy as np
import polars as pl

IDEOGRAMS = r"[\p{Han}\p{Hiragana}\p{Katakana}]+"
LONGEST = 4
"""Characters of a word at most, and two at least."""
FEWEST_TEXTS = 3
COHESION = 20.0
"""How many times as often as by chance the parts of a word stand together, cut where this is least."""
FREEDOM = 1.0
"""Entropy (nats) of the characters before a word, and of those behind it: part of a longer word has one neighbour."""


def unspaced_words(texts: pl.Series) -> pl.DataFrame:
    """Words that some texts have, one row a text and word: ``row`` (uint32, of the text) and ``word``.

    What is cohesive within and free on both sides is a word; an end of a run counts as a neighbour of its own
    (Gu 2012, "word discovery in the age of the internet", matrix67.com).
    """
    table = _cut(texts, 1)
    counts = table.group_by("word").agg(pl.len().cast(pl.Int64).alias("n"), pl.col("row").n_unique().alias("texts"))
    found = counts.filter(pl.col("word").str.len_chars() > 1, pl.col("texts") >= FEWEST_TEXTS)
    table = table.join(found, on="word", how="semi")
    for side in ("before", "after"):
        found = found.join(_freedom(table, side), on="word")
    times = counts["n"].filter(counts["word"].str.len_chars() == 1).sum()
    chance = [
        pl.col("word").str.head(k).replace_strict(counts["word"], counts["n"], default=None)
        * pl.col("word").str.slice(k).replace_strict(counts["word"], counts["n"], default=None)
        for k in range(1, LONGEST)
    ]
    cohesive = pl.col("n") * times >= COHESION * pl.max_horizontal(chance)
    kept = found.filter(cohesive, pl.min_horizontal("before", "after") >= FREEDOM)
    return table.select("row", "word").join(kept, on="word", how="semi").unique()


def substrings(texts: pl.Series) -> pl.DataFrame:
    """All that may be a word, of a dictionary at hand: ``row`` and ``word`` as in ``unspaced_words``."""
    return _cut(texts, 2).select("row", "word").unique()


def _cut(texts: pl.Series, shortest: int) -> pl.DataFrame:
    """Every part of a run, with the characters before and after it; null: the run's end."""
    frame = pl.DataFrame({"row": np.arange(len(texts), dtype=np.uint32), "text": texts})
    runs = frame.select("row", run=pl.col("text").str.extract_all(IDEOGRAMS)).explode("run").drop_nulls()
    letters = runs.with_row_index("run_id").select("row", "run_id", letter=pl.col("run").str.extract_all("."))
    letters = letters.explode("letter")
    letters = letters.with_columns(
        pl.col("letter").shift(-k).over("run_id").alias(str(k)) for k in range(-1, LONGEST + 1)
    )
    parts = [
        letters.select(
            "row",
            word=pl.concat_str([str(k) for k in range(length)]),
            before=pl.col("-1"),
            after=pl.col(str(length)),
        )
        for length in range(shortest, LONGEST + 1)
    ]
    return pl.concat(parts).drop_nulls("word")


def _freedom(table: pl.DataFrame, side: str) -> pl.DataFrame:
    """Entropy of what stands on one side of every word."""
    each, n = table.group_by("word", side).len("n"), pl.col("n")
    total = n.sum().over("word")
    ends = pl.col(side).is_null()
    told = pl.when(ends).then(n / total * total.log()).otherwise(n / total * (total / n).log())
    return each.select("word", told.alias(side)).group_by("word").agg(pl.col(side).sum())
