"""From questions to lists: those that wait are answered together, by one release."""

import secrets
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.data.histories import Histories
from kuapin.data.sql.events import EventStore
from kuapin.observation import listened, stage, tell_spread
from kuapin.serving.live import Live
from kuapin.serving.online import New, with_new
from kuapin.surfaces.home import NAME as HOME
from kuapin.surfaces.home_strategies import MARK, STRATEGY
from kuapin.surfaces.profile import NAME as PROFILE

PERSONAL, SESSION, CATEGORY_POPULAR, SHOP_POPULAR, NOTHING = BASES = (
    "personal",
    "session",
    "category_popular",
    "shop_popular",
    "nothing",
)
"""What a list rests on, the first that there is: the user's history, that of the session, what is popular in the
categories asked for, what is popular in the shop; an empty list of a surface rests on nothing."""
SHOWN = (c.RANK, c.KIND, c.TARGET_ID, c.SCORE, c.REASON_CODE, c.REASON)


@dataclass(frozen=True)
class Question:
    """One list that is asked for.

    Attributes:
        user: whose; ``None``: a visitor's.
        session: whose events count where the user has none.
        history: of a visitor: item, unix seconds and event, oldest first.
        n: how many.
        offset: how many are passed over.
        categories: top-level categories to choose from; ``None``: all.
        explain: whether reasons are given.
        per_category: items of one category at most.
        deny: items that are not to be shown.
        discovery: from -1, more of the same, to 1, what is new; ``None``: as the shop has it.
        surface: what is asked for.
        span: of the request, where it is traced.
    """

    user: str | None = None
    session: str | None = None
    history: tuple[tuple[str, int | None, str], ...] = ()
    n: int = 10
    offset: int = 0
    categories: tuple[str, ...] | None = None
    explain: bool = False
    per_category: int | None = None
    deny: tuple[str, ...] = ()
    discovery: float | None = None
    surface: str = "products"
    span: Any = field(default=None, compare=False)

    @property
    def form(self) -> tuple[Any, ...]:
        """Questions of one form are answered in one call."""
        return (
            self.n,
            self.offset,
            self.categories,
            self.explain,
            self.per_category,
            self.deny,
            self.discovery,
            self.surface,
        )


def answer(
    live: Live,
    events: EventStore,
    questions: Sequence[Question],
    erased: Callable[[str], bool] = lambda _: False,
) -> list[dict[str, Any] | Exception]:
    """Answers in the order of the questions; a question that cannot be answered has its error.

    Args:
        live: the one release that answers all of them.
        events: where new events are looked up.
        questions: any number.
        erased: whether a user was erased after the release was loaded.
    """
    with stage("histories"):
        histories, bases = _histories(live, events, questions, erased)
    known = [None if one.user is None or erased(one.user) else one.user for one in questions]
    who = live.model.users.rows(pl.Series(known, dtype=pl.String)).astype(np.int64)
    for place in np.flatnonzero(who < 0).tolist():
        name = questions[place].user or questions[place].session
        if name:
            who[place] = -2 - zlib.crc32(name.encode("utf-8", "surrogatepass"))
    answers: list[dict[str, Any] | Exception] = [{}] * len(questions)
    forms: dict[tuple[Any, ...], list[int]] = {}
    for place, question in enumerate(questions):
        forms.setdefault(question.form, []).append(place)
    for places in forms.values():
        try:
            found = _lists(live, histories.select(np.array(places)), who[places], questions[places[0]])
        except Exception as error:  # raised again to who asked; the others have their lists
            for place in places:
                answers[place] = error
            continue
        for place, one in zip(places, found, strict=True):
            answers[place] = _said(live, questions[place], bases[place], one)
    return answers


def of_surface(live: Live, question: Question, *, erased: bool) -> dict[str, Any]:
    """The answer of a surface other than the list of products, from the history that the release was loaded with.

    Raises:
        InputError: there is no such surface, or the release has not learnt it.
        UnknownIdError: a category that no item has.
    """
    model = live.model
    user = "" if erased or question.user is None else question.user
    table = model.recommend(
        user,
        question.n + question.offset,
        question.categories,
        surface=question.surface,
        explain=question.explain,
        deny=question.deny,
        per_category=question.per_category,
        discovery=question.discovery,
    )
    known = question.surface == PROFILE or model.histories_of([user]).lengths[0] > 0
    mixed = STRATEGY in table.columns and table.height > 0
    told = (*SHOWN, c.SURFACE) if question.surface == HOME else SHOWN
    told = (*told, c.PROPENSITY) if mixed else told
    told = (*told, *(name for name in c.GROWN if name in table.columns))
    rows = table.select(told).with_columns(pl.col(pl.Date).cast(pl.String)).iter_rows()
    shown = [dict(zip(told, row, strict=True)) for row in rows]
    popular = SHOP_POPULAR if question.categories is None else CATEGORY_POPULAR
    basis = PERSONAL if known else popular
    answer = _said(live, question, basis if shown else NOTHING, shown)
    if mixed:  # what is told of this ranking is told of this strategy
        answer[c.RANKING_ID] = f"{table[STRATEGY][0]}{MARK}{answer[c.RANKING_ID]}"
    return answer


