"""What an encoder carries from its pre-training into a shop: who is near, and which words move what is near.

Everything is told by the ten nearest titles, by the encoder that the shop has and by a tuned one, on the same titles:
whose places they are (brands by size, prices by level), how many of them stay when a word for a gender or a region is
put in the place of another (a correspondence test on texts; Kiritchenko and Mohammad 2018, arXiv:1805.04508), and how
often titles of harmful things, planted among the shop's, are near a title of the shop.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.encoding.items import cached_vectors
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import Interval, difference_interval, interval
from kuapin.evaluation.ranked import ItemFacts, Ranked
from kuapin.pipeline.report_exposure import exposures
from kuapin.progress import SILENT, Progress
from kuapin.ranking.safety import example_titles, languages_of
from kuapin.text.template import TextConfig, render_titles
from kuapin.workspace import Shop

WORDS = "swapped_words.toml"
NEAR = 10
SAMPLED = 20_000
"""Items of a greater catalogue that are looked at, drawn at random."""
ASKED = 1_000
"""Titles, at most, whose neighbours are looked at; of each kind of words, too."""
LEAST = 10
"""Fewer titles than that say nothing about a kind of words."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Carried:
    """One figure, before and after.

    Attributes:
        what: in words.
        titles: by which it is told.
        before: mean with its interval over titles.
        after: the same.
        change: after minus before, paired.
    """

    what: str
    titles: int
    before: Interval
    after: Interval
    change: Interval


@dataclass(frozen=True)
class Share:
    """Whose places there are.

    Attributes:
        group: such as ``small brands``.
        before: share of the places, by the encoder that the shop has.
        after: by the tuned one.
        items: share of the titles looked at.
    """

    group: str
    before: float
    after: float
    items: float


@dataclass(frozen=True)
class EncoderAudit:
    """What the encoder carries.

    Attributes:
        exposure: shares of the places by brand size and price level; empty where the shop has neither, and where it
            has too few titles to look at.
        swaps: kind of words → share of the nearest titles that stay.
        planted: share of the places that harmful titles take; ``None``: there is no list in the shop's languages.
        planted_share: their share of the titles looked at.
    """

    exposure: tuple[Share, ...]
    swaps: tuple[Carried, ...]
    planted: Carried | None
    planted_share: float


def audit(shop: Shop, dataset: Dataset, after: str, seed: int = 0, progress: Progress = SILENT) -> EncoderAudit:
    """Look at a shop's titles through the encoder of its configuration, and a tuned one.

    Args:
        shop: whose encoder, and whose settings of texts.
        dataset: its items and log.
        after: the tuned one's folder.
        seed: of the draw of titles.
        progress: told of the encoding.
    """
    titles = render_titles(dataset.catalogue.frame, shop.config.text)
    rng = np.random.default_rng([seed, 31])
    distinct = np.flatnonzero((titles.is_first_distinct() & (titles != "")).to_numpy())
    rows = np.sort(rng.permutation(distinct)[:SAMPLED])
    own = titles.gather(rows.tolist())
    if len(own) <= NEAR:
        return EncoderAudit((), (), None, 0.0)
    names, languages = own.to_list(), languages_of(own)
    changed = {kind: _some(found, rng) for kind, found in swapped(names, languages).items() if len(found) >= LEAST}
    harmful = sorted(set(example_titles(languages)[0]) - set(names))
    asked = np.sort(rng.permutation(len(names))[:ASKED])
    texts = [*names, *harmful, *(text for found in changed.values() for text in found.values())]
    has = shop.config.encoding
    tuned = has.model_copy(update={"backbone": after})
    looked = [_near(shop, encoding, texts, len(names), progress) for encoding in (has, tuned)]
    swaps, start = [], len(names) + len(harmful)
    for kind, found in changed.items():
        places = np.arange(start, start + len(found))
        kept = [one.kept(np.array(list(found)), places) for one in looked]
        swaps.append(_carried(kind, *kept))
        start += len(found)
    bad = np.arange(len(names), len(names) + len(harmful))
    taken = [one.share_of(bad, asked) for one in looked]
    return EncoderAudit(
        _exposed(dataset, rows, asked, looked),
        tuple(swaps),
        _carried("harmful titles", *taken) if harmful else None,
        len(harmful) / (len(names) + len(harmful)),
    )


