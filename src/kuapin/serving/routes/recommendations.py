"""Lists for users and visitors."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from kuapin import columns as c
from kuapin.serving.access import Asking, may_see
from kuapin.serving.bodies import Id, Met, RecommendationsOut, VisitorIn
from kuapin.serving.failures import RefusedError, responses
from kuapin.serving.questions import Question
from kuapin.serving.service import Service
from kuapin.surfaces.products import NAME as PRODUCTS

router = APIRouter(tags=["recommendations"], responses=responses(400, 401, 403, 404, 422, 429, 503))

AnyUser = Annotated[Id, Query(description="Any characters, a slash among them.")]
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
    session = session_id if "recommend" in asking.scopes else None  # anybody's: a person is told nothing of it
    question = Question(
        user_id, session, (), n, offset, wanted, explain, per_category, tuple(deny or ()), discovery, surface
    )
    return await _answered(request, question)


@router.get("/v1/recommendations", response_model=RecommendationsOut)
async def of_any_user(
    request: Request,
    asking: Asking,
    user_id: AnyUser,
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
        body.session_id,
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


@router.get("/v1/users/{user_id}/home", response_model=RecommendationsOut)
async def home(request: Request, asking: Asking, user_id: Id, n: N = 10, explain: Explain = False) -> JSONResponse:  # noqa: FBT002
    """All surfaces in one list."""
    may_see(asking, user_id)
    return await _answered(request, Question(user_id, n=n, explain=explain, surface="home"))


@router.get("/v1/home", response_model=RecommendationsOut)
async def any_home(
    request: Request,
    asking: Asking,
    user_id: AnyUser,
    n: N = 10,
    explain: Explain = False,  # noqa: FBT002
) -> JSONResponse:
    """The same, for ids that do not fit into a path."""
    return await home(request, asking, user_id, n, explain)


@router.get("/v1/users/{user_id}/profile", response_model=RecommendationsOut)
async def profile(request: Request, asking: Asking, user_id: Id, n: N = 10) -> JSONResponse:
    """What a user's history says of the user, the surest first."""
    may_see(asking, user_id)
    return await _answered(request, Question(user_id, n=n, explain=True, surface="profile"))


@router.get("/v1/profile", response_model=RecommendationsOut)
async def any_profile(request: Request, asking: Asking, user_id: AnyUser, n: N = 10) -> JSONResponse:
    """The same, for ids that do not fit into a path."""
    return await profile(request, asking, user_id, n)


async def _answered(request: Request, question: Question) -> JSONResponse:
    service: Service = request.app.state.service
    most = service.config.max_n
    if question.n + question.offset > most:
        raise RefusedError(
            422, f"n and offset are at most {most:,} together; {question.n + question.offset:,} came. Ask less."
        )
    if service.tracing is not None:
        question = replace(question, span=service.tracing.current())
    asked, found = question.user, dict[str, Any]()
    if asked is not None:
        question = replace(question, user=service.person(asked))
    if question.surface == PRODUCTS:
        found = await service.batcher.ask(question, service.timeout(request))
    else:
        found = await service.in_time(request, partial(service.of_surface, question))
    service.monitor.lists.labels(found[c.SURFACE], found["basis"], found[c.RELEASE]).inc()
    return JSONResponse(found | {c.USER_ID: asked})
