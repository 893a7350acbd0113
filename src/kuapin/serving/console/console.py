"""What the pages of the console share."""

import hashlib
import threading
from copy import copy
from dataclasses import replace
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

import jinja2

from kuapin.data.people import privacy_key
from kuapin.data.sql.erasures import NEVER
from kuapin.model import Model
from kuapin.serving.console.phrases import CODES, LANGUAGES, Language
from kuapin.serving.console.search import Search
from kuapin.serving.console.sessions import Sessions
from kuapin.serving.console.words import FILTERS
from kuapin.serving.rates import Rates
from kuapin.serving.service import Service

ROOT = "/console"
ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files that the pages load → what they are."""
TRIES_A_SECOND, TRIES_AT_ONCE = 0.1, 5.0
"""How often one address may try to sign in."""
NAV = (
    ("people", (("home", "/"), ("visitor", "/visitor"), ("compare", "/compare"))),
    ("lists", (("rules", "/rules"), ("review", "/review"))),
    ("models", (("versions", "/versions"), ("reports", "/reports"), ("launches", "/launches"), ("drift", "/drift"))),
    ("service", (("outcomes", "/outcomes"), ("experiments", "/experiments"), ("health", "/health"), ("keys", "/keys"))),
)
"""Section → its pages: name and path."""


class Console:
    """What the pages work with.

    Args:
        service: put together.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.open = service.access.open
        self.sessions = Sessions(service.access.keyring, privacy_key(service.shop.path))
        self.tries = Rates(TRIES_A_SECOND, TRIES_AT_ONCE)
        self._loading = threading.Lock()
        self._other: Model | None = None
        self._other_erased = NEVER
        self._search: Search | None = None
        self._spoken: tuple[Model, Model] | None = None
        service.reloaded.append(self.drop)

    def drop(self) -> None:
        """Let go of the releases in memory: somebody who was erased may be in them."""
        with self._loading:
            self._other = self._search = self._spoken = None

    @cached_property
    def templates(self) -> jinja2.Environment:
        """The pages' forms; what they print is escaped."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters |= FILTERS
        environment.globals |= {"root": ROOT, "nav": NAV, "asset": asset_url, "languages": LANGUAGES, "codes": CODES}
        return environment

    @property
    def live(self) -> Model:
        """The release that answers."""
        return self.service.live.current.model

    def gone(self, user: str) -> bool:
        """Whether somebody was erased after the live release was loaded."""
        return self.service.gone(self.service.live.current)(user)

    def spoken(self, model: Model, language: Language) -> Model:
        """A release that answers, giving its reasons in a language; the last one is kept."""
        if model.reranker.language == language:
            return model
        if self._spoken is None or self._spoken[0] is not model:
            lists = replace(model.reranker, language=language)
            spoken = Model(model.release, model.recommender, model.catalogue, model.users, model.histories, lists)
            if model.storefront is not None:
                spoken.storefront = copy(model.storefront)  # with what it has read so far
                spoken.storefront.model = spoken
            self._spoken = model, spoken
        return self._spoken[1]

    @property
    def search(self) -> Search:
        """Finds users and items of the live release."""
        found, live = self._search, self.live
        if found is None or found.model is not live:
            self._search = found = Search(live, self.gone)
        return found

    def model(self, version: str) -> Model:
        """A release in memory: the live one, or the one other that was asked for last, read since the last erasure.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged.
        """
        if version == self.live.release:
            return self.live
        with self._loading:
            other = self._other
            if other is None or other.release != version or self.service.erased.latest > self._other_erased:
                self._other, self._other_erased = None, self.service.erased.latest  # never three in memory
                self._other = other = Model.load(self.service.shop, version=version)
            return other


@cache
def asset(name: str) -> bytes:
    """A style sheet or a script."""
    return resources.files(__package__).joinpath("static", name).read_bytes()


@cache
def asset_url(name: str) -> str:
    """Where a browser finds it; another address whenever it changes."""
    return f"{ROOT}/static/{name}?v={hashlib.sha256(asset(name)).hexdigest()[:12]}"
