"""Which files were imported: known by their content, so that the same file under another name is still the same."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.faults import UNKNOWN_ITEM, Action, Fault
from kuapin.errors import InputError


class ImportedFile(BaseModel):
    """One file that filled one table; where several did, the counts and faults stand with the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="Hash of the file's bytes.")
    table: str = Field(description="The table that it filled.")
    name: str = Field(description="The file's name, for people.")
    format: str = Field(description="The importer that read it.")
    at: str = Field(description="When, ISO 8601 in UTC.")
    rows: int = Field(ge=0, description="Rows that were kept.")
    left_out: int = Field(ge=0, description="Rows that stayed outside.")
    faults: tuple[Fault, ...] = Field((), description="What the validation found.")

    @property
    def waits_for_items(self) -> bool:
        """Whether rows were left out because their items were not there; a second import may bring them in."""
        return any(fault.rule == UNKNOWN_ITEM and fault.action is Action.LEFT_OUT for fault in self.faults)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Give the path of a file.") from error