def _histories(
    live: Live, events: EventStore, questions: Sequence[Question], erased: Callable[[str], bool]
) -> tuple[Histories, list[str]]:
    """The history of every question, and what the answer rests on."""
    model = live.model
    users = [question.user for question in questions]
    since = events.since(live.position, list({user for user in users if user is not None}))
    base = model.histories_of([user if user is not None else "" for user in users])
    base = _without(base, [place for place, user in enumerate(users) if user is None or erased(user)])
    new: list[New] = [since.get(user, ()) if user is not None else () for user in users]
    met = with_new(base, new, model.catalogue.items)
    lengths = met.lengths
    sessions = {question.session for question, n in zip(questions, lengths, strict=True) if n == 0 and question.session}
    of_session = events.of_sessions(list(sessions)) if sessions else {}
    more: list[New] = []
    for question, n in zip(questions, lengths, strict=True):
        if n:
            more.append(())
        elif question.history:
            told = [one for one in question.history if one[2] not in NOT_AN_ANSWER]
            more.append([(i, model.latest + k if t is None else t, e) for k, (i, t, e) in enumerate(told)])
        else:
            more.append(of_session.get(question.session or "", ()))
    met = with_new(met, more, model.catalogue.items)
    bases = []
    for question, before, after in zip(questions, lengths, met.lengths, strict=True):
        popular = SHOP_POPULAR if question.categories is None else CATEGORY_POPULAR
        bases.append(PERSONAL if before else SESSION if after else popular)
    return met, bases


def _without(histories: Histories, places: Sequence[int]) -> Histories:
    """The histories, some of them empty: those of visitors, and of people who were erased."""
    if not places or not histories.lengths[np.array(places)].any():
        return histories
    mask = np.ones(len(histories), np.bool_)
    mask[np.array(places)] = False
    return histories.keep(mask[histories.users])


def _lists(live: Live, histories: Histories, who: NDArray[np.int64], question: Question) -> list[list[dict[str, Any]]]:
    found = live.model.answer(
        histories,
        question.n + question.offset,
        question.categories,
        who=who,
        surface=question.surface,
        explain=question.explain,
        per_category=question.per_category,
        deny=question.deny,
        discovery=question.discovery,
        page=question.n,
    )
    if listened() and question.categories is None:
        _tell_spread(live, found.asked, found.items, question)
    # Without a table: for a few rows Polars takes longer to begin than the whole list
    lists: list[list[dict[str, Any]]] = [[] for _ in range(len(histories))]
    items, reasons = live.model.catalogue.items, found.reasons
    for place, (number, item, score) in enumerate(zip(found.asked, found.items, found.scores, strict=True)):
        own = lists[number]
        code, text = (reasons.codes[place], reasons.texts[place]) if reasons else (None, None)
        own.append(dict(zip(SHOWN, (len(own) + 1, "item", items.id(item), float(score), code, text), strict=True)))
        if found.propensity is not None:
            own[-1][c.PROPENSITY] = float(found.propensity[place])
    return lists


def _tell_spread(live: Live, asked: NDArray[np.int64], items: NDArray[np.int32], question: Question) -> None:
    """The entropy of the top-level categories of what is shown of every list."""
    category, n = live.model.catalogue.category[items], len(live.model.catalogue.categories)
    for own in np.split(category, np.flatnonzero(np.diff(asked)) + 1):
        if len(own) > question.offset:
            share = np.bincount(own[question.offset :], minlength=n) / (len(own) - question.offset)
            tell_spread(float(-(share[share > 0] * np.log2(share[share > 0])).sum()))


def _said(live: Live, question: Question, basis: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        c.USER_ID: question.user,
        c.SURFACE: question.surface,
        c.RELEASE: live.model.release,
        c.RANKING_ID: secrets.token_hex(8),
        "basis": basis,
        "recommendations": shown[question.offset :],
    }
