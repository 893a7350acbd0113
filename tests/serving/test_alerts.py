"""Every alert rule is brought to fire by its fault, before a running Prometheus; a healthy service fires none.

One service stands for each fault, in threads of this process; the rules are those of ``operations/alerts.yml`` with
short times. That what they wait for is as written is checked by ``promtool test rules`` on made-up series.
"""

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import numpy as np
import polars as pl
import pytest

import kuapin.model_folder
from kuapin.evaluation.drift import share_moved
from kuapin.model_folder import Releases
from kuapin.pipeline.challenges import record_challenge
from kuapin.ranking.safety import BLOCK, TASK, SafetyConfig, decide
from kuapin.workspace import Shop
from tests import databases, market, served
from tests.listening import Listening
from tests.prometheus import hurried, needs_prometheus, prometheus

pytestmark = needs_prometheus
SECONDS = 120
"""In which an alert has to fire."""


def rules(root):
    return (root / "operations" / "alerts.yml").read_text()


def names(root):
    return re.findall(r"alert: (\w+)", rules(root))


class Fault:
    """A service, and who asks it."""

    def __init__(self, listening, keys):
        self.listening, self.keys = listening, keys

    @property
    def service(self):
        return self.listening.service

    def send(self, path, body=None, method=None, key="all"):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-API-Key": self.keys.get(key, key)}
        request = urllib.request.Request(self.listening.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def slow(self, seconds):
        """Lists take so long from now on."""
        model = self.service.live.current.model
        quick = model.answer

        def answer(*arguments, **options):
            time.sleep(seconds)
            return quick(*arguments, **options)

        model.answer = answer

    def lists(self, users=("user 001", "user 002", "user 003")):
        for user in users:
            self.send(f"/v1/recommendations?user_id={user.replace(' ', '%20')}")

    def event(self, **more):
        self.send("/v1/interactions", {"interactions": [{"user_id": "u", "item_id": "i", "event": "view"} | more]})


def healthy(fault):
    fault.event()
    fault.lists()


def errors(fault):
    def fail(*_arguments, **_options):
        raise RuntimeError

    fault.service.live.current.model.answer = fail
    return fault.lists


def refuses(fault):
    fault.slow(0.3)

    def ask():
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: fault.lists(("user 001",)), range(24)))

    return ask


def slow(fault):
    fault.slow(0.6)
    return fault.lists


def keys_refused(fault):
    return lambda: [fault.send("/v1/home?user_id=u", key="wrong") for _ in range(20)]


def rate_limited(fault):
    return lambda: [fault.send("/v1/recommendations?user_id=u", key="slow") for _ in range(10)]


def release_behind(fault):
    shop = fault.listening.shop
    torn = served.publish(shop, candidates=21, activate=False)
    (shop.models / torn / "recommender.json").write_text("{")
    current = shop.models / "current"
    current.write_text(current.read_text().replace(Releases(shop.models).live(), torn, 1))


def events_late(fault):
    return lambda: fault.event(timestamp=int(time.time()) - 7_200)


def fallbacks(fault):
    return lambda: fault.lists(("nobody", "no one", "user 001"))


def lists_alike(fault):
    for item in market.items().filter(~pl.col("category").str.starts_with("Home"))["item_id"]:
        fault.service.live.items.delete(item)
    fault.service.live.follow_items()
    return fault.lists


def items_blocked(fault):
    """People block what they find, as in ``kuapin review``."""
    blocked = market.items()["item_id"].head(20)
    labels = {"item_id": blocked, "task": [TASK] * 20, "label": [BLOCK] * 20}
    fault.listening.shop.store.write({"labels": pl.DataFrame(labels)})
    fault.service.live.reload()


def drift(fault):
    moved = share_moved("categories", np.zeros(900, int), np.ones(900, int), ["Home", "Pets"])
    record_challenge(fault.listening.shop.models, "r0", [], {}, [moved])


def refresh_failed(fault):
    (fault.listening.shop.path / "kuapin.toml").write_text("nonsense = 1\n")


def clicks_fell(fault):
    now = int(time.time())

    def shown(ranking, when):
        items = [{"item_id": f"i{k}", "position": k} for k in range(1, 1001)]
        same = {"user_id": "u", "surface": "products", "release": "x", "ranking_id": ranking, "timestamp": when}
        assert fault.send("/v1/impressions", {"impressions": [same | {"items": items}]}) == 200

    def clicked(ranking, count):
        same = {"user_id": "u", "event": "click", "ranking_id": ranking}
        clicks = [same | {"item_id": f"i{k}"} for k in range(1, count + 1)]
        assert fault.send("/v1/interactions", {"interactions": clicks}) == 200

    shown("before", now - 3 * 86_400)
    clicked("before", 200)
    shown("today", now)
    shown("later", now)
    clicked("today", 10)
    fault.service.vitals.count_outcomes()


