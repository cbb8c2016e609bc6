from __future__ import annotations

import msgspec
import pytest

from trunkline.errors import BodyTooLarge, InvalidRequest, NotFound, TrunklineError
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.openai_errors import failure, refusal
from trunkline.providers.sandbox.response import Plan


def facts(plan: Plan) -> object:
    (body,) = plan.steps
    assert isinstance(body, bytes)
    return msgspec.json.decode(body)["error"]


@pytest.mark.parametrize(("error", "status"), [(InvalidRequest, 400), (NotFound, 404), (BodyTooLarge, 413)])
def test_refusals(error: type[TrunklineError], status: int) -> None:
    plan = refusal(error("no", code="c", param="p"))
    assert plan.status == status
    assert facts(plan) == {"message": "no", "type": "invalid_request_error", "param": "p", "code": "c"}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, "requests", "rate_limit_exceeded"),
        (401, "invalid_request_error", "invalid_api_key"),
        (418, "invalid_request_error", None),
        (503, "server_error", None),
        (None, "server_error", None),
    ],
)
def test_failures(status: int | None, kind: str, code: str | None) -> None:
    plan = failure(Directives(status=status, retry_after=7, first_ms=20))
    assert (plan.status, plan.first_s) == (status or 500, 0.02)
    assert (b"retry-after", b"7") in plan.headers
    found = facts(plan)
    assert isinstance(found, dict)
    assert (found["type"], found["code"], found["param"]) == (kind, code, None)
