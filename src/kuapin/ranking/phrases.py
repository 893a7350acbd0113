"""Reasons in words, one class a language; what is said of a row is found in ``reasons.py``."""

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

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


class English:
    """English sentences."""

    done = {  # noqa: RUF012
        "view": "viewed",
        "click": "clicked on",
        "cart": "added to the cart",
        "purchase": "bought",
        "favourite": "marked",
        "share": "shared",
        "rating": "rated",
        "review": "reviewed",
        "redeem": "redeemed",
    }

    def repeat(self, event: str, n: int) -> str:
        """Bought twice before."""
        often = "once" if n == 1 else "twice" if n == 2 else f"{n:,} times"
        return f"{self._did(event).capitalize()} {often} before"

    def brand(self, brand: str, n: int) -> str:
        """By Ada, of which another item was met before."""
        return f"By {brand}, {self._met(n)}"

    def similar(self, title: str | None, event: str) -> str:
        """Reads like Rose soap, bought before."""
        return self._with("Reads like", title, event) or "Reads like what was met before"

    def together(self, title: str | None, event: str) -> str:
        """People also met Rose soap, bought before."""
        return self._with("People also met", title, event) or "People met it with items of yours"

    def category(self, leaf: str, beside: str | None, n: int) -> str:
        """From Beauty > Soap, which goes with Home > Candles."""
        why = f", which goes with {beside}" if beside is not None else f", {self._met(n)}" if n else ""
        return f"From {leaf}{why}"

    def path(self, kind: str | None, thing: str | None, title: str | None, event: str) -> str:
        """Compatible with: Rose soap, bought before; or: Like Rose soap, bought before: socket is E27."""
        of = "what was met before" if title is None else f"{title}, {self._did(event)} before"
        if kind is None or title is None:
            return f"Has much in common with {of}"
        said = kind.replace("_", " ").strip()
        return f"{said.capitalize()}: {of}" if thing is None else f"Like {of}: {said} {thing}"

    def both(self, title: str, other: str, more: int) -> str:
        """Rose soap and Oak lamp and one more."""
        return f"{title} and {other}" + (f" and {'one' if more == 1 else more} more" if more else "")

    def taste(self, title: str | None, event: str) -> str:
        """Met by people who like such things as Rose soap, bought before."""
        return self._with("Met by people who like such things as", title, event) or "Met by people of like taste"

    def popular(self, n: int) -> str:
        """Met by 12 people."""
        return f"Met by {n:,} {'person' if n == 1 else 'people'}"

    def new(self) -> str:
        """New: nobody has met it yet."""
        return "New: nobody has met it yet"

    def rule(self, name: str) -> str:
        """Placed by the shop's rule “spring”."""
        return f"Placed by the shop's rule “{name}”"

    def _did(self, event: str) -> str:
        return self.done.get(event, "met")

    def _met(self, n: int) -> str:
        return f"of which {'another item was' if n == 1 else f'{n:,} items were'} met before"

    def _with(self, opening: str, title: str | None, event: str) -> str | None:
        return None if title is None else f"{opening} {title}, {self._did(event)} before"


class Chinese:
    """Chinese sentences."""

    done = {  # noqa: RUF012
        "view": "浏览",
        "click": "点击",
        "cart": "加购",
        "purchase": "购买",
        "favourite": "收藏",
        "share": "分享",
        "rating": "打分",
        "review": "评价",
        "redeem": "兑换",
    }

    def repeat(self, event: str, n: int) -> str:
        """您曾购买2次 (in Chinese)."""
        return f"您曾{self._did(event)}{n}次"

    def brand(self, brand: str, n: int) -> str:
        """品牌“Ada”，您接触过该品牌的另外1件商品 (in Chinese)."""
        return f"品牌“{brand}”，您接触过该品牌的另外{n}件商品"

    def similar(self, title: str | None, event: str) -> str:
        """与您购买过的“玫瑰皂”相似 (in Chinese)."""
        return "与您接触过的商品相似" if title is None else f"与您{self._did(event)}过的“{title}”相似"

    def together(self, title: str | None, event: str) -> str:
        """选择您购买过的“玫瑰皂”的人也选择了它 (in Chinese)."""
        if title is None:
            return "选择您的商品的人也选择了它"
        return f"选择您{self._did(event)}过的“{title}”的人也选择了它"

    def category(self, leaf: str, beside: str | None, n: int) -> str:
        """来自“美妆 > 香皂”，常与“家居 > 蜡烛”搭配 (in Chinese)."""
        why = f"，常与“{beside}”搭配" if beside is not None else f"，您接触过其中另外{n}件商品" if n else ""
        return f"来自“{leaf}”{why}"

    def path(self, kind: str | None, thing: str | None, title: str | None, event: str) -> str:
        """与您购买过的“玫瑰皂”相关：socket E27 (in Chinese)."""
        of = "您接触过的商品" if title is None else f"您{self._did(event)}过的“{title}”"
        way = "" if kind is None or title is None else f"：{kind.replace('_', ' ')}" + (f" {thing}" if thing else "")
        return f"与{of}相关{way}"

    def both(self, title: str, other: str, more: int) -> str:
        """玫瑰皂”、“橡木灯 (in Chinese, to stand between quotation marks; how many more is not said)."""
        return f"{title}”、“{other}"

    def taste(self, title: str | None, event: str) -> str:
        """喜欢您购买过的“玫瑰皂”这类商品的人选择了它 (in Chinese)."""
        if title is None:
            return "与您喜好相近的人选择了它"
        return f"喜欢您{self._did(event)}过的“{title}”这类商品的人选择了它"

    def popular(self, n: int) -> str:
        """已有12人选择 (in Chinese)."""
        return f"已有{n}人选择"

    def new(self) -> str:
        """新品，尚无人选择 (in Chinese)."""
        return "新品，尚无人选择"

    def rule(self, name: str) -> str:
        """按店铺规则“春季”展示 (in Chinese)."""
        return f"按店铺规则“{name}”展示"

    def _did(self, event: str) -> str:
        return self.done.get(event, "接触")


PHRASES: dict[Language, Phrases] = {"en": English(), "zh": Chinese()}
