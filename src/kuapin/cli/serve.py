"""``kuapin serve``: a shop over HTTP."""

import os
from typing import Annotated

import typer

from kuapin.cli.output import Quiet, ShopFolder, open_shop, remark
from kuapin.errors import InputError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    folder: ShopFolder,
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=64, help="Processes that answer.", show_default="as configured"),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Answer everybody; on this machine's own address alone.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP with the live release: lists, feedback, items, releases. Ends with Ctrl-C."""
    shop = open_shop(folder)
    config = shop.config.service
    open_to_all = without_keys or config.authentication == "off on loopback"
    if open_to_all and host not in LOOPBACK:
        raise InputError(
            f"--host is {host}, and nobody needs a key: that is allowed on {LOOPBACK[0]} alone. "
            f'Set service.authentication = "required" in kuapin.toml and make a key: kuapin keys {folder} --create NAME'
        )
    from kuapin.serving.running import check, run

    check(shop, host, port)
    remark(
        f"Listening on http://{host}:{port}, {'without keys' if open_to_all else 'for those who have a key'}.",
        quiet=quiet,
    )
    remark(f"To look at it: http://{host}:{port}/console", quiet=quiet)
    if open_to_all:
        os.environ["KUAPIN_AUTHENTICATION"] = "off on loopback"
    run(shop, host, port, workers or config.workers, quiet=quiet)
