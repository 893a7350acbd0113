"""The server process, or several of them on one port."""

import os
import socket
import time
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.supervisors import multiprocess

from kuapin.errors import KuapinError, ModelFolderError
from kuapin.model_folder import Releases
from kuapin.serving.app import SHOP, app_of_environment
from kuapin.serving.connections import Connection
from kuapin.serving.logs import log_config
from kuapin.serving.monitoring import shared_figures
from kuapin.workspace import Shop

GRACE_S = 10
"""Seconds that requests have to end when the service is stopped."""
KEEP_ALIVE_S = 75
"""Seconds that an idle connection stays open: longer than a reverse proxy keeps its own."""
HEALTHY_S = 120
"""Seconds in which a worker must give a sign of life, the reading of a large release included."""
LOOKED_S = 1.0
"""How often it is looked at meanwhile."""


class Worker(multiprocess.Process):
    """One that is seen at once to have died: uvicorn's own waits for the answer of a dead process."""

    def is_alive(self, timeout: float = HEALTHY_S) -> bool:
        """Whether it runs, and gives a sign of life in time."""
        deadline = time.monotonic() + timeout
        while self.process.is_alive() and time.monotonic() < deadline:
            if self.ping(LOOKED_S):
                return True
        return False


def check(shop: Shop, host: str, port: int) -> None:
    """Find out what would keep a service from starting, before anybody is told that it has.

    Raises:
        ModelFolderError: there is no release.
        KuapinError: the address cannot be listened on.
    """
    if Releases(shop.models, shop.config.releases).live() is None:
        raise ModelFolderError(f"{shop.path} has no model yet. Run: kuapin train {shop.path}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise KuapinError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}). Name another --host or --port."
        ) from error


def run(shop: Shop, host: str, port: int, workers: int, *, quiet: bool) -> None:
    """Serve a shop until the process is told to end.

    Args:
        shop: with a release.
        host: address to listen on.
        port: likewise.
        workers: processes; each loads the release.
        quiet: whether requests are left out of the log.

    Raises:
        ModelFolderError: the release is damaged.
        KuapinError: the service did not start.
    """
    os.environ[SHOP] = str(shop.path.resolve())
    options: dict[str, Any] = {
        "factory": True,
        "host": host,
        "port": port,
        "log_config": log_config(quiet=quiet),
        "access_log": False,
        "server_header": False,
        "http": Connection,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }
    with suppress(KeyboardInterrupt):  # that is how a service ends
        if workers > 1:
            options |= {"workers": workers, "timeout_worker_healthcheck": HEALTHY_S}
            multiprocess.Process = Worker  # type: ignore[misc]
            with shared_figures():
                uvicorn.run("kuapin.serving.app:app_of_environment", **options)
            return
        server = uvicorn.Server(uvicorn.Config(app_of_environment, **options))
        server.run()
        if not server.started:
            raise KuapinError(f"The service did not start on {host}:{port}; the lines above say why.")
