"""The release that answers, and how another takes its place: whoever has begun with one ends with it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import polars as pl

from kuapin import columns as c
from kuapin.arrivals import Arrivals, with_surfaces
from kuapin.data.sql.experiments import Experiment
from kuapin.data.sql.items import ItemChange, ItemStore, table_of
from kuapin.data.sql.overlay import ServedTables
from kuapin.errors import KuapinError, ModelFolderError, StoreError
from kuapin.model import KEPT, Model
from kuapin.model_folder import Releases
from kuapin.surfaces.home import NAME as HOME
from kuapin.workspace import Shop

log = logging.getLogger("kuapin.serving")
RETRY_S = 30.0
"""A release that was refused is looked at again after this time: somebody may have repaired it."""
HELD = 2
"""Releases in memory at most: the live one, and the challenger of an experiment."""


@dataclass(frozen=True)
class Live:
    """A release with its histories.

    Attributes:
        model: as it was loaded, with the items that came later.
        position: of the last event that its histories hold.
        loaded_at: unix seconds.
        erased: time of the last tombstone before its histories were read.
        items: number of the last change of an item that was looked at.
        refused: items that were put and that the release does not take, with the reason.
    """

    model: Model
    position: int
    loaded_at: float
    erased: int
    items: int = 0
    refused: Mapping[str, ModelFolderError] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Changes whenever an answer that depends on no person could change."""
        return f"{self.model.release}-{self.items}"


