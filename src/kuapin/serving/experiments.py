"""Two releases on people: how the comparison stands, and when it ends."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kuapin.data.sql.experiments import Experiment, ExperimentStore, Exposed, Terms
from kuapin.errors import KuapinError
from kuapin.evaluation.sequential import confidence_sequence, mismatch
from kuapin.pipeline.forget import finish
from kuapin.serving.failures import RefusedError
from kuapin.serving.live import LiveModel

log = logging.getLogger("kuapin.serving")
LEAST_REACHED = 20
"""Wanted events that the smaller group must be good for: below them the interval's limit theorem does not hold."""
TUNED_FOR = 10_000
"""People at whom the interval is narrowest."""
MISMATCH_LEVEL = 0.001
"""Chance to take groups for wrongly drawn that are not."""
DAY = 86_400
BETTER, WORSE, NO_DIFFERENCE, UNDECIDED, MISMATCH, STOPPED, INTERRUPTED = (
    "better",
    "worse",
    "no difference",
    "undecided",
    "mismatch",
    "stopped",
    "interrupted",
)
"""Why an experiment ended: the challenger's rate is higher, or lower; the difference is too small to matter; the time
was up; people did not come to the groups as they were drawn; somebody stopped it; one of the releases is not there."""


@dataclass(frozen=True)
class Standing:
    """The figures of an experiment.

    Attributes:
        control_users: people who got the live release and whose window has closed.
        challenger_users: likewise the other.
        waiting_users: people whose window is open.
        control_rate: share of people who did what is wanted.
        challenger_rate: likewise.
        difference: challenger - control.
        low: lower end of its confidence sequence; ``None``: nothing is known yet.
        high: upper end.
        decision: what ends it, now; ``None``: it goes on.
    """

    control_users: int
    challenger_users: int
    waiting_users: int
    control_rate: float | None
    challenger_rate: float | None
    difference: float | None
    low: float | None
    high: float | None
    decision: str | None


def standing(terms: Terms, exposed: Exposed, *, overdue: bool) -> Standing:
    """How an experiment stands; looking changes nothing of what it may say later.

    Args:
        terms: what was agreed.
        exposed: people so far.
        overdue: whether its time is up.
    """
    treated, reached = exposed.treated, exposed.reached
    theirs, ours = int(treated.sum()), int((~treated).sum())
    control = float(reached[~treated].mean()) if ours else None
    challenger = float(reached[treated].mean()) if theirs else None
    effect = low = high = decision = None
    if control is not None and challenger is not None:
        found = confidence_sequence(treated, reached.astype(float), terms.share, terms.level, TUNED_FOR)
        effect, low, high = (float(values[-1]) for values in (found.effect, found.low, found.high))
        expected = min(ours, theirs) * float(reached.mean())
        if min(ours, theirs) >= terms.least_users and expected >= LEAST_REACHED:
            decision = _answer(low, high, terms.smallest * control)
    if mismatch(theirs, ours + theirs, terms.share) > 1 / MISMATCH_LEVEL:
        decision = MISMATCH
    if decision is None and overdue:
        decision = UNDECIDED
    return Standing(ours, theirs, exposed.waiting, control, challenger, effect, low, high, decision)


def _answer(low: float, high: float, matters: float) -> str | None:
    if low > 0 or high < 0:
        return BETTER if low > 0 else WORSE
    return NO_DIFFERENCE if max(-low, high) < matters else None


class Experiments:
    """Starts experiments, looks at them, and ends them by their terms.

    Args:
        store: where they are kept.
        live: the releases that answer.
        clock: unix seconds.
        kept_days: how long events are kept; ``None``: for ever.
    """

    def __init__(
        self,
        store: ExperimentStore,
        live: LiveModel,
        clock: Callable[[], float] = time.time,
        kept_days: int | None = None,
    ) -> None:
        self.store, self.live, self.clock, self.kept_days = store, live, clock, kept_days

    def start(self, challenger: str, terms: Terms) -> Experiment:
        """Compare a release with the live one, from now on.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged.
            RefusedError: 409, another experiment runs, or it is the live release; 422, it would outlive its events.
        """
        kept = self.kept_days
        if kept is not None and terms.most_days > kept:
            raise RefusedError(
                422,
                f"Events are kept for {kept:,} days, and most_days is {terms.most_days:,}. Ask for at most as many.",
            )
        with self.live.held(challenger) as control:
            if challenger == control:
                raise RefusedError(409, f"{challenger} is live: an experiment compares another release with it.")
            one = self.store.start(control, challenger, terms)
        if one is None:
            raise RefusedError(409, "An experiment runs already. Stop it, or wait for its end.")
        self.follow()
        return one

    def stop(self, experiment_id: str) -> Experiment:
        """End one by hand; one that has ended stays as it is.

        Raises:
            UnknownIdError: there is none of that name.
        """
        one = self.store.get(experiment_id)
        if one.ended_at is None:
            self._end(one, STOPPED)
        return self.store.get(experiment_id)

    def standing(self, one: Experiment) -> Standing:
        """How it stands now, or stood when it ended."""
        if one.standing is not None:
            return Standing(**one.standing)
        now = self.clock()
        overdue = now > one.started_at + one.terms.most_days * DAY
        return standing(one.terms, self.store.exposed(one, now), overdue=overdue)

    def follow(self) -> None:
        """Take over what others began or ended; one whose releases are not what they were has ended."""
        one = self.store.running()
        if one is not None and not self.live.try_beside(one):
            self._end(one, INTERRUPTED)
        elif one is None:
            self.live.alone()

    def look(self) -> None:
        """End what has an answer; a challenger that won goes live where that was agreed."""
        one = self.store.running()
        found = None if one is None else self.standing(one)
        if one is not None and found is not None and found.decision is not None:
            self._end(one, found.decision, found)

    def _end(self, one: Experiment, decision: str, found: Standing | None = None) -> None:
        told: dict[str, Any] = asdict(found or self.standing(one)) | {"decision": decision}
        ended = self.store.end(one.experiment_id, decision, told)
        self.live.alone()
        if not ended:
            return
        log.info("Experiment %s ended: %s", one.experiment_id, decision)
        if decision == BETTER and one.terms.activate and self.live.releases.live() == one.control:
            try:
                self.live.activate(one.challenger)
            except KuapinError as error:
                log.warning("%s won, and cannot be made live: %s", one.challenger, error)
        try:
            finish(self.live.shop)  # an erasure had left both
        except KuapinError as error:
            log.warning("Releases from before an erasure stay: %s", error)
