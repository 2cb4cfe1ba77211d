"""The HTTP interface against its own description: requests that follow it, and requests that do not."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindrestore.serve.assets import load_description
from mindrestore.serve.guard import HostNames
from mindrestore.serve.limits import Limits
from served import encode, picture, running

schemathesis = pytest.importorskip("schemathesis", reason="pip install 'mindrestore[test]'")

from schemathesis.generation import GenerationMode  # noqa: E402
from schemathesis.specs.openapi import checks as openapi_checks  # noqa: E402

pytestmark = pytest.mark.slow
EXAMPLES = 150  # of every operation, for each of both kinds of requests
PNG = encode(picture())
PATHS = load_description()["paths"]
OPERATIONS = [
    (path, method) for path, entry in PATHS.items() for method in ("get", "post", "delete") if method in entry
]
# Where a request can be wrong; elsewhere every text is an address.
BREAKABLE = ["/api/jobs", "/api/jobs/{token}/{preview}", "/api/archive", "/api/restore"]
REQUESTS = [(*each, GenerationMode.POSITIVE) for each in OPERATIONS] + [
    (*each, GenerationMode.NEGATIVE) for each in OPERATIONS if each[0] in BREAKABLE
]
# What a good request is answered with, where a job or an image is given
GOOD = {"/api/jobs post": 202, "/api/restore post": 200, "/api/jobs/{token} delete": 204, "/api/jobs/{token} get": 200}
CHECKS = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    limits = Limits(max_bytes=200_000, max_pixels=10_000, max_waiting=10_000)
    with running(tmp_path_factory.mktemp("fuzzed"), limits, HostNames("127.0.0.1")) as server:
        yield server


@pytest.fixture(scope="module")
def described(fuzzed):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{fuzzed.port}/openapi.json")


@pytest.mark.parametrize(("path", "method", "mode"), REQUESTS, ids=lambda value: str(getattr(value, "value", value)))
def test_every_answer_is_as_described_and_never_a_defect(fuzzed, described, path, method, mode):
    seen = set()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=described[path][method].as_strategy(generation_mode=mode), known=st.booleans())
    def ask(case, known):
        if known:
            use_what_is_there(case, fuzzed)
        answer = case.call()
        seen.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            told = answer.json()
            assert "\n" not in told["error"]
            assert "Traceback" not in told["error"]

    ask()
    if mode is GenerationMode.POSITIVE:
        assert GOOD.get(f"{path} {method}", min(seen)) in seen
    assert fuzzed.ask("GET", "/api/status").status == 200


def use_what_is_there(case, server):
    """Name a job that is there, and send an image that can be read to the networks that are offered."""
    if "token" in (case.path_parameters or {}):
        case.path_parameters["token"] = server.send("/api/jobs", PNG).told["id"]
    if isinstance(case.body, dict) and "image" in case.body:
        case.body = {"image": PNG, "task": ["dehaze"]}
