"""A/B tests: another release beside the live one, for some of the people."""

import math
from functools import partial
from typing import Any, get_args

import anyio.to_thread
from fastapi import Request, Response
from pydantic import ValidationError

from kuapin.data.sql.experiments import Terms
from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import Interval
from kuapin.serving.bodies import ExperimentIn, Outcome
from kuapin.serving.console import charts
from kuapin.serving.console.console import Console
from kuapin.serving.console.guard import Changing, Form, console_of, first, pages, show, to
from kuapin.serving.experiments import Standing
from kuapin.storefront import SURFACES
from kuapin.surfaces.products import NAME as PRODUCTS

router = pages()
SHOWN = 20


@router.get("/experiments")
async def experiments(request: Request) -> Response:
    """The one that runs, those that have ended, the newest first, and a form to start one."""
    return show(request, "experiments", **await anyio.to_thread.run_sync(partial(_found, console_of(request))))


@router.post("/experiments")
async def start(request: Request, form: Changing) -> Response:
    """Start one."""
    body, service = _read(form), console_of(request).service
    terms = Terms(**body.model_dump(exclude={"challenger"}))
    await anyio.to_thread.run_sync(partial(service.experiments.start, body.challenger, terms))
    return to("/experiments")


@router.post("/experiments/stop")
async def stop(request: Request, form: Changing) -> Response:
    """End one: the live release answers everybody from now on."""
    service = console_of(request).service
    await anyio.to_thread.run_sync(partial(service.experiments.stop, first(form, "experiment_id")))
    return to("/experiments")


def _found(console: Console) -> dict[str, Any]:
    service = console.service
    every = service.experiments.store.all()[:SHOWN]
    stand = [(one, service.experiments.standing(one)) for one in every]
    versions = service.live.releases.versions()[::-1]
    return {
        "experiments": [(one, standing, _drawn(standing)) for one, standing in stand],
        "challengers": [one.version for one in versions if not one.live and not one.fault],
        "surfaces": (PRODUCTS, *SURFACES),
        "outcomes": get_args(Outcome),
        "default": Terms(),
    }


def _drawn(standing: Standing) -> charts.Span | None:
    """The difference with its interval; ``None`` where nothing is known yet."""
    if standing.difference is None or standing.low is None or standing.high is None:
        return None
    found = Interval(standing.difference, standing.low, standing.high)
    return charts.span(found) if all(map(math.isfinite, vars(found).values())) else None


def _read(form: Form) -> ExperimentIn:
    """The form as the service would take it.

    Raises:
        InputError: a field breaks a rule.
    """
    names = ("challenger", "surface", "outcome", "least_users", "most_days")
    told: dict[str, Any] = {name: first(form, name) for name in names if first(form, name)}
    try:
        told["share"] = float(first(form, "share") or 50) / 100
        return ExperimentIn.model_validate(told | {"activate": bool(first(form, "activate"))})
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}. Correct it.") from error
    except ValueError as error:
        raise InputError(f"share is {first(form, 'share')!r}; it is a number from 1 to 99. Correct it.") from error
