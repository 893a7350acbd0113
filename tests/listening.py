"""The service on a real port: in a thread of the tests, so that faults can be put inside it, or as a process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import uvicorn

from kuapin.service_settings import ServiceConfig
from kuapin.serving.app import create_app

PROGRAM = "from kuapin.cli.entry import main; main()"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Listening:
    """A running service; ``stop`` and ``start`` as often as wanted, on the same port."""

    def __init__(self, shop, **settings):
        self.shop, self.port = shop, free_port()
        wide = {"deadline_ms": 20_000, "queue_ms": 20_000, "watch_seconds": 0.1}
        self.config = ServiceConfig(**(wide | settings))
        self.start()

    def start(self):
        self.app = create_app(self.shop, self.config)
        options = {"host": "127.0.0.1", "port": self.port, "log_config": None, "timeout_graceful_shutdown": 5}
        self.server = uvicorn.Server(uvicorn.Config(self.app, **options))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert self.thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def service(self):
        return self.app.state.service

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)


class Process:
    """``kuapin serve`` as a process of its own.

    Args:
        shop: with a release.
        arguments: further ones of the command.
        environment: variables added to this process's.
        limit: called in the child before it begins.
        wait: seconds in which it has to be ready.
    """

    def __init__(self, shop, *arguments, environment=None, limit=None, wait=120):
        self.port = free_port()
        self.path = shop.path.parent / "log"
        self.log = self.path.open("ab")
        command = [sys.executable, "-c", PROGRAM, "serve", str(shop.path), "--port", str(self.port), "--without-keys"]
        self.popen = subprocess.Popen(
            [*command, *arguments],
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=limit,
        )
        deadline = time.monotonic() + wait
        while self.ask("GET", "/health/ready") is None:
            assert self.popen.poll() is None, self.path.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def send(self, method, path, body=None, timeout=20):
        """Status and text of the answer; status 0 where there was none."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, ValueError, http.client.HTTPException):
            return 0, ""

    def ask(self, method, path, body=None):
        """The answer's JSON; ``None`` where there was none or another status than 200."""
        status, text = self.send(method, path, body)
        return json.loads(text) if status == 200 else None

    def text(self, path):
        """The answer's text."""
        status, text = self.send("GET", path)
        assert status == 200, status
        return text

    def kill(self):
        """At once, with all its workers."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.log.close()

    def stop(self):
        """As Ctrl-C does; returns the exit code."""
        self.popen.send_signal(signal.SIGINT)
        code = self.popen.wait(60)
        self.log.close()
        return code
