"""Experiments: two releases side by side, who gets which, and what became of the people who were shown lists."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.sql.database import Database
from kuapin.data.sql.schema import EXPERIMENTS, INTERACTIONS
from kuapin.errors import UnknownIdError

HOUR = 3600


@dataclass(frozen=True)
class Terms:
    """What was agreed before an experiment began, and does not change while it runs.

    Attributes:
        share: of the people, who get the challenger.
        surface: whose lists count.
        outcome: event that is wanted after an item was shown.
        window_hours: so long after the first list what a person does counts; then the person is counted, once.
        level: chance to call two equal releases different, however often one looks.
        smallest: share of the control's rate; a smaller difference does not matter.
        least_users: in each group, before anything is decided.
        most_days: after which it ends undecided.
        activate: whether a challenger that wins goes live.
    """

    share: float = 0.5
    surface: str = "products"
    outcome: str = "click"
    window_hours: float = 24.0
    level: float = 0.05
    smallest: float = 0.02
    least_users: int = 200
    most_days: int = 28
    activate: bool = False


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        experiment_id: its name, and the seed of who gets which release.
        control: the release that was live when it began.
        challenger: the other.
        terms: what was agreed.
        started_at: unix seconds.
        ended_at: unix seconds; ``None``: it runs.
        decision: why it ended.
        standing: the figures when it ended.
    """

    experiment_id: str
    control: str
    challenger: str
    terms: Terms
    started_at: int
    ended_at: int | None = None
    decision: str | None = None
    standing: Mapping[str, Any] | None = None

    def takes(self, user: str) -> bool:
        """Whether a user gets the challenger: the same answer in every process, and for as long as it runs."""
        told = hashlib.sha256(f"{self.experiment_id}\0{user}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(told[:8], "big") < self.terms.share * 2**64


@dataclass(frozen=True)
class Exposed:
    """People who were shown lists and whose window has closed, in the order in which they came.

    Attributes:
        treated: bool (n,), who were to get the challenger.
        reached: bool (n,), who did what was wanted, with an item that was shown, in the window.
        waiting: people whose window is still open.
    """

    treated: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    waiting: int


class ExperimentStore:
    """The experiments in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def start(self, control: str, challenger: str, terms: Terms) -> Experiment | None:
        """Begin one; ``None`` where another one runs."""
        one = Experiment(secrets.token_hex(6), control, challenger, terms, int(time.time()))
        row = vars(one) | {"terms": json.dumps(asdict(terms))}
        with self.database.writing() as connection:
            if connection.scalar(sa.select(sa.func.count()).where(EXPERIMENTS.c.ended_at.is_(None))):
                return None
            connection.execute(sa.insert(EXPERIMENTS), row)
        return one

    def end(self, experiment_id: str, decision: str, standing: Mapping[str, Any] | None) -> bool:
        """End one; whether it ran until now, which of several processes one alone is told."""
        t = EXPERIMENTS.c
        ended = {"ended_at": int(time.time()), "decision": decision, "standing": json.dumps(standing)}
        with self.database.writing() as connection:
            done = connection.execute(
                sa.update(EXPERIMENTS).where(t.experiment_id == experiment_id, t.ended_at.is_(None)).values(**ended)
            )
        return bool(done.rowcount)

    def running(self) -> Experiment | None:
        """The one that runs."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(EXPERIMENTS).where(EXPERIMENTS.c.ended_at.is_(None))).first()
        return None if row is None else _experiment(row)

    def all(self) -> list[Experiment]:
        """Every one, newest first."""
        t = EXPERIMENTS.c
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(EXPERIMENTS).order_by(t.started_at.desc(), t.experiment_id))
            return [_experiment(row) for row in rows]

    def get(self, experiment_id: str) -> Experiment:
        """One of them.

        Raises:
            UnknownIdError: there is none of that name.
        """
        with self.database.reading() as connection:
            row = connection.execute(
                sa.select(EXPERIMENTS).where(EXPERIMENTS.c.experiment_id == experiment_id)
            ).one_or_none()
        if row is None:
            raise UnknownIdError(f"There is no experiment {experiment_id!r}. List them: GET /v1/experiments")
        return _experiment(row)

    def exposed(self, one: Experiment, now: float) -> Exposed:
        """What became of everybody who was shown a list since it began.

        A person counts once, from the first list on, in the group that he was drawn for, whatever he was shown. All
        times are those at which the service was told, so that what is counted once does not change later.

        Args:
            one: the experiment.
            now: unix seconds.
        """
        window = int(one.terms.window_hours * HOUR)
        shown, later = INTERACTIONS.alias("shown"), INTERACTIONS.alias("later")
        of_surface = [shown.c.event == "impression", shown.c.surface == one.terms.surface]
        entered = (
            sa.select(shown.c.user_id, sa.func.min(shown.c.received_at).label("at"))
            .where(*of_surface, shown.c.received_at >= one.started_at)
            .group_by(shown.c.user_id)
            .subquery()
        )
        in_window = [later.c.received_at >= entered.c.at, later.c.received_at < entered.c.at + window]
        same = [shown.c[name] == later.c[name] for name in (c.USER_ID, c.RANKING_ID, c.ITEM_ID)]
        followed = (
            sa.exists()
            .select_from(later.join(shown, sa.and_(*same)))
            .where(later.c.user_id == entered.c.user_id, later.c.event == one.terms.outcome, *in_window, *of_surface)
            .where(shown.c.received_at >= entered.c.at)
            .correlate(entered)
        )
        query = sa.select(entered.c.user_id, entered.c.at, followed).order_by(entered.c.at, entered.c.user_id)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        closed = [row for row in rows if row[1] + window <= now]
        treated = np.fromiter((one.takes(row[0]) for row in closed), np.bool_, len(closed))
        reached = np.fromiter((bool(row[2]) for row in closed), np.bool_, len(closed))
        return Exposed(treated, reached, len(rows) - len(closed))


def _experiment(row: sa.Row) -> Experiment:  # type: ignore[type-arg]
    standing = None if row.standing is None else json.loads(row.standing)
    terms = Terms(**json.loads(row.terms))
    whole = (row.experiment_id, row.control, row.challenger, terms, row.started_at, row.ended_at, row.decision)
    return Experiment(*whole, standing)
