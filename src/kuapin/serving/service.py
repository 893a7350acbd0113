"""The parts of a running service, put together once."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
import polars as pl
from starlette.requests import Request

from kuapin import columns as c
from kuapin.data.sql.events import EventStore, GroupCommit, Row
from kuapin.data.sql.experiments import ExperimentStore
from kuapin.data.sql.keys import Keyring
from kuapin.data.sql.overlay import ServedTables
from kuapin.errors import StoreError
from kuapin.observation import listening, stage
from kuapin.pipeline.forget import Receipt, forget
from kuapin.retrieval.parallel import in_this_thread
from kuapin.service_settings import ServiceConfig
from kuapin.serving.access import Access
from kuapin.serving.batching import Batcher
from kuapin.serving.clock import Clock
from kuapin.serving.erased import Erased
from kuapin.serving.experiments import Experiments
from kuapin.serving.failures import DeadlineError
from kuapin.serving.live import Live, LiveModel, Watch
from kuapin.serving.monitoring import Monitor
from kuapin.serving.questions import Question, answer, of_surface
from kuapin.serving.schedule import Schedule
from kuapin.serving.tracing import Tracing
from kuapin.serving.vitals import LOOKED_S, Vitals
from kuapin.storefront import SURFACES
from kuapin.workspace import Shop

R = TypeVar("R")
DAY = 86_400
TIDY_S = 60.0


class Service:
    """Everything that routes work with; made in ``create_app``, started and stopped with it.

    Args:
        shop: with a release and a database.
        config: its settings.

    Raises:
        ModelFolderError: there is no release, or it is damaged.
        StoreError: the database does not answer.
    """

    def __init__(self, shop: Shop, config: ServiceConfig) -> None:
        store = shop.store
        if not isinstance(store, ServedTables) or store.database is None or store.events is None:
            raise StoreError(f"{shop.path} has no database for the service. Start it with: kuapin serve {shop.path}")
        self.shop, self.config, self.store = shop, config, store
        store.erasures.synchronise()
        self.events: EventStore = store.events
        self.monitor = Monitor()
        self.tracing = Tracing(config.traces) if config.traces else None
        self.access = Access(Keyring(store.database), config, shop.path, self.monitor.cache)
        self.live = LiveModel(shop)
        self.experiments = Experiments(ExperimentStore(store.database), self.live, kept_days=config.retention_days)
        self.erased = Erased(store.erasures)
        self.vitals = Vitals(self)
        self.clock = Clock(shop.path)
        self.reloaded: list[Callable[[], None]] = []
        """Called when the histories were read anew, for whoever holds a release of his own."""
        self.ready = False

    def start(self) -> None:
        """Start the threads, and answer one question, so that nobody waits for what is made at the first."""
        self.writer = GroupCommit(self.events)
        self.batcher: Batcher[Question, dict[str, Any]] = Batcher(
            self._answer,
            self.config.batch_users,
            self.config.queue_ms / 1000,
            self.monitor.batch.observe,
            partial(self.monitor.stage, "queue"),
        )
        users = self.live.current.model.users.ids.head(3).to_list()
        self._answer([Question(user) for user in [*users, None]])
        # What is loaded stays: a full collection would walk through all of it, and keep requests waiting meanwhile
        gc.collect()
        gc.freeze()
        self.watch = Watch(
            self.config.watch_seconds,
            [self.live.follow, self.experiments.follow, self.live.follow_items, self.erased.look],
        )
        self.tidying = Watch(TIDY_S, [self.tidy, self.experiments.look])
        self.vitals.look()
        self.looking = Watch(LOOKED_S, [self.vitals.look])
        hours = self.config.refresh_hours
        self.schedule = (
            None if hours is None else Schedule(self.shop.path, hours * 3600, ended=self.monitor.refresh_ended)
        )
        self.warming = Watch(self.config.watch_seconds, [self.live.warm])
        self.ready = True

    def stop(self) -> None:
        """Finish what was begun."""
        self.ready = False
        if self.schedule is not None:
            self.schedule.stop()
        self.watch.stop()
        self.tidying.stop()
        self.looking.stop()
        self.batcher.close()
        self.writer.close()
        if self.tracing is not None:
            self.tracing.close()
        self.warming.stop()  # what compiles cannot be cut off: the process would not end cleanly

    def timeout(self, request: Request) -> float:
        """Seconds that a request may take: the shorter of ours and its own, header X-Deadline-Ms."""
        own = request.headers.get("x-deadline-ms", "")
        ours = self.config.deadline_ms
        return (min(int(own), ours) if own.isdecimal() and own.isascii() and 0 < len(own) < 10 else ours) / 1000

    async def in_time(self, request: Request, work: Callable[[], R]) -> R:
        """The result of work done in a thread.

        Raises:
            DeadlineError: it took too long; whatever comes of it is dropped.
        """
        seconds = self.timeout(request)
        try:
            async with asyncio.timeout(seconds):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError as error:
            raise DeadlineError(seconds) from error

    def person(self, user: str) -> str:
        """The id under which somebody is kept."""
        return self.shop.people.of(user)

    def forget(self, user: str) -> Receipt:
        """Erase a person from everything, this process first."""
        return forget(self.shop, user, self.erased.look)

    def gone(self, live: Live) -> Callable[[str], bool]:
        """Whether somebody was erased after a release was loaded."""
        return lambda user: self.erased.at(user) > live.erased

    def not_erased(self, rows: Sequence[Row]) -> list[Row]:
        """Events without those from before the erasure of their person."""
        return [row for row in rows if row[c.TIMESTAMP] > self.erased.at(row[c.USER_ID])]

    def tidy(self) -> None:
        """What is done now and then: old events go, and so does from memory who was erased."""
        if self.clock.steady() and self.config.retention_days is not None:
            self.events.drop_older(int(time.time()) - self.config.retention_days * DAY)
        if self.live.holds(self.erased.latest):
            self.live.reload()
            for drop in self.reloaded:
                drop()

    def put_item(self, item_id: str, fields: Mapping[str, Any]) -> Live:
        """Keep an item and let the live release know it.

        Raises:
            ModelFolderError: the release takes no new items; the item is kept for the next one.
        """
        live = self.live.follow_items(self.live.items.put(item_id, fields))
        if item_id in live.refused:
            raise live.refused[item_id]
        return live

    def delete_item(self, item_id: str) -> Live:
        """Take an item away.

        Raises:
            UnknownIdError: there is no such item.
        """
        live = self.live.current
        if item_id not in live.refused:
            live.model.catalogue.items.row(item_id)
        return self.live.follow_items(self.live.items.delete(item_id))

    def outcomes(self, since: int) -> pl.DataFrame:
        """What followed from what was shown since a time, with the items' categories: as ``OutcomeOut``."""
        found, catalogue = self.events.outcomes(since), self.live.current.model.catalogue
        rows = catalogue.items.rows(found[c.ITEM_ID])
        names = [catalogue.categories[catalogue.category[row]] if row >= 0 else None for row in rows]
        groups = [c.SURFACE, c.RELEASE, c.CATEGORY]
        return (
            found.with_columns(pl.Series(c.CATEGORY, names, dtype=pl.String))
            .group_by(groups)
            .agg(pl.col("shown", "clicked", "bought").sum())
            .with_columns(
                click_rate=pl.col("clicked") / pl.col("shown"), purchase_rate=pl.col("bought") / pl.col("shown")
            )
            .sort(groups)
        )

    def count(self, rows: Sequence[Row]) -> None:
        """Tell the monitor of events."""
        now = time.time()
        for row in rows:
            self.monitor.events.labels(row[c.EVENT]).inc()
            self.monitor.lag.observe(max(0.0, now - row[c.TIMESTAMP]))

    def of_surface(self, question: Question) -> dict[str, Any]:
        """The answer of a surface other than the list of products."""
        live = self.live.of(question.user)
        erased = question.user is not None and self.gone(live)(question.user)
        known = question.surface if question.surface in SURFACES else "other"  # a caller may make up any name
        with self._observed(known, [question]), stage(known):
            return of_surface(live, question, erased=erased)

    @contextmanager
    def _observed(self, work: str, questions: Sequence[Question]) -> Iterator[None]:
        """Tell the monitor, and where there is one the collector of traces, what happens in the block."""
        spans = [question.span for question in questions if question.span is not None]
        with ExitStack() as stack:
            traced = [stack.enter_context(self.tracing.work(work, spans))] if self.tracing and spans else []
            stack.enter_context(listening(self.monitor, *traced))
            yield

    def _answer(self, questions: Sequence[Question]) -> Sequence[dict[str, Any] | Exception]:
        lives = [self.live.of(question.user) for question in questions]
        answers: list[dict[str, Any] | Exception] = [{}] * len(questions)
        with in_this_thread(), self._observed("answer", questions):
            for live in {id(one): one for one in lives}.values():
                places = [place for place, one in enumerate(lives) if one is live]
                found = answer(live, self.events, [questions[place] for place in places], self.gone(live))
                for place, one in zip(places, found, strict=True):
                    answers[place] = one
        return answers
