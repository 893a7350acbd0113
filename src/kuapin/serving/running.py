"""The server process, or several of them on one port."""

import os
from contextlib import suppress
from typing import Any

import uvicorn

from kuapin.errors import KuapinError, ModelFolderError
from kuapin.model_folder import Releases
from kuapin.serving.app import SHOP, app_of_environment
from kuapin.workspace import Shop

GRACE_S = 10
"""Seconds that requests have to end when the service is stopped."""
KEEP_ALIVE_S = 75
"""Seconds that an idle connection stays open: longer than a reverse proxy keeps its own."""
MOST_CONNECTIONS = 1_000


def run(shop: Shop, host: str, port: int, workers: int, *, quiet: bool) -> None:
    """Serve a shop until the process is told to end.

    Args:
        shop: with a release.
        host: address to listen on.
        port: likewise.
        workers: processes; each loads the release.
        quiet: whether requests are left out of the log.

    Raises:
        ModelFolderError: there is no release, or it is damaged.
        KuapinError: the service did not start.
    """
    if Releases(shop.models, shop.config.releases).live() is None:
        raise ModelFolderError(f"{shop.path} has no model yet. Run: kuapin train {shop.path}")
    os.environ[SHOP] = str(shop.path.resolve())
    options: dict[str, Any] = {
        "factory": True,
        "host": host,
        "port": port,
        "log_level": "warning" if quiet else "info",
        "access_log": False,
        "server_header": False,
        "limit_concurrency": MOST_CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }
    with suppress(KeyboardInterrupt):  # that is how a service ends
        if workers > 1:
            uvicorn.run("kuapin.serving.app:app_of_environment", workers=workers, **options)
            return
        server = uvicorn.Server(uvicorn.Config(app_of_environment, **options))
        server.run()
        if not server.started:
            raise KuapinError(f"The service did not start on {host}:{port}; the lines above say why.")
