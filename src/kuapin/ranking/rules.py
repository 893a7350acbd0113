"""``rules.toml``: what a shop wants of every list, whatever the ranker says.

A rule is one ``[[kind]]`` table of the file. All that can be wrong without looking at the shop is found here, with file
and line; ``rule_binding.py`` finds out what the rules mean for the shop's own items and users.
"""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kuapin.errors import InputError
from kuapin.names import offered

FILE = "rules.toml"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TABLE = re.compile(r"^\s*\[\[\s*([^\]\s]+)\s*\]\]", re.MULTILINE)


def _zoned(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _hours(value: object) -> object:
    if not isinstance(value, str) or value.count("-") != 1:
        raise ValueError('hours are "22:00-06:00"')
    return tuple(time.fromisoformat(end.strip()) for end in value.split("-"))


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Moment = Annotated[datetime, AfterValidator(_zoned)]
"""A time without a zone is UTC."""
Names = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
"""One name, or a list of them."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Test(_Part):
    """A condition on one column of the items or the users table; all that is said must hold."""

    column: str
    equals: str | bool | int | float | None = None
    one_of: tuple[str | bool | int | float, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.equals is None and self.one_of is None and self.at_least is None and self.at_most is None:
            raise ValueError("a condition needs equals, one_of, at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self


class Rule(_Part):
    """What every rule may say: its name, when it holds, for which users.

    Attributes:
        name: by which answers and ``kuapin rules`` call it; unique.
        start: from when it holds (``from`` in the file).
        until: when it ends.
        users: a condition on the users table; ``None``: all users.
        line: of the file.
    """

    kind: ClassVar[str]
    name: str = ""
    start: Moment | None = Field(None, alias="from")
    until: Moment | None = None
    users: Test | None = None
    line: int = Field(0, exclude=True)

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        if self.start and self.until and self.start >= self.until:
            raise ValueError(f"from {self.start:%Y-%m-%d %H:%M} is not before until {self.until:%Y-%m-%d %H:%M}")
        return self

    def holds(self, now: datetime) -> bool:
        """Whether the rule holds at a time."""
        return (self.start is None or self.start <= now) and (self.until is None or now < self.until)

    def meets(self, other: "Rule") -> bool:
        """Whether both may hold at one time for one user."""
        apart = self.until and other.start and self.until <= other.start
        return not (apart or (other.until and self.start and other.until <= self.start))


class Which(Rule):
    """A rule on the items that meet all of its conditions; without any condition it is on all items.

    Attributes:
        items: item ids.
        category: paths, each with all that lies below it.
        brand: brands.
        price_min: lowest price; items of unknown price are not meant then.
        price_max: highest price.
        where: a condition on any column of the items table.
    """

    items: Names | None = None
    category: Names | None = None
    brand: Names | None = None
    price_min: float | None = Field(None, ge=0)
    price_max: float | None = Field(None, ge=0)
    where: Test | None = None

    @property
    def chooses(self) -> bool:
        """Whether it has a condition."""
        return any(
            one is not None
            for one in (self.items, self.category, self.brand, self.price_min, self.price_max, self.where)
        )


class _Chosen(Which):
    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        if not self.chooses:
            raise ValueError("it names no items; say items, category, brand, price_min, price_max or where")
        return self


class Exclude(_Chosen):
    """These items are not shown."""

    kind = "exclude"


class Blackout(_Chosen):
    """These items are not shown at certain times: between from and until, in some hours, on some days of the week."""

    kind = "blackout"
    hours: Annotated[tuple[time, time], BeforeValidator(_hours)] | None = None
    weekdays: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] | None = None

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if not (self.start or self.until or self.hours or self.weekdays):
            raise ValueError("it names no time; say from, until, hours or weekdays, or make it an exclude")
        return self

    def holds(self, now: datetime) -> bool:
        """Whether the items are dark at a time (UTC)."""
        clock = now.astimezone(UTC)
        if self.weekdays is not None and WEEKDAYS[clock.weekday()] not in self.weekdays:
            return False
        if self.hours is not None:
            first, last = self.hours
            inside = first <= clock.time() < last if first <= last else not (last <= clock.time() < first)
            return inside and super().holds(now)
        return super().holds(now)


class Demand(Which):
    """Items that do not meet the condition are not shown: adult content off, region, stock, margin.

    Attributes:
        must: the condition on a column of the items table.
        same_as_user: a column of both tables that must agree; a user of whom it is unknown sees all.
        unknown: whether items that do not say are shown.
    """

    kind = "demand"
    must: Test | None = None
    same_as_user: str | None = None
    unknown: Literal["show", "hide"] = "show"

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.must is None) == (self.same_as_user is None):
            raise ValueError("it needs either must or same_as_user, and not both")
        return self


class Boost(_Chosen):
    """The odds that the ranker gives these items are multiplied.

    Attributes:
        factor: above 1 they rise, below 1 they fall.
    """

    kind = "boost"
    factor: float = Field(gt=0, le=1000)


class Pin(Rule):
    """One item stands at one place of every list in which it may be shown.

    Attributes:
        item: its id.
        position: from 1; in a shorter list it is left out.
    """

    kind = "pin"
    item: str
    position: int = Field(ge=1)


class Quota(_Chosen):
    """At least or at most so many of these items in a list; at least: as far as so many may be shown."""

    kind = "quota"
    at_least: int | None = Field(None, ge=1)
    at_most: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("it needs at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}")
        return self


class Incompatible(Rule):
    """Who has one end of a relation is not shown the other."""

    kind = "incompatible"
    relation: str


class Requires(Rule):
    """An item that is the head of such a relation is shown to those alone who have one of its tails."""

    kind = "requires"
    relation: str


KINDS: dict[str, type[Rule]] = {
    one.kind: one for one in (Exclude, Blackout, Demand, Incompatible, Requires, Boost, Pin, Quota)
}
"""Table of the file → what it says."""


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file in its order, none where there is no file.

    Raises:
        InputError: it cannot be read, is not TOML, or a rule breaks the form; file and line are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Correct it, or move it away.") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: this is not TOML ({error}). Correct it, or move it away.") from error
    rules = sorted(_rules(path, text, tables), key=lambda rule: rule.line)
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in seen:
            raise InputError(f"{at(path, rule)}: line {seen[rule.name].line} has this name too. Rename one.")
        seen[rule.name] = rule
    return tuple(rules)


def at(path: Path, rule: Rule) -> str:
    """How a message begins that is about a rule."""
    return f"{path} line {rule.line}, {rule.kind} {rule.name!r}"


def _rules(path: Path, text: str, tables: dict[str, Any]) -> Iterator[Rule]:
    lines: dict[str, list[int]] = {}
    for found in _TABLE.finditer(text):
        lines.setdefault(found[1], []).append(text.count("\n", 0, found.start(1)) + 1)
    for kind, given in tables.items():
        line = _line_of(text, kind)
        if kind not in KINDS:
            raise InputError(
                f"{path} line {line}: there is no rule [[{kind}]]. {offered(kind, tuple(KINDS), 'kinds of rules')}"
            )
        if not isinstance(given, list) or len(lines.get(kind, [])) != len(given):
            raise InputError(f"{path} line {line}: every rule is a table of its own. Write [[{kind}]] above it.")
        for values, begins in zip(given, lines[kind], strict=True):
            name = values.get("name") or f"{kind}:{begins}"
            yield _rule(path, text, kind, values | {"name": name, "line": begins})


def _rule(path: Path, text: str, kind: str, values: dict[str, Any]) -> Rule:
    model = KINDS[kind]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][0]) if fault["loc"] else ""
        line = _line_of(text, key, values["line"]) if key else values["line"]
        if fault["type"] == "extra_forbidden":
            where = ".".join(map(str, fault["loc"]))
            keys = [one.alias or name for name, one in model.model_fields.items() if name != "line"]
            said = f"it has no key {where}. {offered(where, keys, f'keys of {kind}')}"
        else:
            rule = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
            said = f"{'.'.join(map(str, fault['loc'])) + ': ' if key else ''}{rule[:1].lower()}{rule[1:]}. Correct it."
        raise InputError(f"{path} line {line}, {kind} {str(values['name'])!r}: {said}") from error


def _line_of(text: str, key: str, after: int = 1) -> int:
    """The first line from ``after`` on that begins with a key or a table of that name."""
    wanted = re.compile(rf"^\s*\[*\s*\"?{re.escape(key)}\b")
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines[after - 1 :], after) if wanted.match(line)), after)
