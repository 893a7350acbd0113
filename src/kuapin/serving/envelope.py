"""What surrounds every request: its id, the limit on its body, the clock, and a net for what nobody foresaw."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPMethod

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kuapin.serving.failures import failure
from kuapin.serving.logs import FIELDS, REQUEST

log = logging.getLogger("kuapin.serving")
BODY_SECONDS = 10.0
"""A body that has not come by then does not come."""
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_METHODS = frozenset(HTTPMethod)
"""What anybody makes up beside these is one row of the figures."""
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

Seen = Callable[[str, str, int, float], None]


class _TooLargeError(Exception):
    """A body above the limit."""


class Envelope:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        max_body_bytes: largest body.
        seen: told method, route, status and seconds of every request.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, seen: Seen) -> None:
        self.app, self.max_body_bytes, self.seen = app, max_body_bytes, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        REQUEST.set(request_id)
        started = False

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                own = MutableHeaders(scope=message)
                own["X-Request-ID"] = request_id
                for name, value in _ALWAYS.items():
                    own.setdefault(name, value)
            await send(message)

        try:
            if headers.get("content-length") or headers.get("transfer-encoding"):
                receive = await self._body(headers, receive)
            await self.app(scope, receive, sending)
        except _TooLargeError:
            answer = failure(413, f"A body has at most {self.max_body_bytes:,} bytes. Send less at a time.", request_id)
            await answer(scope, receive, sending)
        except TimeoutError:
            await failure(408, f"The body did not come within {BODY_SECONDS:.0f} s.", request_id)(
                scope, receive, sending
            )
        except Exception:
            log.exception("A request failed")
            if started:
                raise
            answer = failure(500, "Something failed that nobody foresaw. Report the request id.", request_id)
            await answer(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = time.perf_counter() - start
            self.seen(method, route, status, seconds)
            told = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            log.info("request", extra={FIELDS: told | {"key": scope["state"].get("key")}})

    async def _body(self, headers: Headers, receive: Receive) -> Receive:
        """The body, read whole; then a ``receive`` that gives it."""
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise _TooLargeError
        chunks, size, more = [], 0, True
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return _replay([message], receive)
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
                if size > self.max_body_bytes:
                    raise _TooLargeError
        return _replay([{"type": "http.request", "body": b"".join(chunks), "more_body": False}], receive)


def _replay(messages: list[Message], receive: Receive) -> Receive:
    async def next_one() -> Message:
        return messages.pop(0) if messages else await receive()

    return next_one
