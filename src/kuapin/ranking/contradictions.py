"""Rules that cannot be kept together."""

from collections.abc import Iterator, Sequence

from kuapin.data.dataset import Catalogue
from kuapin.ranking.bound_rules import BoundRule
from kuapin.ranking.rules import Blackout, Pin, Quota


def contradictions(rules: Sequence[BoundRule], catalogue: Catalogue) -> Iterator[tuple[BoundRule, str]]:
    """The rules that cannot be kept beside the others, and why; blackouts pass, and so contradict nothing.

    Args:
        rules: of the shop.
        catalogue: that they are bound to.
    """
    always = [one for one in rules if one.hides_from_all() is not None and not isinstance(one.rule, Blackout)]
    pins = [one for one in rules if isinstance(one.rule, Pin)]
    quotas = [one for one in rules if isinstance(one.rule, Quota)]
    yield from _hidden_anyway([one for one in rules if not one.hides], always)
    for place, one in enumerate(pins):
        for other in pins[:place]:
            yield from _pinned_twice(one, other)
    for quota in quotas:
        yield from _over_quota(quota, pins, quotas)
    hidden = ~catalogue.available
    for one in always:
        hidden = hidden | (one.items if not (one.rule.start or one.rule.until) else False)
        if hidden.all() and len(catalogue):
            yield one, "with it, no item of the shop may be shown"


def _hidden_anyway(rules: Sequence[BoundRule], always: Sequence[BoundRule]) -> Iterator[tuple[BoundRule, str]]:
    for one in rules:
        for other in always:
            if one.rule.meets(other.rule) and not (one.items & ~other.items).any():
                said = f"{other.rule.kind} {other.rule.name!r} of line {other.rule.line} hides"
                yield one, f"{said} {'the item' if isinstance(one.rule, Pin) else 'all items'} that it is about"


def _over_quota(
    quota: BoundRule, pins: Sequence[BoundRule], quotas: Sequence[BoundRule]
) -> Iterator[tuple[BoundRule, str]]:
    if not isinstance(quota.rule, Quota) or quota.rule.at_most is None:
        return
    held = [one for one in pins if (one.items & quota.items).any() and one.rule.meets(quota.rule)]
    if len(held) > quota.rule.at_most:
        yield quota, f"{len(held)} pins are of its items, and at most {quota.rule.at_most} may be shown"
    for other in quotas:
        least = other.rule.at_least if isinstance(other.rule, Quota) else None
        if least and least > quota.rule.at_most and not (other.items & ~quota.items).any():
            yield quota, f"quota {other.rule.name!r} of line {other.rule.line} wants {least} of the same items"


def _pinned_twice(one: BoundRule, other: BoundRule) -> Iterator[tuple[BoundRule, str]]:
    if one.users is not None or other.users is not None or not one.rule.meets(other.rule):
        return
    if isinstance(one.rule, Pin) and isinstance(other.rule, Pin):
        if one.rule.position == other.rule.position:
            yield one, f"pin {other.rule.name!r} of line {other.rule.line} has position {one.rule.position} too"
        elif one.rule.item == other.rule.item:
            yield one, f"pin {other.rule.name!r} of line {other.rule.line} has the same item at another position"
