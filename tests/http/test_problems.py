"""Every error has one HTTP shape, in each protocol's own envelope."""

from __future__ import annotations

import inspect
import json

import pytest

from trunkline import errors
from trunkline.errors import TrunklineError
from trunkline.http import problems

EVERY_KIND = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TrunklineError)]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidRequest("x"), 400, "invalid_request_error"),
        (errors.BodyTooLarge("x"), 413, "invalid_request_error"),
        (errors.UnsupportedMediaType("x"), 415, "invalid_request_error"),
        (errors.Unauthenticated("x"), 401, "invalid_request_error"),
        (errors.Forbidden("x"), 403, "permission_error"),
        (errors.NotFound("x"), 404, "invalid_request_error"),
        (errors.MethodNotAllowed("x"), 405, "invalid_request_error"),
        (errors.Unavailable("x"), 503, "server_error"),
        (errors.StoreUnavailable("x"), 503, "server_error"),
        (errors.UpstreamRefused("x", status=400), 400, "invalid_request_error"),
        (errors.UpstreamRefused("x", status=404), 404, "invalid_request_error"),
        (errors.UpstreamRefused("x", status=413), 413, "invalid_request_error"),
        (errors.UpstreamRefused("x", status=422), 422, "invalid_request_error"),
        (errors.UpstreamRateLimited("x", status=429), 429, "rate_limit_error"),
        (errors.UpstreamAccount("x", status=401), 502, "server_error"),
        (errors.UpstreamOverloaded("x", status=529), 503, "server_error"),
        (errors.UpstreamTimeout("x"), 504, "server_error"),
        (errors.UpstreamFailed("x", status=500), 502, "server_error"),
        (errors.StreamCut("x"), 502, "server_error"),
        (errors.Defect("x"), 500, "server_error"),
    ],
)
def test_the_table(error: TrunklineError, status: int, kind: str) -> None:
    problem = problems.problem(error, "openai", "req-1")
    body = json.loads(problem.body)["error"]
    assert problem.status == status
    assert body == {"message": "x", "type": kind, "param": None, "code": error.code}


BROKE = errors.BudgetExceeded(
    "x", scope="key", limit_nanos=50_000_000_000, used_nanos=49_999_999_999, held_nanos=1, resets_at=1_800_000_000.9
)
FIGURES = {"scope": "key", "limit": 50, "used": 49.999999999, "held": 1e-09, "resets_at": 1_800_000_000}


def test_a_budget_that_is_used_up_says_its_figures_and_that_asking_again_is_no_use() -> None:
    problem = problems.problem(BROKE, "openai", "req-1")
    assert problem.status == 402
    assert (b"x-should-retry", b"false") in problem.headers
    assert json.loads(problem.body)["error"] == {
        "message": "x", "type": "budget_exceeded", "param": None, "code": "budget_exceeded", **FIGURES
    }  # fmt: skip
    assert b'"used":49.999999999' in problem.body
    assert b'"held":0.000000001' in problem.body
    anthropic = problems.problem(BROKE, "anthropic", "req-1")
    assert json.loads(anthropic.body)["error"] == {"type": "billing_error", "message": "x", **FIGURES}
    event = problems.error_event(BROKE, "openai", "req-1")
    assert json.loads(event.removeprefix(b"data: "))["error"]["limit"] == 50
    google = json.loads(problems.problem(BROKE, "google", "req-1").body)["error"]
    assert (google["code"], google["message"]) == (402, "x")
    [info] = google["details"]
    assert (info["@type"], info["reason"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "budget_exceeded")
    assert info["metadata"] == {
        "scope": "key", "limit": "50", "used": "49.999999999", "held": "0.000000001", "resets_at": "1800000000"
    }  # fmt: skip
    assert b'"details"' in problems.error_event(BROKE, "google", "req-1")


def test_of_an_account_above_no_figures_are_told() -> None:
    error = errors.BudgetExceeded("x", scope="account above this one", code="insufficient_credits")
    said = json.loads(problems.problem(error, "openai", "req-1").body)["error"]
    assert {name: said[name] for name in said if name not in ("message", "type", "param", "code")} == {
        "scope": "account above this one", "resets_at": None
    }  # fmt: skip


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_no_error_is_without_a_shape(kind: type[TrunklineError]) -> None:
    families: tuple[problems.Family, ...] = ("openai", "anthropic", "google")
    for family in families:
        problem = problems.problem(kind("x"), family, "req-1")
        assert 400 <= problem.status <= 599
        assert json.loads(problem.body)["error"]["message"] == "x"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.Unauthenticated("x"), 401, "authentication_error"),
        (errors.NotFound("x"), 404, "not_found_error"),
        (errors.UpstreamRefused("x", status=404), 404, "not_found_error"),
        (errors.BodyTooLarge("x"), 413, "request_too_large"),
        (errors.UpstreamOverloaded("x"), 529, "overloaded_error"),
        (errors.UpstreamTimeout("x"), 504, "timeout_error"),
    ],
)
def test_a_messages_caller_gets_his_own_envelope(error: TrunklineError, status: int, kind: str) -> None:
    problem = problems.problem(error, "anthropic", "req-1")
    assert problem.status == status
    assert json.loads(problem.body) == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "req-1",
    }
    assert (b"request-id", b"req-1") in problem.headers


def test_when_to_come_back_is_said() -> None:
    def told(error: TrunklineError) -> dict[bytes, bytes]:
        return dict(problems.retry_headers(error))

    assert told(errors.UpstreamRateLimited("x", retry_after_s=1.2)) == {b"retry-after": b"2"}
    assert told(errors.Unavailable("x")) == {b"retry-after": b"1"}
    assert told(errors.UpstreamAccount("x")) == {b"x-should-retry": b"false"}
    assert told(errors.InvalidRequest("x")) == {}


def test_a_wrong_method_is_told_which_would_be_right() -> None:
    problem = problems.problem(errors.MethodNotAllowed("x", ("GET", "HEAD")), "openai", "r")
    assert (b"allow", b"GET, HEAD") in problem.headers


def test_an_error_in_a_stream_is_its_last_event() -> None:
    event = problems.error_event(errors.StreamCut("it broke off"), "openai", "req-1")
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["code"] == "stream_cut"
    event = problems.error_event(errors.StreamCut("it broke off"), "anthropic", "req-1")
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.split(b"data: ")[1])["error"] == {"type": "api_error", "message": "it broke off"}


def test_the_route_tells_the_protocol() -> None:
    assert problems.family_of("/v1/messages", {}) == "anthropic"
    assert problems.family_of("/v1/chat/completions", {b"anthropic-version": b"2023-06-01"}) == "openai"
    assert problems.family_of("/v1/models", {b"anthropic-version": b"2023-06-01"}) == "anthropic"
    assert problems.family_of("/v1/models", {}) == "openai"
    for version in ("v1", "v1beta", "v1alpha"):
        assert problems.family_of(f"/{version}/models/m:generateContent", {}) == "google"
    assert problems.family_of("/v1/models/ollama/llama3:8b", {}) == "openai"
