"""A made-up shop on the disk, with a release that was trained on it, for the tests of the service."""

import shutil
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from fastapi.testclient import TestClient

from kuapin.data.identity import with_event_ids
from kuapin.data.sql.database import open_database
from kuapin.data.sql.keys import Keyring
from kuapin.manifest import Route, Routing
from kuapin.model_folder import Releases
from kuapin.pipeline.train import write_catalogue
from kuapin.ranking.live import Fitted, LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.service_settings import ServiceConfig
from kuapin.serving.app import create_app
from kuapin.workspace import Shop
from tests import market


@cache
def _template() -> Path:
    shop = Shop.init(Path(mkdtemp()) / "shop")
    shop.store.write({"items": market.items(), "interactions": with_event_ids(market.log())})
    publish(shop)
    return shop.path


def publish(
    shop: Shop,
    *,
    candidates: int = 20,
    activate: bool = True,
    snapshot: str | None = None,
    config: dict | None = None,
    also: Callable[[Path, Fitted], object] = lambda *_: None,
) -> str:
    """Fit a release on the made-up log and put it into the shop; no language model takes part.

    ``also`` is given the draft's folder, and what was fitted, to write more into it.
    """
    data = market.dataset()
    fitted = fit_live(
        market.visible(data),
        signals=SignalsConfig(candidates=candidates),
        ranking=RankingConfig(trees={"rounds": 10}),
        live=LiveConfig(pruned=False),
    )
    releases = Releases(shop.models, shop.config.releases)
    with releases.begin() as draft:
        fitted.recommender.save(draft.path)
        write_catalogue(data.catalogue, draft.path)
        also(draft.path, fitted)
        releases.publish(
            draft,
            routing=Routing(default=Route(ranker="ranker")),
            snapshot=snapshot or shop.snapshot,
            fingerprint=shop.snapshot,
            config=config or {},
            metrics={},
            activate=activate,
        )
    return draft.version


def shop(folder: Path) -> Shop:
    """A copy of the shop, trained once for all tests."""
    return Shop.open(shutil.copytree(_template(), folder / "shop"))


def key(shop: Shop, *scopes: str, **options: object) -> str:
    """A new key of the shop's service."""
    database = open_database(shop.service_database())
    try:
        return Keyring(database).create("test", scopes, **options)[1]
    finally:
        database.close()


@contextmanager
def client(shop: Shop, *, keys: bool = False, **settings: object):
    """The running service; without ``keys`` everybody may do everything."""
    config = ServiceConfig(
        authentication="required" if keys else "off on loopback", deadline_ms=20_000, queue_ms=20_000
    )
    with TestClient(create_app(shop, config.model_copy(update=settings))) as asking:
        yield asking
