"""Schemathesis on the whole OpenAPI document: no 5xx but deliberate 503s, no answer that the document does not know."""

import pytest

from benchmarks import fuzz
from tests import served


def examine(folder, requests, examples):
    seen = fuzz.fuzz(fuzz.application(folder), requests, examples)
    assert seen.server_errors == []
    assert seen.violations == []
    assert len(seen.operations) >= 28
    assert {200, 404, 409, 422} <= set(seen.statuses), seen.statuses
    return seen.statuses.total()


def test_no_request_brings_a_failure_or_an_unknown_answer(tmp_path):
    assert examine(tmp_path, 200, 8) >= 200


@pytest.mark.nightly
def test_no_request_of_many_brings_a_failure_or_an_unknown_answer(tmp_path):
    """``python -m benchmarks.fuzz`` sends 100,000."""
    assert examine(tmp_path, 4_000, 100) >= 4_000


def test_a_failure_and_an_unknown_answer_are_seen(tmp_path):
    """The harness finds what it looks for."""
    application = fuzz.application(tmp_path)

    def fail(*_arguments, **_options):
        raise RuntimeError

    application.state.service.live.releases.versions = fail
    seen = fuzz.fuzz(application, 1, 3)
    assert {one.partition(":")[0] for one in seen.server_errors} >= {"GET /v1/models"}
    assert {one.partition(":")[0] for one in seen.violations} >= {"GET /v1/models"}


def test_a_list_of_no_category_is_empty_wherever_the_dial_stands(shop):
    """Found by the requests above."""
    with served.client(shop) as client:
        for discovery in (None, 0.5, -0.5):
            body = {"categories": [], "discovery": discovery, "explain": True}
            assert client.post("/v1/recommendations", json=body).json()["recommendations"] == []
