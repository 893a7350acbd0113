"""Reasons in words, for all surfaces; a language has a file of its own.

What is said of a product is found in ``reasons.py``, of other rows by their surface.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from kuapin.ranking.chinese import Chinese
from kuapin.ranking.english import English

Language = Literal["en", "zh"]


class ReasonsConfig(BaseModel):
    """How reasons are given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Language = Field("en", description="Of the sentences; codes are the same in all.")


class Phrases(Protocol):
    """The sentences of one language. ``event`` is an event's name, empty where it is not known; ``n`` counts from 1."""

    def repeat(self, event: str, n: int) -> str:
        """The user did this with the item so often."""

    def brand(self, brand: str, n: int) -> str:
        """He met so many other items of its brand."""

    def similar(self, title: str | None, event: str) -> str:
        """It reads like an item that he did this with; ``None``: like several."""

    def together(self, title: str | None, event: str) -> str:
        """Others met it who met the item that he did this with; ``None``: several."""

    def next(self, title: str | None, event: str) -> str:
        """It often comes after the item that he did this with; ``None``: after several."""

    def category(self, leaf: str, beside: str | None, n: int) -> str:
        """Its shelf goes with another one that he met, or he met so many other items of it; 0: neither is known."""

    def path(self, kind: str | None, thing: str | None, title: str | None, event: str) -> str:
        """A relation leads to it from an item that he did this with, or both have a thing of this kind.

        ``kind`` ``None``: by several steps; ``title`` ``None``: from several items.
        """

    def both(self, title: str, other: str, more: int) -> str:
        """Two titles and so many more, as part of a sentence."""

    def taste(self, title: str | None, event: str) -> str:
        """People with histories like his met it; the item that makes them alike, ``None``: none alone does."""

    def popular(self, n: int) -> str:
        """So many people met it."""

    def new(self) -> str:
        """Nobody met it."""

    def rule(self, name: str) -> str:
        """A rule of the shop placed it."""

    def goes_with(self, title: str) -> str:
        """A relation of the shop says that it completes an item of the basket."""

    def bought_with(self, title: str, lift: float | None) -> str:
        """It is bought with an item of the basket, so many times as often as by chance; ``None``: about as often."""

    def shelves(self, leaf: str, other: str) -> str:
        """Its shelf is bought with a shelf of the basket."""

    def reads_with(self, title: str) -> str:
        """What reads like it is bought with what reads like an item of the basket."""

    def baskets(self, n: int) -> str:
        """It was in so many baskets."""

    def also(self, brand: str | None, leaf: str | None) -> str:
        """It has the brand, the shelf, or both of the item that it could stand in for."""

    def same_words(self, words: Sequence[str]) -> str:
        """Both titles have these words."""

    def same_people(self) -> str:
        """The same people met both."""

    def alike(self) -> str:
        """Both texts are near."""

    def offer_bought(self, items: int, times: int) -> str:
        """He bought so many items of an offer, so often."""

    def offer_shelves(self) -> str:
        """He buys from the shelves of an offer."""

    def offer_brands(self) -> str:
        """He buys the brands of an offer."""

    def offers_used(self, n: int) -> str:
        """He used so many offers."""

    def offer(self, title: str | None) -> str:
        """An offer by its title; ``None``: it has none."""

    def until(self, said: str, day: date) -> str:
        """What was said of an offer, and its last day."""

    def growth(self, ratio: float, low: float, high: float, weeks: int) -> str:
        """So many times what was expected, its interval, and for how many weeks; 0: not known."""

    def level(self, third: int, said: str) -> str:
        """Low, middle or high prices (0 to 2), and what is said of them."""

    def gap(self, days: float) -> str:
        """Once in so many days."""

    def of_history(self, n: int, total: int, usual: float) -> str:
        """So many of all interactions; of all people's it is this share."""

    def of_searches(self, n: int, total: int) -> str:
        """In so many of all searches."""

    def latest(self, events: Sequence[str]) -> str:
        """Behind such a sentence: the latest of the events, each with its time."""

    def event(self, name: str, when: datetime) -> str:
        """One of them: an item or a search, and its time."""

    def gaps(self, usual: float, n: int, least: int, most: int) -> str:
        """Once in so many days, the median of so many gaps, of so many days at least and at most."""

    def due(self, n: int, gap: float, waited: float) -> str:
        """Bought on so many days, once in so many days; so many days ago for the last time."""


PHRASES: dict[Language, Phrases] = {"en": English(), "zh": Chinese()}
