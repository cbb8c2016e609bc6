"""The words in which operations are described, as OpenAPI 3.1 spells them."""

from __future__ import annotations

from typing import Any, TypeAlias

REF = "#/components/schemas/{name}"
Json: TypeAlias = dict[str, Any]


def json_content(name: str) -> Json:
    """A body that has the schema `name`."""
    return {"application/json": {"schema": {"$ref": REF.format(name=name)}}}


def answers(description: str, content: Json) -> Json:
    """What comes back, and that anything else is an Error."""
    return {
        "200": {
            "description": description,
            "headers": {"x-request-id": {"description": "Yours, or ours.", "schema": {"type": "string"}}},
            "content": content,
        },
        "default": {"description": "A refusal or a failure.", "content": json_content("Error")},
    }


def operation(tag: str, name: str, summary: str, responses: Json, **more: Any) -> Json:
    return {"tags": [tag], "operationId": name, "summary": summary, "responses": responses, **more}


def path_id(name: str, description: str) -> Json:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}
