"""Two releases side by side, asked the same."""

from dataclasses import dataclass
from functools import partial

import anyio.to_thread
from fastapi import Request, Response

from kuapin import columns as c
from kuapin.errors import InputError
from kuapin.model import Model
from kuapin.serving.console.console import Console
from kuapin.serving.console.faces import Card, Faces
from kuapin.serving.console.guard import console_of, pages, show
from kuapin.storefront import SURFACES
from kuapin.surfaces.products import NAME as PRODUCTS

router = pages()
ROWS = 20
ASKED = tuple(name for name in (PRODUCTS, *SURFACES) if name != "home")


@dataclass(frozen=True)
class Side:
    """The answer of one release.

    Attributes:
        release: its name.
        rows: the cards, each with its rank in the other answer; ``None`` where that lacks it.
        fault: why there is no answer.
    """

    release: str
    rows: list[tuple[Card, int | None]]
    fault: str = ""


@router.get("/compare")
async def compare(
    request: Request, user: str = "", left: str = "", right: str = "", surface: str = PRODUCTS
) -> Response:
    """Both lists for one user; where nothing was chosen yet, the live release and the one before it."""
    console = console_of(request)
    versions = await anyio.to_thread.run_sync(console.service.live.releases.versions)
    names = [one.version for one in versions[::-1] if not one.fault]
    others = [name for name in names if name != console.live.release]
    left, right = left or (others[0] if others else ""), right or console.live.release
    surface = surface if surface in ASKED else PRODUCTS
    busy = await anyio.to_thread.run_sync(lambda: console.search.busy)
    sides: list[Side] = []
    if user and left and right:
        sides = await anyio.to_thread.run_sync(
            partial(_sides, console, console.service.person(user), (left, right), surface)
        )
    shared = sum(rank is not None for _, rank in sides[0].rows) if sides else 0
    return show(
        request,
        "compare",
        user=user,
        left=left,
        right=right,
        names=names,
        surface=surface,
        surfaces=ASKED,
        sides=sides,
        shared=shared,
        busy=busy,
    )


def _sides(console: Console, user: str, versions: tuple[str, str], surface: str) -> list[Side]:
    answers: list[tuple[str, list[Card], str]] = []
    for version in versions:
        model = console.model(version)
        try:
            answers.append((version, _cards(model, "" if console.gone(user) else user, surface), ""))
        except InputError as error:  # a surface that the release has not learnt
            answers.append((version, [], str(error)))
    ranks = [{card.target: card.rank for card in cards} for _, cards, _ in answers]
    return [
        Side(version, [(card, ranks[1 - place].get(card.target)) for card in cards], fault)
        for place, (version, cards, fault) in enumerate(answers)
    ]


def _cards(model: Model, user: str, surface: str) -> list[Card]:
    table = model.recommend(user, ROWS, surface=surface, explain=True)
    return Faces(model).of_answer(table.sort(c.RANK, maintain_order=True))
