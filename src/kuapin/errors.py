"""Every error that Kuapin raises on purpose.

A message has the rule, what came instead, and the next step, in one line:
``items.parquet row 41: price is -3.0; prices are >= 0. Correct the row or drop the column.``
The command line prints the message alone and exits with ``exit_code``.
"""


class KuapinError(Exception):
    """Something failed for a reason that a person can act on."""

    exit_code = 1


class InputError(KuapinError):
    """A file, a table or an argument breaks a rule; the message names file, row and column."""

    exit_code = 2


class UnknownIdError(InputError):
    """An external id (user, item, category, release) that the shop does not have."""


class MissingExtraError(KuapinError):
    """An optional package is not installed; the message holds the exact pip line."""


class StoreError(KuapinError):
    """The workspace cannot be read or written: locked, full, read-only, of another format version."""


class BusyError(StoreError):
    """Somebody else is at work there; it ends by itself."""

    exit_code = 4


class ModelFolderError(KuapinError):
    """A model folder is torn, truncated, altered or does not fit the shop; nothing was loaded."""


class GateRefusedError(KuapinError):
    """A model did not pass the comparison with the live one."""

    exit_code = 3
