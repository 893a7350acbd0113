"""Signs fire where the alerts do."""

import re

import pytest

from kuapin.serving.console.figures import Figures
from kuapin.serving.console.signs import BOUNDS, DAY, signs
from kuapin.serving.monitoring import Monitor


def by_name(monitor, now=0.0):
    return {sign.name: sign for sign in signs(Figures(monitor.text()), now)}


@pytest.fixture
def monitor():
    found = Monitor()
    found.store.set(1)
    found.free.set(0.5)
    return found


def test_a_service_that_just_started_is_fine(monitor):
    found = by_name(monitor)
    assert [name for name, sign in found.items() if not sign.fine] == []
    assert found["slow"].value is None


def test_every_sign_is_an_alert_with_the_same_bound(root, monitor):
    alerts = dict(
        re.findall(
            r"alert: (\w+)\n\s+expr: (.*?)\n\s+(?:for|labels):", (root / "operations/alerts.yml").read_text(), re.S
        )
    )
    told = (root / "docs/operate.md").read_text()
    bounds = []
    for sign in by_name(monitor).values():
        assert sign.alert in alerts, sign
        assert f"### {sign.alert}\n" in told
        if sign.unit:
            factors = re.findall(r"[<>] ([\d.]+(?: \* \d+)?)\s*$", alerts[sign.alert])
            bound = float(factors[0].partition(" *")[0])
            bounds.append(bound)
    assert bounds == list(BOUNDS)


def test_shares_quantiles_and_states_are_read(monitor):
    for status, count in (("200", 96), ("500", 4)):
        monitor.requests.labels("GET", "/v1/recommendations", status).inc(count)
    monitor.refusals.labels("overloaded").inc(5)
    monitor.refusals.labels("deadline").inc(1)
    monitor.refusals.labels("forbidden").inc(50)
    for seconds, count in ((0.03, 98), (0.5, 2)):
        for _ in range(count):
            monitor.seconds.labels("/v1/recommendations").observe(seconds)
    monitor.seconds.labels("/v1/models").observe(4.0)
    monitor.items.labels("known").set(100)
    monitor.items.labels("blocked").set(6)
    monitor.lists.labels("products", "personal", "r").inc(1)
    monitor.lists.labels("products", "shop_popular", "r").inc(2)
    monitor.lists.labels("similar", "content", "r").inc(90)
    monitor.made.set(100 * DAY)
    monitor.free.set(0.05)
    monitor.refresh_ended(1)
    monitor.behind.set(1)
    monitor.spread(0.2)
    found = by_name(monitor, now=161 * DAY)
    told = {name: sign.value for name, sign in found.items() if sign.value is not None}
    assert told == pytest.approx(
        {
            "errors": 0.04, "refused": 0.06, "slow": 0.64, "disk": 0.05, "fallbacks": 2 / 3, "alike": 0.2,
            "blocked": 0.06, "age": 61,
        }
    )  # fmt: skip
    assert [name for name, sign in found.items() if sign.fine] == ["store", "late", "drift"]
