"""Who people are: the ids under which they come, and the keyed hashes under which a shop may keep them instead."""

import hmac
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.rules import OF_ITEMS
from kuapin.data.vocabulary import Vocabulary
from kuapin.durable import sync_folder
from kuapin.errors import InputError

KEY_FILE = "privacy.key"
VARIABLE = "KUAPIN_PRIVACY_KEY"
PATTERN = r"^p_[0-9a-f]{40}$"
"""Form of a keyed hash: 160 bits, so that no two people share one."""
_FORM = re.compile(PATTERN)
_ENDS = (c.HEAD, c.TAIL)


class People:
    """Ids of people as a shop keeps them: as they came, or as keyed hashes.

    A hash is HMAC-SHA256 of the id: without the key nobody finds the id of a hash, nor tries ids until one fits. A hash
    stands for itself, so that what was exported can be imported, and what a report names can be asked for.

    Args:
        key: of the hashes; ``None``: ids are kept as they came.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    @property
    def hashed(self) -> bool:
        """Whether ids are kept as hashes."""
        return self._key is not None

    def of(self, user: str) -> str:
        """The id under which somebody is kept."""
        if self._key is None or _FORM.fullmatch(user):
            return user
        told = b"id\0" + user.encode("utf-8", "surrogatepass")
        return f"p_{hmac.digest(self._key, told, 'sha256').hex()[:40]}"

    def column(self, ids: pl.Series) -> pl.Series:
        """The same for many, null where it is null."""
        if self._key is None:
            return ids
        distinct = ids.drop_nulls().unique()
        kept = pl.Series([self.of(one) for one in distinct], dtype=pl.String)
        return ids.replace_strict(distinct, kept, default=None, return_dtype=pl.String)

    def tables(self, tables: Mapping[str, pl.DataFrame], known: pl.Series) -> dict[str, pl.DataFrame]:
        """Tables with the ids of people as they are kept; the ends of relations that are people's among them.

        Args:
            tables: by name.
            known: further people, as they are kept, who may be named in relations.
        """
        if self._key is None:
            return dict(tables)
        kept = {
            name: table.with_columns(self.column(table[c.USER_ID])) if c.USER_ID in table.columns else table
            for name, table in tables.items()
        }
        if c.RELATIONS in kept:
            own = [table[c.USER_ID] for table in kept.values() if c.USER_ID in table.columns]
            people = pl.concat([known, *own]).unique().implode()
            of_people = ~pl.col(c.RELATION).is_in(OF_ITEMS)
            ends = {end: self.column(kept[c.RELATIONS][end]) for end in _ENDS}
            kept[c.RELATIONS] = kept[c.RELATIONS].with_columns(
                pl.when(of_people & ids.is_in(people)).then(ids).otherwise(end).alias(end) for end, ids in ends.items()
            )
        return kept

    def check(self, ids: pl.Series) -> None:
        """Refuse ids that are kept otherwise than the setting says.

        Args:
            ids: of people, as they are kept.

        Raises:
            InputError: some are hashes and should not be, or the other way round.
        """
        wrong = ids.drop_nulls().str.contains(PATTERN) != self.hashed
        if wrong.any():
            kept, wanted = ("as they came", "true") if self.hashed else ("as keyed hashes", "false")
            raise InputError(
                f"kuapin.toml: service.hash_user_ids is {wanted}, and {int(wrong.sum()):,} people of this shop are "
                f"kept {kept}. Set it back; or make a new shop with it, and import what kuapin export wrote."
            )

    def vocabulary(self, users: Vocabulary) -> Vocabulary:
        """People ↔ rows, where either id of somebody finds the row."""
        return _Known(users.ids, self) if self.hashed else users


class _Known(Vocabulary):
    def __init__(self, ids: pl.Series, people: People) -> None:
        super().__init__(ids, "user")
        self._people = people

    def __contains__(self, external_id: str) -> bool:
        return super().__contains__(self._people.of(external_id))

    def row(self, external_id: str) -> int:
        return super().row(self._people.of(external_id))

    def rows(self, external_ids: pl.Series | Sequence[str]) -> NDArray[np.int32]:
        wanted = external_ids if isinstance(external_ids, pl.Series) else pl.Series(external_ids, dtype=pl.String)
        return super().rows(self._people.column(wanted))


def privacy_key(folder: Path) -> bytes:
    """The shop's key of keyed hashes: ``$KUAPIN_PRIVACY_KEY``, or a file that is made with the first use."""
    given = os.environ.get(VARIABLE)
    if given:
        return given.encode()
    path = folder / KEY_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_hex(32).encode()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        return key
