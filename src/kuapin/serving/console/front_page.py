"""What one person sees: the home page with every surface, what it rests on, and what the rules changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kuapin import columns as c
from kuapin.model import Model
from kuapin.serving.console.faces import Card, Faces
from kuapin.serving.live import Live
from kuapin.serving.questions import PERSONAL, SESSION, SHOP_POPULAR
from kuapin.serving.service import Service
from kuapin.surfaces import home as home_surface
from kuapin.surfaces.rule_trial import Trial

ROWS = 40
"""Rows of the page."""
TRIED = 12
"""Length of the list that the rules are tried on."""
LATEST = 8
"""Of the history, what is shown."""
LEARNT = ("bundles", "brands", "campaigns", "trends")
"""Surfaces that a release may not have learnt."""


@dataclass(frozen=True)
class Met:
    """Something a person did."""

    card: Card
    event: str
    when: int | None


@dataclass(frozen=True)
class Section:
    """One surface on the page; ``learnt``: whether the release can answer it at all."""

    surface: str
    cards: list[Card]
    learnt: bool


@dataclass(frozen=True)
class Effect:
    """What a rule does to the list of products: what came and went, and what moved, with its ranks before and after."""

    rule: str
    kind: str
    line: int
    came: list[Card]
    went: list[Card]
    moved: list[tuple[Card, int, int]]

    @property
    def nothing(self) -> bool:
        """Whether the list is the same without it."""
        return not (self.came or self.went or self.moved)


@dataclass(frozen=True)
class FrontPage:
    """What one person sees.

    Attributes:
        sections: the surfaces, in the order of the page.
        release: that answers.
        basis: what the answer rests on, as the service says it.
        history: what the person did last, the latest first.
        met: how much he did in all.
        effects: of every rule, in the order of the file.
    """

    sections: list[Section]
    release: str
    basis: str
    history: list[Met]
    met: int
    effects: list[Effect]


def of_user(service: Service, live: Live, model: Model, user: str, n: int = ROWS) -> FrontPage:
    """The page of a user, as ``GET /v1/users/{user_id}/home`` gives it; of an erased one that of nobody known.

    Args:
        service: that answers.
        live: the release that answers this user.
        model: the same, in a language.
        user: the id under which the user is kept.
        n: rows.
    """
    if service.gone(live)(user):
        return of_visitor(model, (), n)
    faces, histories = Faces(model), model.histories_of([user])
    table = model.recommend(user, n, surface=home_surface.NAME, explain=True)
    done = [
        (model.catalogue.items.id(int(item)), c.EVENTS[event], int(when) if histories.timed else None)
        for item, event, when in zip(histories.items, histories.events, histories.times, strict=True)
    ]
    lately = service.events.since(live.position, [user]).get(user, [])
    done += [(item, event, when) for item, when, event in lately]
    latest = done[: -LATEST - 1 : -1]
    cards = faces.of_items([item for item, _, _ in latest])
    history = [Met(card, event, when) for card, (_, event, when) in zip(cards, latest, strict=True)]
    trial = model.try_rules(user, TRIED) if model.reranker.rules.bound else None
    basis = PERSONAL if histories.lengths[0] else SHOP_POPULAR
    return FrontPage(_sections(model, faces, table), model.release, basis, history, len(done), effects(faces, trial))


def of_visitor(model: Model, history: Sequence[str], n: int = ROWS) -> FrontPage:
    """The page of somebody without an id, who looked at some items, oldest first."""
    faces = Faces(model)
    table = model.recommend_visitor(history, n, surface=home_surface.NAME, explain=True)
    known = [item for item, row in zip(history, model.catalogue.items.rows(history), strict=True) if row >= 0]
    met = [Met(card, "view", None) for card in faces.of_items(known)[::-1]]
    trial = model.try_rules(None, TRIED, history=history) if model.reranker.rules.bound else None
    basis = SESSION if known else SHOP_POPULAR
    return FrontPage(_sections(model, faces, table), model.release, basis, met, len(met), effects(faces, trial))


def effects(faces: Faces, trial: Trial | None) -> list[Effect]:
    """What every rule changed."""
    found = []
    for one in trial.changes if trial else ():
        moved = faces.of_items([item for item, _, _ in one.moved])
        ranks = [(before, after) for _, before, after in one.moved]
        found.append(
            Effect(
                one.rule,
                one.kind,
                one.line,
                faces.of_items(one.came),
                faces.of_items(one.went),
                [(card, *pair) for card, pair in zip(moved, ranks, strict=True)],
            )
        )
    return found


def _sections(model: Model, faces: Faces, table: pl.DataFrame) -> list[Section]:
    front = model.storefront
    found = []
    for name in home_surface.SHARES:
        cards = faces.of_answer(table.filter(surface=name))
        learnt = name not in LEARNT or (front is not None and (front.folder / name).is_dir())
        found.append(Section(name, cards, learnt))
    return found
