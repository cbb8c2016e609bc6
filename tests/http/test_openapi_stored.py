from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource
from openai.types.responses import Response, ResponseItemList

from tests.http.stored import House
from trunkline.http import openapi_stored
from trunkline.http.operations import REF


def test_every_route_is_described_and_no_other(stored_house: House) -> None:
    described = {(method.upper(), path) for path, operations in openapi_stored.paths().items() for method in operations}
    assert described == stored_house.door.paths()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (openapi_stored.Response, Response),
        (openapi_stored.Conversation, Conversation),
        (openapi_stored.DeletedConversation, ConversationDeletedResource),
        (openapi_stored.ItemList, ResponseItemList),
    ],
)
def test_the_fields_are_those_of_the_official_package(ours: Any, theirs: Any) -> None:
    assert {field.name for field in msgspec.structs.fields(ours)} <= set(theirs.model_fields)


def test_each_schema_is_there() -> None:
    _, described = msgspec.json.schema_components(openapi_stored.STRUCTS, ref_template=REF)
    text = msgspec.json.encode(openapi_stored.paths()).decode()
    assert all(f"#/components/schemas/{name}" in text or name == "Item" for name in described)
