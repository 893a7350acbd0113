"""Schemathesis on the whole OpenAPI document: no 5xx but deliberate 503s, no answer that the document does not know."""

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kuapin.service_settings import ServiceConfig
from kuapin.serving.app import create_app
from tests import served

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
QUICK, MUCH = 8, 150


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    shop = served.shop(tmp_path_factory.mktemp("schema"))
    config = ServiceConfig(authentication="off on loopback", deadline_ms=20_000, queue_ms=20_000)
    return create_app(shop, config)


def operations(application):
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    return [operation.ok() for operation in schema.get_all_operations()]


def examine(application, examples):
    found = operations(application)
    assert len(found) >= 18
    statuses = Counter()
    for operation in found:

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy())
        def check(case):
            response = case.call()
            statuses[response.status_code] += 1
            if response.status_code == 503:
                assert response.headers.get("retry-after"), case
            else:
                assert response.status_code < 500, (case, response.text)
            case.validate_response(response, checks=CHECKS)

        check()
    assert {200, 404, 409, 422} <= set(statuses), statuses
    return statuses.total()


def test_no_request_brings_a_failure_or_an_unknown_answer(application):
    assert examine(application, QUICK) > 100


@pytest.mark.nightly
def test_no_request_of_many_brings_a_failure_or_an_unknown_answer(application):
    assert examine(application, MUCH) > 1_000
