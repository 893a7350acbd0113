"""Where the console hangs in the application."""

from fastapi import FastAPI

from kuapin.serving.console.console import Console
from kuapin.serving.console.routes import (
    compare,
    experiments,
    health,
    home,
    keys,
    launches,
    outcomes,
    reports,
    review,
    rules,
    sign_in,
    versions,
    visitor,
)
from kuapin.serving.service import Service

PAGES = (
    home,
    visitor,
    compare,
    rules,
    review,
    versions,
    reports,
    launches,
    outcomes,
    experiments,
    health,
    keys,
    sign_in,
)
"""In the order in which their routes are tried: the last one answers what nobody else does."""


def install(app: FastAPI, service: Service) -> None:
    """Hang the console into the application; its pages are in no OpenAPI document."""
    app.state.console = Console(service)
    for one in PAGES:
        app.include_router(one.router)
