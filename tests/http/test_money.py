"""Every route of money says who may call it, is described, and begins as the front door is told."""

from __future__ import annotations

from tests.http.till import Till
from trunkline.http.money import PREFIXES
from trunkline.http.openapi import operations

REFUSED = ("/user/new", "/budget/new", "/key/block", "/key/unblock")
OWN = ("/admin", "/openapi.json", "/llms.txt")


async def test_every_route_is_behind_a_prefix_and_a_key(till: Till) -> None:
    document = (await till.ask("GET", "/openapi.json", "a")).body
    described = [
        (method, path, operation)
        for method, path, operation in operations(document)
        if "security" not in operation and operation.get("tags", [""])[0] in TAGS and not path.startswith(OWN)
    ]
    assert len(described) > 30
    for method, path, operation in described:
        assert path.startswith(PREFIXES), path
        assert operation["summary"], path
        if path not in REFUSED:
            [(status, answer)] = operation["responses"].items()
            assert status in ("200", "201"), path
            assert answer["content"]["application/json"]["schema"]["type"] in ("object", "array"), path
        reply = await till.send(method, path.replace("{", "").replace("}", ""), "nobody", b"")
        assert reply.refusal[:2] == (401, "invalid_api_key"), path


TAGS = {"accounts", "keys", "budgets", "credit", "usage", "litellm"}


async def test_operations_have_names_of_their_own(till: Till) -> None:
    document = (await till.ask("GET", "/openapi.json", "a")).body
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
