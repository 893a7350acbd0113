"""What is measured, told to Prometheus; of several processes together."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kuapin.evaluation.drift import share_moved
from kuapin.observation import listened, listening, stage
from kuapin.pipeline.challenges import record_challenge
from tests import served
from tests.listening import Process

USER = "user 003"


def figures(client):
    """(name, labels) → value."""
    text = client if isinstance(client, str) else client.get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found, name, **labels):
    return found.get((name, *sorted(labels.items())), 0.0)


def test_a_list_tells_its_stages_candidates_and_categories(client):
    client.get("/v1/recommendations", params={"user_id": USER, "explain": True})
    before = figures(client)
    answer = client.get("/v1/recommendations", params={"user_id": USER, "explain": True, "n": 8}).json()
    after = figures(client)
    for name in ("queue", "histories", "candidates", "ranking", "reasons"):
        rise = of(after, "kuapin_stage_seconds_count", stage=name) - of(
            before, "kuapin_stage_seconds_count", stage=name
        )
        assert rise == 1, name
    sources = {dict(key[1:])["source"] for key in after if key[0] == "kuapin_candidates_total"}
    assert {"repeat", "popularity", "item_knn"} <= sources
    assert all(
        of(after, "kuapin_candidates_total", source=name) > of(before, "kuapin_candidates_total", source=name)
        for name in ("repeat", "popularity")
    )
    tops = [row["target_id"][0] for row in answer["recommendations"]]  # the first letter is the category's
    shares = np.array([tops.count(top) / 8 for top in set(tops)])
    bits = of(after, "kuapin_list_entropy_bits_sum") - of(before, "kuapin_list_entropy_bits_sum")
    assert bits == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-9)
    assert bits > 0


def test_a_list_of_one_category_is_not_counted_as_one_that_is_not_mixed(client):
    before = figures(client)
    client.get("/v1/recommendations", params={"user_id": USER, "category": "Home"}).raise_for_status()
    count = "kuapin_list_entropy_bits_count"
    assert of(figures(client), count) == of(before, count)


def test_events_tell_how_late_they_came_and_what_followed(client):
    shown = {"user_id": USER, "ranking_id": "r", "surface": "products", "release": "x", "items": []}
    shown["items"] = [{"item_id": f"i{place}", "position": place} for place in (1, 2, 3, 4)]
    client.post("/v1/impressions", json={"impressions": [shown]}).raise_for_status()
    click = {"user_id": USER, "item_id": "i2", "event": "click", "ranking_id": "r"}
    late = {"user_id": USER, "item_id": "i3", "event": "purchase", "timestamp": int(time.time()) - 500}
    client.post("/v1/interactions", json={"interactions": [click, late]}).raise_for_status()
    client.app.state.service.vitals.count_outcomes()
    found = figures(client)
    assert of(found, "kuapin_events_total", event="impression") == 4
    assert of(found, "kuapin_event_lag_seconds_bucket", le="300.0") == 5
    assert of(found, "kuapin_event_lag_seconds_bucket", le="900.0") == 6
    assert of(found, "kuapin_stage_seconds_count", stage="commit") == 2
    same = {"surface": "products", "release": "x", "days": "1"}
    outcomes = ("shown", "clicked", "bought")
    assert [of(found, "kuapin_online_items", outcome=one, **same) for one in outcomes] == [4, 1, 0]


def test_what_is_there_is_told(client, shop):
    moved = share_moved("events", np.zeros(900, int), np.ones(900, int), ["view", "click"])
    record_challenge(shop.models, "r0", [], {}, [moved])
    client.delete("/v1/items/H-oak-lamp-small").raise_for_status()
    client.app.state.service.vitals.look()
    found = figures(client)
    release = client.app.state.service.live.current.model.release
    assert of(found, "kuapin_release_live", release=release) == 1
    assert of(found, "kuapin_items", state="known") == 96
    assert of(found, "kuapin_items", state="available") == 95
    assert of(found, "kuapin_drift_index", part="events") == pytest.approx(moved.index, abs=1e-4)
    assert moved.index > 5
    assert time.time() - of(found, "kuapin_refresh_timestamp_seconds") < 60
    assert 0 < time.time() - of(found, "kuapin_release_created_timestamp_seconds") < 86_400
    assert of(found, "kuapin_store_up") == 1
    assert 0 < of(found, "kuapin_disk_free_share") < 1
    assert of(found, "kuapin_resident_bytes") > 5e7
    assert of(found, "kuapin_release_behind") == 0


def test_refusals_and_caches_are_told_apart(shop):
    with served.client(shop, keys=True, max_n=5) as client:
        key = {"X-API-Key": served.key(shop, "recommend")}
        for _ in range(2):
            client.get("/v1/recommendations", params={"user_id": USER, "n": 9}, headers=key)
        tag = client.get("/v1/similar", params={"item_id": "H-oak-lamp-small", "n": 3}, headers=key).headers["etag"]
        again = {**key, "If-None-Match": tag}
        assert (
            client.get("/v1/similar", params={"item_id": "H-oak-lamp-small", "n": 3}, headers=again).status_code == 304
        )
        found = figures(client.get("/metrics", headers=key).text)
        assert of(found, "kuapin_refusals_total", reason="invalid") == 2
        assert of(found, "kuapin_cache_total", cache="keys", hit="no") >= 1
        assert of(found, "kuapin_cache_total", cache="keys", hit="yes") >= 2
        assert of(found, "kuapin_cache_total", cache="etag", hit="yes") == 1
        assert of(found, "kuapin_cache_total", cache="etag", hit="no") == 1


def test_nobody_listens_nothing_is_measured():
    class Noted(list):
        def stage(self, name, seconds):
            self.append((name, seconds))

    noted = Noted()
    with stage("before"):
        assert not listened()
    with listening(noted), suppress(ValueError), stage("failing"):
        assert listened()
        raise ValueError
    with stage("after"):
        pass
    assert [name for name, _ in noted] == ["failing"]


def test_two_processes_tell_the_figures_of_both(shop):
    """Whichever answers; and a process that is killed leaves its counts behind and takes its gauges along."""
    process = Process(shop, "--workers", "2")
    asked = {"method": "GET", "route": "/v1/recommendations", "status": "200"}

    def workers():
        command = ["pgrep", "-f", "-P", str(process.popen.pid), "spawn_main"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {int(pid) for pid in found.split()}

    def told():
        return figures(process.text("/metrics"))

    def until(condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    try:
        release = process.ask("GET", "/v1/recommendations?user_id=u")["release"]
        until(lambda: of(told(), "kuapin_release_live", release=release) == 2)
        before = of(told(), "kuapin_requests_total", **asked)
        for number in range(30):
            assert process.ask("GET", f"/v1/recommendations?user_id=u{number}")
        assert {of(told(), "kuapin_requests_total", **asked) for _ in range(6)} == {before + 30}
        first, *_ = workers()
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in workers() and len(workers()) == 2)
        until(lambda: process.ask("GET", "/health/ready"))
        assert of(told(), "kuapin_requests_total", **asked) == before + 30
        until(lambda: of(told(), "kuapin_release_live", release=release) == 2)
        for _ in range(2):  # the second dies while it starts
            youngest = max(workers())
            os.kill(youngest, signal.SIGKILL)
            until(lambda: youngest not in workers() and len(workers()) == 2)  # noqa: B023
    finally:
        assert process.stop() == 0
