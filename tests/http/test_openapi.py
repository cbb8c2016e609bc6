"""The document holds together: every reference resolves, every operation is described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from trunkline.http import openapi

DOCUMENT = openapi.document({"paths": {"/own": {"get": {"summary": "Ours.", "tags": ["admin"]}}}, "components": {}})


def walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from walk(value)


def test_every_reference_resolves() -> None:
    references = [node["$ref"] for node in walk(DOCUMENT) if "$ref" in node]
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_no_schema_is_unused() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in walk(DOCUMENT) if "$ref" in node}
    assert used == set(DOCUMENT["components"]["schemas"])


def test_operation_names_are_unique_and_tags_known() -> None:
    found = openapi.operations(DOCUMENT)
    names = [operation["operationId"] for _, path, operation in found if path != "/own"]
    assert len(names) == len(set(names))
    assert {tag for _, _, operation in found for tag in operation["tags"]} <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert all(operation["summary"].endswith(".") for _, _, operation in found)


def test_parameters_in_paths_are_described() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_own_paths_and_schemas_join() -> None:
    own = {"paths": {"/x": {"post": {}}}, "components": {"schemas": {"Thing": {"type": "object"}}}}
    merged = openapi.document(own)
    assert merged["paths"]["/x"] == {"post": {}}
    assert merged["components"]["schemas"]["Thing"] == {"type": "object"}
    assert "/v1/chat/completions" in merged["paths"]


@pytest.mark.parametrize(
    ("field", "bounds"),
    [("temperature", (0, 2)), ("top_p", (0, 1)), ("frequency_penalty", (-2, 2)), ("presence_penalty", (-2, 2))],
)
def test_bounds_are_those_of_the_protocol(field: str, bounds: tuple[int, int]) -> None:
    schema = DOCUMENT["components"]["schemas"]["ChatCompletionRequest"]
    assert (schema["properties"][field]["minimum"], schema["properties"][field]["maximum"]) == bounds
    assert schema["required"] == ["model", "messages"]


def test_the_document_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT)) == DOCUMENT


def test_llms_text_names_every_operation_and_the_address() -> None:
    text = openapi.llms_text(DOCUMENT, "https://gateway.test")
    assert text.startswith("# Trunkline\n\n> ")
    assert "https://gateway.test/v1" in text
    for method, path, _ in openapi.operations(DOCUMENT):
        assert f"`{method} {path}`" in text
