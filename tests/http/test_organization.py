"""The assembly: whatever OpenAI's client can ask of an organisation is either answered or not found, and only to
admins."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import openai
import openai.resources.admin.organization
import pytest

from tests.http.organization_house import Organization, OrganizationHouse
from trunkline.errors import Forbidden
from trunkline.http.admin import ADMIN, Specification
from trunkline.http.organization import PREFIXES, organization_routes

CALLS = {"_get": "GET", "_get_api_list": "GET", "_post": "POST", "_delete": "DELETE"}
ABSENT = re.compile(
    r"^(/organization(/projects/\{\w+\})?/(certificates|data_retention|external_keys|external_storage|groups|roles"
    r"|hosted_tool_permissions|service_tier_settings|workload_identity_providers)"
    r"|/organization/users/\{\w+\}/roles|/projects/)"
)
"""What is not here, by the beginning of its path."""


def operations() -> set[tuple[str, str]]:
    """(method, path) of everything that the installed client can ask of an organisation."""
    folder = Path(inspect.getfile(openai.resources.admin.organization)).parent
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                method = CALLS[node.func.attr]
                for keyword in node.keywords:
                    if keyword.arg == "method":
                        method = ast.literal_eval(keyword.value).upper()
                found |= {(method, path) for path in _paths(node.args[0])}
    return found


def _paths(node: ast.expr) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.startswith("/"):
            yield inner.value


OPERATIONS = operations()
PRESENT = sorted(one for one in OPERATIONS if not ABSENT.match(one[1]))


def concrete(path: str) -> str:
    return "/v1" + re.sub(r"\{\w+\}", "x", path)


def test_the_client_was_read() -> None:
    assert len(OPERATIONS) > 120
    assert ("GET", "/organization/usage/completions") in OPERATIONS
    assert ("POST", "/organization/projects/{project_id}/rate_limits/{rate_limit_id}") in OPERATIONS


async def test_what_the_client_can_ask_is_answered_or_not_found(organization: Organization) -> None:
    wrong = []
    for method, path in sorted(OPERATIONS):
        answer = await organization.ask(method, concrete(path), b"{}" if method == "POST" else b"")
        unknown = answer.status == 404 and answer.error["code"] == "unknown_url"
        if unknown != bool(ABSENT.match(path)) or answer.status in (405, 500):
            wrong.append((method, path, answer.status))
    assert not wrong


async def test_nothing_is_here_that_the_client_cannot_ask(organization_house: OrganizationHouse) -> None:
    shape = re.compile(r"\{\w+\}")
    asked = {(method, "/v1" + shape.sub("{}", path)) for method, path in OPERATIONS}
    specification = Specification()
    specification.describe(organization_routes(organization_house.services))
    ours = {
        (method.upper(), shape.sub("{}", path))
        for path, item in specification.document()["paths"].items()
        if path.startswith("/v1/organization")
        for method in item
    }
    assert ours <= asked
    assert len(ours) == len(PRESENT)


def test_every_route_is_for_admins(organization_house: OrganizationHouse) -> None:
    routes = organization_routes(organization_house.services)
    assert len(routes) == len(PRESENT)
    assert all(route.opt == ADMIN for route in routes)
    assert all(path.startswith(PREFIXES) for route in routes for path in route.paths)


@pytest.mark.parametrize("key", ["", "nobody's"])
async def test_strangers_are_told_nothing(organization: Organization, key: str) -> None:
    for method, path in PRESENT[:5]:
        answer = await organization.ask(method, concrete(path), key=key or "-")
        assert answer.status == 401


async def test_a_refusal_of_the_stores_is_in_openais_envelope(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Forbidden("Not you.", code="above_only")

    monkeypatch.setattr(organization.house.accounts, "show", refuse)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await organization.client.admin.organization.projects.retrieve(organization.id)
    assert refused.value.code == "above_only"


async def test_every_answer_is_described(organization_house: OrganizationHouse) -> None:
    specification = Specification()
    specification.describe(organization_routes(organization_house.services))
    for path, item in specification.document()["paths"].items():
        if path.startswith("/v1/organization"):
            for operation in item.values():
                assert operation["summary"].endswith(".")
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                assert schema["properties"]