@dataclass(frozen=True)
class Neighbourhood:
    """Titles as one encoder sees them.

    Attributes:
        vectors: float32 (n, d), of all texts, unit length about the mean of the shop's own titles.
        own: how many of them, the first, are the shop's.
    """

    vectors: Vectors
    own: int

    def nearest(self, queries: Vectors, own: NDArray[np.integer], among: NDArray[np.integer]) -> NDArray[np.int32]:
        """The nearest titles other than a query's own, int32 (q, NEAR), in no order.

        Args:
            queries: float32 (q, d).
            own: int (q,), the title that each is of.
            among: int (m,), places of those that may be found.
        """
        out = np.empty((len(queries), NEAR), np.int32)
        for start in range(0, len(queries), 256):
            part = slice(start, start + 256)
            cosine = queries[part] @ self.vectors[among].T
            cosine[own[part][:, None] == among[None, :]] = -np.inf
            out[part] = among[np.argpartition(-cosine, NEAR - 1, axis=1)[:, :NEAR]]
        return out

    def kept(self, rows: NDArray[np.integer], changed: NDArray[np.integer]) -> NDArray[np.float64]:
        """Share of the nearest of each title that are the nearest of its changed text as well, float64 (q,)."""
        among = np.arange(self.own)
        right, found = (self.nearest(self.vectors[places], rows, among) for places in (rows, changed))
        return np.array([len(np.intersect1d(a, b)) / NEAR for a, b in zip(right, found, strict=True)])

    def share_of(self, bad: NDArray[np.integer], asked: NDArray[np.integer]) -> NDArray[np.float64]:
        """Share of the nearest of each title that are some others, planted among the shop's, float64 (q,)."""
        among = np.concatenate([np.arange(self.own), bad])
        return np.asarray((self.nearest(self.vectors[asked], asked, among) >= self.own).mean(axis=1))


def _near(shop: Shop, encoding: EncodingConfig, texts: list[str], own: int, progress: Progress) -> Neighbourhood:
    encoder = open_encoder(encoding, shop.vectors / "encoders", texts, progress)
    alone = TextConfig(template="{title}", title_weight=0, max_characters=shop.config.text.max_characters)
    vectors = cached_vectors(encoder, alone, texts, shop.vectors, progress)
    centred = vectors - vectors[:own].mean(axis=0)
    return Neighbourhood(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9), own)


def _exposed(
    dataset: Dataset, rows: NDArray[np.integer], asked: NDArray[np.integer], looked: list[Neighbourhood]
) -> tuple[Share, ...]:
    facts = ItemFacts.from_visible(dataset.histories, dataset.catalogue.category, rows.astype(np.int32))
    nobody = dataset.histories.select(np.empty(0, np.int64))
    found = [_shares(one, dataset, rows, asked, facts, nobody) for one in looked]
    return tuple(Share(name, found[0][name][0], shown, items) for name, (shown, items) in found[1].items())


def _shares(
    one: Neighbourhood,
    dataset: Dataset,
    rows: NDArray[np.integer],
    asked: NDArray[np.integer],
    facts: ItemFacts,
    nobody: Histories,
) -> dict[str, tuple[float, float]]:
    near = one.nearest(one.vectors[asked], asked, np.arange(one.own))
    lists = Ranked(rows[near].astype(np.int32))
    return {group.name: (group.shown, group.items) for group in exposures(lists, nobody, dataset.catalogue, facts)}


def _carried(what: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> Carried:
    return Carried(what, len(before), interval(before), interval(after), difference_interval(after, before))


def _some(found: Mapping[int, str], rng: np.random.Generator) -> dict[int, str]:
    places = list(found)
    return {places[k]: found[places[k]] for k in sorted(rng.permutation(len(places))[:ASKED])}


def swapped(titles: list[str], languages: tuple[str, ...]) -> dict[str, dict[int, str]]:
    """Titles with a word of a kind, written with its counterparts: kind → place → text.

    Args:
        titles: of the shop.
        languages: whose words are looked for.
    """
    out: dict[str, dict[int, str]] = {}
    for language in languages:
        for kind, pattern, other in _kinds(language):
            for place, title in enumerate(titles):
                text = pattern.sub(_replacement(other), title)
                if text != title:
                    out.setdefault(kind, {}).setdefault(place, text)
    return out


def _replacement(other: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: _cased(match[0], other[match[0].lower()])


def _cased(was: str, word: str) -> str:
    return word.upper() if was.isupper() and len(was) > 1 else word.capitalize() if was[:1].isupper() else word


@cache
def _words() -> dict[str, dict[str, list[tuple[str, str]]]]:
    tables: dict[str, dict[str, list[tuple[str, str]]]] = tomllib.loads(
        resources.files("kuapin.pipeline").joinpath(WORDS).read_text(encoding="utf-8")
    )
    return tables


def _kinds(language: str) -> Iterator[tuple[str, re.Pattern[str], dict[str, str]]]:
    for kind, pairs in _words()[language].items():
        other = {a: b for pair in pairs for a, b in (tuple(pair), tuple(reversed(pair)))}
        longest = sorted(other, key=len, reverse=True)
        edge = r"\b" if longest[0].isascii() else ""  # scripts without spaces have no edges of words
        yield kind, re.compile(f"{edge}(?:{'|'.join(map(re.escape, longest))}){edge}", re.IGNORECASE), other
