"""Who asks, and what they may: API keys, tokens of an identity provider, and how much of it."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol

import anyio.to_thread
import jwt
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from kuapin.data.sql.keys import PREFIX, Keyring
from kuapin.errors import InputError
from kuapin.service_settings import SCOPES, Scope, ServiceConfig, TokenConfig
from kuapin.serving.failures import RefusedError
from kuapin.serving.rates import Rates

REMEMBERED_S = 1.0
"""A key that was found good is not looked up again for so long; so long a revoked one may still open."""
MOST_REMEMBERED = 10_000
REFETCHED_S = 30.0
"""A token with an unknown key has the provider's keys read anew, so often at most."""
OWN = "recommend:self"
"""Scope of a token: the lists of its own subject, and nobody else's."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: fit for logs: the id of a key, or the hash of a token's subject.
        scopes: what they may do.
        rate: requests a second; ``None``: the service's own.
        subject: of a token.
    """

    name: str
    scopes: frozenset[str]
    rate: float | None = None
    subject: str | None = None


class LookedUp(Protocol):
    """Is told of a look-up."""

    def __call__(self, name: str, *, hit: bool) -> None:
        """In which cache, and whether it had the answer."""


EVERYBODY = Caller("everybody", frozenset(SCOPES))


class Access:
    """Looks at keys and tokens.

    Args:
        keyring: the API keys.
        config: of the service.
        folder: of the shop, where a relative path of the provider's keys begins.
        looked_up: told of look-ups in what is remembered: "keys", and whether it was there.
    """

    def __init__(
        self, keyring: Keyring, config: ServiceConfig, folder: Path, looked_up: LookedUp = lambda _name, *, hit: None
    ) -> None:
        self._looked = looked_up
        self.keyring = keyring
        self.open = config.authentication == "off on loopback"
        self.rates = Rates(config.requests_per_second)
        self._tokens = Tokens(config.tokens, folder) if config.tokens.jwks else None
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, text: str | None) -> Caller:
        """Who shows this key or token.

        Raises:
            RefusedError: 401, nobody; 429, somebody who asks too often.
        """
        if self.open:
            return EVERYBODY
        if not text:
            raise RefusedError(
                401, "A key is needed: Authorization: Bearer KEY, or X-API-Key: KEY. See: kuapin keys SHOP"
            )
        mark, now = hashlib.sha256(text.encode("utf-8", "replace")).digest(), time.monotonic()
        known = self._known.get(mark)
        self._looked("keys", hit=known is not None and known[0] >= now)
        if known is None or known[0] < now:
            found = await anyio.to_thread.run_sync(partial(self._looked_up, text))
            if found is None:
                raise RefusedError(401, "This key or token opens nothing: it is wrong, has ended, or was taken back.")
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = self._known[mark] = now + REMEMBERED_S, found
        self.rates.take(known[1].name, known[1].rate)
        return known[1]

    def _looked_up(self, text: str) -> Caller | None:
        if text.startswith(f"{PREFIX}_"):
            key = self.keyring.check(text)
            return Caller(key.key_id, frozenset(key.scopes), key.rate) if key else None
        return self._tokens.check(text) if self._tokens else None


class Tokens:
    """JSON Web Tokens (RFC 7519), checked for signature, time, issuer and audience.

    Raises:
        InputError: issuer or audience are missing, or the provider's keys cannot be read.
    """

    def __init__(self, config: TokenConfig, folder: Path) -> None:
        if not config.issuer or not config.audience or not config.jwks:
            raise InputError("kuapin.toml: service.tokens needs issuer and audience beside jwks. Add them.")
        self.config = config
        try:
            if config.jwks.startswith("https://"):
                self._key: Callable[[str], Any] = jwt.PyJWKClient(
                    config.jwks, cache_keys=True, timeout=5, cooldown_duration=REFETCHED_S
                ).get_signing_key_from_jwt
            else:
                self._key = _from_file(folder / config.jwks)
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise InputError(f"kuapin.toml: service.tokens.jwks {config.jwks} cannot be read ({error}).") from error

    def check(self, text: str) -> Caller | None:
        """Who the token speaks for; ``None`` where it is not good."""
        config = self.config
        try:
            claims = jwt.decode(
                text,
                self._key(text).key,
                algorithms=list(config.algorithms),
                issuer=config.issuer,
                audience=config.audience,
                options={"require": ["exp", "sub"]},
            )
            said = claims.get(config.scope_claim) or ""
            scopes = said.split() if isinstance(said, str) else [str(one) for one in said]
        except (jwt.PyJWTError, ValueError, TypeError):  # a key of another kind than the algorithm, a scope of a number
            return None
        subject = str(claims["sub"])
        name = hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:12]
        return Caller(f"token:{name}", frozenset(scopes) & {*SCOPES, OWN}, subject=subject)


def _from_file(path: Path) -> Callable[[str], Any]:
    keys = jwt.PyJWKSet.from_json(path.read_text(encoding="utf-8"))

    def find(token: str) -> Any:
        wanted = jwt.get_unverified_header(token).get("kid")
        found = next((key for key in keys.keys if key.key_id == wanted), None)
        if found is None:
            raise jwt.InvalidTokenError("no such key")
        return found

    return find


_BEARER = HTTPBearer(auto_error=False, scheme_name="key or token")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="key")


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    header: Annotated[str | None, Security(_HEADER)],
) -> Caller:
    """Who sent a request."""
    found: Caller = await request.app.state.service.access.caller(bearer.credentials if bearer else header)
    # of a token only that it is one: its name stands for a person
    request.scope.setdefault("state", {})["key"] = found.name.partition(":")[0]
    return found


Asking = Annotated[Caller, Depends(caller)]


def needs(scope: Scope) -> Any:
    """A dependency that lets those pass who have a scope."""

    async def check(asking: Asking) -> Caller:
        if scope not in asking.scopes:
            raise RefusedError(403, f"This key may not do that: it needs the scope {scope}. Use another key.")
        return asking

    return Depends(check)


def may_see(asking: Caller, user: str | None) -> None:
    """Let those pass who may see the lists of a user.

    Raises:
        RefusedError: 403, a token whose subject is somebody else.
    """
    if "recommend" in asking.scopes or (OWN in asking.scopes and user is not None and asking.subject == user):
        return
    raise RefusedError(403, "This key may not see that list: it needs the scope recommend. Use another key.")
