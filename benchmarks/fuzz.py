"""Schemathesis on the whole OpenAPI document of the service: made-up requests, right and wrong, to every operation.

``server_errors`` counts answers of 500 and above but a 503 that says when to come again; ``violations`` counts answers
that the document does not know: another status, header, content type or body. The service is the real application over
the shop of the tests, in this process, so that a request costs milliseconds.

python -m benchmarks.fuzz [--quick] [--requests N]
"""

import logging
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.harness import Figure, parse_arguments, write_result
from kuapin.service_settings import ServiceConfig
from kuapin.serving.app import create_app
from tests import served

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
REQUESTS, QUICK = 100_000, 2_000
ROUND = 100
"""Examples of one operation in a round; then the next has its turn, on what the ones before left behind."""
OPTIONS = {"--requests": {"type": int, "metavar": "N", "help": f"by default {REQUESTS:,}"}}


@dataclass
class Seen:
    """What came back.

    Attributes:
        statuses: status → answers.
        operations: method and path of everything that was asked.
        server_errors: answers that nobody meant, the first ones in words.
        violations: answers that the document does not know, likewise.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    server_errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def note(self, case: Any, response: Any) -> None:
        """Count one answer."""
        name = f"{case.method} {case.path}"
        self.statuses[response.status_code] += 1
        self.operations[name] += 1
        meant = response.status_code == 503 and response.headers.get("retry-after")
        if response.status_code >= 500 and not meant:
            self.server_errors.append(
                f"{name}: {response.status_code} {response.text[:200]} to {case.as_curl_command()}"
            )
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            self.violations.append(f"{name}: {failures} to {case.as_curl_command()}"[:2000])


def fuzz(application: FastAPI, requests: int, examples: int = ROUND, first_seed: int = 0) -> Seen:
    """Ask every operation again and again, until so many requests were sent, whole rounds.

    Args:
        application: of the service.
        requests: at least so many.
        examples: of each operation in one round.
        first_seed: of the first round; each has the next.
    """
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    seen, number = Seen(), first_seed
    while seen.statuses.total() < requests:
        for operation in operations:

            @seed(number)
            @settings(
                max_examples=examples,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                seen.note(case, case.call(timeout=120))

            try:
                ask()
            except KeyboardInterrupt:  # what was done so far is told
                return seen
        number += 1
        found = f"{len(seen.server_errors)} server errors, {len(seen.violations)} violations"
        print(f"{seen.statuses.total():,} of {requests:,} requests, {found}", flush=True)
    return seen


def application(folder: Path) -> FastAPI:
    """The service of a made-up shop, open to everybody."""
    config = ServiceConfig(authentication="off on loopback", deadline_ms=20_000, queue_ms=20_000)
    return create_app(served.shop(folder), config)


def main() -> None:
    """Measure, print, write ``results/fuzz.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    first = (arguments.seeds or (0,))[0]
    wanted = QUICK if arguments.quick else arguments.extra.requests or REQUESTS
    logging.getLogger("kuapin").setLevel(logging.CRITICAL)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        seen = fuzz(application(Path(scratch)), wanted, 20 if arguments.quick else ROUND, first)
    figures = {
        "requests": Figure(seen.statuses.total()),
        "server_errors": Figure(len(seen.server_errors)),
        "violations": Figure(len(seen.violations)),
        "operations": Figure(len(seen.operations)),
        "requests_per_s": Figure(seen.statuses.total() / (time.perf_counter() - started), unit="requests/s"),
    }
    figures |= {f"status.{status}": Figure(count) for status, count in sorted(seen.statuses.items())}
    told = {"server_errors": seen.server_errors[:20], "violations": seen.violations[:20]}
    write_result("fuzz", figures, seeds=[first], quick=arguments.quick, extra={"found": told})


if __name__ == "__main__":
    main()
