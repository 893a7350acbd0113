"""Experiments: another release beside the live one, for some of the people."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from kuapin.data.sql.experiments import Experiment, Terms
from kuapin.serving.access import needs
from kuapin.serving.bodies import ExperimentIn, ExperimentOut, ExperimentsOut, Id
from kuapin.serving.failures import responses
from kuapin.serving.service import Service

router = APIRouter(
    tags=["experiments"], responses=responses(400, 401, 403, 409, 422, 429, 503), dependencies=[needs("admin")]
)


@router.get("/v1/experiments", response_model=ExperimentsOut)
async def experiments(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 50,
    offset: Annotated[int, Query(ge=0, description="How many are passed over.")] = 0,
) -> ExperimentsOut:
    """The experiments of the shop, newest first."""
    service: Service = request.app.state.service
    every = await anyio.to_thread.run_sync(service.experiments.store.all)
    shown = await service.in_time(request, lambda: [_said(service, one) for one in every[offset : offset + limit]])
    return ExperimentsOut(total=len(every), experiments=shown)


@router.post("/v1/experiments", response_model=ExperimentOut, responses=responses(404, 413))
async def start(request: Request, body: ExperimentIn) -> ExperimentOut:
    """Compare a release with the live one on people; it ends by its own terms, and one runs at a time."""
    service: Service = request.app.state.service
    terms = Terms(**body.model_dump(exclude={"challenger"}))
    one = await anyio.to_thread.run_sync(partial(service.experiments.start, body.challenger, terms))
    return await anyio.to_thread.run_sync(partial(_said, service, one))


@router.get("/v1/experiments/{experiment_id}", response_model=ExperimentOut, responses=responses(404))
async def experiment(request: Request, experiment_id: Id) -> ExperimentOut:
    """How one stands now, or stood when it ended."""
    service: Service = request.app.state.service
    return await service.in_time(request, lambda: _said(service, service.experiments.store.get(experiment_id)))


@router.post("/v1/experiments/{experiment_id}/stop", response_model=ExperimentOut, responses=responses(404))
async def stop(request: Request, experiment_id: Id) -> ExperimentOut:
    """End one: the live release answers everybody from now on."""
    service: Service = request.app.state.service
    one = await anyio.to_thread.run_sync(partial(service.experiments.stop, experiment_id))
    return await anyio.to_thread.run_sync(partial(_said, service, one))


def _said(service: Service, one: Experiment) -> ExperimentOut:
    figures = asdict(service.experiments.standing(one)) | {"decision": one.decision}
    kept = {name: getattr(one, name) for name in ("experiment_id", "control", "challenger", "started_at", "ended_at")}
    return ExperimentOut(**kept, **asdict(one.terms), **figures)
