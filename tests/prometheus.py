"""Debian's Prometheus, started by the tests on rules whose times are short."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from tests.listening import free_port

MISSING = shutil.which("prometheus") is None or shutil.which("promtool") is None
needs_prometheus = pytest.mark.skipif(
    MISSING and not os.environ.get("CI"), reason="no Prometheus here: apt-get install prometheus"
)


def hurried(rules, stretch="12s", starts="120s"):
    """The same rules with every stretch of time this short, and nothing waited for.

    Starts are counted over a longer one: three of them take their time on a busy machine.
    """
    rules, ranges = re.subn(r"\[\d+[smhd]\]", f"[{stretch}]", rules)
    rules, counted = re.subn(r"(changes\(\w+)\[\w+\]", rf"\1[{starts}]", rules)
    rules, waits = re.subn(r"for: \d+[smhd]", "for: 0s", rules)
    assert ranges > 10
    assert counted == 1
    assert waits > 10
    return rules


class Prometheus:
    """A running server."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.ask("/api/v1/query", query=expression)["result"]

    def firing(self):
        """(alert, instance) of all that fire."""
        alerts = self.ask("/api/v1/alerts")["alerts"]
        return {(one["labels"]["alertname"], one["labels"]["instance"]) for one in alerts if one["state"] == "firing"}


@contextmanager
def prometheus(folder, rules, targets, key):
    """A server below a folder.

    Args:
        folder: empty.
        rules: text of the rules.
        targets: instance → port.
        key: of the services.
    """
    (folder / "alerts.yml").write_text(rules)
    (folder / "key").write_text(key)
    configs = [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in targets.items()]
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "kuapin",
                "authorization": {"type": "Bearer", "credentials_file": "key"},
                "static_configs": configs,
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        server, deadline = Prometheus(port), time.monotonic() + 60
        while True:
            try:
                server.query("up")
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)
