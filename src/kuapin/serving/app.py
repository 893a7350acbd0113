"""The application: settings in, ASGI out. Importing this opens nothing."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

import kuapin
from kuapin.service_settings import ServiceConfig
from kuapin.serving import failures
from kuapin.serving.console import site as console
from kuapin.serving.envelope import Envelope
from kuapin.serving.logs import take_warnings
from kuapin.serving.routes import experiments, health, interactions, items, models, recommendations, users
from kuapin.serving.service import Service
from kuapin.serving.tracing import Traced
from kuapin.workspace import Shop

SHOP = "KUAPIN_SHOP"
OPEN = "KUAPIN_AUTHENTICATION"
SWITCH_S = 0.0005
"""How long a thread computes before another may: the thread that answers must not keep the one that listens waiting."""


def create_app(shop: Shop, config: ServiceConfig | None = None) -> FastAPI:
    """The service of one shop.

    Args:
        shop: with a release; its database is made where there is none.
        config: instead of the shop's own.

    Raises:
        ModelFolderError: there is no release, or it is damaged.
        StoreError: the database does not answer.
        InputError: a setting does not fit.
    """
    config = config or shop.config.service
    shop.service_database()
    service = Service(shop, config)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        with threadpool_limits(1):  # requests run side by side; threads that wait for each other would spin
            service.start()
            yield
            service.stop()
        sys.setswitchinterval(before)

    app = FastAPI(
        title="Kuapin",
        version=kuapin.__version__,
        summary="Recommendations across categories.",
        lifespan=running,
        separate_input_output_schemas=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    failures.install(app)
    for routes in (recommendations, items, users, interactions, models, experiments, health):
        app.include_router(routes.router)
    console.install(app, service)
    app.add_middleware(Envelope, max_body_bytes=config.max_body_bytes, seen=service.monitor.seen)
    if service.tracing is not None:
        app.add_middleware(Traced, tracing=service.tracing)
    return app


def app_of_environment() -> FastAPI:
    """The service of the shop that ``$KUAPIN_SHOP`` names: what every worker process starts with."""
    take_warnings()
    shop = Shop.open(Path(os.environ[SHOP]))
    config = shop.config.service
    if OPEN in os.environ:
        config = config.model_copy(update={"authentication": os.environ[OPEN]})
    return create_app(shop, config)
