"""Lists for users and visitors."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from kuapin import columns as c
from kuapin.serving.access import Asking, may_see
from kuapin.serving.bodies import Id, Met, RecommendationsOut, VisitorIn
from kuapin.serving.failures import RefusedError, responses
from kuapin.serving.questions import Question
from kuapin.serving.service import Service

router = APIRouter(tags=["recommendations"], responses=responses(400, 401, 403, 404, 422, 429, 503))

N = Annotated[int, Query(ge=1, description="How many.")]
Offset = Annotated[int, Query(ge=0, description="How many are passed over.")]
Categories = Annotated[list[Id] | None, Query(description="Top-level categories; repeat for several. Left out: all.")]
PerCategory = Annotated[int | None, Query(ge=1, description="At most so many of one top-level category.")]
Deny = Annotated[list[Id] | None, Query(description="Items that are not to be shown.")]
Explain = Annotated[bool, Query(description="Whether reasons are given.")]
Discovery = Annotated[
    float | None, Query(ge=-1, le=1, description="From -1, more of the same, to 1, what is new. Left out: the shop's.")
]
Session = Annotated[Id | None, Query(description="Whose events count where the user has none.")]
Surface = Annotated[Id, Query(description="What is asked for.")]


@router.get("/v1/users/{user_id}/recommendations", response_model=RecommendationsOut)
async def of_user(
    request: Request,
    asking: Asking,
    user_id: Id,
    surface: Surface = "products",
    n: N = 10,
    offset: Offset = 0,
    category: Categories = None,
    per_category: PerCategory = None,
    deny: Deny = None,
    discovery: Discovery = None,
    explain: Explain = False,  # noqa: FBT002
    session_id: Session = None,
) -> JSONResponse:
    """The best items for a user, over all categories or in some."""
    may_see(asking, user_id)
    wanted = tuple(category) if category else None
    question = Question(
        user_id, session_id, (), n, offset, wanted, explain, per_category, tuple(deny or ()), discovery, surface
    )
    return await _answered(request, question)


@router.get("/v1/recommendations", response_model=RecommendationsOut)
async def of_any_user(
    request: Request,
    asking: Asking,
    user_id: Annotated[Id, Query(description="Any characters, a slash among them.")],
    surface: Surface = "products",
    n: N = 10,
    offset: Offset = 0,
    category: Categories = None,
    per_category: PerCategory = None,
    deny: Deny = None,
    discovery: Discovery = None,
    explain: Explain = False,  # noqa: FBT002
    session_id: Session = None,
) -> JSONResponse:
    """The same, for ids that do not fit into a path."""
    return await of_user(
        request, asking, user_id, surface, n, offset, category, per_category, deny, discovery, explain, session_id
    )


@router.post("/v1/recommendations", response_model=RecommendationsOut, responses=responses(413))
async def of_visitor(request: Request, asking: Asking, body: VisitorIn) -> JSONResponse:
    """The best items for somebody without an id, by what he did."""
    may_see(asking, None)
    service: Service = request.app.state.service
    if len(body.history) > service.config.max_history:
        raise RefusedError(422, f"A history has at most {service.config.max_history:,} entries. Send the latest.")
    history = tuple(
        (one.item_id, one.timestamp, one.event) if isinstance(one, Met) else (one, None, "view") for one in body.history
    )
    wanted = None if body.categories is None else tuple(body.categories)
    question = Question(
        None,
        None,
        history,
        body.n,
        body.offset,
        wanted,
        body.explain,
        body.per_category,
        tuple(body.deny),
        body.discovery,
    )
    return await _answered(request, question)


async def _answered(request: Request, question: Question) -> JSONResponse:
    service: Service = request.app.state.service
    most = service.config.max_n
    if question.n + question.offset > most:
        raise RefusedError(
            422, f"n and offset are at most {most:,} together; {question.n + question.offset:,} came. Ask less."
        )
    found: dict[str, Any] = await service.batcher.ask(question, service.timeout(request))
    service.monitor.lists.labels(found[c.SURFACE], found["basis"], found[c.RELEASE]).inc()
    return JSONResponse(found)
