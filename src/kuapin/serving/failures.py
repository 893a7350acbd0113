"""Every way a request can fail: one shape, ``{"error": {"code", "message", "details"}, "request_id"}``."""

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from kuapin.errors import InputError, KuapinError, ModelFolderError, StoreError, UnknownIdError

log = logging.getLogger("kuapin.serving")
CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "refused",
    413: "too_large",
    415: "wrong_type",
    422: "invalid",
    429: "too_many_requests",
    500: "failed",
    503: "unavailable",
}
_MOST_DETAILS = 20


class RefusedError(KuapinError):
    """A request that is not answered, with its HTTP status and, where waiting helps, how long to wait."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class OverloadedError(RefusedError):
    """More is asked than can be answered in time."""

    def __init__(self, ahead_s: float) -> None:
        super().__init__(503, f"Too many requests wait ({ahead_s * 1000:.0f} ms of work). Try again later.", 1.0)


class DeadlineError(RefusedError):
    """The time for this request is up."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(503, f"No answer within {timeout_s * 1000:.0f} ms. Try again later.", 1.0)


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs.", examples=["not_found"])
    message: str = Field(description="For people: the rule, what came, and what to do.")
    details: list[dict[str, Any]] = Field(default_factory=list, description="Where in the request, one entry a fault.")


class ErrorOut(BaseModel):
    """The one shape of every error."""

    error: ErrorDetail
    request_id: str = Field(description="To be found in the service's log; also in the header X-Request-ID.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route declares of its errors."""
    return {status: {"model": ErrorOut, "description": CODES[status].replace("_", " ")} for status in statuses}


def failure(
    status: int,
    message: str,
    request_id: str,
    details: list[dict[str, Any]] | None = None,
    retry_after_s: float | None = None,
) -> JSONResponse:
    """An error as a response."""
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    error = {"code": CODES.get(status, "failed"), "message": message, "details": details or []}
    return JSONResponse({"error": error, "request_id": request_id}, status, headers)


def install(app: FastAPI) -> None:
    """Turn every exception into the one shape."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        details = [
            {"where": [_plain(step) for step in one["loc"]], "rule": _plain(one["msg"])}
            for one in error.errors()[:_MOST_DETAILS]
        ]
        first = f"{'.'.join(str(step) for step in details[0]['where'])}: {details[0]['rule']}" if details else "invalid"
        return failure(422, f"The request breaks a rule: {first}. Correct it.", request_id(request), details)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        response = failure(error.status_code, _plain(error.detail), request_id(request))
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    @app.exception_handler(KuapinError)
    async def _known(request: Request, error: KuapinError) -> JSONResponse:
        wait = getattr(error, "retry_after_s", None)
        request.app.state.service.monitor.refusals.labels(reason_of(error)).inc()
        return failure(status_of(error), _plain(str(error)), request_id(request), retry_after_s=wait)


def status_of(error: KuapinError) -> int:
    """The HTTP status of an error that Kuapin raises on purpose."""
    if isinstance(error, RefusedError):
        return error.status
    for kind, status in ((UnknownIdError, 404), (InputError, 422), (ModelFolderError, 409), (StoreError, 503)):
        if isinstance(error, kind):
            return status
    return 500


def reason_of(error: KuapinError) -> str:
    """What forbade an answer, in a word for the figures."""
    kinds = ((OverloadedError, "overloaded"), (DeadlineError, "deadline"), (StoreError, "store"))
    named = next((word for kind, word in kinds if isinstance(error, kind)), None)
    return named or CODES.get(status_of(error), "failed")


def request_id(request: Request) -> str:
    """The id that the request has."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def _plain(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()
