"""The server process, or several of them on one port."""

import os
from contextlib import suppress

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
    config = uvicorn.Config(
        app_of_environment if workers == 1 else "kuapin.serving.app:app_of_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_level="warning" if quiet else "info",
        access_log=False,
        server_header=False,
        date_header=True,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=65_536,
    )
    server = uvicorn.Server(config)
    if workers == 1:
        with suppress(KeyboardInterrupt):  # that is how a service ends
            server.run()
        started = server.started
    else:
        from uvicorn.supervisors import Multiprocess

        with suppress(KeyboardInterrupt):
            Multiprocess(config, target=server.run, sockets=[config.bind_socket()]).run()
        started = True
    if not started:
        raise KuapinError(f"The service did not start on {host}:{port}; the lines above say why.")
