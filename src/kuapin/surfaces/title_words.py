"""The words of titles and of searches that surfaces name."""

import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.retrieval.sources.lexical import words
from kuapin.text.unspaced import IDEOGRAMS, substrings, unspaced_words


def title_words(catalogue: Catalogue) -> pl.DataFrame:
    """Words of three letters and more, no numbers, and words of two to four Chinese characters: ``row``, ``word``."""
    frame = catalogue.frame
    titles = frame[c.TITLE].fill_null("") if c.TITLE in frame.columns else pl.repeat("", frame.height, eager=True)
    spaced = words(titles).filter(pl.col("word").str.len_chars() > 2, ~pl.col("word").str.contains(r"^\p{N}+$"))
    return pl.concat([spaced, unspaced_words(titles)])


def query_words(queries: pl.Series, known: pl.Series) -> pl.DataFrame:
    """Words of searches, of what is written without spaces those that are known: ``row``, ``word``."""
    spaced = words(queries).filter(~pl.col("word").str.contains(IDEOGRAMS))
    return pl.concat([spaced, substrings(queries).filter(pl.col("word").is_in(known.implode()))])
