"""The settings of the service, apart from it: ``kuapin.toml`` knows them, and nothing below it knows the service."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Scope = Literal["recommend", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("recommend", "write", "admin")


class TokenConfig(BaseModel):
    """JSON Web Tokens of an identity provider, beside API keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jwks: str | None = Field(
        None,
        description="The provider's keys: an https URL, or a file relative to the shop's folder; not set: no tokens.",
    )
    issuer: str | None = Field(None, description="Claim `iss` that a token must have; needed with jwks.")
    audience: str | None = Field(None, description="Claim `aud` that a token must have; needed with jwks.")
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA", "PS256"], ...] = Field(
        ("RS256", "ES256"), description="Signatures that are taken; none of them is made with a shared secret."
    )
    scope_claim: str = Field("scope", description="Claim with the scopes: recommend, write, admin.")


class ServiceConfig(BaseModel):
    """The service: where it keeps what it is told, who may ask, and how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str | None = Field(
        None,
        description="URL such as postgresql+psycopg://user@host/name; not set: service.sqlite in the shop's folder. "
        "The environment variable KUAPIN_DATABASE goes before it.",
    )
    authentication: Literal["required", "off on loopback"] = Field(
        "required", description="Whether callers need a key; without one the service listens on this machine alone."
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that answer.")
    batch_users: int = Field(16, ge=1, le=256, description="Users who are worked on together, of those that wait.")
    deadline_ms: int = Field(1000, ge=1, le=60_000, description="A request is given up after this time.")
    queue_ms: int = Field(80, ge=1, le=60_000, description="A request that would wait longer is refused with 503.")
    requests_per_second: float = Field(
        1000.0, gt=0, description="Rate of a key that has none of its own, in every process; twice as many at once."
    )
    max_n: int = Field(100, ge=1, le=10_000, description="Longest list, the part that is passed over included.")
    max_history: int = Field(1000, ge=1, le=100_000, description="Longest history in a request.")
    max_events: int = Field(1000, ge=1, le=100_000, description="Most events in one request.")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=100_000_000, description="Largest body of a request.")
    masking: Literal["own", "presidio"] = Field(
        "own",
        description="What finds personal data in texts of people; presidio adds kinds, and needs the privacy extra.",
    )
    hash_user_ids: bool = Field(
        default=False,
        description="Whether people are kept under keyed hashes of their ids, from the first import on; callers go on "
        "using the ids.",
    )
    retention_days: int | None = Field(
        None, ge=1, description="Events that the service received longer ago are deleted; not set: none."
    )
    refresh_hours: float | None = Field(
        None,
        gt=0,
        description="`kuapin refresh` runs so often beside the service, on what it has collected; not set: never.",
    )
    watch_seconds: float = Field(
        0.25, gt=0, le=60, description="How often a process looks for releases and items that others brought."
    )
    traces: str | None = Field(
        None,
        pattern="^https?://",
        description="URL of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318; needs the "
        "tracing extra; not set: no traces.",
    )
    tokens: TokenConfig = TokenConfig()
