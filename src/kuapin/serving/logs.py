"""The log of the service: one JSON object a line, with the id of its request and nothing of a person.

Routes stand for paths, which hold ids. Of an exception its type and where it happened are written and not what it says,
for that quotes what came.
"""

import json
import logging
import traceback
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""Id of the request that is worked on."""
FIELDS = "fields"
"""Attribute of a record: more to be written beside its message."""
DEEPEST = 12
"""Places of a traceback that are written, the innermost."""


class JsonLines(logging.Formatter):
    """Writes records as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request := REQUEST.get()) is not None:
            line["request_id"] = request
        line |= getattr(record, FIELDS, {})
        if record.exc_info and record.exc_info[0] is not None:
            line |= _fault(record.exc_info[0], record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


def log_config(*, quiet: bool) -> dict[str, Any]:
    """Configuration of all logging of a process, as ``logging.config.dictConfig`` takes it.

    Args:
        quiet: warnings and worse alone; no line a request.
    """
    level = "WARNING" if quiet else "INFO"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "kuapin.serving.logs.JsonLines"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["out"], "level": "WARNING"},
        "loggers": {name: {"level": level} for name in ("kuapin", "uvicorn")},
    }


def take_warnings() -> None:
    """Have what the library warns of written as lines of the log, at INFO, in this process from now on."""

    def write(message: Warning | str, *_: object, **__: object) -> None:
        logging.getLogger("kuapin.serving").info(str(message))

    warnings.showwarning = write


def _fault(kind: type[BaseException], trace: TracebackType | None) -> dict[str, Any]:
    frames = traceback.extract_tb(trace)[-DEEPEST:]
    return {"exception": kind.__name__, "at": [f"{one.filename}:{one.lineno} {one.name}" for one in frames]}
