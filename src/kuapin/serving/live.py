"""The release that answers, and how another takes its place: whoever has begun with one ends with it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kuapin import columns as c
from kuapin.arrivals import Arrivals, with_surfaces
from kuapin.data.sql.items import ItemChange, ItemStore, table_of
from kuapin.data.sql.overlay import ServedTables
from kuapin.errors import KuapinError, ModelFolderError, StoreError
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.workspace import Shop

log = logging.getLogger("kuapin.serving")
RETRY_S = 30.0
"""A release that was refused is looked at again after this time: somebody may have repaired it."""


@dataclass(frozen=True)
class Live:
    """A release with its histories.

    Attributes:
        model: as it was loaded, with the items that came later.
        position: of the last event that its histories hold.
        loaded_at: unix seconds, before its histories were read.
        items: number of the last change of an item that was looked at.
        refused: items that were put and that the release does not take, with the reason.
    """

    model: Model
    position: int
    loaded_at: float
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
        self._reader: tuple[str, Arrivals] | None = None
        self.releases = Releases(shop.models, shop.config.releases)
        self._switching = threading.Lock()
        self._refused: tuple[str, float] = ("", 0.0)
        self.current = self._loaded(None)

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
            live = self.current
            if at_least is None or live.items < at_least:
                changes = self.items.since(live.items)
                if changes:
                    self.current = self._with(live, changes)
            return self.current

    def warm(self) -> None:
        """Read the encoder, so that the first item that is put does not wait for it."""
        self._arrivals(self.current.model.release).warm()

    def reload(self) -> None:
        """Read the histories anew."""
        with self._switching:
            self.current = self._loaded(self.current.model.release)

    def _loaded(self, version: str | None) -> Live:
        loaded_at, position = time.time(), self.events.position()
        shop = Shop(self.shop.path)
        shop.store = self.store.at(position)
        seen = self.items.position()  # what changes while the release loads may be in it or not
        model = Model.load(shop, version=version)
        changes = self.items.since(0)
        live = Live(model, position, loaded_at)
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

    def _arrivals(self, version: str) -> Arrivals:
        if self._reader is None or self._reader[0] != version:
            self._reader = version, Arrivals(self.shop, self.releases.folder / version)
        return self._reader[1]


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
    """Whether a release was trained with an item just so; what is not in stock any more needs no training."""
    row = model.catalogue.items.rows([change.item_id])[0]
    if change.deleted or row < 0:
        return change.deleted
    kept = model.catalogue.frame.row(int(row), named=True)
    return all(kept[name] == change.fields.get(name) for name in kept if name not in (c.ITEM_ID, c.AVAILABLE))


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
