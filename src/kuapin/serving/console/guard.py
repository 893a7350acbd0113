"""What stands before every page: who may see it, what a form must bring, and what a browser may do with it."""

import hmac
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlsplit

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from kuapin.errors import KuapinError
from kuapin.serving.console.console import ROOT, Console
from kuapin.serving.console.phrases import LANGUAGES, Language, Phrases, preferred
from kuapin.serving.console.sessions import COOKIE, LONGEST_S, Session
from kuapin.serving.failures import RefusedError, status_of

log = logging.getLogger("kuapin.serving")
LANGUAGE, THEME = "kuapin_language", "kuapin_theme"
"""Cookies with what somebody prefers."""
THEMES = ("system", "light", "dark")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_FIELDS = 100
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
Form = dict[str, list[str]]


class NotSignedInError(Exception):
    """The page is for those who are signed in."""


class Page(APIRoute):
    """A route whose failures are pages as well, and whose answers tell the browser to load nothing from elsewhere."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler in that wrapping."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await handler(request)
                _renew(request, response)
            except NotSignedInError:
                query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
                wanted = request.url.path + query if request.method == "GET" else ROOT + "/"
                response = RedirectResponse(f"{ROOT}/sign-in?next={quote(wanted)}", 303)
            except RequestValidationError:
                response = failed(request, 422, Phrases(language_of(request))("error.invalid"))
            except HTTPException as error:
                response = failed(request, error.status_code, Phrases(language_of(request))("error.nothing_here"))
            except KuapinError as error:
                response = failed(request, status_of(error), str(error))
            response.headers["Content-Security-Policy"] = response.headers.get("Content-Security-Policy", POLICY)
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
            response.headers["Referrer-Policy"] = "same-origin"  # without a referrer a form names no origin
            return response

        return handle


def show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        request: that it answers.
        template: its name, without its endings.
        status: of HTTP.
        values: what the template names.
    """
    language, console = language_of(request), console_of(request)
    session: Session | None = getattr(request.state, "session", None)
    text = console.templates.get_template(f"{template}.html.jinja").render(
        t=Phrases(language),
        language=language,
        theme=theme_of(request),
        session=session,
        here=request.url.path.removeprefix(ROOT) or "/",
        back=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        release=console.service.live.current.model.release,
        **values,
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status)


def failed(request: Request, status: int, message: str) -> HTMLResponse:
    """The page that says why there is no other."""
    return show(request, "failed", status, code=status, phrase=HTTPStatus(status).phrase, message=message)


def console_of(request: Request) -> Console:
    """What the pages work with."""
    found: Console = request.app.state.console
    return found


def language_of(request: Request) -> Language:
    """The language somebody chose, or that of the browser."""
    chosen = request.cookies.get(LANGUAGE)
    if chosen in LANGUAGES:
        return "zh" if chosen == "zh" else "en"
    return preferred(request.headers.get("accept-language", ""))


def theme_of(request: Request) -> str:
    """Light, dark, or what the system has."""
    chosen = request.cookies.get(THEME, "")
    return chosen if chosen in THEMES else THEMES[0]


async def signed_in(request: Request) -> Session:
    """Who asks for the page.

    Raises:
        NotSignedInError: nobody who may see it.
        RefusedError: 403, keys are off and the request was meant for another machine's name (DNS rebinding).
    """
    console = console_of(request)
    if console.open:
        if request.url.hostname not in LOOPBACK:
            raise RefusedError(403, f"Without keys the console answers on {LOOPBACK[0]} alone.")
        session: Session | None = console.sessions.of_everybody()
    else:
        session = await anyio.to_thread.run_sync(partial(console.sessions.read, request.cookies.get(COOKIE, "")))
    if session is None:
        raise NotSignedInError
    request.state.session = session
    return session


Signed = Depends(signed_in)
"""For pages that are not for everybody."""


def pages(*, signed: bool = True) -> APIRouter:
    """A router for pages, which are in no OpenAPI document.

    Args:
        signed: whether they are for those alone who are signed in.
    """
    needed = [Signed] if signed else []
    return APIRouter(prefix=ROOT, include_in_schema=False, route_class=Page, dependencies=needed)


async def read_form(request: Request) -> Form:
    """The fields of a form that this site sent out.

    Raises:
        RefusedError: 403, it was sent from another site.
    """
    _check_origin(request)
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qs(body, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise RefusedError(422, f"A form has at most {MOST_FIELDS} fields.") from error


async def changing(request: Request, session: Annotated[Session, Signed]) -> Form:
    """The fields of a form that changes something.

    Raises:
        RefusedError: 403, it was sent from another site, or lacks the session's own mark.
    """
    form = await read_form(request)
    if not hmac.compare_digest(first(form, "form").encode(), session.form.encode()):
        raise RefusedError(403, Phrases(language_of(request))("error.form"))
    return form


Changing = Annotated[Form, Depends(changing)]


def first(form: Form, name: str) -> str:
    """The value of a field; empty where there is none."""
    return form.get(name, [""])[0]


def to(path: str) -> RedirectResponse:
    """On to a page of the console, after something was changed."""
    return RedirectResponse(f"{ROOT}{path}", 303)


def own_path(wanted: str) -> str:
    """A page of the console to go on to; the first one where the name is of another place."""
    try:
        parts = urlsplit(wanted)
    except ValueError:  # half an IPv6 address
        return f"{ROOT}/"
    fine = not parts.scheme and not parts.netloc and parts.path.startswith(f"{ROOT}/") and "\\" not in wanted
    return wanted if fine and wanted.isprintable() and parts.path != f"{ROOT}/sign-in" else f"{ROOT}/"


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Give the browser a cookie that no script reads and no other site sends."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, seconds, path=ROOT, secure=secure, httponly=True, samesite="strict")


def _renew(request: Request, response: Response) -> None:
    session: Session | None = getattr(request.state, "session", None)
    ended = any(name == b"set-cookie" and COOKIE.encode() in value for name, value in response.raw_headers)
    if session is not None and session.key_id and not ended:
        set_cookie(request, response, COOKIE, console_of(request).sessions.renewed(session), LONGEST_S)


def _check_origin(request: Request) -> None:
    """A form comes from a page of this host, or the browser says nothing of it."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    try:
        fine = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:  # half an IPv6 address
        fine = False
    if not fine or site not in ("same-origin", "none"):
        raise RefusedError(403, Phrases(language_of(request))("error.form"))