def restarts(fault):
    def again():
        fault.listening.stop()
        fault.listening.start()
        time.sleep(3)  # up for long enough to be seen, on a slow machine too

    return again


def down(fault):
    fault.listening.stop()


FAULTS = {
    "KuapinErrors": (errors, {}),
    "KuapinRefuses": (refuses, {"queue_ms": 1}),
    "KuapinSlow": (slow, {}),
    "KuapinReleaseBehind": (release_behind, {}),
    "KuapinKeysRefused": (keys_refused, {}),
    "KuapinRateLimited": (rate_limited, {}),
    "KuapinNoEvents": (lambda fault: fault.lists, {}),
    "KuapinEventsLate": (events_late, {}),
    "KuapinFallbacks": (fallbacks, {}),
    "KuapinListsAlike": (lists_alike, {}),
    "KuapinItemsBlocked": (items_blocked, {}),
    "KuapinDrift": (drift, {}),
    "KuapinRefreshFailed": (refresh_failed, {"refresh_hours": 0.0005}),
    "KuapinReleaseOld": (lambda _: None, {}),
    "KuapinClicksFell": (clicks_fell, {}),
    "KuapinRestarts": (restarts, {}),
    "KuapinDown": (down, {}),
    "KuapinDiskFull": (None, {}),
    "KuapinStoreDown": (None, {}),
}
SHARED = {"KuapinSlow", "KuapinDiskFull"}
"""All services of this test share one interpreter, so that what slows one down is felt by all, and one disk."""
APART = ("KuapinDiskFull", "KuapinStoreDown")
"""These need a disk and a database server of their own."""