class LiveModel:
    """Holds what is live, in one attribute that is replaced whole.

    Args:
        shop: with a store that the service writes to.

    Raises:
        ModelFolderError: there is no release, or it is damaged.
    """

    def __init__(self, shop: Shop) -> None:
        if not isinstance(shop.store, ServedTables) or shop.store.events is None:
            raise StoreError(f"{shop.path} has no database for the service. Start it with: kuapin serve {shop.path}")
        self.shop = shop
        self.store = shop.store
        self.events = shop.store.events
        self.items = ItemStore(self.events.database)
        self._readers: dict[str, Arrivals] = {}
        self._warm = 0.0
        self.beside: tuple[Experiment, Live] | None = None
        self.releases = Releases(shop.models, shop.config.releases)
        self._switching = threading.Lock()
        self._refused: tuple[str, float] = ("", 0.0)
        self.current = self._loaded(None)

    def of(self, user: str | None) -> Live:
        """The release that answers somebody: while an experiment runs, some people get its challenger."""
        current, beside = self.current, self.beside
        if beside is None or user is None or beside[0].control != current.model.release:
            return current
        return beside[1] if beside[0].takes(user) else current

    @contextmanager
    def held(self, version: str) -> Iterator[str]:
        """The name of the live release, which stays while the block runs, and so does another one, verified.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged.
        """
        with self._switching:
            self.releases.open(version)
            yield self.releases.live() or ""

    def try_beside(self, experiment: Experiment) -> bool:
        """Hold the challenger of an experiment beside the live release; whether both are there."""
        with self._switching:
            there = (self.releases.folder / experiment.challenger).is_dir()
            if not there or self.releases.live() != experiment.control:
                return False
            if self.beside is None or self.beside[0].experiment_id != experiment.experiment_id:
                try:
                    self.beside = experiment, self._loaded(experiment.challenger)
                except StoreError:
                    raise  # a database that is away comes back; the experiment goes on then
                except KuapinError as error:
                    log.warning("%s takes no part in an experiment: %s", experiment.challenger, error)
                    return False
        return True

    def alone(self) -> None:
        """Let the live release answer everybody."""
        if self.beside is not None:
            with self._switching:
                self.beside = None

    def activate(self, version: str) -> Live:
        """Load a release, make it live on the disk, then here; a failure leaves everything as it is.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged.
        """
        with self._switching:
            new = self._loaded(version)
            self.releases.activate(version)
            self.current = new
        return new

    def rollback(self) -> Live:
        """Make the release live that was live before.

        Raises:
            ModelFolderError: there is none, or it is damaged.
        """
        with self._switching:
            before = self.releases.before()
            new = self._loaded(before)
            self.releases.rollback()
            self.current = new
        return new

    def follow(self) -> None:
        """Take over what others made live on the disk; what cannot be loaded is left, and said in the log."""
        with self._switching:
            live = self.releases.live()
            if live is None or live == self.current.model.release:
                return
            if live == self._refused[0] and time.monotonic() < self._refused[1]:
                return
            try:
                self.current = self._loaded(live)
            except KuapinError as error:
                log.warning("%s stays live: %s", self.current.model.release, error)
                self._refused = live, time.monotonic() + RETRY_S

    def follow_items(self, at_least: int | None = None) -> Live:
        """Take over items that were put or deleted; those that the release does not take are named in ``refused``.

        Args:
            at_least: number of a change that is wanted; nothing is done where it is there already.
        """
        with self._switching:
            if at_least is None or self.current.items < at_least:
                self.current = self._caught_up(self.current)
            if self.beside is not None:
                self.beside = self.beside[0], self._caught_up(self.beside[1])
            return self.current

    def _caught_up(self, live: Live) -> Live:
        changes = self.items.since(live.items)
        return self._with(live, changes) if changes else live

    def warm(self) -> None:
        """Read what is read at its first use, so that nobody waits for it: the encoder, the surfaces of a home page."""
        live = self.current
        if self._warm == live.loaded_at:
            return
        self._warm = live.loaded_at
        self._arrivals(live.model.release).warm()
        live.model.recommend(live.model.users.ids.head(1), surface=HOME)

    def holds(self, erased: int) -> bool:
        """Whether a release in memory was loaded before a tombstone was set."""
        beside = self.beside
        return self.current.erased < erased or (beside is not None and beside[1].erased < erased)

    def reload(self) -> None:
        """Read the histories anew."""
        with self._switching:
            self.current = self._loaded(self.current.model.release)
            if self.beside is not None:
                self.beside = self.beside[0], self._loaded(self.beside[1].model.release)

    def _loaded(self, version: str | None) -> Live:
        loaded_at, position, erased = time.time(), self.events.position(), self.store.erasures.latest()
        shop = Shop(self.shop.path)
        shop.store = self.store.at(position)
        seen = self.items.position()  # what changes while the release loads may be in it or not
        model = Model.load(shop, version=version)
        if model.storefront is not None and model.storefront.lateness:
            log.warning(model.storefront.lateness)
        changes = self.items.since(0)
        live = Live(model, position, loaded_at, erased)
        unknown = [one for one in changes if one.number > seen or not _knows(model, one)]
        if unknown:
            live = self._with(live, unknown)
        return replace(live, items=changes[-1].number if changes else 0)

    def _with(self, live: Live, changes: Sequence[ItemChange]) -> Live:
        """The release after some changes; what is to be hidden is hidden, whether it takes new items or not."""
        changed = {one.item_id for one in changes}
        refused = {item: error for item, error in live.refused.items() if item not in changed}
        model = _hidden(live.model, [one.item_id for one in changes if one.hides])
        put = [{c.ITEM_ID: one.item_id, c.AVAILABLE: True} | dict(one.fields) for one in changes if not one.deleted]
        if put:
            try:
                model = self._arrivals(model.release).add(model, table_of(put))
            except ModelFolderError as error:
                log.warning("%d items that were put are not recommended: %s", len(put), error)
                refused |= {one.item_id: error for one in changes if not one.deleted}
        return replace(live, model=model, items=changes[-1].number, refused=refused)

    def decisions(self, version: str) -> pl.DataFrame:
        """What safety decided on items that were put since a release was trained."""
        return self._arrivals(version).decisions

    def _arrivals(self, version: str) -> Arrivals:
        found = self._readers.get(version)
        if found is None:
            found = self._readers[version] = Arrivals(self.shop, self.releases.folder / version)
            for other in list(self._readers)[:-HELD]:
                self._readers.pop(other, None)
        return found


def _hidden(model: Model, items: Sequence[str]) -> Model:
    """A model that shows some items to nobody; those that it does not know are passed over."""
    gone = model.catalogue.items.rows(items)
    if not (gone >= 0).any():
        return model
    available = model.catalogue.available.copy()
    available[gone[gone >= 0]] = False
    catalogue = replace(model.catalogue, available=available)
    reranker = replace(model.reranker, catalogue=catalogue)
    less = Model(model.release, model.recommender, catalogue, model.users, model.histories, reranker)
    return with_surfaces(less, model)


def _knows(model: Model, change: ItemChange) -> bool:
    """Whether a release was trained with an item just so; what is not in stock any more needs no training.

    The shop's own columns are not looked at: a release has them in part, and masked.
    """
    row = model.catalogue.items.rows([change.item_id])[0]
    if change.deleted or row < 0:
        return change.deleted
    kept = model.catalogue.frame.row(int(row), named=True)
    return all(kept.get(name) == change.fields.get(name) for name in KEPT if name not in (c.ITEM_ID, c.AVAILABLE))


class Watch:
    """A thread that calls something again and again until it is stopped."""

    def __init__(self, seconds: float, work: Sequence[Callable[[], object]]) -> None:
        self._stop = threading.Event()
        self._seconds = seconds
        self._work = work
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            for work in self._work:
                try:
                    work()
                except Exception:
                    log.exception("The watch goes on after a failure")
