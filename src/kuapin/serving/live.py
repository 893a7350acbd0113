"""The release that answers, and how another takes its place: whoever has begun with one ends with it."""

import logging
import threading
from dataclasses import dataclass

from kuapin.data.sql.overlay import ServedTables
from kuapin.errors import KuapinError, StoreError
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.workspace import Shop

log = logging.getLogger("kuapin.serving")


@dataclass(frozen=True)
class Live:
    """A release with its histories.

    Attributes:
        model: as it was loaded, with the items that came later.
        position: of the last event that its histories hold.
        items: number of the last change of an item that it knows.
    """

    model: Model
    position: int
    items: int = 0

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
        self.releases = Releases(shop.models, shop.config.releases)
        self._switching = threading.Lock()
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
        live = self.releases.live()
        if live is None or live == self.current.model.release:
            return
        with self._switching:
            try:
                self.current = self._loaded(live)
            except KuapinError as error:
                log.warning("%s stays live: %s", self.current.model.release, error)

    def reload(self) -> None:
        """Read the histories anew."""
        with self._switching:
            self.current = self._loaded(self.current.model.release)

    def _loaded(self, version: str | None) -> Live:
        position = self.events.position()
        shop = Shop(self.shop.path)
        shop.store = self.store.at(position)
        return Live(Model.load(shop, version), position)


class Watch:
    """A thread that calls something again and again until it is stopped."""

    def __init__(self, seconds: float, work: "list[object]") -> None:
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
                    work()  # type: ignore[operator]
                except Exception:
                    log.exception("The watch goes on after a failure")