def shop_with(base, folder, alert, monkeypatch):
    shop = Shop.open(shutil.copytree(base.path, folder / alert / "shop"))
    if alert == "KuapinReleaseOld":
        with monkeypatch.context() as patch:
            patch.setattr(kuapin.model_folder, "_now", lambda: "2020-01-01T00:00:00+00:00")
            served.publish(shop, candidates=21)
    if alert == "KuapinItemsBlocked":
        decisions = decide(market.items(), None, SafetyConfig())
        served.publish(shop, candidates=21, also=lambda draft, _: decisions.write_parquet(draft / "safety.parquet"))
    return shop


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A shop with keys, which every service has a copy of."""
    shop = served.shop(tmp_path_factory.mktemp("base"))
    keys = {"all": served.key(shop, "recommend", "write", "admin"), "slow": served.key(shop, "recommend", rate=1.0)}
    return shop, keys


def cause(stack, faults):
    """Put every fault in place, and go on asking where a fault shows only while somebody asks."""
    stop = threading.Event()

    def go_on(ask):
        while not stop.is_set():
            with suppress(OSError):
                ask()
            stop.wait(0.5)

    asked = [ask for ask in (fault(one) for fault, one in faults) if ask is not None]
    threads = [threading.Thread(target=go_on, args=(ask,), daemon=True) for ask in asked]
    for thread in threads:
        thread.start()
    stack.callback(lambda: [thread.join(60) for thread in threads])
    stack.callback(stop.set)


def wait_for(server, wanted):
    """What has fired until all that is wanted has, or the time is up."""
    fired, deadline = set(), time.monotonic() + SECONDS
    while not wanted <= fired and time.monotonic() < deadline:
        fired |= server.firing()
        time.sleep(0.25)
    return fired


def test_every_alert_has_a_fault(root):
    assert sorted(names(root)) == sorted(FAULTS)


def test_each_alert_fires_where_its_fault_is(root, base, tmp_path, monkeypatch):
    shop, keys = base
    with ExitStack() as stack:
        running, targets = {}, {}
        for alert in ("healthy", *(name for name in FAULTS if name not in APART)):
            _, settings = FAULTS.get(alert, (None, {}))
            running[alert] = Listening(shop_with(shop, tmp_path, alert, monkeypatch), **settings)
            stack.callback(running[alert].stop)
            targets[alert] = running[alert].port
        faults = [(FAULTS[alert][0], Fault(one, keys)) for alert, one in running.items() if alert != "healthy"]
        faults.append((lambda fault: lambda: healthy(fault), Fault(running["healthy"], keys)))
        folder = tmp_path / "prometheus"
        folder.mkdir()
        server = stack.enter_context(prometheus(folder, hurried(rules(root)), targets, keys["all"]))
        cause(stack, faults)
        wanted = {(alert, alert) for alert in running if alert != "healthy"}
        fired = wait_for(server, wanted)
        assert wanted - fired == set()
        deadline = time.monotonic() + SECONDS
        while wrong := {alert for alert, instance in server.firing() if instance == "healthy"} - SHARED:
            assert time.monotonic() < deadline, wrong  # some hold until there are figures of a while
            time.sleep(0.25)


def test_a_full_disk_is_told_before_it_is_full(root, base, tmp_path):
    shop, keys = base
    with ExitStack() as stack:
        disk = databases.small_disk(stack, tmp_path / "disk", megabytes=64)
        here = Shop.open(shutil.copytree(shop.path, disk / "shop"))
        listening = Listening(here)
        stack.callback(listening.stop)
        folder = tmp_path / "prometheus"
        folder.mkdir()
        target = {"disk": listening.port}
        server = stack.enter_context(prometheus(folder, hurried(rules(root)), target, keys["all"]))
        while not server.query("kuapin_disk_free_share"):
            time.sleep(0.1)
        assert ("KuapinDiskFull", "disk") not in server.firing()
        usage = shutil.disk_usage(disk)
        (disk / "filler").write_bytes(b"x" * int(usage.free - 0.05 * usage.total))
        assert ("KuapinDiskFull", "disk") in wait_for(server, {("KuapinDiskFull", "disk")})
        (disk / "filler").unlink()
        deadline = time.monotonic() + SECONDS
        while ("KuapinDiskFull", "disk") in server.firing():
            assert time.monotonic() < deadline
            time.sleep(0.25)


def test_a_database_that_is_gone_is_told_and_so_is_its_return(root, tmp_path, monkeypatch):
    with ExitStack() as stack:
        postgres = stack.enter_context(databases.postgres_server(tmp_path / "postgres"))
        monkeypatch.setenv("KUAPIN_DATABASE", postgres.url)
        shop = served.shop(tmp_path / "shop")
        key = served.key(shop, "admin")
        listening = Listening(shop)
        stack.callback(listening.stop)
        folder = tmp_path / "prometheus"
        folder.mkdir()
        server = stack.enter_context(prometheus(folder, hurried(rules(root)), {"store": listening.port}, key))
        while not server.query("kuapin_store_up == 1"):
            time.sleep(0.1)
        postgres.stop()
        assert ("KuapinStoreDown", "store") in wait_for(server, {("KuapinStoreDown", "store")})
        postgres.start()
        deadline = time.monotonic() + SECONDS
        while ("KuapinStoreDown", "store") in server.firing():
            assert time.monotonic() < deadline
            time.sleep(0.25)


def test_the_files_are_what_prometheus_takes(root, tmp_path):
    for name in ("alerts.yml", "prometheus.yml", "alerts_test.yml"):
        shutil.copy(root / "operations" / name, tmp_path)
    (tmp_path / "key").write_text("k")
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)", (tmp_path / "alerts_test.yml").read_text()))
    assert tested == set(names(root))


def test_an_alert_that_waits_less_fails_its_test(root, tmp_path):
    """The made-up series would notice."""
    rule = rules(root).replace("for: 1m", "for: 0m")
    (tmp_path / "alerts.yml").write_text(rule)
    shutil.copy(root / "operations" / "alerts_test.yml", tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


def expressions(root):
    """Title of a panel → its expressions, as Grafana sends them."""
    dashboard = json.loads((root / "operations" / "dashboard.json").read_text())
    panels = {panel["title"]: panel["targets"] for panel in dashboard["panels"] if panel["type"] != "row"}
    return {
        title: [one["expr"].replace("$__rate_interval", "10s").replace("$instance", ".*") for one in targets]
        for title, targets in panels.items()
    }


def test_every_panel_of_the_dashboard_shows_something(root, base, tmp_path):
    """Of a service that is used in every way; a figure that is renamed leaves a panel empty."""
    shop, keys = base
    listening = Listening(shop_with(shop, tmp_path, "dashboard", None), max_n=20)
    fault, stop = Fault(listening, keys), threading.Event()
    drift(fault)
    shown = {"user_id": "u", "surface": "products", "release": "x", "ranking_id": "r"}
    shown |= {"items": [{"item_id": "i", "position": 1}]}

    def use():
        while not stop.wait(0.2):
            healthy(fault)
            fault.send("/v1/recommendations?user_id=u&n=99")
            fault.send("/v1/similar?item_id=H-oak-lamp-small")
            fault.send("/v1/impressions", {"impressions": [shown]})
            fault.service.vitals.count_outcomes()

    with ExitStack() as stack:
        stack.callback(listening.stop)
        folder = tmp_path / "prometheus"
        folder.mkdir()
        server = stack.enter_context(prometheus(folder, rules(root), {"one": listening.port}, keys["all"]))
        user = threading.Thread(target=use)
        user.start()
        stack.callback(user.join)
        stack.callback(stop.set)
        panels = expressions(root)
        assert len(panels) > 20
        empty, deadline = panels, time.monotonic() + SECONDS
        while empty and time.monotonic() < deadline:
            empty = {title: every for title, every in empty.items() if not all(map(server.query, every))}
            time.sleep(0.5)
        assert empty == {}
        told = {sample["metric"]["__name__"] for sample in server.query('{__name__=~"kuapin_.*"}')}
    asked = set(re.findall(r"kuapin_\w+", rules(root) + str(expressions(root))))
    assert len(asked) > 20
    assert asked - told == set()
