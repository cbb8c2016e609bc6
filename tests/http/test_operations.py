from __future__ import annotations

from trunkline.http import operations


def test_an_operation_has_what_was_said_of_it() -> None:
    made = operations.operation(
        "inference", "doIt", "Do it.", operations.answers("Done.", operations.json_content("Thing")), parameters=[1]
    )
    assert made["operationId"] == "doIt"
    assert made["parameters"] == [1]
    assert made["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert "Error" in str(made["responses"]["default"])


def test_parameters_say_where_they_stand() -> None:
    assert operations.path_id("id", "An id.") | {"schema": None} == {
        "name": "id", "in": "path", "required": True, "description": "An id.", "schema": None,
    }  # fmt: skip
    assert operations.query("q", "A word.", {"type": "string"})["in"] == "query"
