"""The sentences of ``phrases.py`` in English."""

from collections.abc import Sequence
from datetime import date, datetime

from kuapin.counts import counted, share


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

    def next(self, title: str | None, event: str) -> str:
        """Often chosen next after Rose soap, bought before."""
        return self._with("Often chosen next after", title, event) or "Often chosen next after what was met before"

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
        """New: nobody had met it at the last training."""
        return "New: nobody had met it at the last training"

    def rule(self, name: str) -> str:
        """Placed by the shop's rule “spring”."""
        return f"Placed by the shop's rule “{name}”"

    def goes_with(self, title: str) -> str:
        """Goes with Rose soap: the shop says so."""
        return f"Goes with {title}: the shop says so"

    def bought_with(self, title: str, lift: float | None) -> str:
        """Bought together with Rose soap 2.5 times as often as chance would have it."""
        often = "" if lift is None else f" {lift:.1f} times as often as chance would have it"
        return f"Bought together with {title}{often}"

    def shelves(self, leaf: str, other: str) -> str:
        """Home > Candles is bought with Beauty > Soap."""
        return f"{leaf} is bought with {other}"

    def reads_with(self, title: str) -> str:
        """Things that read like it are bought with things like Rose soap."""
        return f"Things that read like it are bought with things like {title}"

    def baskets(self, n: int) -> str:
        """In 12 baskets."""
        return f"In {counted(n, 'basket')}"

    def also(self, brand: str | None, leaf: str | None) -> str:
        """Also by Ada, also in Beauty > Soap."""
        said = [f"also by {brand}"] * (brand is not None) + [f"also in {leaf}"] * (leaf is not None)
        return f"A{', '.join(said)[1:]}"

    def same_words(self, words: Sequence[str]) -> str:
        """Both say rose, soap."""
        return f"Both say {', '.join(words)}"

    def same_people(self) -> str:
        """Met by the same people."""
        return "Met by the same people"

    def alike(self) -> str:
        """Reads alike."""
        return "Reads alike"

    def offer_bought(self, items: int, times: int) -> str:
        """You bought 2 items that it is for, 10 times."""
        return f"You bought {counted(items, 'item')} that it is for, {counted(times, 'time')}"

    def offer_shelves(self) -> str:
        """You buy from the shelves that it is for."""
        return "You buy from the shelves that it is for"

    def offer_brands(self) -> str:
        """You buy the brands that it is for."""
        return "You buy the brands that it is for"

    def offers_used(self, n: int) -> str:
        """You used 3 offers before."""
        return f"You used {counted(n, 'offer')} before"

    def offer(self, title: str | None) -> str:
        """Roses for less."""
        return title or "Open to everybody"

    def until(self, said: str, day: date) -> str:
        """Roses for less; it ends on 2026-11-29."""
        return f"{said}; it ends on {day.isoformat()}"

    def growth(self, ratio: float, low: float, high: float, weeks: int) -> str:
        """2.5 times what was to be expected (1.9 to 3.1), for 3 weeks."""
        begun = f", for {counted(weeks, 'week')}" if weeks else ""
        return f"{ratio:.1f} times what was to be expected ({low:.1f} to {high:.1f}){begun}"

    def level(self, third: int, said: str) -> str:
        """High prices: 10 of 17 interactions (59%)."""
        return f"{('low', 'middle', 'high')[third]} prices: {said}"

    def gap(self, days: float) -> str:
        """Every 10 days."""
        return "every day" if days == 1 else f"every {days:g} days"

    def of_history(self, n: int, total: int, usual: float) -> str:
        """10 of 17 interactions (59%); of all people's 6.1%."""
        return f"{n:,} of {counted(total, 'interaction')} ({n / total:.0%}); of all people's {share(usual)}"

    def of_searches(self, n: int, total: int) -> str:
        """In 3 of 4 searches."""
        return f"in {n:,} of {counted(total, 'search', 'searches')}"

    def latest(self, events: Sequence[str]) -> str:
        """; latest: b7 (2026-03-01 14:05), b3 (2026-02-11 09:30)."""
        return f"; latest: {', '.join(events)}"

    def event(self, name: str, when: datetime) -> str:
        """b7 (2026-03-01 14:05)."""
        return f"{name} ({when:%Y-%m-%d %H:%M})"

    def gaps(self, usual: float, n: int, least: int, most: int) -> str:
        """Every 10 days, the median of 9 gaps of 5 to 12 days."""
        return f"{self.gap(usual)}, the median of {counted(n, 'gap')} of {least} to {most} days"

    def due(self, n: int, gap: float, waited: float) -> str:
        """Bought on 10 days, every 10 days; the last was 9 days ago."""
        return f"bought on {counted(n, 'day')}, {self.gap(gap)}; the last was {waited:g} days ago"

    def _did(self, event: str) -> str:
        return self.done.get(event, "met")

    def _met(self, n: int) -> str:
        return f"of which {'another item was' if n == 1 else f'{n:,} items were'} met before"

    def _with(self, opening: str, title: str | None, event: str) -> str | None:
        return None if title is None else f"{opening} {title}, {self._did(event)} before"
