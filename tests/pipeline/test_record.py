"""What a call leaves behind: numbers always, lines where it went wrong, nothing of the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from tests.pipeline.scripted import new_call
from trunkline import errors
from trunkline.catalog.models import Deployment, Model
from trunkline.catalog.providers import PROVIDERS
from trunkline.errors import TrunklineError
from trunkline.observe import OTHER, Metrics
from trunkline.pipeline import record
from trunkline.pipeline.call import Call
from trunkline.pipeline.record import Recorder
from trunkline.wire.usage import Usage

KNOWN = Model(id="openai/gpt-4o", provider="openai", upstream="gpt-4o", name="GPT-4o")
REFUSED = ("info", "call_refused")
STATUSES: dict[type[TrunklineError], int] = {errors.ClientGone: 499, errors.UpstreamAccount: 502}


def status_of(error: TrunklineError) -> int:
    return STATUSES.get(type(error), 500)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def recorder(metrics: Metrics) -> Recorder:
    return Recorder(metrics, status_of)


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    """Every line can be seen, whatever level a test before has set and the module's logger has kept."""
    before = structlog.get_config()
    structlog.reset_defaults()
    vars(record.log).pop("bind", None)
    yield
    structlog.configure(**before)
    vars(record.log).pop("bind", None)


def served(model: Model | None = KNOWN) -> Call:
    call = new_call()
    call.deployment = Deployment(
        model_id="openai/gpt-4o", provider_id="openai", provider=PROVIDERS["openai"], upstream="gpt-4o", model=model
    )
    call.attempts = 1
    call.started_at, call.read_at, call.answered_at, call.ended_at = 100.0, 100.1, 102.0, 103.0
    call.overhead_s = 0.002
    return call


def numbers(metrics: Metrics, family: str) -> dict[tuple[str, ...], list[float]]:
    """The children that have counted anything."""
    return {labels: child.state() for labels, child in metrics.families[family].children.items() if any(child.state())}


def test_a_call_that_was_answered_is_counted_and_not_logged(metrics: Metrics, recorder: Recorder) -> None:
    call = served()
    call.first_event_at = 102.5
    call.usage = Usage(input_tokens=100, output_tokens=7, cached_input_tokens=40, reasoning_tokens=5)
    with capture_logs() as lines:
        recorder.ended(call)
    assert lines == []
    assert numbers(metrics, "trunkline_calls") == {("chat", "openai_chat", "openai", "openai/gpt-4o", "200"): [1]}
    assert {labels[2]: state for labels, state in numbers(metrics, "trunkline_tokens").items()} == {
        "input": [100],
        "cached": [40],
        "output": [7],
        "reasoning": [5],
    }
    for family, total in (
        ("trunkline_call_duration_seconds", 3.0),
        ("trunkline_first_byte_seconds", 2.5),
        ("trunkline_overhead_seconds", 0.002),
    ):
        ((state_total, *counts),) = numbers(metrics, family).values()
        assert state_total == pytest.approx(total)
        assert sum(counts) == 1
    assert numbers(metrics, "trunkline_refusals") == {}


def test_a_whole_answer_has_no_first_event(metrics: Metrics, recorder: Recorder) -> None:
    recorder.ended(served())
    assert numbers(metrics, "trunkline_first_byte_seconds") == {}


def test_a_name_that_no_catalog_has_makes_no_series_of_its_own(metrics: Metrics, recorder: Recorder) -> None:
    for number in range(50):
        call = served(model=None)
        assert call.deployment is not None
        call.deployment = msgspec.structs.replace(call.deployment, model_id=f"openai/made-up-{number}")
        recorder.ended(call)
    ((labels, count),) = numbers(metrics, "trunkline_calls").items()
    assert (labels[2:4], count) == (("openai", OTHER), [50])


def test_a_call_that_reached_no_provider_names_none(metrics: Metrics, recorder: Recorder) -> None:
    call = new_call()
    call.error = errors.Unauthenticated("who?")
    recorder.ended(call)
    assert list(numbers(metrics, "trunkline_calls")) == [("chat", "openai_chat", "", "", "500")]


@pytest.mark.parametrize(
    ("error", "counted", "line"),
    [
        (errors.Unauthenticated("x"), "invalid_api_key", REFUSED),
        (errors.NotFound("x", code="model_not_found", param="model"), "not_found", REFUSED),
        # The provider's own word is no label, or providers could make series as they like.
        (errors.UpstreamRefused("x", code="their_own_word"), "provider_refused", REFUSED),
        (errors.UpstreamAccount("x"), "provider_account", REFUSED),
        (errors.Defect("x"), "internal_error", REFUSED),
        (errors.ClientGone("x"), "client_closed_request", ("debug", "client_gone")),
    ],
)
def test_a_call_that_went_wrong_is_counted_by_our_code_and_logged_once(
    metrics: Metrics, recorder: Recorder, error: TrunklineError, counted: str, line: tuple[str, str]
) -> None:
    call = served()
    call.error = error
    with capture_logs() as lines:
        recorder.ended(call)
    assert numbers(metrics, "trunkline_refusals") == {(counted,): [1]}
    assert [labels[4] for labels in numbers(metrics, "trunkline_calls")] == [str(status_of(error))]
    (written,) = lines
    assert (written["log_level"], written["event"], written["call_id"]) == (*line, "call_00000000000001")
    if line == REFUSED:
        assert (written["code"], written["param"], written["status"]) == (error.code, error.param, status_of(error))


@pytest.mark.parametrize(
    ("make", "outcome", "level"),
    [
        (lambda: errors.UpstreamAccount("no credit", status=402), "provider_account", "error"),
        (lambda: errors.UpstreamFailed("broke", status=500), "provider_error", "warning"),
        (lambda: errors.UpstreamRefused("x", status=400, code="their_own_word"), "provider_refused", "warning"),
        (lambda: errors.Unavailable("full", code="pool_exhausted"), "pool_exhausted", "warning"),
    ],
)
def test_an_attempt_that_failed_is_counted_and_told(
    metrics: Metrics, recorder: Recorder, make: Callable[[], TrunklineError], outcome: str, level: str
) -> None:
    call, error = served(), make()
    call.attempts = 2
    with capture_logs() as lines:
        recorder.attempt(call, error)
    assert numbers(metrics, "trunkline_upstream_attempts") == {("openai", outcome): [1]}
    expected: dict[str, Any] = {
        "event": "attempt_failed",
        "log_level": level,
        "call_id": "call_00000000000001",
        "attempt": 2,
        "provider": "openai",
        "model": "openai/gpt-4o",
        "code": error.code,
        "reason": error.message,
    }
    assert [{name: line[name] for name in expected} for line in lines] == [expected]


def test_an_attempt_that_served_is_counted_in_silence(metrics: Metrics, recorder: Recorder) -> None:
    with capture_logs() as lines:
        recorder.attempt(served(), None)
    assert numbers(metrics, "trunkline_upstream_attempts") == {("openai", "ok"): [1]}
    assert lines == []
