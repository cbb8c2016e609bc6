from __future__ import annotations

import pytest

from tests.providers.sandbox.openai_client import post, request
from trunkline.providers.sandbox import openai_api
from trunkline.providers.sandbox.faults import FaultCounts


@pytest.mark.parametrize(("path", "status"), [("/responses", 200), ("/responses/input_tokens", 200), ("/x", 404)])
async def test_paths(path: str, status: int) -> None:
    assert (await post(path, {"model": "echo", "input": "x"})).status == status


def test_only_posts_are_its_own() -> None:
    asked = request("/responses", {"model": "echo", "input": "x"})
    assert openai_api.face(asked, b"", FaultCounts()) is not None
    asked.method = b"GET"
    assert openai_api.face(asked, b"", FaultCounts()) is None


async def test_a_refusal_is_an_answer() -> None:
    answered = await post("/responses?x=1", b"{")
    assert (answered.status, answered.error()["code"]) == (400, "invalid_json")


async def test_accounts_are_told_apart() -> None:
    counts = FaultCounts()
    body = {"model": "faulty", "input": "[[status=503 times=1]] x"}
    plans = [openai_api.face(request("/responses", body), account, counts) for account in (b"a", b"a", b"b")]
    assert [plan.status for plan in plans if plan] == [503, 200, 503]
