"""The shop's rules, and what they change in one list."""

from functools import partial

import anyio.to_thread
from fastapi import Request, Response

from kuapin.ranking.rules import FILE
from kuapin.serving.console.faces import Faces
from kuapin.serving.console.front_page import TRIED, effects
from kuapin.serving.console.guard import console_of, pages, show

router = pages()


@router.get("/rules")
async def rules(request: Request, user: str = "") -> Response:
    """Every rule with the items and users that it is on; with a user, what each changes."""
    console = console_of(request)
    model = console.live
    bound, faces, changed = model.reranker.rules.bound, Faces(model), []
    if user and bound:
        person = console.service.person(user)
        asked = None if console.gone(person) else person
        trial = await anyio.to_thread.run_sync(partial(model.try_rules, asked, TRIED))
        changed = effects(faces, trial)
    busy = await anyio.to_thread.run_sync(lambda: console.search.busy)
    path = console.service.shop.path / FILE
    return show(request, "rules", bound=bound, user=user, changed=changed, busy=busy, path=path, tried=TRIED)
