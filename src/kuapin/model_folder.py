"""Releases."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ReleasesConfig(BaseModel):
    """Published models: how many are kept, and how alteration is detected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: int = Field(5, ge=2, description="Releases kept for rollback; the oldest beyond them are deleted on publish.")
    signing_key_file: Path | None = Field(
        None,
        description="File that holds the key that signs and checks releases; "
        "the environment variable KUAPIN_SIGNING_KEY goes before it.",
    )
